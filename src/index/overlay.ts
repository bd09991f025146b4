/**
 * The overlay: mutations of transactions that are not in LevelDB yet, in layers.
 *
 * Order of events. `apply` writes into the open layer, in place where it holds the key already. The
 * open layer is frozen by a log commit, so that no layer straddles one, and by a scan, which keeps
 * the list of layers that it started with. `index.ts` writes the oldest frozen layers as one LevelDB
 * batch, and drops them here when the batch is written; scans opened before keep theirs.
 *
 * Point reads see all layers through one map to the newest entry of each key. A crash loses the
 * overlay, and replay from the applied seq makes it again.
 */

import { assert } from '../model/assert.ts';
import type { Seq } from '../model/ids.ts';
import type { ChecksumItem, Item, Mutation, XattrItem } from './items.ts';
import { isRegular, type Inode } from '../model/inode.ts';
import { dataSeqKey, FAMILY, metaSeqKey, type Family } from './keys.ts';
import { Layer, LISTED, type Entry } from './layer.ts';

/** Approximate memory of an entry: maps, key and an average value. */
const ENTRY_BYTES = 200;
const INODE_BYTES = 450;

type Newest = { [F in Family]: Map<string, Entry> };

export class Overlay {
  readonly #newest: Newest;
  /** Oldest first. */
  #frozen: readonly Layer[] = [];
  #open: Layer;
  #frozenBytes = 0;

  /** `base` is the last transaction that is in LevelDB. */
  constructor(base: Seq) {
    this.#open = new Layer(1, base);
    const newest: Partial<Newest> = {};
    for (const family of Object.keys(FAMILY) as Family[]) newest[family] = new Map();
    this.#newest = newest as Newest;
  }

  /** Approximate memory of all layers. */
  get bytes(): number {
    return this.#frozenBytes + this.#open.bytes;
  }

  /** Frozen layers, oldest first: an immutable list. */
  get layers(): readonly Layer[] {
    return this.#frozen;
  }

  /** The newest entry under `key`; undefined if no layer has one. Not for listed families. */
  get(family: Family, key: string): Entry | undefined {
    return this.#newest[family].get(key);
  }

  apply(mutation: Mutation): void {
    const { family, key, value } = mutation;
    if (LISTED[family] !== undefined) return this.#open.list(family, mutation, ENTRY_BYTES);
    if (family === 'inode')
      this.#leaveSeqs(mutation.before as Inode | undefined, value as Inode | undefined);
    const newest = this.#newest[family];
    const open = this.#open;
    const known = newest.get(key);
    if (known !== undefined && known.layer === open) {
      known.value = value;
      return;
    }
    const entry = open.add(family, key, value, weightOf(family, value));
    newest.set(key, entry);
    if (known !== undefined) known.newer = entry;
  }

  /** Closes the open layer, whose last transaction is `lastSeq`, unless it is empty. */
  freeze(lastSeq: Seq): void {
    const layer = this.#open;
    if (layer.size === 0) return;
    layer.freeze(lastSeq);
    this.#frozen = [...this.#frozen, layer];
    this.#frozenBytes += layer.bytes;
    this.#open = new Layer(layer.number + 1, lastSeq);
  }

  /** Forgets an entry whose layer has been written. */
  release(entry: Entry): void {
    if (entry.newer === undefined) this.#newest[entry.family].delete(entry.key);
  }

  /** Drops the oldest `count` layers, whose entries have been released. */
  drop(count: number): void {
    assert(count <= this.#frozen.length, 'only frozen layers are dropped');
    for (const layer of this.#frozen.slice(0, count)) this.#frozenBytes -= layer.bytes;
    this.#frozen = this.#frozen.slice(count);
  }

  /** Lists the deletion of an inode's seq keys that an older layer or LevelDB may hold. */
  #leaveSeqs(before: Inode | undefined, now: Inode | undefined): void {
    if (before === undefined) return;
    const { baseSeq } = this.#open;
    const { ino, metaSeq, dataSeq } = before;
    if (metaSeq <= baseSeq && metaSeq !== now?.metaSeq)
      this.#drop('metaSeq', metaSeqKey(metaSeq, ino));
    if (dataSeq > baseSeq || dataSeq === now?.dataSeq || !isRegular(before.mode)) return;
    this.#drop('dataSeq', dataSeqKey(dataSeq, ino));
  }

  #drop(family: Family, key: string): void {
    this.#open.list(family, { key, value: undefined }, ENTRY_BYTES);
  }
}

function weightOf(family: Family, value: Item | undefined): number {
  switch (family) {
    case 'inode':
      return INODE_BYTES;
    case 'xattr':
      return ENTRY_BYTES + ((value as XattrItem | undefined)?.value.length ?? 0);
    case 'checksum':
      return ENTRY_BYTES + ((value as ChecksumItem | undefined)?.checksums.length ?? 0);
    default:
      return ENTRY_BYTES;
  }
}

/**
 * The working set of one projection: what the transaction has changed so far, over the state before
 * it. Later events read through it, so they see what earlier ones did; in the end each key has one
 * mutation, and each replaced item of a family with history one before-image.
 */

import { assert, AssertionError } from '../../model/assert.ts';
import type { ByteString, Ino, SegmentNumber, Seq } from '../../model/ids.ts';
import type { Inode } from '../../model/inode.ts';
import type { Extent } from '../../model/extent.ts';
import type { Transaction } from '../../model/transaction.ts';
import type { DirentItem, Item, ItemTypes, Mutation, VolumeItem } from '../items.ts';
import {
  direntKey,
  HISTORY_FAMILIES,
  historyKey,
  inodeKey,
  truncatingKey,
  volumeKey,
  type Family,
} from '../keys.ts';
import type { PlacedExtent } from '../placed.ts';
import type { Before } from './before.ts';
import { draftInode, draftVolume, type Draft } from './drafts.ts';
import { newRunEdit, type RunEdit } from './runs.ts';
import { SmallMap } from './small-map.ts';

interface ItemEdit extends Mutation {
  readonly before: Item | undefined;
  value: Item | undefined;
}

interface InodeEdit {
  readonly before: Inode | undefined;
  now: Draft<Inode> | undefined;
}

/** A change by `delta` of the number of owners of some segment blocks. */
export interface OwnershipChange {
  readonly segment: SegmentNumber;
  readonly block: number;
  readonly count: number;
  readonly delta: number;
}

export class Working {
  readonly before: Before;
  readonly seq: Seq;
  readonly time: number;
  /** Undefined while the transaction has touched no extent. */
  extentEdits: Map<Ino, RunEdit<PlacedExtent, Extent>> | undefined;
  readonly ownership: OwnershipChange[] = [];
  #volume: Draft<VolumeItem> | undefined;
  readonly #inodes = new SmallMap<Ino, InodeEdit>();
  readonly #items = new SmallMap<string, ItemEdit>();

  constructor(transaction: Transaction, before: Before) {
    this.before = before;
    this.seq = transaction.seq;
    this.time = transaction.time;
    const volume = before.volume();
    if (volume !== undefined) this.#volume = draftVolume(volume);
  }

  /** The volume's facts, to be changed in place; that there are any is asserted. */
  get volume(): Draft<VolumeItem> {
    if (this.#volume === undefined) throw new AssertionError(`seq ${this.seq}: no volume`);
    return this.#volume;
  }

  /** The first facts of a volume. */
  format(volume: VolumeItem): void {
    assert(this.#volume === undefined, () => `seq ${this.seq}: the volume is formatted already`);
    this.#volume = draftVolume(volume);
  }

  /** The inode as it is now, which must exist. */
  inode(ino: Ino): Inode {
    const edit = this.#inodes.get(ino);
    const inode = edit === undefined ? this.before.inode(ino) : edit.now;
    if (inode === undefined) throw new AssertionError(this.#missing(ino));
    return inode;
  }

  /** A new inode: nothing stood under its number. */
  createInode(inode: Inode): void {
    this.#inodes.set(inode.ino, { before: undefined, now: inode });
  }

  /** The inode, which must exist, to be changed in place: metaSeq is this transaction's seq now. */
  changeInode(ino: Ino): Draft<Inode> {
    const now = this.touchInode(ino);
    now.metaSeq = this.seq;
    return now;
  }

  /** The inode, which must exist, to be changed in place without counting as changed. */
  touchInode(ino: Ino): Draft<Inode> {
    const edit = this.#inodes.get(ino);
    if (edit?.now !== undefined) return edit.now;
    const before = edit === undefined ? this.before.inode(ino) : undefined;
    if (before === undefined) throw new AssertionError(this.#missing(ino));
    const now = draftInode(before);
    this.#inodes.set(ino, { before, now });
    return now;
  }

  deleteInode(ino: Ino): void {
    const edit = this.#inodes.get(ino);
    if (edit === undefined)
      this.#inodes.set(ino, { before: this.before.inode(ino), now: undefined });
    else edit.now = undefined;
  }

  #missing(ino: Ino): string {
    return `ino ${ino}, seq ${this.seq}: an event about an inode that does not exist`;
  }

  dirent(dir: Ino, name: ByteString): DirentItem | undefined {
    const edit = this.#items.get(direntKey(dir, name));
    return edit === undefined
      ? this.before.dirent(dir, name)
      : (edit.value as DirentItem | undefined);
  }

  /** The item under `key` as this transaction has left it; undefined if it has not touched it. */
  edited(key: string): { readonly value: Item | undefined } | undefined {
    return this.#items.get(key);
  }

  /** Puts a value where the state before had `before`. */
  put<F extends Family>(
    family: F,
    key: string,
    before: ItemTypes[F] | undefined,
    value: ItemTypes[F],
  ): void {
    const edit = this.#items.get(key);
    if (edit === undefined) this.#items.set(key, { family, key, value, before });
    else edit.value = value;
  }

  /** Deletes the item that the state before had as `before`, or that this transaction has put. */
  delete<F extends Family>(family: F, key: string, before: ItemTypes[F] | undefined): void {
    const edit = this.#items.get(key);
    if (edit === undefined) this.#items.set(key, { family, key, value: undefined, before });
    else edit.value = undefined;
  }

  extentEdit(ino: Ino): RunEdit<PlacedExtent, Extent> {
    this.extentEdits ??= new Map();
    let edit = this.extentEdits.get(ino);
    if (edit === undefined) this.extentEdits.set(ino, (edit = newRunEdit()));
    return edit;
  }

  /** All mutations: items first, then inodes, then the volume. */
  finish(): Mutation[] {
    const mutations: Mutation[] = [];
    const keepsHistory = this.volume.historyMicros !== 0;
    this.#items.forEach((edit) => {
      if (edit.before === undefined && edit.value === undefined) return;
      mutations.push(edit);
      if (keepsHistory && edit.before !== undefined && HISTORY_FAMILIES.has(edit.family)) {
        mutations.push(this.#image(edit.key, edit.before));
      }
    });
    this.#inodes.forEach((edit, ino) => this.#finishInode(mutations, ino, edit, keepsHistory));
    mutations.push({ family: 'meta', key: volumeKey, value: this.volume });
    return mutations;
  }

  #finishInode(mutations: Mutation[], ino: Ino, edit: InodeEdit, keepsHistory: boolean): void {
    const { before, now } = edit;
    if (before === undefined && now === undefined) return;
    const key = inodeKey(ino);
    mutations.push({ family: 'inode', key, value: now, before });
    if (before !== undefined && keepsHistory && before.metaSeq !== now?.metaSeq) {
      mutations.push(this.#image(key, before));
    }
    this.#finishTruncating(mutations, ino, before?.truncateMark, now?.truncateMark);
  }

  /** The list of unfinished truncations follows the inode's mark. */
  #finishTruncating(
    mutations: Mutation[],
    ino: Ino,
    before: number | undefined,
    now: number | undefined,
  ): void {
    if ((before === undefined) === (now === undefined)) return;
    const value = now === undefined ? undefined : true;
    mutations.push({ family: 'truncating', key: truncatingKey(ino), value });
  }

  #image(key: string, before: Item): Mutation {
    const value = before as ItemTypes['history'];
    return { family: 'history', key: historyKey(key, this.seq), value };
  }
}

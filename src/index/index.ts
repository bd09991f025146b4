/**
 * The materialised state of a volume: LevelDB, the overlay of what is not in it yet, and the caches
 * over both. Everything in it is derived from the log.
 *
 * Order of events. `prepare` projects a transaction against the current state, without effect.
 * `apply` puts the mutations into the open layer, then into caches and windows, in one synchronous
 * step: from then on every read sees them. `freezeLayer` closes the layer at a log commit.
 * `persist(durable)` writes whole frozen layers whose transactions are durable, in one LevelDB batch
 * with the last one's seq as the applied seq, and then drops them from the overlay.
 *
 * What a crash leaves: before the batch, an index that lags the log by its layers; after, one that
 * contains them. LevelDB's batch is atomic, so never half a layer, and `persist` never goes beyond
 * the durable log, so the index never leads it. The next open replays from `persisted`.
 */

import { assert } from '../model/assert.ts';
import type { Extent } from '../model/extent.ts';
import type { ByteString, Ino, SegmentNumber, Seq } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import type { Transaction } from '../model/transaction.ts';
import { TwoGenerations } from './cache.ts';
import type {
  ChecksumItem,
  DirentItem,
  ExtentItem,
  Item,
  ItemTypes,
  Mutation,
  RefItem,
  SegmentItem,
  VolumeItem,
  XattrItem,
} from './items.ts';
import type { Miss } from './items.ts';
import {
  CHECKSUM_RUN_BLOCKS,
  checksumKey,
  decodeNumber,
  direntKey,
  extentKey,
  inodeKey,
  orphanKey,
  segmentKey,
  volumeKey,
  xattrKey,
  type Family,
} from './keys.ts';
import type { Layer } from './layer.ts';
import { loadExtents, loadRefs } from './load-range.ts';
import { Overlay } from './overlay.ts';
import { writeLayers } from './persist.ts';
import { placeExtent, placeRef, type PlacedExtent, type PlacedRef } from './placed.ts';
import { project } from './project.ts';
import type { Before } from './projections/before.ts';
import { takeSnapshot, type IndexSnapshot } from './snapshot.ts';
import { Store, type AvailableBytes } from './store.ts';
import { decodeValue } from './values.ts';
import { Windows } from './windows.ts';

export { IndexCorrupt, IndexUnusable } from './errors.ts';
export type { IndexSnapshot } from './snapshot.ts';

const DEFAULT_CACHE_ITEMS = 65_536;
const DEFAULT_WINDOW_ITEMS = 262_144;
/** One item holds the checksums of 1 MiB of data in 1 KiB. */
const CHECKSUM_CACHE_ITEMS = 2048;
/** Layers are written in batches of about this size, which bounds LevelDB's memory. */
const BATCH_BYTES = 16 * 1024 * 1024;
/** A file with so few extents may be read item by item, synchronously. */
const PROBED_EXTENTS = 8;

const NO_EXTENTS: readonly PlacedExtent[] = [];

export interface IndexOptions {
  readonly dir: string;
  /** Decoded inodes kept in memory, and as many dirents. */
  readonly cacheItems?: number;
  /** Extents kept in memory, and as many reference runs. */
  readonly windowItems?: number;
  /** Room on the disk below, in bytes; asked before a failed index is opened again. */
  readonly availableBytes?: AvailableBytes;
}

export class Index {
  readonly #store: Store;
  readonly #overlay: Overlay;
  readonly #inodes: TwoGenerations<Ino, Inode | null>;
  readonly #dirents: TwoGenerations<string, DirentItem>;
  /** The key of the last dirent that was asked for and is not there: a create asks twice. */
  #absent: string | undefined;
  readonly #checksums = new TwoGenerations<string, ChecksumItem>(CHECKSUM_CACHE_ITEMS);
  readonly #extents: Windows<PlacedExtent>;
  readonly #refs: Windows<PlacedRef>;
  readonly #before: Before;
  #volume: VolumeItem | undefined;
  #applied: Seq;
  #persisting: Promise<void> = Promise.resolve();

  private constructor(store: Store, options: IndexOptions) {
    this.#store = store;
    this.#overlay = new Overlay(store.applied);
    const cacheItems = Math.ceil((options.cacheItems ?? DEFAULT_CACHE_ITEMS) / 2);
    this.#inodes = new TwoGenerations(cacheItems);
    this.#dirents = new TwoGenerations(cacheItems);
    const windowItems = options.windowItems ?? DEFAULT_WINDOW_ITEMS;
    this.#extents = new Windows('extent', windowItems);
    this.#refs = new Windows('ref', windowItems);
    this.#applied = store.applied;
    this.#volume = this.#read('meta', volumeKey);
    this.#before = {
      volume: () => this.#volume,
      inode: (ino) => this.inode(ino),
      dirent: (dir, name) => this.dirent(dir, name),
      xattr: (ino, name) => this.xattr(ino, name),
      checksums: (segment, run) => this.#checksumItem(segment, run),
      extents: (ino, from, to) => this.#placedExtents(ino, from, to),
      refs: (segment, from, to) => this.#refs.find(segment, from, to),
    };
  }

  /** Opens the index in `dir`, or creates an empty one. Throws `IndexUnusable`. */
  static async open(options: IndexOptions): Promise<Index> {
    const availableBytes = options.availableBytes ?? (() => Promise.resolve(Infinity));
    const store = await Store.open(options.dir, availableBytes);
    return new Index(store, options);
  }

  /** Last transaction applied. */
  get applied(): Seq {
    return this.#applied;
  }

  /** Last transaction in LevelDB. */
  get persisted(): Seq {
    return this.#store.applied;
  }

  /** Approximate memory of what is not in LevelDB yet. */
  get overlayBytes(): number {
    return this.#overlay.bytes;
  }

  volume(): VolumeItem | undefined {
    return this.#volume;
  }

  inode(ino: Ino): Inode | undefined {
    const cached = this.#inodes.get(ino);
    if (cached !== undefined) return cached ?? undefined;
    const found = this.#read('inode', inodeKey(ino));
    this.#inodes.set(ino, found ?? null);
    return found;
  }

  dirent(dir: Ino, name: ByteString): DirentItem | undefined {
    const key = direntKey(dir, name);
    if (key === this.#absent) return undefined;
    const cached = this.#dirents.get(key);
    if (cached !== undefined) return cached;
    const found = this.#read('dirent', key);
    if (found === undefined) this.#absent = key;
    else this.#dirents.set(key, found);
    return found;
  }

  xattr(ino: Ino, name: ByteString): XattrItem | undefined {
    const inode = this.inode(ino);
    if (inode === undefined || inode.xattrs === 0) return undefined;
    return this.#read('xattr', xattrKey(ino, name));
  }

  isOrphan(ino: Ino): boolean {
    return this.#read('orphan', orphanKey(ino)) !== undefined;
  }

  segment(segment: SegmentNumber): SegmentItem | undefined {
    return this.#read('segment', segmentKey(segment));
  }

  /** The CRC-32 of a segment block; undefined where none was logged. */
  checksum(segment: SegmentNumber, block: number): number | undefined {
    const run = Math.floor(block / CHECKSUM_RUN_BLOCKS);
    const sums = this.checksumRun(segment, run);
    const at = (block - run * CHECKSUM_RUN_BLOCKS) * 4;
    if (sums === undefined || at >= sums.length) return undefined;
    return sums.readUInt32BE(at);
  }

  /** Checksums of CHECKSUM_RUN_BLOCKS blocks, 4 bytes each; may be shorter. Read only. */
  checksumRun(segment: SegmentNumber, run: number): Buffer | undefined {
    return this.#checksumItem(segment, run)?.checksums;
  }

  /** Extents that overlap [from, to), sorted, not clipped. Throws `Miss`. */
  extents(ino: Ino, from: number, to: number): readonly Extent[] {
    return this.#placedExtents(ino, from, to);
  }

  /**
   * The first extents that end behind block `from`: at least one unless there is none, at most
   * `limit`. Throws `Miss`. For walking a file with any number of extents.
   */
  firstExtents(ino: Ino, from: number, limit: number): readonly Extent[] {
    const inode = this.inode(ino);
    if (inode === undefined || inode.extents === 0) return NO_EXTENTS;
    this.#probe(inode);
    return this.#extents.findFirst(ino, from, limit);
  }

  /** The mutations that `tx` makes, without effect. Throws `Miss`. */
  prepare(tx: Transaction): readonly Mutation[] {
    assert(tx.seq > this.#applied, () => `seq ${tx.seq} is not above the applied ${this.#applied}`);
    return project(tx, this.#before);
  }

  /** Makes the mutations of `tx`, prepared against this very state, current. */
  apply(tx: Transaction, mutations: readonly Mutation[]): void {
    assert(tx.seq > this.#applied, () => `seq ${tx.seq} is not above the applied ${this.#applied}`);
    this.#applied = tx.seq;
    this.#applyAll(mutations);
  }

  /** The reclaimer's deletions and counters, which no transaction stands for. */
  applyUnlogged(mutations: readonly Mutation[]): void {
    this.#applyAll(mutations);
  }

  /** Brings what was missed into memory. Rejects with an operating failure. */
  async load(miss: Miss): Promise<void> {
    while (!this.#store.isOpen) await this.#store.ready();
    const { family, group, from, to } = miss;
    if (from >= to) return;
    if (family === 'extent') {
      const inOrder = this.#extents.continuesAt(group, from);
      await this.#extents.load(group, from, to, () => loadExtents(this.snapshot(), miss, inOrder));
    } else {
      const inOrder = this.#refs.continuesAt(group, from);
      await this.#refs.load(group, from, to, () => loadRefs(this.snapshot(), miss, inOrder));
    }
  }

  /** Closes the open layer: what follows belongs to a later commit. */
  freezeLayer(): void {
    this.#overlay.freeze(this.#applied);
  }

  /**
   * Writes the frozen layers whose transactions are all durable, up to `durable`. Unsynced. Rejects
   * where LevelDB cannot write; the layers stay and the next call tries again.
   */
  persist(durable: Seq): Promise<void> {
    const turn = this.#persisting.then(() => this.#persistNow(durable));
    this.#persisting = turn.catch(() => undefined);
    return turn;
  }

  /** A fixed view of the state as it is now. */
  snapshot(): IndexSnapshot {
    this.#overlay.freeze(this.#applied);
    return takeSnapshot(this.#store, this.#overlay.layers, this.#applied);
  }

  async close(): Promise<void> {
    await this.#persisting;
    await this.#store.close();
  }

  async #persistNow(durable: Seq): Promise<void> {
    for (;;) {
      const layers = this.#writable(durable);
      if (layers.length === 0) return;
      await writeLayers(this.#store, layers, (entry) => this.#overlay.release(entry));
      this.#overlay.drop(layers.length);
    }
  }

  /** The oldest layers that may be written now, as many as fit a batch. */
  #writable(durable: Seq): readonly Layer[] {
    const layers: Layer[] = [];
    let bytes = 0;
    for (const layer of this.#overlay.layers) {
      if (layer.lastSeq > durable || (bytes > 0 && bytes + layer.bytes > BATCH_BYTES)) break;
      layers.push(layer);
      bytes += layer.bytes;
    }
    return layers;
  }

  #read<F extends Family>(family: F, key: string): ItemTypes[F] | undefined {
    const entry = this.#overlay.get(family, key);
    if (entry !== undefined) return entry.value as ItemTypes[F] | undefined;
    const stored = this.#store.get(key);
    return stored === undefined ? undefined : (decodeValue(key, stored) as ItemTypes[F]);
  }

  #checksumItem(segment: SegmentNumber, run: number): ChecksumItem | undefined {
    const key = checksumKey(segment, run);
    const cached = this.#checksums.get(key);
    if (cached !== undefined) return cached;
    const found = this.#read('checksum', key);
    if (found !== undefined) this.#checksums.set(key, found);
    return found;
  }

  #hasExtents(ino: Ino): boolean {
    const inode = this.inode(ino);
    return inode !== undefined && inode.extents > 0;
  }

  #placedExtents(ino: Ino, from: number, to: number): readonly PlacedExtent[] {
    const inode = this.inode(ino);
    if (inode === undefined || inode.extents === 0) return NO_EXTENTS;
    this.#probe(inode);
    return this.#extents.find(ino, from, to);
  }

  /** A small file without holes before its end is read whole, key by key, without waiting. */
  #probe(inode: Inode): void {
    if (inode.extents > PROBED_EXTENTS || this.#extents.has(inode.ino)) return;
    const found: PlacedExtent[] = [];
    let block = 0;
    while (found.length < inode.extents) {
      const item = this.#read('extent', extentKey(inode.ino, block));
      if (item === undefined) return;
      found.push(placeExtent(block, item));
      block += item.count;
    }
    this.#extents.knowWhole(inode.ino, found);
  }

  #applyAll(mutations: readonly Mutation[]): void {
    for (const mutation of mutations) {
      this.#overlay.apply(mutation);
      this.#follow(mutation.family, mutation.key, mutation.value);
    }
    this.#extents.settle();
    this.#refs.settle();
  }

  /** Keeps caches and windows showing the current state. */
  #follow(family: Family, key: string, value: Item | undefined): void {
    switch (family) {
      case 'inode':
        return this.#inodes.set(decodeNumber(key, 1) as Ino, (value as Inode | undefined) ?? null);
      case 'dirent':
        return this.#followDirent(key, value as DirentItem | undefined);
      case 'extent':
        return this.#followExtent(key, value as ExtentItem | undefined);
      case 'segment':
        return this.#followSegment(key, value !== undefined);
      case 'ref':
        return this.#followRef(key, value as RefItem | undefined);
      case 'checksum':
        return this.#followChecksums(key, value as ChecksumItem | undefined);
      case 'meta':
        this.#volume = value as VolumeItem | undefined;
        return;
      default:
    }
  }

  #followDirent(key: string, item: DirentItem | undefined): void {
    if (key === this.#absent) this.#absent = undefined;
    if (item === undefined) this.#dirents.delete(key);
    else this.#dirents.update(key, item);
  }

  /** An inode's mutation comes after those of its extents: it still tells how many there were. */
  #followExtent(key: string, item: ExtentItem | undefined): void {
    const ino = decodeNumber(key, 1) as Ino;
    const block = decodeNumber(key, 9);
    if (item === undefined) return this.#extents.remove(ino, block);
    if (!this.#extents.has(ino) && !this.#hasExtents(ino)) this.#extents.knowEmpty(ino);
    this.#extents.put(ino, block, placeExtent(block, item));
  }

  /** A new segment has no owners yet: nothing of it has to be read. */
  #followSegment(key: string, exists: boolean): void {
    if (exists) this.#refs.knowEmpty(decodeNumber(key, 1));
    else this.#refs.forget(decodeNumber(key, 1));
  }

  #followRef(key: string, item: RefItem | undefined): void {
    const segment = decodeNumber(key, 1);
    const block = decodeNumber(key, 9);
    if (item === undefined) this.#refs.remove(segment, block);
    else this.#refs.put(segment, block, placeRef(block, item));
  }

  #followChecksums(key: string, item: ChecksumItem | undefined): void {
    if (item === undefined) this.#checksums.delete(key);
    else this.#checksums.set(key, item);
  }
}

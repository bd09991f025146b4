/**
 * The data store on segment files: `DataStore` over the disk port. It joins the parts - space kept
 * reserved ahead (`space-ahead.ts`), writing behind (`write-behind.ts`), open files
 * (`descriptors.ts`), reading (`read.ts`) - and owns the folder of this run's segments. Another run
 * writes there only what this one allocated for a file and never wrote (`adopted.ts`).
 *
 * Order of events for a block, and what a crash after each step leaves:
 * 1. its segment is created, its name synced, space reserved: a file that nothing knows (swept);
 * 2. `allocate`, `write`: as before, all in memory;
 * 3. written out, `done`: bytes in the file that no durable transaction names (cut off by the
 *    sweep);
 * 4. `sync` resolves: the bytes are durable; only now may the log commit a transaction that maps
 *    them;
 * 5. the segment is full: what was reserved and not allocated is given back.
 */

import type { Clock } from '../io/clock.ts';
import type { Disk, File } from '../io/disk.ts';
import { assert } from '../model/assert.ts';
import { BLOCK_BYTES, segmentNumber, type Rid, type SegmentNumber } from '../model/ids.ts';
import type { Span } from './allocator.ts';
import { AdoptedPlaces } from './adopted.ts';
import { Descriptors } from './descriptors.ts';
import { read, readNow, type Sources } from './read.ts';
import { segmentFolder, segmentPath } from './segments.ts';
import { reserveBytes } from './space.ts';
import { isFull, SpaceAhead, type ReservedFiles } from './space-ahead.ts';
import { MissingSegment, type Allocation } from './types.ts';
import type { Checksums, DataStore, Place } from './types.ts';
import { MAX_BATCH_BYTES } from './write-queue.ts';
import { WriteBehind } from './write-behind.ts';

export interface SegmentStoreOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  /** The volume's data directory, which exists. */
  readonly dir: string;
  /** This run's: its folder must not exist. */
  readonly rid: Rid;
  /** The first number for a new segment; above every number that any run has used. */
  readonly nextSegment: SegmentNumber;
  /** The writer of a segment that an earlier run, or another node, created. */
  readonly segmentRid: (segment: SegmentNumber) => Rid | undefined;
  /** Frees space that only history holds, about so many bytes; false if there is none. */
  readonly makeSpace?: (bytes: number) => Promise<boolean>;
  /** Files kept open, beside those being written; 128 unless given. */
  readonly descriptors?: number;
  /**
   * Bytes that may be written and not durable while nobody waits for them, 256 MiB unless given and
   * at least 16 MiB: how far writing may run ahead of the disk. What a commit waits for is less:
   * the engine names no more than 16 MiB in the log before they are durable.
   */
  readonly unsyncedLimit?: number;
}

const DESCRIPTORS = 128;
const UNSYNCED_LIMIT = 256 * 1024 ** 2;
const LEAST_UNSYNCED_LIMIT = 2 * MAX_BATCH_BYTES;

export class SegmentStore implements DataStore {
  readonly rid: Rid;
  readonly #options: SegmentStoreOptions;
  readonly #descriptors: Descriptors;
  readonly #writing: WriteBehind;
  readonly #ahead: SpaceAhead;
  readonly #sources: Sources;
  /** Segments that this run created. */
  readonly #own = new Set<SegmentNumber>();
  readonly #adopted = new AdoptedPlaces();
  /** Segments of this run that nothing has been allocated from. */
  readonly #untouched = new Set<SegmentNumber>();
  #nextSegment: number;
  #discarding: Promise<void> = Promise.resolve();

  /** Creates the run's folder and reserves the first space, as far as there is any. */
  static async open(options: SegmentStoreOptions): Promise<SegmentStore> {
    const { disk, dir, rid } = options;
    await disk.mkdir(segmentFolder(dir, rid));
    await disk.syncDir(dir);
    const store = new SegmentStore(options);
    await store.#ahead.start();
    return store;
  }

  private constructor(options: SegmentStoreOptions) {
    const unsyncedLimit = options.unsyncedLimit ?? UNSYNCED_LIMIT;
    assert(unsyncedLimit >= LEAST_UNSYNCED_LIMIT, `unsynced limit of ${unsyncedLimit} bytes`);
    this.#options = options;
    this.rid = options.rid;
    this.#nextSegment = options.nextSegment;
    const descriptors = new Descriptors(options.descriptors ?? DESCRIPTORS, (segment) =>
      this.#openFile(segment),
    );
    const writing = new WriteBehind({
      clock: options.clock,
      unsyncedLimit,
      acquire: (segment) => {
        const isOurs = this.#own.has(segment) || this.#adopted.has(segment);
        assert(isOurs, `segment ${segment} belongs to another run`);
        return descriptors.acquire(segment);
      },
    });
    this.#descriptors = descriptors;
    this.#writing = writing;
    this.#sources = { descriptors, queueOf: (segment) => writing.writer(segment)?.queue };
    this.#ahead = new SpaceAhead(this.#reservedFiles());
  }

  get failure(): Error | undefined {
    return this.#writing.failure;
  }

  get queuedBytes(): number {
    return this.#writing.queuedBytes;
  }

  /**
   * Bytes reserved on the disk for allocations to come: free, though the disk counts them as used.
   */
  get aheadBytes(): number {
    return this.#ahead.bytes;
  }

  /** Number of data files open. */
  get openFiles(): number {
    return this.#descriptors.size;
  }

  reserve(blocks: number, privileged = false): 'ENOSPC' | 'EIO' | undefined {
    if (this.failure !== undefined) return 'EIO';
    return this.#ahead.promise(blocks, privileged) ? undefined : 'ENOSPC';
  }

  unreserve(blocks: number): void {
    this.#ahead.unpromise(blocks);
  }

  ready(blocks: number, privileged = false): Promise<boolean> | undefined {
    return this.failure === undefined ? this.#ahead.ready(blocks, privileged) : undefined;
  }

  allocate(blocks: number, stream: number): Allocation | 'EIO' {
    if (this.failure !== undefined) return 'EIO';
    const allocation = this.#ahead.allocate(blocks, stream);
    for (const segment of allocation.created) this.#untouched.delete(segment);
    return allocation;
  }

  unallocate(allocation: Allocation): void {
    this.#ahead.unallocate(allocation);
    for (const segment of allocation.created) this.#untouched.add(segment);
  }

  endStream(stream: number): void {
    this.#ahead.endStream(stream);
  }

  discard(place: Place): void {
    const written = this.#writing.writer(place.segment)?.written() ?? Promise.resolve();
    this.#discarding = Promise.all([this.#discarding, written]).then(
      () => this.punch(place.segment, place.segmentBlock, place.count),
      // Writing is broken: the next run's sweep takes the place back.
      () => undefined,
    );
    // So it does when punching fails: nothing depends on it.
    this.#discarding = this.#discarding.catch(() => undefined);
  }

  write(place: Place, bytes: Buffer, done?: () => void, durable?: () => void): void {
    assert(bytes.length === place.count * BLOCK_BYTES, `${bytes.length} bytes for ${place.count}`);
    this.#writing.write(place, bytes, done, durable);
  }

  hold(place: Place, durable: () => void): void {
    this.#writing.hold(place, durable);
  }

  isWritable(place: Place): boolean | undefined {
    return this.#own.has(place.segment) || this.#adopted.isWritable(place);
  }

  async adopt(place: Place): Promise<void> {
    const { segment, segmentBlock, count } = place;
    try {
      await this.#descriptors.use(segment, (file) =>
        file.extend(segmentBlock * BLOCK_BYTES, count * BLOCK_BYTES),
      );
      this.#adopted.add(place, true);
    } catch (error) {
      if (!(error instanceof MissingSegment) && !isFull(error)) throw error;
      this.#adopted.add(place, false);
    }
  }

  sync(segments?: ReadonlySet<SegmentNumber>): Promise<void> {
    return this.#writing.sync(segments);
  }

  readNow(place: Place, into: Buffer, checksums: Checksums): boolean {
    return readNow(this.#sources, place, into, checksums);
  }

  read(place: Place, into: Buffer, checksums: Checksums): Promise<void> {
    return read(this.#sources, place, into, checksums);
  }

  /** Whether the segment may still get new blocks or be written by this run. */
  isOpen(segment: SegmentNumber): boolean {
    return this.#untouched.has(segment) || this.#writing.writer(segment) !== undefined;
  }

  /** Bytes that the segment occupies on the disk; undefined if its file is gone. */
  async allocatedBytes(segment: SegmentNumber): Promise<number | undefined> {
    const path = this.#pathOf(segment);
    if (path === undefined) return undefined;
    return (await this.#options.disk.info(path))?.allocatedBytes;
  }

  /** Gives the space of `count` blocks back. Idempotent; a segment that is gone is fine. */
  async punch(segment: SegmentNumber, block: number, count: number): Promise<void> {
    try {
      await this.#descriptors.use(segment, (file) =>
        file.punch(block * BLOCK_BYTES, count * BLOCK_BYTES),
      );
    } catch (error) {
      if (!(error instanceof MissingSegment)) throw error;
    }
  }

  /** Removes the file of a segment that nothing maps. Idempotent. */
  async remove(segment: SegmentNumber): Promise<void> {
    assert(!this.isOpen(segment), `segment ${segment} is still written`);
    const path = this.#pathOf(segment);
    this.#descriptors.forget(segment);
    if (path === undefined || (await this.#options.disk.info(path)) === undefined) return;
    await this.#options.disk.unlink(path);
  }

  /**
   * Writes out and syncs what is queued, gives unused reservations back, closes all files. Rejects
   * with the failure if writing is broken.
   */
  async close(): Promise<void> {
    const open = await this.#ahead.close();
    await this.#discarding;
    try {
      await this.#writing.close(open);
      for (const segment of this.#untouched) await this.#removeUntouched(segment);
    } finally {
      await this.#descriptors.close();
    }
  }

  async #removeUntouched(segment: SegmentNumber): Promise<void> {
    this.#descriptors.forget(segment);
    await this.#options.disk.unlink(segmentPath(this.#options.dir, this.rid, segment));
  }

  #reservedFiles(): ReservedFiles {
    return {
      create: (count) => this.#create(count),
      reserve: (segment, from, count) =>
        this.#descriptors.use(segment, (file) =>
          file.reserve(from * BLOCK_BYTES, count * BLOCK_BYTES),
        ),
      spendableBytes: async () => {
        const space = await this.#options.disk.space(this.#options.dir);
        return space.availableBytes - reserveBytes(space.totalBytes);
      },
      makeSpace: (bytes) => this.#options.makeSpace?.(bytes) ?? Promise.resolve(false),
      retire: (spans: readonly Span[]) => {
        for (const span of spans) this.#writing.retire(span.segment, span.next);
      },
      fail: (error) => this.#writing.fail(error),
    };
  }

  /** A new segment: its name is durable before anything can refer to it. */
  async #create(blocks: number): Promise<SegmentNumber> {
    const { disk, dir } = this.#options;
    const segment = segmentNumber(this.#nextSegment++);
    const path = segmentPath(dir, this.rid, segment);
    const file = await disk.open(path, 'create');
    try {
      await file.reserve(0, blocks * BLOCK_BYTES);
    } catch (error) {
      await file.close();
      await disk.unlink(path);
      throw error;
    }
    await disk.syncDir(segmentFolder(dir, this.rid));
    this.#own.add(segment);
    this.#untouched.add(segment);
    this.#writing.open(segment);
    this.#descriptors.add(segment, file).release();
    return segment;
  }

  #pathOf(segment: SegmentNumber): string | undefined {
    const rid = this.#own.has(segment) ? this.rid : this.#options.segmentRid(segment);
    return rid === undefined ? undefined : segmentPath(this.#options.dir, rid, segment);
  }

  async #openFile(segment: SegmentNumber): Promise<File> {
    const path = this.#pathOf(segment);
    if (path === undefined) throw new MissingSegment(segment, undefined);
    try {
      return await this.#options.disk.open(path, 'write');
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ENOENT') throw new MissingSegment(segment, error);
      throw error;
    }
  }
}

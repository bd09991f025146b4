/** What the data layer gives to the engine: block allocation, writing, reading, syncing. */

import type { Rid, SegmentNumber } from '../model/ids.ts';

/** A run of consecutive segment blocks. */
export interface Place {
  readonly segment: SegmentNumber;
  readonly segmentBlock: number;
  readonly count: number;
}

export interface Allocation {
  readonly places: readonly Place[];
  /** Segments that this allocation brought into use: they need a `SegmentCreated` event. */
  readonly created: readonly SegmentNumber[];
}

export interface DataStore {
  readonly rid: Rid;
  /** The error that broke writing, or undefined. After it every allocation is refused with EIO. */
  readonly failure: Error | undefined;
  /**
   * Promises `blocks` to writes that are answered before they are placed: a granted block can
   * always be allocated. Undefined when granted. Synchronous accounting against space that is
   * reserved on the disk below ahead of use. `privileged` is for what frees space: on a full disk
   * it is granted from some blocks that are kept for that.
   */
  reserve(blocks: number, privileged?: boolean): 'ENOSPC' | 'EIO' | undefined;
  /** Gives back promises that will not be redeemed. */
  unreserve(blocks: number): void;
  /**
   * Undefined when `reserve` of so many blocks would give its final answer at once. Else more space
   * is being reserved on the disk below (after a burst, or on a full disk): resolves to true when
   * to ask again, to false when there is none (ENOSPC). Await it where there is time to, because
   * `reserve` alone would refuse what the disk may still have room for.
   */
  ready(blocks: number, privileged?: boolean): Promise<boolean> | undefined;
  /** The stream will allocate no more (its file is closed): its segment is free for another one. */
  endStream(stream: number): void;
  /**
   * Redeems promises: takes `blocks` blocks, as consecutive as possible, from this writer's open
   * segments. `stream` names a file whose large sequential data shall lie together (its own
   * segment), or is 0 for the shared segment of small files. Asserts that they were reserved.
   * Synchronous. 'EIO' once writing is broken.
   */
  allocate(blocks: number, stream: number): Allocation | 'EIO';
  /** Undoes the latest allocation of an abandoned attempt: its blocks are reserved again. */
  unallocate(allocation: Allocation): void;
  /**
   * Gives back a place that was allocated, perhaps written, and that no transaction names or ever
   * will: its space is punched in the background. It is not allocated again.
   */
  discard(place: Place): void;
  /**
   * Queues bytes (whole blocks) for `place`; they can be read at once, from memory until they are
   * on the disk. `bytes` belongs to the data layer until `done` is called, which also happens when
   * writing fails. `durable` is called once a sync has made them durable: before that sync's own
   * callers go on, never from within a call of this interface, and never where writing failed; it
   * must not throw. A place whose write is still queued may be written again as a whole, as long as
   * no transaction names it; any other overlap is a bug.
   */
  write(place: Place, bytes: Buffer, done?: () => void, durable?: () => void): void;
  /**
   * The space of a place that was allocated and gets no bytes now (fallocate) is made durable by
   * the next sync of its segment; `durable` is called then, as for `write`.
   */
  hold(place: Place, durable: () => void): void;
  /**
   * Whether blocks that were allocated and never written may be written now: those of this run, and
   * those of another run that `adopt` has looked at. Undefined where it has not.
   */
  isWritable(place: Place): boolean | undefined;
  /**
   * Makes a place that another run allocated, and never wrote, writable by this one: its file is
   * there, and has the space (a copy of a volume may have lost it). Afterwards `isWritable` answers,
   * with false where that could not be. Rejects with the disk's other errors.
   */
  adopt(place: Place): Promise<void>;
  /** Bytes queued and not yet handed to the disk. */
  readonly queuedBytes: number;
  /**
   * Makes everything written before the call durable, in `segments` or in all: writes it out, then
   * fdatasyncs each segment. Rejects with `failure` once writing is broken.
   */
  sync(segments?: ReadonlySet<SegmentNumber>): Promise<void>;
  /**
   * Reads whole blocks into `into` and verifies their checksums, at once if they are in memory or
   * in the page cache (returns true), else false: then call `read`. A block whose checksum differs
   * makes it throw `DamagedBlock`. Queued bytes are not verified: they never left memory.
   */
  readNow(place: Place, into: Buffer, checksums: Checksums): boolean;
  read(place: Place, into: Buffer, checksums: Checksums): Promise<void>;
  close(): Promise<void>;
}

/** A data segment whose file is gone although something maps it: answered with EIO. */
export class MissingSegment extends Error {
  override readonly name = 'MissingSegment';
  readonly code = 'EIO';
  readonly segment: SegmentNumber;

  constructor(segment: SegmentNumber, cause: unknown) {
    super(`data segment ${segment}: there is no such file`, { cause });
    this.segment = segment;
  }
}

/** Looks up the stored CRC-32 of a segment block; undefined where none was ever logged. */
export type Checksums = (segment: SegmentNumber, segmentBlock: number) => number | undefined;

/** Stored bytes that do not match their checksum: answered with EIO, never served. */
export class DamagedBlock extends Error {
  override readonly name = 'DamagedBlock';
  readonly segment: SegmentNumber;
  readonly segmentBlock: number;

  constructor(segment: SegmentNumber, segmentBlock: number) {
    super(`data segment ${segment}, block ${segmentBlock}: checksum mismatch`);
    this.segment = segment;
    this.segmentBlock = segmentBlock;
  }
}

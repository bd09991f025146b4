/**
 * Writes queued bytes to the segments of this run, and syncs them. Owns the writers of all open
 * segments and the answer to "did writing fail".
 *
 * A segment's queue goes out when it holds WRITE_BYTES, when it is GATHER_MS old, or at once when
 * somebody waits for it; so one-block files leave in large writes. A segment with FLUSH_BYTES that
 * were written is synced in the background, each by itself, so that a sync of one segment waits for
 * no stream that has another. No more than `unsyncedLimit` bytes are written and not durable; what
 * exceeds that stays queued, where the engine bounds it.
 *
 * Broken stays broken: after a failed write or sync nothing is known about what reached the disk,
 * so all queued buffers are given back, and every later sync fails with the same error.
 */

import type { Clock } from '../io/clock.ts';
import type { SegmentNumber } from '../model/ids.ts';
import type { Span } from './allocator.ts';
import type { HeldFile } from './descriptors.ts';
import { SegmentWriter } from './segment-writer.ts';
import { MAX_BATCH_BYTES } from './write-queue.ts';
import type { Place } from './types.ts';

/** A segment's queue is written once it holds so much: 1 MiB. */
const WRITE_BYTES = 1024 * 1024;
/** Longest time that a write waits for others to join it, in milliseconds. */
const GATHER_MS = 10;
/** Written bytes of a segment that start a sync of it in the background: 8 MiB. */
const FLUSH_BYTES = 8 * 1024 * 1024;
/**
 * Writes under way at one time: the other threads of libuv's four stay free for reads and syncs.
 */
const MAX_WRITING = 2;

export interface WriteBehindOptions {
  readonly clock: Clock;
  /** Bytes that may be written and not yet durable, while nobody waits for them. */
  readonly unsyncedLimit: number;
  /** The file of a segment of this run, open for writing. */
  readonly acquire: (segment: SegmentNumber) => Promise<HeldFile>;
}

export class WriteBehind {
  readonly #options: WriteBehindOptions;
  /** In turn: the one that wrote last is last. */
  readonly #writers = new Map<SegmentNumber, SegmentWriter>();
  #queuedBytes = 0;
  #unsyncedBytes = 0;
  #writing = 0;
  #cancelTimer: (() => void) | undefined;
  #failure: Error | undefined;

  constructor(options: WriteBehindOptions) {
    this.#options = options;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Bytes queued and not yet handed to the disk. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** The writer of a segment of this run that is still open. */
  writer(segment: SegmentNumber): SegmentWriter | undefined {
    return this.#writers.get(segment);
  }

  /** A segment that will be allocated from, until `retire`. */
  open(segment: SegmentNumber): void {
    this.#openWriter(segment);
  }

  write(
    place: Place,
    bytes: Buffer,
    done: (() => void) | undefined,
    durable: (() => void) | undefined,
  ): void {
    if (this.#failure !== undefined) {
      done?.();
      return;
    }
    const writer = this.#writers.get(place.segment) ?? this.#openLate(place.segment);
    this.#queuedBytes += writer.queue.add(place.segmentBlock, bytes, done, durable);
    if (writer.queue.waitingBytes >= WRITE_BYTES) this.#pump();
    else this.#armTimer();
  }

  /** See `DataStore.hold`. */
  hold(place: Place, durable: () => void): void {
    if (this.#failure !== undefined) return;
    const writer = this.#writers.get(place.segment) ?? this.#openLate(place.segment);
    writer.hold(place, durable);
  }

  /** See `DataStore.sync`. */
  async sync(segments: ReadonlySet<SegmentNumber> | undefined): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const settling: Promise<void>[] = [];
    // Settling writes, and writing reorders the map.
    const writers = [...this.#writers.values()];
    for (const writer of writers) {
      if (segments !== undefined && !segments.has(writer.segment)) continue;
      if (!writer.settled) settling.push(this.#settle(writer));
    }
    await Promise.all(settling);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Nothing more will be allocated from the segment: it leaves once it is written and synced. */
  retire(segment: SegmentNumber, next: number): void {
    const writer = this.#writers.get(segment);
    if (writer === undefined) return;
    writer.leaving = true;
    writer.cutAt = next;
    this.#settle(writer).catch((error: unknown) => this.fail(error as Error));
  }

  /** Writes and syncs everything, and lets all segments go; `open` are those not retired yet. */
  async close(open: readonly Span[]): Promise<void> {
    for (const span of open) {
      const writer = this.#writers.get(span.segment);
      if (writer === undefined) continue;
      writer.leaving = true;
      writer.cutAt = span.next;
    }
    await Promise.all([...this.#writers.values()].map((writer) => this.#settle(writer)));
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Breaks writing for good. */
  fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#cancelTimer?.();
    for (const writer of this.#writers.values()) writer.abandon(error);
    this.#queuedBytes = 0;
  }

  #openWriter(segment: SegmentNumber): SegmentWriter {
    const writer = new SegmentWriter(
      segment,
      () => this.#options.acquire(segment),
      (bytes) => {
        this.#unsyncedBytes -= bytes;
      },
    );
    this.#writers.set(segment, writer);
    return writer;
  }

  /** For a write into blocks that were allocated (fallocate) before the segment was retired. */
  #openLate(segment: SegmentNumber): SegmentWriter {
    const writer = this.#openWriter(segment);
    writer.leaving = true;
    return writer;
  }

  async #settle(writer: SegmentWriter): Promise<void> {
    const written = writer.written();
    this.#pump();
    await written;
    await this.#datasync(writer);
  }

  async #datasync(writer: SegmentWriter): Promise<void> {
    try {
      await writer.datasync();
    } catch (error) {
      this.fail(error as Error);
      throw error;
    }
    this.#pump();
    if (writer.leaving && writer.settled) await this.#leave(writer);
  }

  /** Lets a retired segment go. */
  async #leave(writer: SegmentWriter): Promise<void> {
    if (this.#writers.get(writer.segment) !== writer) return;
    this.#writers.delete(writer.segment);
    await writer.release();
  }

  #armTimer(): void {
    this.#cancelTimer ??= this.#options.clock.after(GATHER_MS, () => this.#ripen());
  }

  /** The queued writes have waited long enough. */
  #ripen(): void {
    this.#cancelTimer = undefined;
    for (const writer of this.#writers.values()) writer.due = writer.queue.waitingBytes > 0;
    this.#pump();
  }

  /** Starts as many writes as may be under way. */
  #pump(): void {
    for (const writer of this.#writers.values()) {
      if (this.#writing >= MAX_WRITING || this.#failure !== undefined) return;
      if (this.#mayWrite(writer)) void this.#writeBatch(writer);
    }
  }

  #mayWrite(writer: SegmentWriter): boolean {
    const waiting = writer.queue.waitingBytes;
    if (writer.writing || waiting === 0) return false;
    if (writer.urgent) return true;
    if (waiting < WRITE_BYTES && !writer.due) return false;
    const next = Math.min(waiting, MAX_BATCH_BYTES);
    return this.#unsyncedBytes === 0 || this.#unsyncedBytes + next <= this.#options.unsyncedLimit;
  }

  /** Never rejects. */
  async #writeBatch(writer: SegmentWriter): Promise<void> {
    this.#writing++;
    this.#writers.delete(writer.segment);
    this.#writers.set(writer.segment, writer);
    const before = writer.queue.waitingBytes;
    const writing = writer.writeBatch();
    const bytes = before - writer.queue.waitingBytes;
    this.#unsyncedBytes += bytes;
    try {
      await writing;
      if (this.#failure === undefined) this.#queuedBytes -= bytes;
    } catch (error) {
      this.fail(error as Error);
    }
    this.#writing--;
    this.#flush();
    this.#pump();
    if (writer.queue.waitingBytes > 0 && this.#failure === undefined) this.#armTimer();
  }

  /** Syncs the segments of which enough was written; all of them where the limit comes near. */
  #flush(): void {
    if (this.#failure !== undefined) return;
    const isMuch = this.#unsyncedBytes > this.#options.unsyncedLimit / 2;
    for (const writer of this.#writers.values()) {
      // One that is being synced is looked at again when that has ended.
      if (writer.unsyncedBytes === 0 || writer.syncing) continue;
      if (writer.unsyncedBytes < FLUSH_BYTES && !isMuch) continue;
      this.#datasync(writer).then(
        () => this.#flush(),
        () => undefined,
      );
    }
  }
}

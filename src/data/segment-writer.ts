/**
 * One data segment of this run while it is written: its file, the writes queued for it, and how
 * much of what was written is not synced. Owned by the segment store, which decides when to write.
 *
 * Blocks that were allocated without bytes (fallocate) are part of that: the next sync makes their
 * space durable, and the file as long as they reach, so that they can be punched when they go.
 *
 * Order: `add` (in memory) -> `writeBatch` (page cache; buffers given back) -> `datasync`
 * (durable; the writes are told). A crash before the last step may leave any part of the bytes,
 * none of which the durable log names.
 */

import { BLOCK_BYTES, type SegmentNumber } from '../model/ids.ts';
import type { HeldFile } from './descriptors.ts';
import { SharedRun } from './shared-run.ts';
import type { Place } from './types.ts';
import { WriteQueue, type WriteBatch } from './write-queue.ts';

/** Someone who waits until the writes that were queued when he came are on the disk. */
interface Waiter {
  readonly ticket: number;
  remaining: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class SegmentWriter {
  readonly segment: SegmentNumber;
  readonly queue = new WriteQueue();
  /** Nothing will be allocated from the segment any more: the writer goes once it is settled. */
  leaving = false;
  /** Blocks from here on are given back when the writer goes. */
  cutAt: number | undefined;
  /** Queued writes have waited long enough: they go out, however few. */
  due = false;
  /** Whether a batch is on its way to the disk. */
  writing = false;
  readonly #acquire: () => Promise<HeldFile>;
  readonly #synced: (bytes: number) => void;
  readonly #sync: SharedRun;
  #file: Promise<HeldFile> | undefined;
  #unsyncedBytes = 0;
  /** To be called when what was written is durable. */
  #durable: (() => void)[] = [];
  /** Places whose space is to be durable after the next sync. */
  #held: Place[] = [];
  #waiters: Waiter[] = [];

  /**
   * `acquire` gives the segment's file: asked at the first write, and held until `release`, because
   * a file closed before its sync may lose the news of a failed write. `synced` is told how many
   * more bytes became durable.
   */
  constructor(
    segment: SegmentNumber,
    acquire: () => Promise<HeldFile>,
    synced: (bytes: number) => void,
  ) {
    this.segment = segment;
    this.#acquire = acquire;
    this.#synced = synced;
    this.#sync = new SharedRun(() => this.#datasync());
  }

  /** Bytes written and not known to be durable. */
  get unsyncedBytes(): number {
    return this.#unsyncedBytes;
  }

  /** Someone waits for queued writes: they go out at once, however few. */
  get urgent(): boolean {
    return this.#waiters.length > 0;
  }

  get syncing(): boolean {
    return this.#sync.current !== undefined;
  }

  /** Nothing is queued, written but not synced, or being synced. */
  get settled(): boolean {
    return this.queue.isEmpty && !this.#hasUnsynced && this.#sync.current === undefined;
  }

  /** Writes the next batch of the queue; resolves to it once its buffers are free again. */
  async writeBatch(): Promise<WriteBatch> {
    const batch = this.queue.take();
    if (this.queue.waitingBytes === 0) this.due = false;
    this.writing = true;
    try {
      const { file } = await this.#open();
      await file.write(
        batch.writes.map((write) => write.bytes),
        batch.block * BLOCK_BYTES,
      );
      this.#unsyncedBytes += batch.bytes;
      for (const { durable } of batch.writes)
        if (durable !== undefined) this.#durable.push(durable);
    } finally {
      this.writing = false;
      this.queue.settle();
      for (const write of batch.writes) write.done?.();
    }
    this.#countDown(batch);
    return batch;
  }

  /** Resolves when every write queued before the call is written. */
  written(): Promise<void> {
    const ticket = this.queue.newest;
    const remaining = this.queue.unsettled(ticket);
    if (remaining === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ ticket, remaining, resolve, reject });
    });
  }

  /** The space of `place` becomes durable with the next sync; `durable` is called then. */
  hold(place: Place, durable: () => void): void {
    this.#held.push(place);
    this.#durable.push(durable);
  }

  /** Makes what was written or held before the call durable. */
  datasync(): Promise<void> {
    if (this.#hasUnsynced) return this.#sync.request();
    return this.#sync.current ?? Promise.resolve();
  }

  get #hasUnsynced(): boolean {
    return this.#unsyncedBytes > 0 || this.#held.length > 0;
  }

  /** Gives every waiting buffer back unwritten and tells those who wait why. */
  abandon(reason: Error): void {
    for (const write of this.queue.abandon()) write.done?.();
    for (const waiter of this.#waiters) waiter.reject(reason);
    this.#waiters = [];
  }

  /**
   * Cuts off what was reserved and never allocated, and lets go of the file. Call once, settled.
   */
  async release(): Promise<void> {
    if (this.#file === undefined && this.cutAt === undefined) return;
    const { file, release } = await this.#open();
    try {
      if (this.cutAt !== undefined) await file.truncate(this.cutAt * BLOCK_BYTES);
    } finally {
      release();
    }
  }

  #open(): Promise<HeldFile> {
    this.#file ??= this.#acquire();
    return this.#file;
  }

  async #datasync(): Promise<void> {
    const { file } = await this.#open();
    const bytes = this.#unsyncedBytes;
    const durable = this.#durable;
    const held = this.#held;
    this.#unsyncedBytes = 0;
    this.#durable = [];
    this.#held = [];
    for (const { segmentBlock, count } of held) {
      await file.extend(segmentBlock * BLOCK_BYTES, count * BLOCK_BYTES);
    }
    await file.datasync();
    this.#synced(bytes);
    for (const tell of durable) tell();
  }

  #countDown(batch: WriteBatch): void {
    if (this.#waiters.length === 0) return;
    for (const waiter of this.#waiters) {
      for (const write of batch.writes) if (write.ticket <= waiter.ticket) waiter.remaining--;
      if (waiter.remaining === 0) waiter.resolve();
    }
    this.#waiters = this.#waiters.filter((waiter) => waiter.remaining > 0);
  }
}

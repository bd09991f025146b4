/**
 * Keeps space reserved on the disk ahead of allocation: the allocator's IO half.
 *
 * One loop at a time asks the allocator what it wants and reserves that, step by step; a
 * reservation counts only once the disk below has it. The privileged reserve of the disk is never
 * touched. A crash leaves reserved space that nothing refers to: `sweep.ts` gives it back.
 */

import { BLOCK_BYTES, type SegmentNumber } from '../model/ids.ts';
import { Allocator, type Reservation, type Span } from './allocator.ts';
import type { Allocation } from './types.ts';

/** The files that space is reserved in. */
export interface ReservedFiles {
  /** A new segment whose name is durable and whose first `count` blocks are reserved. */
  create(count: number): Promise<SegmentNumber>;
  /** Reserves blocks [from, from + count) of a segment. Both throw ENOSPC or EDQUOT when full. */
  reserve(segment: SegmentNumber, from: number, count: number): Promise<void>;
  /** Bytes that can be taken from the disk without touching the privileged reserve. */
  spendableBytes(): Promise<number>;
  /** Tries to free so many bytes that history holds; false if nothing came of it. */
  makeSpace(bytes: number): Promise<boolean>;
  /** Nothing more will be allocated from these segments. */
  retire(spans: readonly Span[]): void;
  /** Reserving failed for another reason than want of space. */
  fail(error: Error): void;
}

interface Waiter {
  readonly blocks: number;
  /** Blocks that must be left for what frees space. */
  readonly keep: number;
  readonly resolve: (thereIs: boolean) => void;
}

/**
 * Blocks that only what frees space is granted: 1 MiB. Cutting a file in the middle of a block
 * writes that block anew, and must work on a full disk.
 */
const KEPT_BLOCKS = 256;
/** The allocator is asked for its wants after this many promised blocks: 1 MiB. */
const LOOK_BLOCKS = 256;
/** While the disk has more than this to spare, in bytes, it is not asked at every step: 1 GiB. */
const PLENTY_BYTES = 1024 ** 3;
/** Bytes that may be taken from a plenty before the disk is asked again: 256 MiB. */
const UNASKED_BYTES = 256 * 1024 ** 2;

export class SpaceAhead {
  readonly #files: ReservedFiles;
  readonly #allocator = new Allocator();
  #waiters: Waiter[] = [];
  #filling: Promise<void> | undefined;
  #sinceLook = 0;
  /** Bytes that may be reserved before the disk is asked what it has. */
  #unaskedBytes = 0;
  #closed = false;

  constructor(files: ReservedFiles) {
    this.#files = files;
  }

  /** Bytes reserved on the disk and not allocated. */
  get bytes(): number {
    return this.#allocator.aheadBlocks * BLOCK_BYTES;
  }

  /** Reserves what is wanted before the first promise. */
  async start(): Promise<void> {
    await this.#fill();
  }

  /** Promises so many blocks; false if they are not reserved on the disk. */
  promise(blocks: number, privileged: boolean): boolean {
    const granted = this.#allocator.promise(blocks, keptFrom(privileged));
    this.#sinceLook += blocks;
    if (!granted || this.#sinceLook >= LOOK_BLOCKS) {
      this.#sinceLook = 0;
      void this.#fill();
    }
    return granted;
  }

  unpromise(blocks: number): void {
    this.#allocator.unpromise(blocks);
  }

  allocate(blocks: number, stream: number): Allocation {
    return this.#allocator.allocate(blocks, stream);
  }

  unallocate(allocation: Allocation): void {
    this.#allocator.unallocate(allocation);
  }

  endStream(stream: number): void {
    this.#allocator.endStream(stream);
  }

  /** See `DataStore.ready`. */
  ready(blocks: number, privileged: boolean): Promise<boolean> | undefined {
    const keep = keptFrom(privileged);
    if (this.#closed || this.#allocator.freeBlocks >= blocks + keep) return undefined;
    return new Promise((resolve) => {
      this.#waiters.push({ blocks, keep, resolve });
      void this.#fill();
    });
  }

  /** Ends all reserving; returns the segments that are still open. */
  async close(): Promise<readonly Span[]> {
    this.#closed = true;
    await this.#filling;
    this.#dismiss(true);
    return this.#allocator.takeAll();
  }

  /** Starts the loop unless it runs; never rejects. */
  #fill(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#filling ??= this.#reserveWanted()
      .catch((error: unknown) => {
        this.#files.fail(error as Error);
        this.#dismiss(true);
      })
      .finally(() => {
        this.#filling = undefined;
        // Somebody may have come between the loop's last look and this line.
        if (this.#waiters.length > 0) void this.#fill();
      });
    return this.#filling;
  }

  async #reserveWanted(): Promise<void> {
    for (;;) {
      // Never within an attempt: `takeRetired` must not come between its two halves.
      await Promise.resolve();
      this.#files.retire(this.#allocator.takeRetired());
      this.#admit();
      const wanted = this.#allocator.wanted(this.#demand());
      if (wanted === undefined || this.#closed) return;
      if (!(await this.#reserve(wanted))) return this.#dismiss(false);
    }
  }

  #demand(): number {
    return this.#waiters.reduce((blocks, waiter) => blocks + waiter.blocks, KEPT_BLOCKS);
  }

  /** Lets everybody go once there is room for all of them. */
  #admit(): void {
    if (this.#waiters.length > 0 && this.#allocator.freeBlocks >= this.#demand()) {
      this.#dismiss(true);
    }
  }

  /** The answer to everybody who waits: look again (true), or there is no space (false). */
  #dismiss(thereIs: boolean): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { blocks, keep, resolve } of waiters) {
      resolve(thereIs || this.#allocator.freeBlocks >= blocks + keep);
    }
  }

  /** False for want of space, even after history gave up what it could for those who wait. */
  async #reserve(wanted: Reservation): Promise<boolean> {
    const bytes = wanted.blocks * BLOCK_BYTES;
    if (!(await this.#affords(bytes))) {
      if (this.#waiters.length === 0) return false;
      if (!(await this.#files.makeSpace(bytes))) return false;
      if (!(await this.#affords(bytes))) return false;
    }
    try {
      await this.#take(wanted);
      return true;
    } catch (error) {
      this.#unaskedBytes = 0;
      if (isFull(error)) return false;
      throw error;
    }
  }

  async #affords(bytes: number): Promise<boolean> {
    if (this.#unaskedBytes < bytes) {
      const spendable = await this.#files.spendableBytes();
      if (spendable < bytes) return false;
      this.#unaskedBytes = spendable > PLENTY_BYTES ? UNASKED_BYTES : bytes;
    }
    this.#unaskedBytes -= bytes;
    return true;
  }

  async #take({ span, blocks }: Reservation): Promise<void> {
    if (span === undefined) {
      this.#allocator.addSpare(await this.#files.create(blocks), blocks);
      return;
    }
    await this.#files.reserve(span.segment, span.reserved, blocks);
    this.#allocator.extend(span.segment, blocks);
  }
}

const keptFrom = (privileged: boolean): number => (privileged ? 0 : KEPT_BLOCKS);

/** Whether the disk below refused for want of space. */
export function isFull(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

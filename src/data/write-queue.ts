/**
 * The writes to one data segment that have not reached the disk: in memory only, the callers'
 * buffers themselves, never copies. Pure.
 *
 * A write is waiting until `take` puts it in flight, and in flight until `settle`; both are found
 * by `find`, so that queued bytes can be read. Waiting writes are sorted by block and do not
 * overlap. One batch is in flight at a time, so a place rewritten meanwhile (which only happens to
 * blocks that no transaction names yet) ends with its newest bytes. A crash loses what stands here,
 * and nothing in the durable log points at it.
 */

import { assert } from '../model/assert.ts';
import { BLOCK_BYTES } from '../model/ids.ts';

export interface QueuedWrite {
  /** First segment block. */
  readonly block: number;
  /** Number of blocks. */
  readonly count: number;
  readonly bytes: Buffer;
  readonly done: (() => void) | undefined;
  /** To be called once the bytes are durable. */
  readonly durable: (() => void) | undefined;
  /** Position in the order of arrival. */
  readonly ticket: number;
}

/** Consecutive writes that go to the disk in one call. */
export interface WriteBatch {
  readonly writes: readonly QueuedWrite[];
  readonly block: number;
  readonly bytes: number;
}

/** Most writes in one batch: IOV_MAX of Linux. */
const MAX_BATCH_WRITES = 1024;
/** Most bytes in one batch, unless a single write has more: 8 MiB. */
export const MAX_BATCH_BYTES = 8 * 1024 * 1024;

export class WriteQueue {
  #waiting: QueuedWrite[] = [];
  #inFlight: readonly QueuedWrite[] = [];
  #waitingBytes = 0;
  #tickets = 0;

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Ticket of the newest write. */
  get newest(): number {
    return this.#tickets;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#inFlight.length === 0;
  }

  /**
   * Adds a write of whole blocks. One to exactly the place of a waiting write takes that one's turn
   * and releases its buffer; any other overlap with a waiting write is a bug.
   * Returns by how many bytes the queue grew.
   */
  add(block: number, bytes: Buffer, done: (() => void) | undefined, durable?: () => void): number {
    assert(bytes.length > 0 && bytes.length % BLOCK_BYTES === 0, `${bytes.length} bytes to write`);
    const count = bytes.length / BLOCK_BYTES;
    const last = this.#waiting.at(-1);
    if (last === undefined || block >= last.block + last.count) {
      this.#waiting.push({ block, count, bytes, done, durable, ticket: ++this.#tickets });
    } else if (this.#insert({ block, count, bytes, done, durable })) {
      return 0;
    }
    this.#waitingBytes += bytes.length;
    return bytes.length;
  }

  /**
   * Puts the lowest waiting writes that are consecutive in flight. Nothing may be in flight yet.
   */
  take(): WriteBatch {
    assert(this.#inFlight.length === 0, 'one batch at a time is in flight');
    const waiting = this.#waiting;
    const first = waiting[0];
    assert(first !== undefined, 'a batch is taken from a queue that has one');
    let n = 0;
    let bytes = 0;
    let next = first.block;
    for (; n < waiting.length && n < MAX_BATCH_WRITES; n++) {
      const write = waiting[n] as QueuedWrite;
      if (write.block !== next || (n > 0 && bytes + write.bytes.length > MAX_BATCH_BYTES)) break;
      bytes += write.bytes.length;
      next += write.count;
    }
    this.#inFlight = waiting.splice(0, n);
    this.#waitingBytes -= bytes;
    return { writes: this.#inFlight, block: first.block, bytes };
  }

  /** The batch in flight reached the disk (or never will). */
  settle(): void {
    this.#inFlight = [];
  }

  /** Takes everything that waits out of the queue, unwritten. */
  abandon(): readonly QueuedWrite[] {
    const writes = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    return writes;
  }

  /** How many writes with a ticket up to `ticket` have not settled. */
  unsettled(ticket: number): number {
    let n = 0;
    for (const write of this.#inFlight) if (write.ticket <= ticket) n++;
    for (const write of this.#waiting) if (write.ticket <= ticket) n++;
    return n;
  }

  /** The newest queued write that holds `block`. */
  find(block: number): QueuedWrite | undefined {
    return holding(this.#waiting, block) ?? holding(this.#inFlight, block);
  }

  /** The first block in [from, to) that a queued write holds; `to` if none does. */
  nextQueued(from: number, to: number): number {
    const a = startFrom(this.#waiting, from);
    const b = startFrom(this.#inFlight, from);
    return Math.min(a, b, to);
  }

  /** Adds a write that is not the highest. Returns true if it took the turn of an older one. */
  #insert(write: Omit<QueuedWrite, 'ticket'>): boolean {
    const { block, count } = write;
    const waiting = this.#waiting;
    const at = lowerBound(waiting, block);
    const next = waiting[at];
    if (next !== undefined && next.block === block && next.count === count) {
      waiting[at] = { ...write, durable: both(next.durable, write.durable), ticket: next.ticket };
      next.done?.();
      return true;
    }
    const before = waiting[at - 1];
    assert(
      (before === undefined || before.block + before.count <= block) &&
        (next === undefined || block + count <= next.block),
      `write to segment block ${block} overlaps a waiting one`,
    );
    waiting.splice(at, 0, { ...write, ticket: ++this.#tickets });
    return false;
  }
}

/** Whoever waits for a place to be durable is told, also when its bytes were exchanged. */
function both(
  first: (() => void) | undefined,
  second: (() => void) | undefined,
): (() => void) | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return () => {
    first();
    second();
  };
}

/** Index of the first write that starts at or after `block`. */
function lowerBound(writes: readonly QueuedWrite[], block: number): number {
  let low = 0;
  let high = writes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((writes[middle] as QueuedWrite).block < block) low = middle + 1;
    else high = middle;
  }
  return low;
}

function holding(writes: readonly QueuedWrite[], block: number): QueuedWrite | undefined {
  const write = writes[lowerBound(writes, block + 1) - 1];
  return write !== undefined && block < write.block + write.count ? write : undefined;
}

const startFrom = (writes: readonly QueuedWrite[], from: number): number =>
  writes[lowerBound(writes, from)]?.block ?? Number.POSITIVE_INFINITY;

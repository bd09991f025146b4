/**
 * The log's memory tail and its group commit: the single writer.
 *
 * Owns the transactions that are answered and not yet durable, encoded, in chunks that are used
 * again and again. Order of events, and what a crash after each step leaves:
 *
 * 1. `append` encodes a transaction into the tail; its bytes are reserved on the disk: nothing yet
 * 2. a commit takes the tail as it is; transactions appended from here on belong to the next one
 * 3. `beforeCommit` (the data that the taken transactions point to is written and synced): nothing
 * 4. the last record is sealed; one `store.append` writes and syncs: nothing, or the whole commit
 * 5. `durable` moves, `onDurable` is called, and whoever waited goes on
 *
 * A commit starts on request, when the timer that the first transaction armed runs out, and when
 * the tail has 4 MiB. While one is under way the next one fills: any number of callers of `commit`
 * share one sync. An idle log has no timer.
 *
 * A failure in 3 or 4 is final: what reached the disk is unknown, so the writer refuses everything
 * from then on (a store is opened anew to find out).
 */

import type { Clock } from '../io/clock.ts';
import { assert, must } from '../model/assert.ts';
import { itemsOf, type Event } from '../model/event.ts';
import { seq, type Rid, type Seq } from '../model/ids.ts';
import {
  MAX_ITEMS,
  MAX_TRANSACTION_BYTES,
  type Actor,
  type Cause,
  type TouchedPath,
  type Transaction,
} from '../model/transaction.ts';
import { encodeTransaction } from './codec.ts';
import type { LogEnd } from './recovery.ts';
import { MAX_SEAL_BYTES, sealHash, writeSeal } from './seal.ts';
import type { LogStore, RecordChunk } from './store.ts';

const MIB = 1024 * 1024;

/**
 * Size of a chunk of the tail, and so of a commit's blocks. A chunk is left for the next one when a
 * transaction does not fit, so all but a commit's last hold more than MIN_INNER_BLOCK_BYTES
 * (`torn-tail.ts`).
 */
const CHUNK_BYTES = MIB;
/** A commit starts without being asked for from this tail on. */
const COMMIT_BYTES = 4 * MIB;
/** Bound of the tail, a commit under way included: mutating requests wait. */
const TAIL_BYTES = 32 * MIB;
/** Chunks kept for use; more than that a burst needed, and they are given back. */
const SPARE_CHUNKS = 8;
const COMMIT_MS = 1000;

/** What the engine decided, to become a transaction. */
export interface Draft {
  readonly cause: Cause;
  readonly actor: Actor;
  readonly paths: readonly TouchedPath[];
  readonly events: readonly Event[];
}

export interface LogWriterOptions {
  readonly store: LogStore;
  readonly clock: Clock;
  /** Names this writer in its transactions. */
  readonly node: Rid;
  /** The log's end, as opening it told. */
  readonly last: LogEnd;
  /** Data before log: awaited before each append to the store. */
  readonly beforeCommit: () => Promise<void>;
  /** Called synchronously once transactions up to `seq` are durable. Must not throw. */
  readonly onDurable: (seq: Seq) => void;
  /** Called once, when a commit failed: the writer refuses everything from now on. */
  readonly onFailure: (error: Error) => void;
  /** How long a transaction may wait for a commit that nobody asks for; default 1000. */
  readonly commitMs?: number;
}

interface Waiter {
  readonly seq: Seq;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Some records of the tail. */
interface TailChunk {
  readonly buffer: Buffer;
  end: number;
  count: number;
}

/** Transactions that become durable together. */
interface Tail {
  chunks: TailChunk[];
  bytes: number;
  count: number;
  firstSeq: Seq;
}

export class LogWriter {
  readonly #options: LogWriterOptions;
  readonly #commitMs: number;
  #lastSeq: Seq;
  #lastTime: number;
  #durable: Seq;
  /** Seal of the last durable commit. */
  #seal: Buffer;
  #filling: Tail;
  #committingBytes = 0;
  #spare: Buffer[] = [];
  #committing = false;
  /** The last run of commits. */
  #run: Promise<void> = Promise.resolve();
  #cancelTimer: (() => void) | undefined;
  /** The timer ran out, or the tail is large: what is filling is to be committed. */
  #due = false;
  #waiters: Waiter[] = [];
  #roomWaiters: Waiter[] = [];
  #failure: Error | undefined;
  #closed = false;

  constructor(options: LogWriterOptions) {
    const { last } = options;
    this.#options = options;
    this.#commitMs = options.commitMs ?? COMMIT_MS;
    this.#lastSeq = last.seq;
    this.#lastTime = last.time;
    this.#durable = last.seq;
    this.#seal = last.seal;
    this.#filling = emptyTail(this.nextSeq);
  }

  /** The seal of the last durable commit. */
  get seal(): Buffer {
    return this.#seal;
  }

  /** The seq that the next transaction gets. */
  get nextSeq(): Seq {
    return seq(this.#lastSeq + 1);
  }

  /** Seq of the last transaction appended. */
  get lastSeq(): Seq {
    return this.#lastSeq;
  }

  /** Seq of the last durable transaction. */
  get durable(): Seq {
    return this.#durable;
  }

  /** Bytes of transactions that are not durable yet. */
  get tailBytes(): number {
    return this.#filling.bytes + this.#committingBytes;
  }

  /** The bound of the tail is reached: mutating requests wait for `whenRoom`. */
  get full(): boolean {
    return this.tailBytes >= TAIL_BYTES;
  }

  /** Why nothing can be logged any more; undefined while all is well. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** The transaction that `draft` becomes if it is the next one. Without effect. */
  stamp({ cause, actor, paths, events }: Draft): Transaction {
    const time = Math.max(this.#lastTime, this.#options.clock.micros());
    const { node } = this.#options;
    return { seq: this.nextSeq, time, node, cause, actor, paths, events, seal: undefined };
  }

  /**
   * Appends `tx` to the tail. Returns false, without effect, if there is no disk space for it
   * (ENOSPC); `privileged` transactions free space and may use the reserve. Throws the failure after
   * a failed commit. Asserts the order of seqs and the bounds of a transaction.
   */
  append(tx: Transaction, privileged: boolean): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    assert(!this.#closed, 'the log writer is closed');
    assert(tx.seq === this.#lastSeq + 1, () => `transaction ${tx.seq} after ${this.#lastSeq}`);
    assert(tx.seal === undefined, () => `transaction ${tx.seq} is sealed before its commit`);
    assertItems(tx);
    const tail = this.#filling;
    let chunk = tail.chunks[tail.chunks.length - 1] ?? this.#addChunk(tail);
    let end = encode(tx, chunk);
    if (end < 0) {
      chunk = this.#addChunk(tail);
      end = encode(tx, chunk);
    }
    const bytes = end - chunk.end;
    assert(end >= 0 && bytes <= MAX_TRANSACTION_BYTES, () => `transaction ${tx.seq} is too large`);
    if (!this.#options.store.reserve(bytes, privileged)) return this.#withdraw(tail, chunk);
    chunk.end = end;
    chunk.count++;
    tail.bytes += bytes;
    tail.count++;
    this.#lastSeq = tx.seq;
    this.#lastTime = tx.time;
    this.#schedule(tail);
    return true;
  }

  /**
   * Resolves when everything appended before the call, or up to `upTo` of it, is durable. Rejects
   * with the failure. Calls at the same time share one commit.
   */
  commit(upTo: Seq = this.#lastSeq): Promise<void> {
    assert(upTo <= this.#lastSeq, () => `commit up to ${upTo}, the last one is ${this.#lastSeq}`);
    if (upTo <= this.#durable) return Promise.resolve();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const done = new Promise<void>((resolve, reject) => {
      this.#waiters.push({ seq: upTo, resolve, reject });
    });
    this.#start();
    return done;
  }

  /** Resolves when the tail has room; rejects with the failure. */
  whenRoom(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (!this.full) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#roomWaiters.push({ seq: this.#lastSeq, resolve, reject });
    });
  }

  /** Commits what is left; nothing can be appended any more. Rejects with the failure. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#disarm();
    await this.commit();
    await this.#run;
    if (this.#failure !== undefined) throw this.#failure;
  }

  #addChunk(tail: Tail): TailChunk {
    const buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
    const chunk = { buffer, end: 0, count: 0 };
    tail.chunks.push(chunk);
    return chunk;
  }

  /** Leaves no empty chunk behind: a block holds at least one record. */
  #withdraw(tail: Tail, chunk: TailChunk): false {
    if (chunk.count === 0) {
      tail.chunks.pop();
      this.#spare.push(chunk.buffer);
    }
    return false;
  }

  #schedule(tail: Tail): void {
    if (tail.bytes >= COMMIT_BYTES) {
      // Not at once: the caller is in the middle of an operation.
      if (!this.#due) queueMicrotask(() => this.#start());
      this.#due = true;
      return;
    }
    this.#cancelTimer ??= this.#options.clock.after(this.#commitMs, () => {
      this.#cancelTimer = undefined;
      this.#due = true;
      this.#start();
    });
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #start(): void {
    if (this.#committing || this.#failure !== undefined) return;
    this.#committing = true;
    this.#run = this.#commitAll();
  }

  /** Commits until nobody waits for what is in the tail. Never rejects. */
  async #commitAll(): Promise<void> {
    try {
      while (this.#filling.count > 0 && (this.#due || this.#waiters.length > 0)) {
        await this.#commitTail();
        // Lets those who were just answered append what they do next: it shares the next sync.
        if (this.#waiters.length > 0) await macrotask();
      }
    } catch (error) {
      this.#fail(error as Error);
    } finally {
      // In the same step as the look at the waiters: nobody can be added in between and missed.
      this.#committing = false;
    }
  }

  async #commitTail(): Promise<void> {
    const { store, beforeCommit, onDurable } = this.#options;
    const tail = this.#filling;
    const lastSeq = this.#lastSeq;
    this.#filling = emptyTail(seq(lastSeq + 1));
    this.#committingBytes = tail.bytes;
    this.#due = false;
    this.#disarm();
    await beforeCommit();
    const seal = this.#sealTail(tail);
    const records = tail.chunks.map(recordsOf);
    await store.append({ firstSeq: tail.firstSeq, lastSeq, count: tail.count, records });
    this.#seal = seal;
    this.#durable = lastSeq;
    this.#committingBytes = 0;
    this.#recycle(tail);
    onDurable(lastSeq);
    this.#wake();
  }

  /** Puts the commit's seal into its last record. Returns its hash. */
  #sealTail(tail: Tail): Buffer {
    const digest = sealHash(
      this.#seal,
      tail.chunks.map(({ buffer, end }) => buffer.subarray(0, end)),
    );
    const last = must(tail.chunks.at(-1), 'a commit has records');
    last.end = writeSeal(last.buffer, last.end, tail.count, digest);
    return digest;
  }

  #recycle({ chunks }: Tail): void {
    for (const { buffer } of chunks) {
      if (this.#spare.length < SPARE_CHUNKS) this.#spare.push(buffer);
    }
  }

  #wake(): void {
    const waiting = this.#waiters;
    this.#waiters = waiting.filter((waiter) => waiter.seq > this.#durable);
    for (const waiter of waiting) if (waiter.seq <= this.#durable) waiter.resolve();
    if (this.full) return;
    for (const waiter of this.#roomWaiters.splice(0)) waiter.resolve();
  }

  #fail(error: Error): void {
    this.#failure = error;
    this.#disarm();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    for (const waiter of this.#roomWaiters.splice(0)) waiter.reject(error);
    this.#options.onFailure(error);
  }
}

const emptyTail = (firstSeq: Seq): Tail => ({ chunks: [], bytes: 0, count: 0, firstSeq });

/** Encodes behind the records of `chunk`, leaving room for a seal. Negative if it does not fit. */
const encode = (tx: Transaction, chunk: TailChunk): number => {
  const end = encodeTransaction(tx, chunk.buffer, chunk.end);
  return end > CHUNK_BYTES - MAX_SEAL_BYTES ? -1 : end;
};

const recordsOf = ({ buffer, end, count }: TailChunk): RecordChunk => ({
  count,
  bytes: buffer.subarray(0, end),
});

function assertItems({ seq: n, events }: Transaction): void {
  assert(events.length > 0, () => `transaction ${n} without events`);
  let items = 0;
  for (const event of events) items += itemsOf(event);
  assert(items <= MAX_ITEMS, () => `transaction ${n} with ${items} items`);
}

/** The next turn of the event loop. */
const macrotask = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

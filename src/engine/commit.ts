/**
 * The commit path: the one place where a decision becomes a transaction, and the one where the
 * order of events is written down.
 *
 *   gather   facts are read synchronously from the index (overlay, caches, LevelDB)
 *   decide   pure: events or a refusal
 *   stamp    the transaction gets the next seq and a time that never falls
 *   project  pure: mutations, against the state before; the last step that may throw `Miss`
 *   append   into the log's memory tail, with its bytes reserved on the disk (or ENOSPC)
 *   apply    mutations into the overlay: from here on every read sees them
 *   tell     who keeps copies (kernels of other mounts) that they are out of date (`changes.ts`)
 *   answer   the caller gets its reply
 *   ------   (all of the above without an `await`: atomic by construction, no mutex)
 *   commit   data segments are synced, then the log block is written and synced: durable
 *   persist  layers of the overlay whose last transaction is durable go to LevelDB, in one batch
 *            with the applied seq
 *
 * What a crash leaves: before the commit is synced, nothing of it (its answer promised nothing);
 * after, all of it, whatever the index holds, since the index is caught up from its applied seq.
 * The index never leads the durable log, because `persist` waits for it.
 */

import type { Clock } from '../io/clock.ts';
import { Miss, type Mutation } from '../index/items.ts';
import type { Index } from '../index/index.ts';
import type { LogWriter } from '../log/writer.ts';
import { assert } from '../model/assert.ts';
import { refuse, type Refusal } from '../model/errno.ts';
import type { Event } from '../model/event.ts';
import type { Seq } from '../model/ids.ts';
import type { Cause, TouchedPath, Transaction } from '../model/transaction.ts';
import type { Answer, Caller } from './api.ts';
import { NotYet } from './not-yet.ts';

/** Bound of the overlay: mutating requests wait beyond it while reads go on (architecture 1). */
export const OVERLAY_BYTES = 64 << 20;
/** From this size on, work that nobody waits for rests: requests are to find room. */
const QUIET_BYTES = OVERLAY_BYTES / 4;
/**
 * The overlay is written out from this size on without waiting for the timer: what leaves memory
 * soon costs the garbage collector little, and each writing asks for a commit of the log.
 */
const PERSIST_BYTES = 2 << 20;
/** Time between two writes of the overlay on a lightly used volume. */
const PERSIST_MS = 500;

/** What an operation decided, to be logged as one transaction. */
export interface Decided {
  readonly cause: Cause;
  readonly actor: Caller;
  readonly paths: readonly TouchedPath[];
  readonly events: readonly Event[];
  /** Frees space or finishes what was begun: may use the reserve of a full disk. */
  readonly privileged: boolean;
}

export interface CommitOptions {
  readonly index: Index;
  readonly log: LogWriter;
  readonly clock: Clock;
  /** A transaction was applied: every read sees it. */
  readonly onApplied?: (decided: Decided) => void;
  /** The index cannot be written (a full disk below it): told once, and again when it recovers. */
  readonly onIndexTrouble: (error: Error | undefined) => void;
}

export class Committer {
  readonly #index: Index;
  readonly #log: LogWriter;
  readonly #clock: Clock;
  readonly #onApplied: ((decided: Decided) => void) | undefined;
  readonly #onIndexTrouble: (error: Error | undefined) => void;
  #persisting: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  /** Last seq of the frozen layers; the open layer holds what came after. */
  #frozen: Seq;
  #indexTrouble: Error | undefined;
  #roomWaiters: (() => void)[] = [];
  #inAttempt = false;

  constructor(options: CommitOptions) {
    this.#index = options.index;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#onApplied = options.onApplied;
    this.#onIndexTrouble = options.onIndexTrouble;
    this.#frozen = options.index.applied;
  }

  /**
   * Runs `body`, an attempt that gathers, decides and calls `append`, possibly several times. An
   * attempt that meets a `Miss` has appended nothing: it is run again once the range is loaded. So
   * is one that meets `NotYet`, once the disk is that far.
   */
  attempt<T>(body: () => T | Refusal): Answer<T> {
    assert(!this.#inAttempt, 'attempts do not nest');
    this.#inAttempt = true;
    try {
      return body();
    } catch (error) {
      if (error instanceof Miss) return this.#again(error, body);
      if (error instanceof NotYet) return error.ready.then(() => this.mutate(body));
      throw error;
    } finally {
      this.#inAttempt = false;
    }
  }

  /** Like `attempt`, for operations that log: waits first where the memory bounds are reached. */
  mutate<T>(body: () => T | Refusal): Answer<T> {
    if (this.#log.failure !== undefined) return refuse('EIO');
    if (this.#indexTrouble !== undefined && this.#overlayFull) return refuse('ENOSPC');
    if (!this.#log.full && !this.#overlayFull) return this.attempt(body);
    return this.whenRoom().then(() => this.mutate(body));
  }

  async #again<T>(miss: Miss, body: () => T | Refusal): Promise<T | Refusal> {
    await this.#index.load(miss);
    return this.attempt(body);
  }

  /**
   * Makes one transaction of a decision, within an attempt. ENOSPC where the log has no room for
   * it. Throws `Miss` without effect. An attempt may append several transactions (a file's pending
   * writes, then the operation); each is complete in itself, so that running the attempt again
   * after the second one's miss finds the first one done.
   */
  append(decided: Decided): Transaction | Refusal {
    const tx = this.#log.stamp(decided);
    const mutations = this.#index.prepare(tx);
    if (!this.#log.append(tx, decided.privileged)) return refuse('ENOSPC');
    this.#index.apply(tx, mutations);
    this.#onApplied?.(decided);
    if (this.#index.overlayBytes > PERSIST_BYTES) this.#schedule(0);
    return tx;
  }

  /** The reclaimer's deletions, which no transaction stands for; written out with the rest. */
  applyUnlogged(mutations: readonly Mutation[]): void {
    this.#index.applyUnlogged(mutations);
    this.#schedule(PERSIST_MS);
  }

  /** The log committed up to here: what is durable may go to the index. */
  durable(): void {
    if (this.#index.persisted < this.#index.applied) this.#schedule(PERSIST_MS);
  }

  /** Resolves when a mutating operation may try again. */
  async whenRoom(): Promise<void> {
    if (this.#log.full) await this.#log.whenRoom();
    if (!this.#overlayFull) return;
    await new Promise<void>((resolve) => {
      this.#roomWaiters.push(resolve);
      this.#schedule(0);
    });
  }

  /** Resolves when work in the background may go on without taking the room that requests need. */
  async whenQuiet(): Promise<void> {
    while (this.#index.overlayBytes > QUIET_BYTES && this.#canPersist) {
      await new Promise<void>((resolve) => {
        this.#roomWaiters.push(resolve);
        this.#schedule(0);
      });
    }
  }

  /** Waiting for the overlay to be written makes no sense where that fails. */
  get #canPersist(): boolean {
    return this.#indexTrouble === undefined && this.#log.failure === undefined;
  }

  get #overlayFull(): boolean {
    return this.#index.overlayBytes > OVERLAY_BYTES;
  }

  #schedule(ms: number): void {
    if (this.#persisting !== undefined) return;
    if (ms === 0) {
      this.#cancelTimer?.();
      this.#cancelTimer = undefined;
      void this.persist();
    } else {
      this.#cancelTimer ??= this.#clock.after(ms, () => {
        this.#cancelTimer = undefined;
        void this.persist();
      });
    }
  }

  /**
   * Brings LevelDB up to all that is applied now; waits for the log where it must. A failure keeps
   * the layers in memory and is tried again: the index is derived, nothing is lost with it.
   */
  persist(): Promise<void> {
    this.#persisting ??= this.#persistOnce().finally(() => {
      this.#persisting = undefined;
      const waiters = this.#roomWaiters;
      this.#roomWaiters = [];
      for (const wake of waiters) wake();
      if (this.#index.persisted < this.#index.applied && this.#log.failure === undefined) {
        this.#schedule(
          this.#index.overlayBytes > PERSIST_BYTES && !this.#indexTrouble ? 0 : PERSIST_MS,
        );
      }
    });
    return this.#persisting;
  }

  async #persistOnce(): Promise<void> {
    if (this.#frozen <= this.#index.persisted) {
      this.#index.freezeLayer();
      this.#frozen = this.#index.applied;
    }
    try {
      await this.#log.commit(this.#frozen);
      await this.#index.persist(this.#log.durable);
      this.#trouble(undefined);
    } catch (error) {
      if (this.#log.failure === undefined) this.#trouble(error as Error);
    }
  }

  #trouble(error: Error | undefined): void {
    if (error === undefined && this.#indexTrouble === undefined) return;
    this.#indexTrouble = error;
    this.#onIndexTrouble(error);
  }

  /** Writes out everything; for a clean close. Rejects where the log cannot. */
  async drain(): Promise<void> {
    await this.#log.commit();
    while (this.#index.persisted < this.#index.applied) {
      await this.persist();
      if (this.#indexTrouble !== undefined) throw this.#indexTrouble;
      if (this.#log.failure !== undefined) throw this.#log.failure;
    }
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }
}

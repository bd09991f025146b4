/**
 * The table of file locks of a volume: fcntl(2)'s record locks, and flock(2)'s, which never meet.
 * Owns who holds what and who waits, in memory only: nothing is logged, nothing outlives the
 * daemon. Pure: no clock, no IO, every method is one synchronous step.
 *
 * Rules, those of Linux (`fs/locks.c` as documented in fcntl(2) and flock(2)):
 *   - a write lock excludes all locks of other owners, a read lock their write locks
 *   - what an owner locks again is replaced in place, so record locks are split, joined, upgraded
 *     and downgraded; the upgrade keeps the read lock until it is granted
 *   - flock(2) converts by giving up first: a refused or interrupted conversion leaves nothing
 *   - only locks that are held stop a request, never those who wait. Those who wait are looked at
 *     in the order in which they came, each time that what stopped them is given back
 *   - a record lock that could never be granted, since its holders wait for the one who asks, is
 *     refused (EDEADLK); so is one that waits already, when others were granted in front of it
 *
 * Order of a step: locks change -> those who can go on are taken out of the queue -> they are told.
 * So whoever is told sees a table that is whole, and may call it again.
 */

import { refuse, type Refusal } from '../model/errno.ts';
import type { Ino } from '../model/ids.ts';
import {
  firstOverlap,
  growthOf,
  LAST_BYTE,
  makeReplacement,
  planReplace,
  type HeldLock,
  type LockRange,
} from './ranges.ts';

/** Whose locks exclude others': see `engine/file-locks.ts` for how it is made. */
export type Owner = bigint;

/** The two kinds of lock that do not see each other. */
export type LockSpace = 'record' | 'flock';

export interface LockRequest extends LockRange {
  readonly ino: Ino;
  readonly space: LockSpace;
  readonly owner: Owner;
  readonly pid: number;
  readonly write: boolean;
}

/** Locks and waiters that a volume may have: beyond it, ENOLCK. They take about 20 MB then. */
export const MAX_LOCKS = 131_072;

/** Told once, when the wait is over: granted, or refused (EDEADLK, ENOLCK). */
export type Settle = (refusal: Refusal | undefined) => void;

/** A request in the queue. */
export interface Waiter {
  readonly request: LockRequest;
  readonly settle: Settle;
  /** Whose lock was found in its way: it is looked at again when that owner gives some back. */
  stoppedBy: Owner;
  /** How far `#closings` was when it was last known not to be part of a deadlock. */
  checkedAt: number;
}

/** The locks of one kind on one inode. */
interface FileSpace {
  /** No list is empty. */
  readonly held: Map<Owner, HeldLock[]>;
  /** In the order in which they came. */
  readonly waiters: Set<Waiter>;
}

const WHOLE_FILE: LockRange = { start: 0n, end: LAST_BYTE };

export class FileLockTable {
  readonly #limit: number;
  readonly #spaces: Readonly<Record<LockSpace, Map<Ino, FileSpace>>> = {
    record: new Map(),
    flock: new Map(),
  };
  /** Who waits for record locks: the edges of the wait-for graph. No set is empty. */
  readonly #waitsOf = new Map<Owner, Set<Waiter>>();
  /**
   * How often an owner that waits was granted a record lock, which takes threads: only that, beside
   * a new wait, can close a circle of those who wait.
   */
  #closings = 0;
  #held = 0;
  #waiting = 0;

  constructor(limit = MAX_LOCKS) {
    this.#limit = limit;
  }

  /** Locks that are held. */
  get held(): number {
    return this.#held;
  }

  /** Requests in the queues. */
  get waiting(): number {
    return this.#waiting;
  }

  /** The lock that would stop `request`: of those in its way, the one that starts first. */
  test(request: LockRequest): HeldLock | undefined {
    const space = this.#spaces[request.space].get(request.ino);
    let first: HeldLock | undefined;
    for (const [owner, held] of space?.held ?? []) {
      if (owner === request.owner) continue;
      const lock = firstOverlap(held, request, !request.write);
      if (lock !== undefined && (first === undefined || lock.start < first.start)) first = lock;
    }
    return first;
  }

  /** The first lock of `owner` itself that meets the range (F_OFD_GETLK with F_UNLCK asks). */
  own(ino: Ino, space: LockSpace, owner: Owner, range: LockRange): HeldLock | undefined {
    const held = this.#spaces[space].get(ino)?.held.get(owner);
    return held === undefined ? undefined : firstOverlap(held, range, false);
  }

  /** Locks at once, or refuses: EAGAIN where others' locks are in the way, ENOLCK. */
  set(request: LockRequest): Refusal | undefined {
    const space = this.#spaceOf(request);
    const gaveUp = this.#giveUpFirst(space, request);
    const stopper = stopperOf(space, request);
    const refusal = stopper === undefined ? this.#take(space, request) : refuse('EAGAIN');
    this.#afterwards(space, request, gaveUp || !request.write);
    return refusal;
  }

  /**
   * Locks at once (undefined), or waits: then `settle` is called once, unless `giveUp` comes first.
   * EDEADLK, ENOLCK.
   */
  wait(request: LockRequest, settle: Settle): Waiter | Refusal | undefined {
    const space = this.#spaceOf(request);
    const gaveUp = this.#giveUpFirst(space, request);
    const stopper = stopperOf(space, request);
    const outcome =
      stopper === undefined
        ? this.#take(space, request)
        : this.#enqueue(space, request, settle, stopper);
    this.#afterwards(space, request, gaveUp || !request.write);
    return outcome;
  }

  /** Takes a waiter out of its queue: it will not be told. */
  giveUp(waiter: Waiter): void {
    const { request } = waiter;
    const space = this.#spaces[request.space].get(request.ino);
    if (space === undefined || !space.waiters.has(waiter)) return;
    this.#dequeue(space, waiter);
    this.#dropIfEmpty(space, request);
  }

  /** Unlocks a range. ENOLCK where a lock would become two and the table is full. */
  unlock(ino: Ino, space: LockSpace, owner: Owner, range: LockRange): Refusal | undefined {
    const found = this.#spaces[space].get(ino);
    const held = found?.held.get(owner);
    if (found === undefined || held === undefined) return undefined;
    const change = planReplace(held, range, undefined);
    const growth = growthOf(change);
    if (growth > 0 && this.#isFull(growth)) return refuse('ENOLCK');
    makeReplacement(held, change);
    this.#held += growth;
    if (held.length === 0) found.held.delete(owner);
    this.#afterwards(found, { ino, space, owner }, true);
    return undefined;
  }

  /** Unlocks all that `owner` holds on `ino`. Never refused. */
  unlockAll(ino: Ino, space: LockSpace, owner: Owner): void {
    this.unlock(ino, space, owner, WHOLE_FILE);
  }

  /** Ends every lock and every wait of the owners that `isGone` names; they are not told. */
  endAll(isGone: (owner: Owner) => boolean): void {
    for (const space of ['record', 'flock'] as const) {
      for (const [ino, found] of this.#spaces[space]) {
        for (const waiter of found.waiters) {
          if (isGone(waiter.request.owner)) this.#dequeue(found, waiter);
        }
        this.#dropIfEmpty(found, { ino, space });
      }
      for (const [ino, found] of this.#spaces[space]) {
        for (const owner of found.held.keys()) {
          if (isGone(owner)) this.unlockAll(ino, space, owner);
        }
      }
    }
  }

  #spaceOf({ space, ino }: { readonly space: LockSpace; readonly ino: Ino }): FileSpace {
    const spaces = this.#spaces[space];
    let found = spaces.get(ino);
    if (found === undefined) spaces.set(ino, (found = { held: new Map(), waiters: new Set() }));
    return found;
  }

  #isFull(growth: number): boolean {
    return this.#held + this.#waiting + growth > this.#limit;
  }

  /** flock(2)'s conversion: what is held in another kind goes before anything is decided. */
  #giveUpFirst(space: FileSpace, { space: kind, owner, write }: LockRequest): boolean {
    if (kind === 'record') return false;
    const held = space.held.get(owner)?.[0];
    if (held === undefined || held.write === write) return false;
    space.held.delete(owner);
    this.#held--;
    return true;
  }

  /** Locks what nobody is in the way of. ENOLCK. */
  #take(space: FileSpace, request: LockRequest): Refusal | undefined {
    const held = space.held.get(request.owner) ?? [];
    const { write, pid } = request;
    const change = planReplace(held, request, { write, pid });
    const growth = growthOf(change);
    if (growth > 0 && this.#isFull(growth)) return refuse('ENOLCK');
    makeReplacement(held, change);
    this.#held += growth;
    space.held.set(request.owner, held);
    if (request.space === 'record' && this.#waitsOf.has(request.owner)) this.#closings++;
    return undefined;
  }

  #enqueue(
    space: FileSpace,
    request: LockRequest,
    settle: Settle,
    stoppedBy: Owner,
  ): Waiter | Refusal {
    if (this.#isFull(1)) return refuse('ENOLCK');
    if (this.#isDeadlock(request)) return refuse('EDEADLK');
    const waiter = { request, settle, stoppedBy, checkedAt: this.#closings };
    space.waiters.add(waiter);
    this.#waiting++;
    const { owner, space: kind } = request;
    if (kind === 'flock') return waiter;
    const waits = this.#waitsOf.get(owner);
    if (waits === undefined) this.#waitsOf.set(owner, new Set([waiter]));
    else waits.add(waiter);
    return waiter;
  }

  #dequeue(space: FileSpace, waiter: Waiter): void {
    space.waiters.delete(waiter);
    this.#waiting--;
    const { owner } = waiter.request;
    const waits = this.#waitsOf.get(owner);
    if (waits?.delete(waiter) === true && waits.size === 0) this.#waitsOf.delete(owner);
  }

  /** Ends a step: those who can go on do, and a file that nobody locks is forgotten. */
  #afterwards(
    space: FileSpace,
    of: { readonly ino: Ino; readonly space: LockSpace; readonly owner: Owner },
    hasGivenBack: boolean,
  ): void {
    const settled = hasGivenBack ? this.#wake(space, of.owner) : NOBODY;
    this.#dropIfEmpty(space, of);
    for (const [waiter, refusal] of settled) waiter.settle(refusal);
  }

  #dropIfEmpty(space: FileSpace, of: { readonly ino: Ino; readonly space: LockSpace }): void {
    if (space.held.size + space.waiters.size === 0) this.#spaces[of.space].delete(of.ino);
  }

  /**
   * Looks again at those whom `owner` stopped. A read lock that is granted may replace a write lock
   * of its owner, which then gives something back too.
   */
  #wake(space: FileSpace, owner: Owner): [Waiter, Refusal | undefined][] {
    const settled: [Waiter, Refusal | undefined][] = [];
    const givers = space.waiters.size === 0 ? [] : [owner];
    for (const giver of givers) {
      for (const waiter of space.waiters) {
        if (waiter.stoppedBy !== giver) continue;
        const { request } = waiter;
        const stopper = stopperOf(space, request);
        if (stopper !== undefined) {
          waiter.stoppedBy = stopper;
          if (!this.#hasDeadlocked(waiter)) continue;
        }
        this.#dequeue(space, waiter);
        const refusal = stopper === undefined ? this.#take(space, request) : refuse('EDEADLK');
        settled.push([waiter, refusal]);
        if (refusal === undefined && !request.write) givers.push(request.owner);
      }
    }
    return settled;
  }

  /** Whether a waiter has become part of a deadlock since it was last looked at. */
  #hasDeadlocked(waiter: Waiter): boolean {
    if (waiter.checkedAt === this.#closings) return false;
    waiter.checkedAt = this.#closings;
    return this.#isDeadlock(waiter.request);
  }

  /**
   * Whether those who stop `request` wait, over any number of others, for its owner. All who are in
   * the way count, since all must go. None for flock(2).
   */
  #isDeadlock(request: LockRequest): boolean {
    if (request.space === 'flock') return false;
    const seen = new Set<Owner>();
    const toVisit = [...this.#stoppers(request)];
    for (let owner = toVisit.pop(); owner !== undefined; owner = toVisit.pop()) {
      if (owner === request.owner) return true;
      if (seen.has(owner)) continue;
      seen.add(owner);
      for (const waiter of this.#waitsOf.get(owner) ?? []) {
        for (const next of this.#stoppers(waiter.request)) toVisit.push(next);
      }
    }
    return false;
  }

  /** The owners of all locks in the way of `request`. */
  *#stoppers(request: LockRequest): Generator<Owner> {
    const space = this.#spaces[request.space].get(request.ino);
    for (const [owner, held] of space?.held ?? []) {
      if (owner === request.owner) continue;
      if (firstOverlap(held, request, !request.write) !== undefined) yield owner;
    }
  }
}

const NOBODY: readonly [Waiter, Refusal | undefined][] = [];

/** Somebody else whose lock is in the way of `request`. */
function stopperOf(space: FileSpace, request: LockRequest): Owner | undefined {
  for (const [owner, held] of space.held) {
    if (owner === request.owner) continue;
    if (firstOverlap(held, request, !request.write) !== undefined) return owner;
  }
  return undefined;
}

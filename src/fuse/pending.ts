/**
 * Requests that could not be answered at once, by their unique number, so that an INTERRUPT finds
 * its victim. Owns the set and the timers of interrupts; nothing of it survives the mount.
 *
 * A signal to a waiting process makes the kernel ask us to interrupt its request; from then on the
 * process cannot even be killed before we have answered. Three kinds of request wait:
 *   - one that changes nothing and may wait long (a read of data that must be staged) is given up,
 *     answered with EINTR; but only after a grace, since programs do not expect EINTR from a disk
 *     that was merely busy (a profiler's or a scheduler's signals would hit every read)
 *   - one that waits for somebody else's will (a file lock) is parked: nothing is under way for it.
 *     It is taken out of its queue and answered with EINTR in the same step
 *   - all others finish soon and are left alone: a change that happened must not be reported as
 *     interrupted
 */

import { assert } from '../model/assert.ts';

const GRACE_MS = 50;

interface Waiting {
  readonly interruptible: boolean;
  grace: NodeJS.Timeout | undefined;
}

/** What a parked request waits for. */
export interface Parked {
  /** Ends the wait: its answer will not come any more. */
  giveUp(): void;
}

export class Pending {
  readonly #waiting = new Map<number, Waiting>();
  readonly #parked = new Map<number, Parked>();
  readonly #cancel: (unique: number) => void;

  /** `cancel` answers a request with EINTR. */
  constructor(cancel: (unique: number) => void) {
    this.#cancel = cancel;
  }

  /** Requests whose answer is on its way; those that are parked do not count. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Requests that are parked. */
  get parked(): number {
    return this.#parked.size;
  }

  add(unique: number, interruptible: boolean): void {
    assert(!this.#waiting.has(unique), () => `request ${unique} is already waiting`);
    this.#waiting.set(unique, { interruptible, grace: undefined });
  }

  /** The request waits for somebody else, for as long as that takes. */
  park(unique: number, parked: Parked): void {
    assert(!this.#parked.has(unique), () => `request ${unique} is already parked`);
    this.#parked.set(unique, parked);
  }

  /** The request's answer is here. False if it was given up meanwhile: the answer is not wanted. */
  finish(unique: number): boolean {
    const waiting = this.#waiting.get(unique);
    if (waiting === undefined) return this.#parked.delete(unique);
    clearTimeout(waiting.grace);
    this.#waiting.delete(unique);
    return true;
  }

  /** The process behind `unique` got a signal. Unknown numbers have been answered already. */
  interrupt(unique: number): void {
    const parked = this.#parked.get(unique);
    if (parked !== undefined) {
      this.#parked.delete(unique);
      parked.giveUp();
      this.#cancel(unique);
      return;
    }
    const waiting = this.#waiting.get(unique);
    if (waiting === undefined || !waiting.interruptible || waiting.grace !== undefined) return;
    waiting.grace = setTimeout(() => {
      this.#waiting.delete(unique);
      this.#cancel(unique);
    }, GRACE_MS);
  }

  /** The mount is gone: nobody waits any more. */
  clear(): void {
    for (const waiting of this.#waiting.values()) clearTimeout(waiting.grace);
    this.#waiting.clear();
    this.#parked.clear();
  }
}

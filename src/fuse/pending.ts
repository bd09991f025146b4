/**
 * Requests that could not be answered at once, by their unique number, so that an INTERRUPT finds
 * its victim. Owns the set and the timers of interrupts; nothing of it survives the mount.
 *
 * A signal to a waiting process makes the kernel ask us to interrupt its request. Only requests
 * that change nothing and may wait long (a read of data that must be staged) are given up, answered
 * with EINTR; and only after a grace, since programs do not expect EINTR from a disk that was
 * merely busy (a profiler's or a scheduler's signals would hit every read). All others finish soon
 * and are left alone: a change that happened must not be reported as interrupted.
 */

import { assert } from '../model/assert.ts';

const GRACE_MS = 50;

interface Waiting {
  readonly interruptible: boolean;
  grace: NodeJS.Timeout | undefined;
}

export class Pending {
  readonly #waiting = new Map<number, Waiting>();
  readonly #cancel: (unique: number) => void;

  /** `cancel` answers a request with EINTR. */
  constructor(cancel: (unique: number) => void) {
    this.#cancel = cancel;
  }

  get size(): number {
    return this.#waiting.size;
  }

  add(unique: number, interruptible: boolean): void {
    assert(!this.#waiting.has(unique), () => `request ${unique} is already waiting`);
    this.#waiting.set(unique, { interruptible, grace: undefined });
  }

  /** The request's answer is here. False if it was given up meanwhile: the answer is not wanted. */
  finish(unique: number): boolean {
    const waiting = this.#waiting.get(unique);
    if (waiting === undefined) return false;
    clearTimeout(waiting.grace);
    this.#waiting.delete(unique);
    return true;
  }

  /** The process behind `unique` got a signal. Unknown numbers have been answered already. */
  interrupt(unique: number): void {
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
  }
}

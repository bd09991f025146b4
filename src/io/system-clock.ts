/**
 * The clock port on the system's clocks.
 *
 * Node shows the wall clock cut to a millisecond, and a monotonic clock with a fraction. The time
 * told is the monotonic one plus an anchor. Since the cut clock is never ahead of the true one, the
 * largest difference seen between the two is the best anchor; a difference far below it means that
 * somebody set the wall clock back, and is followed too. So the time told is never behind
 * Date.now(), ahead of the true time only where the wall clock was set back by less than two
 * milliseconds, and falls only where the wall clock falls. Resolution: a quarter of a microsecond.
 */

import type { Time } from '../model/time.ts';
import type { Clock } from './clock.ts';

/**
 * Cutting to a millisecond explains a difference below 1 ms; beyond this the clock was set back.
 */
const STEP_MS = 2;

/** What the clock reads: replaceable for tests. */
export interface TimeSources {
  /** Wall clock, whole milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Monotonic milliseconds with a fraction. */
  readonly monotonicMs: () => number;
}

const SYSTEM_SOURCES: TimeSources = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

class SystemClock implements Clock {
  readonly #sources: TimeSources;
  /** Wall clock at monotonic zero, in milliseconds. */
  #anchorMs = -Infinity;

  constructor(sources: TimeSources) {
    this.#sources = sources;
  }

  now(): Time {
    const ms = this.#wallMs();
    const sec = Math.floor(ms / 1000);
    return { sec, nsec: Math.floor((ms - sec * 1000) * 1e6) };
  }

  micros(): number {
    return Math.floor(this.#wallMs() * 1000);
  }

  monotonicMs(): number {
    return this.#sources.monotonicMs();
  }

  after(ms: number, task: () => void): () => void {
    const timer = setTimeout(task, ms).unref();
    return () => clearTimeout(timer);
  }

  #wallMs(): number {
    let anchorMs = this.#anchorNow();
    // A pause between its two readings looks like a clock set back: two such pauses hardly follow.
    if (anchorMs < this.#anchorMs - STEP_MS) anchorMs = this.#anchorNow();
    if (anchorMs > this.#anchorMs || anchorMs < this.#anchorMs - STEP_MS) this.#anchorMs = anchorMs;
    return this.#sources.monotonicMs() + this.#anchorMs;
  }

  /** The wall clock is read first: a pause between the two makes the anchor too small, at worst. */
  #anchorNow(): number {
    const wallMs = this.#sources.wallMs();
    return wallMs - this.#sources.monotonicMs();
  }
}

export const openSystemClock = (sources: TimeSources = SYSTEM_SOURCES): Clock =>
  new SystemClock(sources);

/** The clock of this machine. */
export const systemClock: Clock = openSystemClock();

/**
 * Drives one life of a volume: lets simulated time pass while calls are under way, until they
 * return or the power is cut.
 */

import type { SimClock } from '../clock.ts';
import { indexSettled } from './index-calls.ts';

/** The power was cut before a call returned. */
export const CUT = Symbol('cut');

/** Simulated time after which a call that has not returned never will. */
const PATIENCE_MS = 600_000;

export class Drive {
  readonly #clock: SimClock;
  #isCut = false;

  constructor(clock: SimClock) {
    this.#clock = clock;
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  readonly cut = (): void => {
    this.#isCut = true;
  };

  /** The outcome of `call`, or CUT. Rejects where it does, and where it hangs. */
  async until<T>(call: T | Promise<T>): Promise<T | typeof CUT> {
    if (!(call instanceof Promise)) return this.#isCut ? CUT : call;
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
    call.then(
      (value) => (outcome = { value }),
      (error: unknown) => (outcome = { error }),
    );
    const end = this.#clock.monotonicMs() + PATIENCE_MS;
    for (;;) {
      await indexSettled();
      if (this.#isCut) return CUT;
      if (outcome !== undefined) break;
      if (this.#clock.monotonicMs() > end) throw new Error('a call never returned');
      if (!this.#clock.step()) this.#clock.advance(1000);
    }
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }

  /** Lets `ms` of simulated time pass. */
  async pass(ms: number): Promise<void> {
    const end = this.#clock.monotonicMs() + ms;
    await indexSettled();
    while (!this.#isCut && (this.#clock.nextMs ?? Infinity) <= end) {
      this.#clock.step();
      await indexSettled();
    }
    if (!this.#isCut) this.#clock.advance(Math.max(0, end - this.#clock.monotonicMs()));
  }
}

/**
 * The history horizon: up to which log position the past is given up. What a transaction at or
 * below it replaced or freed may be destroyed; every position at or above it can still be looked
 * at. Pure.
 */

import { seq as seqOf, NO_SEQ, type Seq } from '../model/ids.ts';

/** `historyMicros` of a volume that keeps everything. */
export const HISTORY_FOREVER = -1;
/** `historyMicros` of a volume that keeps nothing. */
export const HISTORY_NONE = 0;

const MICROS_PER_SECOND = 1_000_000;

/** What nobody may destroy, whatever the policy says. */
export interface Bounds {
  /** Last durable transaction: what a crash could undo is never acted upon. */
  readonly durable: Seq;
  /** Positions that somebody looks at: snapshot mounts, running reads of the past. */
  readonly pins: readonly Seq[];
}

/** Where the policy's duration ends, and the log position found there. */
export interface HorizonFacts extends Bounds {
  /** How long the past is kept, in microseconds; 0 none, -1 forever. */
  readonly historyMicros: number;
  /**
   * First seq of the newest second with a transaction that is at or before `cutoffSecond`;
   * undefined if there is none. Wanted only for a duration.
   */
  readonly markedSeq: Seq | undefined;
}

/** The highest position that may be given up at all: where need of space overrides the policy. */
export function lastExpendable({ durable, pins }: Bounds): Seq {
  return pins.reduce((least, pin) => (pin < least ? pin : least), durable);
}

/**
 * The second before which transactions have outlived a policy of `historyMicros`; undefined if the
 * policy is no duration.
 */
export function cutoffSecond(historyMicros: number, nowMicros: number): number | undefined {
  if (historyMicros === HISTORY_NONE || historyMicros === HISTORY_FOREVER) return undefined;
  return Math.max(0, Math.floor((nowMicros - historyMicros) / MICROS_PER_SECOND));
}

/** The horizon that the policy asks for, within the bounds. It may be below one reached before. */
export function policyHorizon(facts: HorizonFacts): Seq {
  if (facts.historyMicros === HISTORY_FOREVER) return NO_SEQ;
  const last = lastExpendable(facts);
  if (facts.historyMicros === HISTORY_NONE) return last;
  // Transactions before the first of that second are older than the cutoff; it may not be.
  const outlived = facts.markedSeq === undefined ? NO_SEQ : seqOf(facts.markedSeq - 1);
  return outlived < last ? outlived : last;
}

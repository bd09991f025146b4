/** Reads a log as transactions: what projections, streams and tools are fed with. No state. */

import type { Seq } from '../model/ids.ts';
import type { Transaction } from '../model/transaction.ts';
import { decodeRuns, decodeTransactions } from './codec.ts';
import { LogTrimmed } from './corruption.ts';
import type { LogStore } from './store.ts';

/** Few enough to be garbage before it is moved, enough to be worth an `await`. */
const RUN_TRANSACTIONS = 256;

export interface ReadRange {
  /** First seq wanted. Below the oldest one that is left: `LogTrimmed`. */
  readonly from: Seq;
  /** Last seq wanted; default: what is durable at the call. */
  readonly to?: Seq;
}

/**
 * The durable transactions of a range, in order. Throws `LogTrimmed`; `LogCorruption` at the place
 * of the first damage, after everything before it; `LogUnusable` for newer formats and unknown
 * events.
 */
export async function* readTransactions(
  store: LogStore,
  { from, to }: ReadRange,
): AsyncGenerator<Transaction> {
  assertKept(store, from);
  for await (const chunk of store.read(from)) {
    for (const tx of decodeTransactions(chunk)) {
      if (to !== undefined && tx.seq > to) return;
      yield tx;
    }
  }
}

/** Like `readTransactions`, in short arrays: for replay, which should not wait for each. */
export async function* readTransactionRuns(
  store: LogStore,
  { from, to }: ReadRange,
): AsyncGenerator<readonly Transaction[]> {
  assertKept(store, from);
  for await (const chunk of store.read(from)) {
    for (const run of decodeRuns(chunk, RUN_TRANSACTIONS)) {
      const last = run.at(-1);
      if (to === undefined || last === undefined || last.seq <= to) {
        yield run;
        continue;
      }
      const wanted = run.filter((tx) => tx.seq <= to);
      if (wanted.length > 0) yield wanted;
      return;
    }
  }
}

/** The durable transactions from `from` on, then each as it becomes durable, until aborted. */
export async function* followTransactions(
  store: LogStore,
  from: Seq,
  signal: AbortSignal,
): AsyncGenerator<Transaction> {
  assertKept(store, from);
  for await (const chunk of store.follow(from, signal)) yield* decodeTransactions(chunk);
}

function assertKept(store: LogStore, from: Seq): void {
  if (from < store.oldest) throw new LogTrimmed(from, store.oldest);
}

/**
 * What workers report: each operation before it starts and after it was answered, as lines of JSON
 * on a pipe. What the kernel took from a worker is not lost with the daemon, so the journal is
 * whole.
 *
 * Times are CLOCK_MONOTONIC in nanoseconds, the same clock in all processes: of two operations of
 * which one was answered before the other began, the order in the log is known.
 */

import type { Operation } from './operation.ts';

export type Line =
  | {
      readonly kind: 'begin';
      readonly n: number;
      readonly time: number;
      readonly lane: string;
      readonly operation: Operation;
    }
  /** `error`: the code of its failure, null if it succeeded. */
  | {
      readonly kind: 'end';
      readonly n: number;
      readonly time: number;
      readonly error: string | null;
    }
  | { readonly kind: 'stopped' };

/** What a worker is told, a line each on its standard input. */
export interface Order {
  /** The mount, below which the lanes lie. */
  readonly mount: string;
  readonly seed: number;
  /** The worker's own lane, and the one that it shares. */
  readonly own: string;
  readonly shared: string;
  /** Held (flock) during each operation in the shared lane, which so has one order. */
  readonly sharedLock: string;
  /** First number of the worker's write patterns. */
  readonly firstFill: number;
}

export interface Entry {
  readonly worker: number;
  readonly lane: string;
  readonly operation: Operation;
  readonly begin: number;
  /** Undefined if the worker was never answered. */
  readonly end: number | undefined;
  readonly error: string | null;
}

/** A `ledgerfs sync`; `end` undefined if it was not answered. */
export interface SyncEntry {
  readonly begin: number;
  readonly end: number | undefined;
}

/** How calls end whose daemon died: whether they had an effect is unknown. */
const DEATHS = new Set(['ENOTCONN', 'ECONNABORTED']);

export const isDeath = (code: string | null): boolean => code !== null && DEATHS.has(code);

/** CLOCK_MONOTONIC in nanoseconds. */
export const monotonic = (): number => Number(process.hrtime.bigint());

/** One worker's lines, put together as they come. */
export class JournalReader {
  readonly #worker: number;
  readonly entries: Entry[] = [];
  #open: Extract<Line, { kind: 'begin' }> | undefined;

  constructor(worker: number) {
    this.#worker = worker;
  }

  read(line: Line): void {
    if (line.kind === 'begin') this.#open = line;
    else if (line.kind === 'end') this.#close(line.time, line.error);
    else this.#close(undefined, null);
  }

  #close(time: number | undefined, error: string | null): void {
    const begun = this.#open;
    if (begun === undefined) return;
    this.#open = undefined;
    const { lane, operation, time: begin } = begun;
    const end = isDeath(error) ? undefined : time;
    this.entries.push({ worker: this.#worker, lane, operation, begin, end, error });
  }
}

/**
 * A lane's operations in their order, up to and with the first one that was not answered: what
 * began after the daemon's death had no effect.
 */
export function laneOf(entries: readonly Entry[], lane: string): Entry[] {
  const own = entries.filter((entry) => entry.lane === lane).sort((a, b) => a.begin - b.begin);
  const dead = own.findIndex(({ end }) => end === undefined);
  return dead === -1 ? own : own.slice(0, dead + 1);
}

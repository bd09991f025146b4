/** What a benchmark finds: figures, each beside its peers of the same run, and its target. */

import type { Lab } from './lab.ts';

export type Unit = '/s' | 'MiB/s' | 'ms' | 's' | 'MB' | '%';

export interface Figure {
  readonly name: string;
  readonly unit: Unit;
  /** Medians. */
  readonly ours: number;
  readonly peers: readonly Peer[];
  readonly target?: Target | undefined;
  /** What the reader must know to read it right. */
  readonly note?: string | undefined;
  /** All rounds of ours, in the order in which they were measured. */
  readonly rounds: readonly number[];
}

export interface Peer {
  readonly name: string;
  readonly value: number;
}

export interface Target {
  /** As the issue says it. */
  readonly text: string;
  readonly isMet: boolean;
}

/** `names` of one benchmark, in the order of the table. */
export interface Benchmark {
  readonly name: string;
  run(lab: Lab): Promise<Figure[]>;
}

/** What one contestant did in one round, by the name of the figure. */
export type Sample = Readonly<Record<string, number>>;

export type Contestants = Readonly<Record<string, (round: number) => Promise<Sample>>>;

/** The samples of every contestant, by round. */
export type Results = Readonly<Record<string, readonly Sample[]>>;

/** Lets the contestants take turns, another one first in each round. */
export async function interleave(rounds: number, contestants: Contestants): Promise<Results> {
  const names = Object.keys(contestants);
  const results: Record<string, Sample[]> = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const first = round % names.length;
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      const sample = await contestants[name]?.(round);
      if (sample !== undefined) results[name]?.push(sample);
    }
  }
  return results;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export interface FigureOf {
  /** Key of the samples. */
  readonly key: string;
  readonly name: string;
  readonly unit: Unit;
  /** In the order of the table; those that did not take part are left out. */
  readonly against: readonly string[];
  readonly target?: ((ours: number, peer: (name: string) => number) => Target) | undefined;
  readonly note?: string | undefined;
}

/** The figure of one key of `results`, in which we are called 'ledgerfs'. */
export function figureOf(results: Results, of: FigureOf): Figure {
  const rounds = (name: string): number[] =>
    (results[name] ?? []).flatMap((sample) => sample[of.key] ?? []);
  const ours = median(rounds('ledgerfs'));
  const peer = (name: string): number => median(rounds(name));
  const { name, unit, note } = of;
  const peers = of.against
    .map((each) => ({ name: each, value: peer(each) }))
    .filter(({ value }) => !Number.isNaN(value));
  const target = of.target?.(ours, peer);
  return { name, unit, ours, peers, target, note, rounds: rounds('ledgerfs') };
}

/** How many times as fast (or as small) as the peer we are: above 1 is better. */
export function advantage(unit: Unit, ours: number, peer: number): number {
  return unit === '/s' || unit === 'MiB/s' ? ours / peer : peer / ours;
}

export const atLeast = (text: string, ours: number, bound: number): Target => ({
  text,
  isMet: ours >= bound,
});
export const below = (text: string, ours: number, bound: number): Target => ({
  text,
  isMet: ours < bound,
});

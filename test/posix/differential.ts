/**
 * The differential test: episodes of random operations, each in a fresh folder on both sides, until
 * one ends otherwise than on ext4. That episode is then made small: operations are left out as long
 * as the sides still disagree.
 */

import { run } from '../use/mounted-volume.ts';
import { SimRandom } from '../sim/random.ts';
import { Actor } from './actor.ts';
import { Judge, type Outcome } from './differences.ts';
import { ALL_FEATURES, featuresOf, type Feature } from './features.ts';
import { ENDING, opening, randomScript } from './script.ts';
import { freshFolders, type Sides } from './sides.ts';

const EPISODE = 400;
const SHRINK_TRIES = 400;

export interface Finding {
  readonly seed: number;
  readonly episode: number;
  /** The operations that are left, and what became of the last one. */
  readonly operations: readonly string[];
  /** As judged. */
  readonly outcome: Outcome;
  /** Of five repetitions, those that ended differently too: fewer than all is a race. */
  readonly returned: number;
}

export interface DifferentialResult {
  readonly operations: number;
  readonly episodes: number;
  /** Operations that ext4 did not refuse. */
  readonly succeeded: number;
  /** How often each was made, and how often with success. */
  readonly byName: Readonly<Record<string, readonly [made: number, succeeded: number]>>;
  /** What the mount does not offer, and was therefore not tried. */
  readonly notOffered: readonly Feature[];
  readonly finding: Finding | undefined;
}

export interface DifferentialOptions {
  readonly seed: number;
  readonly operations: number;
  readonly onEpisode?: ((done: number) => void) | undefined;
}

export interface Comparison {
  /** As judged. */
  readonly outcomes: readonly Outcome[];
  /** The first on which the sides disagree, -1 if there is none. */
  readonly disagreement: number;
}

/** The sides, each with its actor. */
export class Pair {
  readonly #sides: Sides;
  readonly #reference: Actor;
  readonly #mine: Actor;
  /** What the mount offers. */
  readonly features: ReadonlySet<Feature>;

  private constructor(
    sides: Sides,
    actors: readonly [Actor, Actor],
    features: ReadonlySet<Feature>,
  ) {
    this.#sides = sides;
    [this.#reference, this.#mine] = actors;
    this.features = features;
  }

  static async start(sides: Sides): Promise<Pair> {
    const reference = new Actor(sides.actor, sides.reference);
    const mine = new Actor(sides.actor, sides.mount);
    return new Pair(sides, [reference, mine], await featuresOf(mine));
  }

  /** Runs `script` in a fresh folder on both sides, which is removed again. */
  async compare(script: readonly string[]): Promise<Comparison> {
    const [reference, mine] = await freshFolders(this.#sides);
    const all = (folder: string): string[] => [...opening(folder), ...script, ...ENDING];
    const [expected, actual] = await Promise.all([
      this.#reference.askAll(all(reference)),
      this.#mine.askAll(all(mine)),
    ]);
    await run('rm', '-rf', '--', reference, mine);
    const skipped = opening('').length;
    const judge = new Judge(this.features);
    const outcomes = [...script, ...ENDING].map((operation, i) => {
      const answers = { reference: expected[i + skipped] ?? '', mine: actual[i + skipped] ?? '' };
      return judge.judged({ operation, ...answers });
    });
    const disagreement = outcomes.findIndex(({ reference: r, mine: m }) => r !== m);
    return { outcomes, disagreement };
  }

  async end(): Promise<void> {
    await Promise.all([this.#reference.end(), this.#mine.end()]);
  }
}

/** A small script that still makes the sides disagree (delta debugging, bounded). */
async function shrink(pair: Pair, failing: readonly string[]): Promise<string[]> {
  let script = [...failing];
  let tries = 0;
  for (let size = Math.ceil(script.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < script.length && tries < SHRINK_TRIES; tries++) {
      const without = [...script.slice(0, at), ...script.slice(at + size)];
      const { disagreement } = await pair.compare(without);
      if (disagreement < 0) at += size;
      else script = without.slice(0, disagreement + 1);
    }
  }
  return script;
}

const REPEATS = 5;

/** What is told of a script whose operation `at` ended otherwise: made small, if it does so again. */
async function smallest(
  pair: Pair,
  script: readonly string[],
  at: number,
  outcome: Outcome,
): Promise<Omit<Finding, 'seed' | 'episode'>> {
  const failing = script.slice(0, at + 1);
  let returned = 0;
  for (let i = 0; i < REPEATS; i++) {
    const { disagreement } = await pair.compare(failing);
    if (disagreement >= 0) returned += 1;
  }
  if (returned < REPEATS) return { operations: failing, outcome, returned };
  const operations = await shrink(pair, failing);
  const { outcomes, disagreement } = await pair.compare(operations);
  return { operations, outcome: outcomes[disagreement] ?? outcome, returned };
}

export class Counts {
  readonly byName: Record<string, [number, number]> = {};
  operations = 0;
  succeeded = 0;

  add({ operation, reference }: Outcome): void {
    const [name = ''] = operation.split(' ');
    const count = (this.byName[name] ??= [0, 0]);
    this.operations += 1;
    count[0] += 1;
    if (!reference.startsWith('ok')) return;
    this.succeeded += 1;
    count[1] += 1;
  }
}

/** The script of one episode. */
export const episodeScript = (
  seed: number,
  episode: number,
  features: ReadonlySet<Feature>,
): string[] => randomScript(new SimRandom(seed).fork(`episode ${episode}`), EPISODE, features);

export async function runDifferential(
  sides: Sides,
  options: DifferentialOptions,
): Promise<DifferentialResult> {
  const { seed } = options;
  const pair = await Pair.start(sides);
  const { features } = pair;
  const counts = new Counts();
  let episode = 0;
  let finding: Finding | undefined;
  try {
    for (; counts.operations < options.operations && finding === undefined; episode++) {
      const script = episodeScript(seed, episode, features);
      const { outcomes, disagreement } = await pair.compare(script);
      for (const outcome of outcomes) counts.add(outcome);
      options.onEpisode?.(counts.operations);
      if (disagreement < 0) continue;
      const outcome = outcomes[disagreement] as Outcome;
      finding = { seed, episode, ...(await smallest(pair, script, disagreement, outcome)) };
    }
    const { operations, succeeded, byName } = counts;
    const notOffered = ALL_FEATURES.filter((feature) => !features.has(feature));
    return { operations, episodes: episode, succeeded, byName, notOffered, finding };
  } finally {
    await pair.end();
  }
}

/** A finding for people: what to do, and what came of it. */
export function describeFinding(finding: Finding): string {
  const { seed, episode, operations, outcome, returned } = finding;
  const { reference, mine } = outcome;
  return [
    `seed ${seed}, episode ${episode}: these operations, as one file for test/posix/actor.c:`,
    ...operations.map((line) => `    ${line}`),
    `  "${outcome.operation}" ends differently (again ${returned} of ${REPEATS} times):`,
    `    ext4:     ${reference}`,
    `    ledgerfs: ${mine}`,
  ].join('\n');
}

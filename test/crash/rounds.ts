/**
 * Rounds of the kill test on real mounts.
 *
 * A round: workers change a mounted volume until its daemon is killed (SIGKILL) after a random
 * number of operations, or within an fsync; `fsck` must be clean on what is left; the volume is
 * mounted again over the dead mount, sometimes without its index, sometimes killed again on the
 * way; what is found must satisfy `judge.ts`; the digest must be that of a replay into an empty
 * directory. The next round goes on from there, on the same mount or after a clean umount and
 * another `fsck`.
 *
 * Of a run, the seed fixes what is drawn: operations, moments in numbers of operations, and
 * options. The moment within an operation is the machine's own, so a seed brings a finding back
 * often, not always; the volume of a failed round is kept.
 */

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type ControlClient } from '../../src/control/client.ts';
import { checkVolume, replayInto } from '../../src/engine/offline.ts';
import { must } from '../../src/model/assert.ts';
import { seq } from '../../src/model/ids.ts';
import { SimRandom } from '../sim/random.ts';
import { Crew } from './crew.ts';
import { Daemon, mountsAt, run, takeMountsAway, type Programs } from './daemon.ts';
import { laneOf, monotonic, type Entry, type Line, type Order, type SyncEntry } from './journal.ts';
import { judge } from './judge.ts';
import { observe } from './observe.ts';
import type { FoundTree } from './tree.ts';

const WORKERS = 3;
const SHARED = 'shared';
const LANES = ['w0', 'w1', 'w2', SHARED];
/** Begun operations, over all workers, after which the daemon is killed at the latest. */
const MAX_OPERATIONS = 2000;
/** A round that takes longer hangs. */
const ROUND_MS = 180_000;

export interface Counts {
  rounds: number;
  operations: number;
  syncsAnswered: number;
  fsyncsAnswered: number;
  killsInFsync: number;
  killsInRecovery: number;
  indexesDeleted: number;
  cleanUnmounts: number;
  volumes: number;
}

export interface RunOptions {
  readonly seed: number;
  readonly rounds: number;
  readonly programs: Programs;
  /** Directory under which volumes and mounts are made. */
  readonly scratch: string;
  readonly onRound: (round: number, what: string) => void;
  /** Ends the run early, as a finding. */
  readonly stop?: AbortSignal | undefined;
}

export interface RunResult {
  readonly counts: Counts;
  /** What is wrong, and in which round; undefined if nothing is. */
  readonly finding: { readonly round: number; readonly text: string } | undefined;
  /** Holds the volume. */
  readonly directory: string;
}

/** Runs rounds until one fails; leaves no mount and no process, and the directory to the caller. */
export async function runRounds(options: RunOptions): Promise<RunResult> {
  const directory = await mkdtemp(join(options.scratch, 'ledgerfs-crash-'));
  const test = new KillTest(options, directory);
  const { stop } = options;
  let round = 0;
  try {
    await within(ROUND_MS, test.begin(), stop);
    for (; round < options.rounds; round++) {
      options.onRound(round, await within(ROUND_MS, test.round(round), stop));
    }
    await within(ROUND_MS, test.finish(), stop);
    return { counts: test.counts, finding: undefined, directory };
  } catch (error) {
    const text = (error as Error).stack ?? String(error);
    return { counts: test.counts, finding: { round, text }, directory };
  } finally {
    await test.end();
  }
}

async function within<T>(ms: number, work: Promise<T>, stop?: AbortSignal): Promise<T> {
  const done = new AbortController();
  const signal = stop === undefined ? done.signal : AbortSignal.any([done.signal, stop]);
  const alarm = sleep(ms, undefined, { signal }).then(
    () => Promise.reject(new Error(`hangs: not done after ${ms} ms`)),
    () => Promise.reject(new Error('stopped')),
  );
  try {
    return await Promise.race([work, alarm]);
  } finally {
    done.abort();
  }
}

const HISTORIES = ['none', '7d', 'forever'] as const;

class KillTest {
  readonly counts: Counts = {
    rounds: 0,
    operations: 0,
    syncsAnswered: 0,
    fsyncsAnswered: 0,
    killsInFsync: 0,
    killsInRecovery: 0,
    indexesDeleted: 0,
    cleanUnmounts: 0,
    volumes: 0,
  };
  readonly #options: RunOptions;
  /** The round's own: what one round draws changes nothing in the next. */
  #random: SimRandom;
  readonly #directory: string;
  readonly #mountPoint: string;
  readonly #crew = new Crew(WORKERS);
  #volume = '';
  #hasEnded = false;
  #daemon: Daemon | undefined;
  #baseline = new Map<string, FoundTree>();
  /** How long the last mount took: kills in recovery fall within it. */
  #mountMs = 500;

  constructor(options: RunOptions, directory: string) {
    this.#options = options;
    this.#random = new SimRandom(options.seed);
    this.#directory = directory;
    this.#mountPoint = join(directory, 'mnt');
  }

  async begin(): Promise<void> {
    await mkdir(this.#mountPoint);
    await this.#newVolume();
  }

  /** One round; says in a few words what it was. */
  async round(round: number): Promise<string> {
    const random = new SimRandom(this.#options.seed).fork(`round ${round}`);
    this.#random = random;
    const story: string[] = [];
    if (round > 0 && random.chance(0.1)) {
      await this.#closeCleanly();
      await this.#newVolume();
      story.push('new volume');
    } else if (round > 0 && random.chance(0.3)) {
      await this.#closeCleanly();
      await this.#mount();
      story.push('clean mount');
    }
    const { entries, syncs } = await this.#workUntilKilled(round, story);
    await this.#recover(story);
    await this.#judge(entries, syncs);
    await this.#compareDigests();
    await this.#lookForErrors();
    this.counts.rounds++;
    return `${entries.length} operations, ${story.join(', ')}`;
  }

  async finish(): Promise<void> {
    await this.#closeCleanly();
  }

  /** Whatever happened: no process and no mount is left. */
  async end(): Promise<void> {
    this.#hasEnded = true;
    await this.#crew.dismiss();
    this.#daemon?.kill();
    await this.#daemon?.exited();
    await takeMountsAway(this.#mountPoint);
  }

  async #newVolume(): Promise<void> {
    if (this.#volume !== '') await rm(this.#volume, { recursive: true });
    this.#volume = join(this.#directory, `volume-${this.counts.volumes}`);
    const history = this.#random.pick(HISTORIES);
    const { ledgerfs } = this.#options.programs;
    await run(ledgerfs, 'mkfs', this.#volume, '--history', history);
    this.counts.volumes++;
    await this.#mount();
    for (const lane of LANES) await mkdir(join(this.#mountPoint, lane));
    await (await this.#client()).sync();
    this.#baseline = await this.#observeLanes();
  }

  #start(): Daemon {
    // A round that hung may come to itself when all is over.
    if (this.#hasEnded) throw new Error('the run has ended');
    const commit = this.#random.pick(['0.02', '0.2', '1', '5']);
    const { programs } = this.#options;
    const options = `commit=${commit}`;
    this.#daemon = new Daemon(programs, this.#volume, this.#mountPoint, options);
    return this.#daemon;
  }

  async #mount(): Promise<void> {
    const started = performance.now();
    await this.#start().untilUsable();
    this.#mountMs = performance.now() - started;
  }

  async #client(): Promise<ControlClient> {
    return must(await connect(this.#volume), 'the daemon listens');
  }

  async #closeCleanly(): Promise<void> {
    const { programs } = this.#options;
    await must(this.#daemon, 'a daemon runs').unmount(programs);
    if (mountsAt(this.#mountPoint) > 0) throw new Error('a mount is left after umount');
    this.counts.cleanUnmounts++;
    await this.#fsck();
  }

  async #workUntilKilled(round: number, story: string[]) {
    const random = this.#random;
    const daemon = must(this.#daemon, 'a daemon runs');
    const killer = new Killer(daemon, random);
    const seed = random.integer(2 ** 32);
    const syncs: SyncEntry[] = [];
    const client = await this.#client();
    const orderOf = (worker: number): Order => ({
      mount: this.#mountPoint,
      seed: seed + worker,
      own: `w${worker}`,
      shared: SHARED,
      sharedLock: join(this.#directory, 'shared.lock'),
      firstFill: (round * WORKERS + worker) * 1_000_000,
    });
    const syncing: Promise<void>[] = [];
    const whenToSync = random.fork('syncs');
    const entries = await this.#crew.work(orderOf, (line) => {
      killer.count(line);
      if (whenToSync.chance(0.002)) syncing.push(syncOnce(client, syncs));
    });
    await Promise.all(syncing);
    const how = await daemon.exited();
    if (how !== 'SIGKILL')
      throw new Error(`the daemon ended by itself: ${how} ${daemon.complaint}`);
    story.push(killer.story);
    this.#count(entries, syncs, killer);
    return { entries, syncs };
  }

  #count(entries: readonly Entry[], syncs: readonly SyncEntry[], killer: Killer): void {
    const { counts } = this;
    counts.operations += entries.length;
    counts.syncsAnswered += syncs.filter(({ end }) => end !== undefined).length;
    counts.fsyncsAnswered += entries.filter(
      ({ end, error, operation }) =>
        end !== undefined && error === null && operation.type.startsWith('fsync'),
    ).length;
    if (killer.inFsync) counts.killsInFsync++;
  }

  /** From a dead daemon to a usable mount, over the dead mount. */
  async #recover(story: string[]): Promise<void> {
    const random = this.#random;
    await this.#fsck();
    for (let again = random.chance(0.3); again; again = random.chance(0.3)) {
      const daemon = this.#start();
      await sleep(random.integer(Math.ceil(this.#mountMs)));
      daemon.kill();
      await daemon.exited();
      this.counts.killsInRecovery++;
      story.push('killed in recovery');
    }
    if (random.chance(0.2)) {
      await rm(join(this.#volume, 'index'), { recursive: true });
      this.counts.indexesDeleted++;
      story.push('index deleted');
    }
    await this.#mount();
  }

  async #observeLanes(): Promise<Map<string, FoundTree>> {
    const found = new Map<string, FoundTree>();
    for (const lane of LANES) found.set(lane, await observe(join(this.#mountPoint, lane)));
    return found;
  }

  async #judge(entries: readonly Entry[], syncs: readonly SyncEntry[]): Promise<void> {
    const found = await this.#observeLanes();
    const lanes = LANES.map((name) => ({
      name,
      baseline: must(this.#baseline.get(name), name),
      entries: laneOf(entries, name),
      found: must(found.get(name), name),
    }));
    const wrong = judge(lanes, syncs);
    if (wrong !== undefined) {
      // For whoever looks into it.
      const operations = Object.fromEntries(lanes.map(({ name, entries: own }) => [name, own]));
      const journal = JSON.stringify({ operations, syncs }, undefined, 1);
      await writeFile(join(this.#directory, 'journal.json'), journal);
      throw new Error(wrong);
    }
    this.#baseline = found;
  }

  /**
   * The state in use is that of the log alone. Orphans may still be going: asks for a quiet moment.
   */
  async #compareDigests(): Promise<void> {
    const client = await this.#client();
    for (;;) {
      const before = await client.sync();
      const digest = await client.digest();
      if ((await client.sync()) !== before) continue;
      const replayed = await this.#replay(before);
      if (replayed !== digest) throw new Error(`digest ${digest}, a replay has ${replayed}`);
      return;
    }
  }

  /** What `ledgerfs replay` does, without a start of node. */
  async #replay(to: number): Promise<string> {
    const into = join(this.#directory, 'replayed');
    const { digest } = await replayInto(this.#volume, into, seq(to), () => undefined);
    await rm(into, { recursive: true });
    return digest;
  }

  /** What `ledgerfs fsck` does; nobody serves the volume. */
  async #fsck(): Promise<void> {
    const options = { rebuild: false, acceptLoss: false, onProgress: () => undefined };
    const { clean, lines } = await checkVolume(this.#volume, options);
    if (!clean) throw new Error(`fsck: ${lines.join('\n')}`);
  }

  /** The daemon's own opinion: nothing that happens here is an error to it. */
  async #lookForErrors(): Promise<void> {
    const journal = await readFile(join(this.#volume, 'daemon.log'), 'utf8');
    const errors = journal.split('\n').filter((line) => /"level":(?:"error"|[56]0)/.test(line));
    if (errors.length > 0) throw new Error(`daemon.log: ${errors.join('\n')}`);
  }
}

async function syncOnce(client: ControlClient, syncs: SyncEntry[]): Promise<void> {
  const begin = monotonic();
  const end = await client.sync().then(monotonic, () => undefined);
  syncs.push({ begin, end });
}

/** Kills the daemon when enough operations have begun, or a moment after the next fsync began. */
class Killer {
  readonly #daemon: Daemon;
  readonly #after: number;
  readonly #delayNs: number;
  readonly inFsync: boolean;
  #begun = 0;
  #isDone = false;

  constructor(daemon: Daemon, random: SimRandom) {
    this.#daemon = daemon;
    this.#after = 1 + random.integer(MAX_OPERATIONS);
    this.inFsync = random.chance(0.3);
    this.#delayNs = this.inFsync ? random.integer(3_000_000) : 0;
  }

  get story(): string {
    return `killed ${this.inFsync ? 'in an fsync ' : ''}after ${this.#after} operations`;
  }

  count({ operation }: Extract<Line, { kind: 'begin' }>): void {
    this.#begun++;
    if (this.#isDone || this.#begun < this.#after) return;
    if (this.inFsync && !operation.type.startsWith('fsync')) return;
    this.#isDone = true;
    // Timers are too coarse for a moment within an fsync.
    const until = monotonic() + this.#delayNs;
    while (monotonic() < until);
    this.#daemon.kill();
  }
}

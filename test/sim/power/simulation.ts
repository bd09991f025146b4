/**
 * One seed of the power-loss test: a volume on a simulated disk lives several lives, each of which
 * ends in a power loss, in the death of the process, or cleanly; and after each one it must be in a
 * state that `history.ts` allows, with every byte matching its checksum. At the end its index must
 * equal one that is replayed from the log alone.
 */

import type { VolumePorts } from '../../../src/engine/ports.ts';
import { createVolume } from '../../../src/engine/create-volume.ts';
import { openVolume, type Volume } from '../../../src/engine/volume.ts';
import { VolumeError } from '../../../src/engine/volume-error.ts';
import { SimClock } from '../clock.ts';
import { SimDisk } from '../disk.ts';
import { failing, isSync, noFaults, type DiskCall, type Faults } from '../faults.ts';
import { SimRandom } from '../random.ts';
import { CUT, Drive } from './drive.ts';
import { Dump, PowerCut } from './dump.ts';
import { History } from './history.ts';
import { closeDatabases, isIndexSynced } from './index-calls.ts';
import { indexDifferences } from './index-diff.ts';
import { IndexDir, type IndexLoss } from './index-dir.ts';
import { Finding } from './scene.ts';
import { describeTree, newRoot, type Node } from './tree.ts';
import { Workload } from './workload.ts';

const DIR = '/volume';
const ROOT_MODE = 0o755;
const DISK_BYTES = 4 * 2 ** 30;
/** Simulated time within which the reclaimer catches up, and access times are logged. */
const SETTLE_MS = 120_000;
/** The reserve of a full disk, which is not what this test is about. */
const LOG_RESERVE_BYTES = 2 ** 20;

/** How the code under test is spoiled, to show that the harness would notice. */
export interface Mutation {
  readonly name: string;
  readonly faults?: Faults;
  /** The engine is told that the kernel never restarts, and so trusts its index. */
  readonly trustsIndex?: boolean;
}

export interface SeedReport {
  readonly seed: number;
  readonly operations: number;
  readonly powerLosses: number;
  readonly kills: number;
  /** What is wrong, with what led to it; undefined if nothing is. */
  readonly finding: string | undefined;
}

type End = 'power loss' | 'kill';

function limitsOf(random: SimRandom): VolumePorts['writeLimits'] {
  const shipBlocks = random.between(1, 8);
  if (random.chance(0.5)) return undefined;
  if (random.chance(0.5)) return { shipBlocks };
  return { shipBlocks, settleBytes: random.integer(20) * 4096 };
}

/** The sync of a log segment: the moment that decides what is durable. */
const isCommit = ({ kind, path }: DiskCall): boolean =>
  kind === 'datasync' && path.endsWith('.avro');

class Simulation {
  readonly #random: SimRandom;
  readonly #mutation: Mutation | undefined;
  readonly #indexDir = new IndexDir();
  /** Half of the volumes ship and wait so early that small files are streams. */
  readonly #limits: VolumePorts['writeLimits'];
  #clock = new SimClock();
  #disk: SimDisk;
  #drive: Drive;
  #boots = 1;
  #forks = 0;
  #root: Node = newRoot(ROOT_MODE);
  #history = new History(this.#root, 0);
  #step = 0;
  readonly journal: string[] = [];
  operations = 0;
  powerLosses = 0;
  kills = 0;

  constructor(seed: number, mutation: Mutation | undefined) {
    this.#random = new SimRandom(seed);
    this.#mutation = mutation;
    this.#limits = limitsOf(this.#random.fork('limits'));
    this.#drive = new Drive(this.#clock);
    this.#disk = new SimDisk({
      random: this.#random.fork('disk'),
      totalBytes: DISK_BYTES,
      faults: mutation?.faults,
      coldShare: this.#random.pick([0, 0.5, 1]),
      latency: this.#latency(),
    });
  }

  async create(): Promise<void> {
    // Mostly the directory is there already, as the root of a disk made for the volume.
    if (this.#random.chance(0.9)) {
      await this.#drive.until(this.#disk.mkdir(DIR));
      await this.#drive.until(this.#disk.syncDir('/'));
    }
    if (this.#random.chance(0.1)) {
      this.#stopSoon(5);
      const done = await this.#drive.until(this.#mkfs());
      if (done !== CUT) return;
      await this.#end('power loss');
      if ((await this.#tryOpen()) !== undefined) return this.#end('power loss');
    }
    await this.#drive.until(this.#mkfs());
  }

  /** From open to its end, whatever that is. */
  async live(): Promise<void> {
    if (this.#random.chance(0.85)) this.#stopSoon(this.#random.between(2, 9));
    const volume = await this.#open();
    if (volume === undefined || !(await this.#look(volume))) return this.#end(this.#anyEnd());
    const mayFail = this.#mutation === undefined && this.#random.chance(0.2);
    if (mayFail) this.#disk.faults = this.#failures();
    const workload = this.#workload(volume, mayFail);
    const copyAt = this.#random.integer(60);
    try {
      await workload.run(copyAt);
      if (!this.#drive.isCut) this.#indexDir.keepCopy();
      await workload.run(this.#random.integer(60));
    } finally {
      this.operations += workload.step - this.#step;
      this.#step = workload.step;
      this.journal.push(...workload.journal);
    }
    this.#disk.faults = this.#mutation?.faults ?? noFaults;
    if (!this.#drive.isCut && this.#random.chance(0.3)) await this.#close(volume, workload);
    await this.#end(this.#anyEnd());
  }

  /**
   * The last look: what there is, the same after a clean close, and the same from the log alone.
   */
  async settle(): Promise<void> {
    const volume = await this.#opened();
    await this.#look(volume);
    const before = await this.#digest(volume);
    await this.#drive.until(volume.close());
    this.#indexDir.setAside();
    this.journal.push('rebuild');
    const rebuilt = await this.#opened();
    // Before it is looked at: that moves access times.
    const after = await this.#digest(rebuilt);
    await this.#look(rebuilt);
    await this.#drive.until(rebuilt.close());
    if (before === after) return;
    const differences = await indexDifferences(this.#indexDir.aside, this.#indexDir.path);
    throw new Finding(`the index differs from one replayed from the log: ${differences}`);
  }

  /** `text` without what differs from one run of the seed to the next. */
  anonymous(text: string): string {
    return text.replaceAll(this.#indexDir.base, '');
  }

  async dispose(): Promise<void> {
    this.#disk.powerOff();
    await closeDatabases();
    this.#indexDir.remove();
  }

  /** Closes the volume: after that nothing may be missing. */
  async #close(volume: Volume, workload: Workload): Promise<void> {
    this.journal.push('close');
    const promise = this.#history.promiseAll(workload.nodes());
    try {
      if ((await this.#drive.until(volume.close())) !== CUT) this.#history.keep(promise);
    } catch (error) {
      // A volume whose log or data failed earlier says so, and promises nothing.
      if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
      this.journal.push('... failed');
    }
  }

  /** Writes and syncs of log and data that fail now and then. */
  #failures(): Faults {
    const random = this.#random.fork(`failures ${this.#forks++}`);
    const kinds = random.pick([['write'], ['datasync', 'sync'], ['write', 'datasync', 'sync']]);
    return failing('EIO', ({ kind }) => kinds.includes(kind), random, 0.05);
  }

  #workload(volume: Volume, mayFail: boolean): Workload {
    return new Workload({
      fs: volume.filesystem,
      drive: this.#drive,
      random: this.#random.fork(`operations ${this.#forks++}`),
      root: this.#root,
      history: this.#history,
      step: this.#step,
      closePlaces: this.#limits?.settleBytes === undefined,
      mayFail,
    });
  }

  /** Reads everything and judges it; false if the power was cut meanwhile. */
  async #look(volume: Volume): Promise<boolean> {
    let found: Node | undefined;
    try {
      found = await new Dump(volume.filesystem, this.#drive).read();
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
    }
    if (found === undefined) return false;
    const refutation = this.#history.refutation(found);
    if (refutation !== undefined) throw new Finding(refutation);
    this.journal.push(`found\n${describeTree(found)}`);
    // What is read may come from memory and be lost again: only what is durable is a new start.
    if ((await this.#drive.until(volume.sync())) === CUT) return false;
    this.#root = found;
    this.#history = new History(found, this.#step);
    return true;
  }

  /** The digest once the reclaimer has done its work: both sides are to have forgotten the same. */
  async #digest(volume: Volume): Promise<string> {
    await this.#drive.pass(SETTLE_MS);
    const digest = await this.#drive.until(volume.digest());
    if (digest === CUT) throw new Finding('the power was cut where nothing cuts it');
    return digest;
  }

  async #opened(): Promise<Volume> {
    const volume = await this.#open();
    if (volume === undefined) throw new Finding('the power was cut where nothing cuts it');
    return volume;
  }

  /** Opens the volume; undefined if the power was cut meanwhile. Whatever refuses is a finding. */
  async #open(): Promise<Volume | undefined> {
    this.journal.push('open');
    try {
      const volume = await this.#drive.until(this.#openVolume());
      return volume === CUT ? undefined : volume;
    } catch (error) {
      throw new Finding(`the volume does not open: ${(error as Error).stack}`);
    }
  }

  /** Opens what an mkfs left behind that was cut off; undefined if that is no volume. */
  async #tryOpen(): Promise<Volume | undefined> {
    try {
      const volume = await this.#drive.until(this.#openVolume());
      return volume === CUT ? undefined : volume;
    } catch (error) {
      if (error instanceof VolumeError && error.code === 'EINVAL') return undefined;
      throw error;
    }
  }

  #openVolume(): Promise<Volume> {
    return openVolume({
      dir: DIR,
      log: (level, message) => this.journal.push(`${level}: ${message}`),
      onFailure: (error) => this.journal.push(`failure: ${error.message}`),
      ports: this.#ports(),
    });
  }

  #mkfs(): Promise<unknown> {
    this.journal.push('mkfs');
    return createVolume({
      dir: DIR,
      historyMicros: this.#random.pick([0, 7 * 86_400e6, -1]),
      sizeLimitBlocks: 0,
      force: false,
      ports: this.#ports(),
    });
  }

  #ports(): VolumePorts {
    const disk = this.#disk;
    return {
      disk,
      ...(this.#limits === undefined ? {} : { writeLimits: this.#limits }),
      clock: this.#clock,
      random: this.#random.fork(`engine ${this.#forks++}`),
      bootId: this.#mutation?.trustsIndex === true ? 'always' : `boot ${this.#boots}`,
      owner: { uid: 0, gid: 0 },
      takeLock: () => ({ release: () => undefined }),
      removeTree: async (path) => {
        if (path !== this.#indexDir.path) return disk.removeTree(path);
        await this.#indexDir.lose('missing', this.#random);
      },
      indexDir: this.#indexDir.path,
      logReserveBytes: LOG_RESERVE_BYTES,
    };
  }

  #latency() {
    const maxMs = this.#random.pick([0, 0, 5]);
    return maxMs === 0 ? undefined : { clock: this.#clock, maxMs };
  }

  /** Arranges that the power goes at one of the next 2^`bits` calls, or of the next syncs. */
  #stopSoon(bits: number): void {
    const [isWanted, few] = this.#random.pick([
      [() => true, bits],
      [isSync, Math.min(bits, 5)],
      [isCommit, Math.min(bits, 3)],
    ] as const);
    let left = this.#random.integer(2 ** few);
    const when = this.#random.pick(['before', 'after'] as const);
    const at = (call: DiskCall): boolean => {
      if (!isWanted(call) || left-- > 0) return false;
      this.journal.push(`(the power goes ${when} call ${call.number}, ${call.kind} ${call.path})`);
      return true;
    };
    this.#disk.stopAt(at, when, this.#drive.cut);
  }

  /** What LevelDB synced survives; of the rest anything may be gone, and it would not tell. */
  #indexLosses(): readonly IndexLoss[] {
    if (isIndexSynced()) return ['intact'];
    return ['intact', 'missing', 'older', 'zeroed pages', 'lost rows'];
  }

  #anyEnd(): End {
    return this.#random.chance(0.65) ? 'power loss' : 'kill';
  }

  /** Ends a life. Everything that runs in it is dead from here on. */
  async #end(end: End): Promise<void> {
    this.journal.push(`--- ${end} ---`);
    const micros = this.#clock.micros() + this.#random.pick([1e6, 0, -5e6]);
    this.#clock = new SimClock(micros);
    this.#drive = new Drive(this.#clock);
    const random = this.#random.fork(`end ${this.#forks++}`);
    this.#disk.powerOff();
    await closeDatabases();
    if (end === 'kill') {
      this.kills++;
      this.#disk = this.#disk.outlive(random, { latency: this.#latency() });
      await this.#indexDir.lose(this.#random.pick(['intact', 'missing']), this.#random);
    } else {
      this.powerLosses++;
      this.#boots++;
      this.#disk = this.#disk.crash(random, { latency: this.#latency() });
      await this.#indexDir.lose(this.#random.pick(this.#indexLosses()), this.#random);
    }
    this.#disk.faults = this.#mutation?.faults ?? noFaults;
  }
}

/** Plays one seed. Never throws for what it finds. */
export async function playSeed(seed: number, mutation?: Mutation): Promise<SeedReport> {
  const simulation = new Simulation(seed, mutation);
  let finding: string | undefined;
  try {
    await simulation.create();
    const lives = 1 + (seed % 3);
    for (let life = 0; life < lives; life++) await simulation.live();
    await simulation.settle();
  } catch (error) {
    const { message, stack } = error as Error;
    const what = error instanceof Finding ? message : stack;
    finding = simulation.anonymous(`${what}\n${simulation.journal.join('\n')}`);
  } finally {
    await simulation.dispose();
  }
  const { operations, powerLosses, kills } = simulation;
  return { seed, operations, powerLosses, kills, finding };
}

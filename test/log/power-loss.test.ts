/**
 * Power losses at any call: what the log said was durable is there, and what is there is a prefix
 * of what was appended. Each seed is several lives of one log. LOG_SEEDS=N runs more of them.
 */

import { hash } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeTransaction } from '../../src/log/codec.ts';
import { FileLogStore, type OpenedLog } from '../../src/log/file-store.ts';
import { LogCorruption } from '../../src/log/corruption.ts';
import { verifyLog } from '../../src/log/verify.ts';
import { LogWriter } from '../../src/log/writer.ts';
import { NO_SEQ, rid, seq, type Seq } from '../../src/model/ids.ts';
import type { Transaction } from '../../src/model/transaction.ts';
import { SimClock } from '../sim/clock.ts';
import { SimDisk } from '../sim/disk.ts';
import { failing, forgetting, type DiskCall, type Faults } from '../sim/faults.ts';
import { SimRandom } from '../sim/random.ts';
import { bulky, FSID, sample } from './samples.ts';
import { contents, RESERVE_BYTES } from './volumes.ts';

const test = suite('log/power-loss');

const DIR = '/log';
const LIVES = 4;
const clock = new SimClock();

/** What outlives the power: the disk, what was appended in all lives, and what was acknowledged. */
interface World {
  disk: SimDisk;
  readonly random: SimRandom;
  /** Fingerprints of the transactions that were appended, by seq - 1. */
  history: string[];
  acknowledged: Seq;
}

const space = Buffer.alloc(1024 * 1024);

const fingerprint = (tx: Transaction): string =>
  hash('sha256', space.subarray(0, encodeTransaction(tx, space, 0)));

const optionsOn = (disk: SimDisk): Parameters<typeof FileLogStore.create>[0] => ({
  disk,
  dir: DIR,
  fsid: FSID,
  clock,
  reserveBytes: RESERVE_BYTES,
  segmentBytes: 30_000,
});

async function newWorld(seed: number): Promise<World> {
  const random = new SimRandom(seed);
  const disk = new SimDisk({ random: random.fork('disk') });
  await disk.mkdir(DIR);
  await disk.syncDir('/');
  const { store } = await FileLogStore.create(optionsOn(disk));
  await store.close();
  return { disk, random, history: [], acknowledged: NO_SEQ };
}

const openIn = (world: World): Promise<OpenedLog> =>
  FileLogStore.open({
    ...optionsOn(world.disk),
    // The index lags: it has applied some of what is durable.
    proof: {
      cleanSeq: undefined,
      appliedSeq: seq(world.random.integer(world.acknowledged + 1)),
      acknowledgedSeq: NO_SEQ,
    },
  });

/** Appends until the power fails; resolves at that moment. */
async function live(world: World, opened: OpenedLog): Promise<void> {
  const { random, disk } = world;
  const writer = new LogWriter({
    store: opened.store,
    clock,
    node: rid(1),
    last: opened.last,
    beforeCommit: async () => {},
    onDurable: (n) => (world.acknowledged = n),
    onFailure: () => {},
    commitMs: 2 ** 30,
  });
  for (let commits = 0; commits < 40; commits++) {
    for (let i = random.integer(4); i >= 0; i--) {
      const bytes = random.integer(40) === 0 ? 450_000 : random.integer(9000) + 1;
      const tx = random.integer(2) === 0 ? sample(writer.nextSeq) : bulky(writer.nextSeq, bytes);
      if (!writer.append(tx, false)) return;
      // Code that ran on for a moment after the power failed did not happen.
      if (disk.isOff) return;
      world.history.push(fingerprint(tx));
    }
    await writer.commit();
    if (random.integer(3) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await writer.close();
  await opened.store.close();
}

/** One life: opening, checking, appending, the power (or the process) failing at some call. */
async function oneLife(world: World): Promise<void> {
  const { random } = world;
  const off = new Promise<void>((resolve) => {
    const last = world.disk.calls + 1 + random.integer(160);
    const when = random.integer(2) === 0 ? 'before' : 'after';
    world.disk.stopAt((call) => call.number === last, when, resolve);
  });
  const living = (async (): Promise<void> => {
    const opened = await openIn(world);
    await checkPrefix(world, opened);
    await live(world, opened);
  })();
  await Promise.race([off, living]);
  // Killed, the next life finds what the kernel still had, and must not take it for durable.
  const killed = random.integer(2) === 0;
  const { disk } = world;
  world.disk = killed ? disk.outlive(random.fork('kill')) : disk.crash(random.fork('crash'));
}

async function checkPrefix(world: World, { store, last }: OpenedLog): Promise<void> {
  assert.ok(last.seq >= world.acknowledged, `${last.seq} is left of ${world.acknowledged}`);
  const read = (await contents(store)).map(fingerprint);
  assert.is(read.length, last.seq);
  assert.equal(read, world.history.slice(0, last.seq));
  world.history = read;
  // What was found is durable now: the next opening must find it again.
  world.acknowledged = last.seq;
}

async function runSeed(seed: number, faults?: Faults): Promise<void> {
  const world = await newWorld(seed);
  for (let life = 0; life < LIVES; life++) {
    if (faults !== undefined) world.disk.faults = faults;
    await oneLife(world);
  }
  world.disk.faults = () => undefined;
  const opened = await openIn(world);
  await checkPrefix(world, opened);
  await opened.store.close();
  const place = { disk: world.disk, dir: DIR, fsid: FSID };
  assert.is((await verifyLog(place)).damage, undefined);
}

const SEEDS = Number(process.env['LOG_SEEDS'] ?? 80);

test(`${SEEDS} seeds of power losses at any call`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      await runSeed(seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
});

/** How many of some seeds go wrong with these faults. */
async function failures(seeds: number, faults: Faults): Promise<number> {
  let failed = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    try {
      await runSeed(seed, faults);
    } catch (error) {
      const known = error instanceof LogCorruption || /left of|Expected|ENOENT/.test(String(error));
      if (!known) throw error;
      failed++;
    }
  }
  return failed;
}

const MUTATIONS: Readonly<Record<string, (call: DiskCall) => boolean>> = {
  'the sync of a commit': (call) => call.kind === 'datasync',
  'the sync of a new header': (call) => call.kind === 'sync' && call.path.endsWith('.new'),
  'the sync of an unclean open': (call) => call.kind === 'sync' && call.path.endsWith('.avro'),
  'the sync of the directory': (call) => call.kind === 'syncDir',
};

for (const [what, wanted] of Object.entries(MUTATIONS)) {
  test(`without ${what} power losses are not survived`, async () => {
    assert.ok((await failures(40, forgetting(wanted))) > 0);
  });
}

test('failed writes and syncs: refused from then on, and nothing acknowledged is lost', async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const world = await newWorld(seed);
    for (let life = 0; life < LIVES; life++) {
      const opened = await openIn(world);
      await checkPrefix(world, opened);
      const wanted = (call: DiskCall): boolean => call.kind === 'write' || call.kind === 'datasync';
      world.disk.faults = failing('EIO', wanted, world.random.fork('faults'), 0.1);
      await live(world, opened).catch((error: Error) => assert.match(error.message, /EIO/));
      world.disk = world.disk.crash(world.random.fork('crash'), { faults: () => undefined });
    }
    await checkPrefix(world, await openIn(world));
  }
});

test.run();

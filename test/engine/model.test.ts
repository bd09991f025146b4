/**
 * The engine against a naive model under random operations, with closes, kills and lost indexes in
 * between, and with streams that run ahead of the disk. In the end the index equals one
 * replayed from the log, and its past is the past that was. A failure names its seed; `SEEDS=n,m` runs those again, `RUNS=n` so many new ones.
 */

import { randomInt } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { scanAt, type HistoryFamily } from '../../src/index/history.ts';
import { Index } from '../../src/index/index.ts';
import { FAMILY, HISTORY_FAMILIES } from '../../src/index/keys.ts';
import { afterPrefix } from '../../src/index/layer.ts';
import { buildIndex } from '../../src/index/rebuild.ts';
import { BLOCK_BYTES, seq, type Seq } from '../../src/model/ids.ts';
import { batches, rowsOf, withoutAccess } from '../index/fixture.ts';
import { SimRandom } from '../sim/random.ts';
import { Model } from './model.ts';
import { SimVolume } from './sim-volume.ts';

const test = suite('engine against a model');

const SEVEN_DAYS_MICROS = 7 * 86_400e6;
const STEPS = 220;
const RUNS = Number(process.env['RUNS'] ?? 6);
const chosen = process.env['SEEDS'];
const seeds =
  chosen === undefined
    ? Array.from({ length: RUNS }, () => randomInt(2 ** 32))
    : chosen.split(',').map(Number);

/** A new life of the volume: closed or killed, with its index, an empty one or none. */
async function reopen(it: SimVolume, model: Model, random: SimRandom): Promise<void> {
  model.closeAll();
  if (random.chance(0.5)) {
    await it.volume.sync();
    await it.kill();
  } else {
    await it.volume.close();
  }
  if (random.chance(0.4)) await rm(it.indexDir, { recursive: true });
  await it.open();
  model.filesystem = it.volume.filesystem;
}

async function live(it: SimVolume, seed: number): Promise<void> {
  const random = new SimRandom(seed);
  const model = await Model.of(it.volume.filesystem, random.fork('model'));
  for (let i = 0; i < STEPS; i++) {
    await model.step();
    if (random.chance(0.02)) await model.assertShown();
    if (random.chance(0.015)) await reopen(it, model, random);
  }
  await model.assertShown();
  const report = await it.volume.check(() => undefined);
  assert.ok(report.clean, report.lines.join('\n'));
  model.closeAll();
}

/** The digest of the volume, closed and opened again, by its index and by a new one. */
async function assertRebuiltAlike(it: SimVolume): Promise<void> {
  await it.volume.close();
  await it.open({ quiet: true });
  const before = await it.volume.digest();
  await it.volume.close();
  await rm(it.indexDir, { recursive: true });
  await it.open({ quiet: true });
  assert.is(await it.volume.digest(), before);
  await it.volume.close();
}

async function assertPast(it: SimVolume, at: Seq): Promise<void> {
  const transactions = (await it.transactions()).filter((tx) => tx.seq <= at);
  const now = await Index.open({ dir: it.indexDir });
  const past = await buildIndex(join(it.scratch, `past-${at}`), {
    transactions: () => batches(transactions),
  });
  const [present, then] = [now.snapshot(), past.snapshot()];
  for (const family of HISTORY_FAMILIES as ReadonlySet<HistoryFamily>) {
    const rows = [];
    const prefix = FAMILY[family];
    for await (const row of scanAt(present, family, prefix, afterPrefix(prefix), at))
      rows.push(row);
    const expected = (await rowsOf(then, family)).map(withoutAccess);
    assert.equal(rows.map(withoutAccess), expected, `seq ${at}, ${family}`);
  }
  present.close();
  then.close();
  await now.close();
  await past.close();
}

/** Half of the volumes ship and wait so early that every file is a stream. */
function limitsOf(seed: number): { readonly shipBlocks?: number; readonly settleBytes?: number } {
  const random = new SimRandom(seed).fork('limits');
  if (random.chance(0.5)) return {};
  return { shipBlocks: random.between(1, 6), settleBytes: random.integer(12) * BLOCK_BYTES };
}

async function run(seed: number): Promise<void> {
  const historyMicros = SEVEN_DAYS_MICROS;
  const it = await SimVolume.create({ historyMicros, writeLimits: limitsOf(seed) });
  try {
    await live(it, seed);
    await assertRebuiltAlike(it);
    const last = (await it.transactions()).at(-1)?.seq ?? seq(1);
    const random = new SimRandom(seed);
    const positions = new Set([1, 2, 3].map(() => random.between(1, last)));
    for (const at of positions) await assertPast(it, seq(at));
  } finally {
    await it.dispose();
  }
}

for (const seed of seeds) {
  test(`seed ${seed}: it answers and shows what a naive model does, through closes and kills`, () =>
    run(seed));
}

test.run();

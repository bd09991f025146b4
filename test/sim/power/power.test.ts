import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MUTATIONS } from './mutations.ts';
import { playSeed } from './simulation.ts';

/** Enough for every `npm test`; `npm run test:power` plays any number. */
const SEEDS = 200;

const firstLine = (finding: string): string => finding.split('\n', 1)[0] ?? '';

test('whatever a power loss or a kill leaves is a state that was, with all that was synced', async () => {
  const findings: string[] = [];
  let powerLosses = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const report = await playSeed(seed);
    powerLosses += report.powerLosses;
    if (report.finding !== undefined) findings.push(`seed ${seed}: ${firstLine(report.finding)}`);
  }
  assert.is(findings.length, 0, `npm run test:power -- --seed N\n${findings.join('\n')}`);
  assert.ok(powerLosses > SEEDS / 2, `${powerLosses} power losses`);
});

test('one seed plays the same run again', async () => {
  for (const seed of [3, 11, 27]) {
    assert.equal(await playSeed(seed, MUTATIONS[0]), await playSeed(seed, MUTATIONS[0]));
  }
});

test.run();

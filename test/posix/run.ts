/**
 * `npm run test:posix -- [--operations N] [--seed S] [--evidence FILE]`: the differential test
 * (`differential.ts`) at any length; exit status 1 on a finding, with a small script that shows it.
 */

import { parseArgs } from 'node:util';
import { systemRandom } from '../../src/io/system-random.ts';
import { commitNow, writeEvidence } from '../runner/evidence.ts';
import { DIFFERENCES, REMEMBERED } from './differences.ts';
import { describeFinding, runDifferential, type DifferentialResult } from './differential.ts';
import { filesystemOf, withSides } from './sides.ts';

const { values } = parseArgs({
  options: {
    operations: { type: 'string', default: '100000' },
    seed: { type: 'string' },
    evidence: { type: 'string' },
  },
});

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Taken at the start: others may commit meanwhile. */
const commit = commitNow();
const seed = values.seed === undefined ? systemRandom.integer(2 ** 32) : Number(values.seed);
const operations = Number(values.operations);

function record(
  path: string,
  reference: string,
  seconds: number,
  result: DifferentialResult,
): void {
  const { finding, notOffered, byName, ...counts } = result;
  writeEvidence(path, {
    commit,
    command: `npm run test:posix -- --operations ${operations} --seed ${seed}`,
    comparedWith: reference,
    seeds: [seed],
    counts,
    madeAndSucceeded: byName,
    notOffered,
    allowedDifferences: [...DIFFERENCES, ...REMEMBERED].map(({ name, reason }) => ({
      name,
      reason,
    })),
    durationSeconds: Math.round(seconds),
    findings: finding === undefined ? [] : [describeFinding(finding).split('\n')],
  });
}

say(`seed ${seed}, ${operations} operations`);
const started = performance.now();
await withSides(async (sides) => {
  let told = 0;
  const reference = await filesystemOf(sides.reference);
  const result = await runDifferential(sides, {
    seed,
    operations,
    onEpisode: (done) => {
      if (done - told >= 10_000) say(`${(told = done)} operations`);
    },
  });
  const seconds = (performance.now() - started) / 1000;
  if (values.evidence !== undefined) record(values.evidence, reference, seconds, result);
  const { finding, ...counts } = result;
  say(JSON.stringify(counts));
  say(`compared with ${reference} in ${seconds.toFixed(0)} s`);
  if (finding === undefined) return;
  say(`FAILED: ${describeFinding(finding)}`);
  process.exitCode = 1;
});

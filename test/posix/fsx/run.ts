/**
 * `npm run test:fsx -- [--operations N] [--seed S] [--evidence FILE]`: the exerciser on a real mount
 * at any length; exit status 1 on a finding, with the last operations before it.
 */

import { parseArgs } from 'node:util';
import { systemRandom } from '../../../src/io/system-random.ts';
import { commitNow, writeEvidence } from '../../runner/evidence.ts';
import { withSides } from '../sides.ts';
import { exerciseMount } from './exercise.ts';

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

say(`seed ${seed}, ${operations} operations`);
const started = performance.now();
await withSides(async (sides) => {
  const { finding, ...counts } = await exerciseMount(sides, { seed, operations });
  const complaints = await sides.volume.complaints();
  await sides.volume.unmount();
  await sides.volume.assertWhole();
  const findings = [...(finding === undefined ? [] : finding.trim().split('\n')), ...complaints];
  const seconds = (performance.now() - started) / 1000;
  if (values.evidence !== undefined) {
    writeEvidence(values.evidence, {
      commit,
      command: `npm run test:fsx -- --operations ${operations} --seed ${seed}`,
      seeds: [seed],
      counts: { operations, ...counts },
      durationSeconds: Math.round(seconds),
      findings,
    });
  }
  say(`${JSON.stringify(counts)} in ${seconds.toFixed(0)} s`);
  if (findings.length === 0) return;
  say(`FAILED with seed ${seed}:\n${findings.join('\n')}`);
  process.exitCode = 1;
});

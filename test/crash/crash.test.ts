/**
 * The kill test, a few rounds of it (`npm run test:crash` runs any number): what a killed daemon
 * leaves is a state that `judge.ts` allows. @limit 300 s
 */

import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemRandom } from '../../src/io/system-random.ts';
import { canMount } from '../fuse/mounted.ts';
import { programsOf } from './programs.ts';
import { runRounds } from './rounds.ts';

const test = suite('kill');

const ROUNDS = 4;

(canMount ? test : test.skip)(`a volume survives ${ROUNDS} kills of its daemon`, async () => {
  const seed = systemRandom.integer(2 ** 32);
  const { counts, finding, directory } = await runRounds({
    seed,
    rounds: ROUNDS,
    programs: programsOf('bin/ledgerfs', undefined),
    scratch: tmpdir(),
    onRound: () => undefined,
  });
  if (finding !== undefined) assert.unreachable(`seed ${seed}: ${finding.text}`);
  assert.is(counts.rounds, ROUNDS);
  await rm(directory, { recursive: true });
});

test.run();

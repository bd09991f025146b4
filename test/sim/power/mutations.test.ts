import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MUTATIONS } from './mutations.ts';
import { playSeed, type Mutation } from './simulation.ts';

/**
 * A mutation is noticed within so many seeds; most are within ten, the rarest was in one of 150.
 */
const MOST_SEEDS = 800;

const UNSPOILED: Mutation = { name: 'nothing' };

for (const mutation of MUTATIONS) {
  test(`is noticed when it is spoiled: ${mutation.name}`, async () => {
    for (let seed = 0; seed < MOST_SEEDS; seed++) {
      if ((await playSeed(seed, mutation)).finding === undefined) continue;
      // The same run, unspoiled, must pass: else the finding is another one.
      if ((await playSeed(seed, UNSPOILED)).finding === undefined) return;
    }
    assert.unreachable(`${MOST_SEEDS} seeds did not notice`);
  });
}

test.run();

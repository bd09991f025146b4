/**
 * A short run of the exerciser on a real mount, and that it sees a byte that is wrong. Longer ones:
 * `npm run test:fsx -- --operations N --seed S`.
 *
 * @limit 600 s
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemRandom } from '../../../src/io/system-random.ts';
import { canMount, withSides } from '../sides.ts';
import { exerciseMount, exerciseReference } from './exercise.ts';

const tests = suite('fsx');
const test = canMount ? tests : tests.skip;

test('a byte that changed by itself is found; without one, ext4 passes', () =>
  withSides(async (sides) => {
    const seed = systemRandom.integer(2 ** 32);
    const { finding, made } = await exerciseReference(sides, { seed, operations: 1000 });
    assert.is(finding, undefined, `seed ${seed}: ${finding}`);
    assert.is(
      Object.values(made).reduce((sum, count) => sum + count, 0),
      1000,
    );
    const corrupted = await exerciseReference(sides, { seed, operations: 300, corruptAt: 200 });
    assert.match(corrupted.finding ?? '', /operation 200: whole read .* 1 bytes are wrong/);
  }));

test('3,000 random operations on one file show and keep every byte', () =>
  withSides(async (sides) => {
    const seed = systemRandom.integer(2 ** 32);
    const { finding, notSupported } = await exerciseMount(sides, { seed, operations: 3000 });
    process.stdout.write(`seed ${seed}; not supported: ${JSON.stringify(notSupported)}\n`);
    assert.is(finding, undefined, `seed ${seed}: ${finding}`);
    assert.equal(await sides.volume.complaints(), []);
    await sides.volume.unmount();
    await sides.volume.assertWhole();
  }));

tests.run();

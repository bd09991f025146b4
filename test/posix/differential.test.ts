/**
 * A short run of the differential test on a real mount, and what it must be able to see. Longer
 * ones: `npm run test:posix -- --operations N --seed S`.
 *
 * @limit 600 s
 */

import { stat } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { systemRandom } from '../../src/io/system-random.ts';
import { SimRandom } from '../sim/random.ts';
import { Judge } from './differences.ts';
import { describeFinding, Pair, runDifferential } from './differential.ts';
import { ALL_FEATURES } from './features.ts';
import { randomScript } from './script.ts';
import { canMount, filesystemOf, withSides } from './sides.ts';

const tests = suite('differential');
const test = canMount ? tests : tests.skip;
const ALL = new Set(ALL_FEATURES);

tests('a seed always gives the same operations', () => {
  const script = (seed: number) => randomScript(new SimRandom(seed), 300, ALL);
  assert.equal(script(7), script(7));
  assert.not.equal(script(7), script(8));
  assert.is(script(7).length, 300);
});

tests('what is allowed to differ is allowed, and nothing beside it', () => {
  const agree = (operation: string, reference: string, mine: string): boolean => {
    const outcome = new Judge(ALL).judged({ operation, reference, mine });
    return outcome.reference === outcome.mine;
  };
  const object = (set: object): string => {
    const all = { t: 'f', p: '0644', n: 1, u: 0, g: 0, s: 5, b: 8, i: 1, m: '=', c: '=', a: '=' };
    const words = Object.entries({ ...all, ...set }).map(([name, value]) => `${name}=${value}`);
    return ` | ${words.join(' ')}`;
  };
  const differ = (operation: string, mine: object, reference: object = {}): boolean =>
    !agree(operation, `ok 0${object(reference)}`, `ok 0${object(mine)}`);
  assert.not.ok(differ('stat f', {}));
  assert.not.ok(differ('stat f', { b: 16 }));
  assert.not.ok(differ('stat f', { s: 7, t: 'd' }, { t: 'd' }));
  assert.not.ok(differ('stat f', { a: '+' }, { a: '5.000000001' }));
  assert.not.ok(differ('setxattr f user.a 1 1 0', { c: '+' }));
  assert.not.ok(differ('chown f -1 -1', {}, { c: '+' }));
  assert.not.ok(differ('write 0 1 5', { p: '2644' }));
  assert.ok(differ('write 0 1 5', {}, { p: '2644' }));
  assert.ok(differ('chmod f 0644', { p: '2644' }));
  for (const set of [{ s: 6 }, { p: '0645' }, { n: 2 }, { u: 1 }, { g: 1 }, { i: 2 }, { m: '+' }]) {
    assert.ok(differ('stat f', set), JSON.stringify(set));
  }
  assert.ok(differ('stat f', { a: '5.000000002' }, { a: '5.000000001' }));
  assert.ok(differ('chown f 0 -1', {}, { c: '+' }));
  assert.ok(differ('setxattr f user.a 1 1 0', {}, { c: '+' }));
  assert.ok(differ('write 0 1 5', { p: '2755' }, { p: '0755' }));
  assert.not.ok(agree('stat f', 'ENOENT', 'EACCES'));
  assert.not.ok(agree('map 0', 'ok 0 map=0-4096,', 'ok 0 map=0-8192,'));
});

tests('after an allocation, mtime counts again once both sides have moved it', () => {
  const judge = new Judge(ALL);
  const differ = (operation: string, reference: string, mine: string): boolean => {
    const answer = (m: string): string => `ok 0 | t=f p=0644 i=3 m=${m} c=+`;
    const o = judge.judged({ operation, reference: answer(reference), mine: answer(mine) });
    return o.reference !== o.mine;
  };
  assert.ok(differ('fstat 1', '+', '='));
  assert.not.ok(differ('fallocate 1 1 0 5', '+', '='));
  assert.not.ok(differ('fstat 1', '=', '='));
  assert.not.ok(differ('fstat 1', '+', '9.000000000'));
  assert.not.ok(differ('write 1 1 5', '+', '+'));
  assert.ok(differ('write 1 1 5', '+', '='));
});

tests('a set-group-ID bit that a write left may be there until the mode is set', () => {
  const judge = new Judge(ALL);
  const differ = (operation: string, reference: string, mine: string): boolean => {
    const answer = (mode: string): string => `ok 0 | t=f p=${mode} i=3 m== c=+`;
    const o = judge.judged({ operation, reference: answer(reference), mine: answer(mine) });
    return o.reference !== o.mine;
  };
  assert.not.ok(differ('write 1 1 5', '0644', '2644'));
  assert.not.ok(differ('fstat 1', '0644', '2644'));
  assert.not.ok(differ('putxattr f system.posix_acl_access %02 0', '0654', '2654'));
  assert.ok(differ('fstat 1', '0644', '2645'));
  assert.not.ok(differ('chmod f 0644', '0644', '0644'));
  assert.ok(differ('chmod f 0644', '0644', '2644'));
  assert.ok(differ('fstat 1', '0654', '2654'));
});

tests('holes of a file that was allocated may differ, those of another may not', () => {
  const judge = new Judge(ALL);
  const differ = (operation: string, file: number): boolean => {
    const answer = (map: string): string => `ok 0 map=${map} | t=f p=0644 i=${file} m== c==`;
    const [reference, mine] = [answer('0-8192,'), answer('0-4096,')];
    const o = judge.judged({ operation, reference, mine });
    return o.reference !== o.mine;
  };
  assert.ok(differ('map 1', 3));
  differ('fallocate 1 0 0 5', 3);
  assert.not.ok(differ('map 1', 3));
  assert.ok(differ('map 1', 4));
});

test('two folders of ext4 behave alike, and a difference between them is found', () =>
  withSides(async (sides) => {
    const pair = await Pair.start({ ...sides, mount: sides.volume.scratch });
    try {
      assert.is(await filesystemOf(sides.reference), await filesystemOf(sides.volume.scratch));
      const script = randomScript(new SimRandom(1), 1000, pair.features);
      const { disagreement, outcomes } = await pair.compare(script);
      assert.is(disagreement, -1, JSON.stringify(outcomes[disagreement]));
      const succeeded = outcomes.filter(({ reference }) => reference.startsWith('ok')).length;
      assert.ok(succeeded > 250, `too few operations do anything: ${succeeded}`);
    } finally {
      await pair.end();
    }
  }));

test('no path leads out of the folder of a script', () =>
  withSides(async (sides) => {
    const pair = await Pair.start(sides);
    try {
      const script = ['symlink ../.. up', 'mkdir up/../inside 511', 'chmod up/.. 448', 'stat /..'];
      const { outcomes, disagreement } = await pair.compare(script);
      assert.is(disagreement, -1, JSON.stringify(outcomes[disagreement]));
      assert.match(outcomes.at(-1)?.mine ?? '', /\.\/inside t=d p=0777/);
      assert.is((await stat(sides.reference)).mode & 0o777, 0o755);
    } finally {
      await pair.end();
    }
  }));

test('8,000 random operations end as on ext4', () =>
  withSides(async (sides) => {
    const seed = systemRandom.integer(2 ** 32);
    const { finding, notOffered } = await runDifferential(sides, { seed, operations: 8_000 });
    process.stdout.write(`seed ${seed}; not offered, not tried: ${notOffered.join(' ') || '-'}\n`);
    assert.is(finding, undefined, finding && describeFinding(finding));
    assert.equal(await sides.volume.complaints(), []);
    await sides.volume.unmount();
    await sides.volume.assertWhole();
  }));

tests.run();

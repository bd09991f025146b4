import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SharedRun } from '../../src/data/shared-run.ts';
import { settle } from '../sim/clock.ts';

test('every caller gets a run that began after its call; callers share runs', async () => {
  const ends: ((error?: Error) => void)[] = [];
  const run = new SharedRun(
    () =>
      new Promise<void>((resolve, reject) => {
        ends.push((error) => (error === undefined ? resolve() : reject(error)));
      }),
  );
  const done: string[] = [];
  const note = (what: string) => (): void => void done.push(what);
  void run.request().then(note('first'));
  for (const name of ['a', 'b', 'c']) void run.request().then(note(name), note(`${name} failed`));
  assert.is(ends.length, 1);
  ends[0]?.();
  await settle();
  assert.equal(done, ['first']);
  assert.is(ends.length, 2, 'three callers, one run');
  void run.request().then(note('last'));
  ends[1]?.(new Error('EIO'));
  await settle();
  assert.equal(done, ['first', 'a failed', 'b failed', 'c failed']);
  ends[2]?.();
  await settle();
  assert.is(done.at(-1), 'last', 'a failed run does not fail the next');
  assert.is(run.current, undefined);
});

test.run();

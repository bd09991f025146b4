import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Pending } from '../../src/fuse/pending.ts';

const pending = suite('fuse pending');

const cancelled = (): { pending: Pending; cancel: Promise<number>; all: number[] } => {
  const all: number[] = [];
  let note: (unique: number) => void = () => undefined;
  const cancel = new Promise<number>((resolve) => (note = resolve));
  const set = new Pending((unique) => {
    all.push(unique);
    note(unique);
  });
  return { pending: set, cancel, all };
};

pending('an interruptible request is given up after the grace', async () => {
  const { pending: set, cancel } = cancelled();
  set.add(8, true);
  set.interrupt(8);
  assert.is(set.size, 1, 'given up without a grace');
  assert.is(await cancel, 8);
  assert.not(set.finish(8), 'its answer would be sent too');
});

pending('one that is answered within the grace is not', async () => {
  const { pending: set, cancel, all } = cancelled();
  set.add(8, true);
  set.add(10, true);
  set.interrupt(8);
  set.interrupt(8);
  assert.ok(set.finish(8));
  set.interrupt(10);
  await cancel;
  assert.equal(all, [10]);
});

pending('others are left alone, and unknown ones ignored', async () => {
  const { pending: set, cancel, all } = cancelled();
  set.add(8, false);
  set.add(10, true);
  set.interrupt(8);
  set.interrupt(999);
  set.interrupt(10);
  await cancel;
  assert.equal(all, [10]);
  assert.ok(set.finish(8));
});

pending('clearing lets nothing be given up later', async () => {
  const { pending: set, all } = cancelled();
  set.add(8, true);
  set.interrupt(8);
  set.clear();
  const other = cancelled();
  other.pending.add(2, true);
  other.pending.interrupt(2);
  await other.cancel;
  assert.equal(all, []);
});

pending('what is parked is given up at once, and does not count as under way', () => {
  const { pending: set, all } = cancelled();
  const gone: number[] = [];
  for (const unique of [8, 10, 12]) set.park(unique, { giveUp: () => gone.push(unique) });
  assert.is(set.size, 0);
  assert.is(set.parked, 3);
  set.interrupt(10);
  assert.equal([gone, all], [[10], [10]]);
  set.interrupt(10);
  assert.not(set.finish(10), 'its answer would be sent too');
  assert.ok(set.finish(8));
  set.interrupt(8);
  set.clear();
  set.interrupt(12);
  assert.equal([gone, all], [[10], [10]]);
});

pending.run();

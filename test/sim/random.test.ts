import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SimClock } from './clock.ts';
import { SimRandom } from './random.ts';

test('one seed gives one sequence, neighbours give others', () => {
  const draw = (seed: number): string => new SimRandom(seed).bytes(32).toString('hex');
  assert.is(draw(7), draw(7));
  const sequences = Array.from({ length: 1000 }, (_, seed) => draw(seed));
  assert.is(new Set(sequences).size, 1000);
  assert.not.equal(draw(5), draw(5 + 2 ** 32), 'seeds beyond 32 bits count');
});

test('integers are uniform and in range', () => {
  const random = new SimRandom(1);
  const counts = Array.from({ length: 10 }, () => 0);
  for (let i = 0; i < 10_000; i++) {
    const n = random.integer(10);
    assert.ok(Number.isInteger(n) && n >= 0 && n < 10);
    counts[n] = (counts[n] ?? 0) + 1;
  }
  for (const count of counts) assert.ok(count > 850 && count < 1150, counts.join(' '));
  for (let i = 0; i < 100; i++) assert.ok(random.integer(2 ** 48) < 2 ** 48);
  assert.ok([3, 4, 5].includes(random.between(3, 5)));
});

test('forks are independent of what is drawn beside them', () => {
  const fork = (label: string): string => new SimRandom(9).fork(label).bytes(16).toString('hex');
  assert.is(fork('disk'), fork('disk'));
  assert.not.equal(fork('disk'), fork('operations'));
});

test('weights decide how often', () => {
  const random = new SimRandom(2);
  let heavy = 0;
  for (let i = 0; i < 1000; i++) {
    if (random.weighted([[9, 'heavy'] as const, [1, 'light'] as const]) === 'heavy') heavy++;
  }
  assert.ok(heavy > 850 && heavy < 950, `${heavy}`);
});

test('the clock runs tasks at their moment, in order', () => {
  const clock = new SimClock();
  const start = clock.micros();
  const seen: string[] = [];
  const note = (name: string) => () => seen.push(`${name}@${clock.monotonicMs()}`);
  clock.after(20, note('late'));
  clock.after(10, note('early'));
  clock.after(10, note('early too'));
  const cancel = clock.after(15, note('cancelled'));
  clock.after(5, () => clock.after(7, note('nested')));
  cancel();
  clock.advance(15);
  assert.equal(seen, ['early@10', 'early too@10', 'nested@12']);
  assert.is(clock.micros() - start, 15_000);
  assert.is(clock.step(), true);
  assert.is(clock.monotonicMs(), 20);
  assert.is(clock.step(), false);
  clock.setWall(0);
  assert.equal(clock.now(), { sec: 0, nsec: 0 });
  assert.is(clock.monotonicMs(), 20, 'the monotonic clock is not set');
});

test.run();

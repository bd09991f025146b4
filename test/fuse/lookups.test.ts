import { array, assert as check, constantFrom, integer, property, tuple } from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Lookups } from '../../src/fuse/lookups.ts';
import { ino, type Ino } from '../../src/model/ids.ts';

const lookups = suite('fuse lookups');

lookups('counts like a map, over any sequence', () => {
  const inos = constantFrom(...[2, 3, 1024, 1025, 2 ** 32 + 1024, 2 ** 52, 7 * 1024].map(ino));
  const step = tuple(inos, integer({ min: -3, max: 2 }));
  check(
    property(array(step, { maxLength: 200 }), (steps) => {
      const table = new Lookups();
      const model = new Map<Ino, number>();
      for (const [n, by] of steps) {
        const before = model.get(n) ?? 0;
        if (by >= 0) {
          table.add(n);
          model.set(n, before + 1);
        } else {
          const isLast = before > 0 && before + by <= 0;
          assert.is(table.forget(n, -by), isLast);
          if (before + by > 0) model.set(n, before + by);
          else model.delete(n);
        }
        assert.is(table.refersTo(n), model.has(n));
        assert.is(table.size, model.size);
      }
      for (const [n, count] of model) assert.is(table.count(n), count);
    }),
    { numRuns: 500, verbose: true },
  );
});

lookups('a million inodes in 32 MB, and small again after they are forgotten', () => {
  const table = new Lookups();
  for (let i = 0; i < 1_000_000; i++) table.add(ino(1024 + i));
  assert.ok(table.memoryBytes <= 32_000_000, `${table.memoryBytes} bytes`);
  for (let i = 0; i < 1_000_000; i += 3) assert.ok(table.forget(ino(1024 + i), 1));
  for (let i = 0; i < 1_000_000; i++) {
    assert.is(table.refersTo(ino(1024 + i)), i % 3 !== 0);
    table.forget(ino(1024 + i), 1);
  }
  assert.is(table.size, 0);
  assert.ok(table.memoryBytes < 100_000);
});

lookups('inode numbers at any stride cost the same memory', () => {
  for (const stride of [256, 1024, 65536, 2 ** 32]) {
    const table = new Lookups();
    for (let i = 0; i < 100_000; i++) table.add(ino(1024 + i * stride));
    assert.ok(table.memoryBytes <= 6_300_000, `stride ${stride}: ${table.memoryBytes} bytes`);
    assert.is(table.size, 100_000);
  }
});

lookups('counts beyond 32 bits', () => {
  const table = new Lookups();
  const n = ino(5000);
  table.add(n);
  // As if the kernel had looked it up 2^32 times: reached in steps that a test can afford.
  assert.not(table.forget(n, -(2 ** 32 - 2)));
  assert.is(table.count(n), 2 ** 32 - 1);
  table.add(n);
  table.add(n);
  assert.is(table.count(n), 2 ** 32 + 1);
  assert.not(table.forget(n, 2));
  assert.is(table.count(n), 2 ** 32 - 1);
  assert.ok(table.forget(n, 2 ** 32 - 1));
  assert.not(table.refersTo(n));
});

lookups('the root is always referred to', () => {
  assert.ok(new Lookups().refersTo(ino(1)));
});

lookups('clearing says what was referred to', () => {
  const table = new Lookups();
  for (const n of [2000, 3000, 3000]) table.add(ino(n));
  assert.equal(
    table.clear().sort((a, b) => a - b),
    [2000, 3000],
  );
  assert.not(table.refersTo(ino(2000)));
});

lookups.run();

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { array, assert as check, boolean, integer, property, record } from 'fast-check';
import { MAX_BATCH_BYTES, WriteQueue } from '../../src/data/write-queue.ts';
import { BLOCK_BYTES } from '../../src/model/ids.ts';

const bytesOf = (count: number, fill: number): Buffer => Buffer.alloc(count * BLOCK_BYTES, fill);
const test = suite('write queue');

test('consecutive writes leave in one batch, up to a gap', () => {
  const queue = new WriteQueue();
  const one = bytesOf(1, 1);
  for (const block of [0, 1, 2, 5, 6]) queue.add(block, one, undefined);
  const batch = queue.take();
  assert.is(batch.block, 0);
  assert.is(batch.writes.length, 3);
  assert.is(batch.bytes, 3 * BLOCK_BYTES);
  assert.is(batch.writes[0]?.bytes, one, "the caller's buffer itself");
  queue.settle();
  assert.is(queue.take().block, 5);
});

test('a batch is bounded in writes and bytes', () => {
  const queue = new WriteQueue();
  for (let i = 0; i < 1500; i++) queue.add(i, bytesOf(1, 0), undefined);
  assert.is(queue.take().writes.length, 1024);
  const large = new WriteQueue();
  const mebibyte = bytesOf(256, 0);
  for (let i = 0; i < 12; i++) large.add(i * 256, mebibyte, undefined);
  assert.is(large.take().bytes, MAX_BATCH_BYTES);
});

test('a write to the place of a waiting one takes its turn and frees its buffer', () => {
  const queue = new WriteQueue();
  let freed = 0;
  queue.add(0, bytesOf(1, 1), undefined);
  queue.add(4, bytesOf(2, 2), () => freed++);
  queue.add(9, bytesOf(1, 3), undefined);
  const ticket = queue.newest;
  assert.is(queue.add(4, bytesOf(2, 7), undefined), 0);
  assert.is(freed, 1);
  assert.is(queue.find(5)?.bytes[0], 7);
  assert.is(queue.unsettled(ticket), 3, 'who waits for the old write waits for the new one');
  assert.throws(() => queue.add(5, bytesOf(1, 1), undefined), /overlaps/);
  assert.throws(() => queue.add(3, bytesOf(2, 1), undefined), /overlaps/);
});

test('the newest bytes of a block in flight are the waiting ones', () => {
  const queue = new WriteQueue();
  queue.add(0, bytesOf(4, 1), undefined);
  queue.take();
  queue.add(2, bytesOf(1, 9), undefined);
  assert.is(queue.find(1)?.bytes[0], 1);
  assert.is(queue.find(2)?.bytes[0], 9);
  assert.is(queue.nextQueued(1, 10), 2, 'a reader of the old write stops before the new one');
});

test('finds what a plain map finds, whatever the order of arrival', () => {
  const writes = array(
    record({
      at: integer({ min: 0, max: 30 }),
      count: integer({ min: 1, max: 3 }),
      take: boolean(),
    }),
    { maxLength: 40 },
  );
  check(
    property(writes, (steps) => {
      const queue = new WriteQueue();
      const waiting = new Map<number, number>();
      let flying = new Map<number, number>();
      steps.forEach(({ at, count, take }, i) => {
        const range = Array.from({ length: count }, (_, k) => at * 4 + k);
        if (!range.some((b) => waiting.has(b))) {
          queue.add(at * 4, bytesOf(count, i), undefined);
          for (const b of range) waiting.set(b, i);
        }
        if (take && queue.waitingBytes > 0) {
          queue.settle();
          flying = new Map();
          for (const w of queue.take().writes) {
            for (let b = w.block; b < w.block + w.count; b++) {
              flying.set(b, waiting.get(b) as number);
              waiting.delete(b);
            }
          }
        }
        for (let b = 0; b < 130; b++) {
          assert.is(queue.find(b)?.bytes[0], waiting.get(b) ?? flying.get(b), `block ${b}`);
        }
      });
    }),
    { numRuns: 80 },
  );
});

test.run();

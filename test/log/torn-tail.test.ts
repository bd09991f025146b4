import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { encodeBlockHead } from '../../src/log/container.ts';
import { sealHash, writeSeal } from '../../src/log/seal.ts';
import { MIN_INNER_BLOCK_BYTES, signOfLoss } from '../../src/log/torn-tail.ts';

const test = suite('log/torn-tail');

const SYNC = Buffer.from('0123456789abcdef');
const PREVIOUS = Buffer.alloc(32, 9);
const INNER = MIN_INNER_BLOCK_BYTES + 1000;

/** A commit with blocks of these sizes, each of `count` records. */
function commit(sizes: readonly number[], count = 3): Buffer {
  const blocks = sizes.map((bytes, i) => Buffer.alloc(bytes, 65 + i));
  const last = Buffer.concat([blocks.pop() ?? Buffer.alloc(0), Buffer.alloc(60)]);
  const length = last.length - 59;
  const hash = sealHash(PREVIOUS, [...blocks, last.subarray(0, length)]);
  const end = writeSeal(last, length, count * sizes.length, hash);
  const all = [...blocks, last.subarray(0, end)];
  return Buffer.concat(all.flatMap((b) => [encodeBlockHead(count, b.length), b, SYNC]));
}

const zeroed = (bytes: Buffer, from: number, to: number): Buffer =>
  Buffer.from(bytes).fill(0, from, Math.min(to, bytes.length));

test('one commit, cut or with pages missing, is torn', () => {
  for (const whole of [commit([100]), commit([INNER, 100]), commit([INNER, INNER, INNER])]) {
    for (let cut = 0; cut < whole.length; cut += 4001) {
      assert.is(signOfLoss(whole.subarray(0, cut), SYNC), undefined, `cut at ${cut}`);
      assert.is(signOfLoss(zeroed(whole, cut, cut + 4096), SYNC), undefined, `hole at ${cut}`);
    }
  }
  assert.is(signOfLoss(Buffer.alloc(100_000), SYNC), undefined, 'only zeros');
});

test('a damaged commit with anything behind it is a loss', () => {
  const first = commit([100]);
  const second = commit([50]);
  const both = Buffer.concat([first, second]);
  for (let at = 0; at < first.length; at++) {
    const damaged = Buffer.from(both);
    damaged[at] = (both[at] ?? 0) ^ 0x10;
    assert.ok(signOfLoss(damaged, SYNC), `byte ${at}`);
  }
  assert.ok(signOfLoss(Buffer.concat([zeroed(first, 0, 20), second.subarray(0, 5)]), SYNC));
});

test('a damaged large commit with a whole one behind it is a loss', () => {
  const first = commit([INNER, INNER]);
  const damaged = zeroed(first, INNER + 100, INNER + 4196);
  assert.ok(signOfLoss(Buffer.concat([damaged, commit([50])]), SYNC));
  assert.ok(signOfLoss(Buffer.concat([damaged, commit([INNER, 50])]), SYNC));
});

test.run();

/** A file's dirty runs against a plain byte array: same bytes, same accounting, zeros elsewhere. */

import { array, assert as check, boolean, integer, property, record } from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DirtyFile, TAKE_BYTES } from '../../src/engine/dirty.ts';
import { BLOCK_BYTES } from '../../src/model/ids.ts';
import { bytesOfSize, sizeOf } from '../../src/model/size.ts';
import { EPOCH } from '../../src/model/time.ts';

const FILE_BLOCKS = 96;
const FILE_BYTES = FILE_BLOCKS * BLOCK_BYTES;

const writes = array(
  record({
    offset: integer({ min: 0, max: FILE_BYTES - 1 }),
    length: integer({ min: 1, max: 2 * TAKE_BYTES }),
    aligned: boolean(),
    takable: boolean(),
  }),
  { minLength: 1, maxLength: 25 },
);

/** What the file holds before any of these writes: known bytes in every third block. */
function storedContents(): Buffer {
  const stored = Buffer.alloc(FILE_BYTES);
  for (let b = 0; b < FILE_BLOCKS; b += 3) stored.fill(200, b * BLOCK_BYTES, (b + 1) * BLOCK_BYTES);
  return stored;
}

/** All bytes that the runs hold laid over `stored`, after checking that runs are well formed. */
function overlaid(file: DirtyFile, stored: Buffer): Buffer {
  const whole = Buffer.from(stored);
  let end = -1;
  let blocks = 0;
  for (const run of file.runs) {
    assert.ok(run.block >= end, 'runs are sorted and do not overlap');
    assert.ok(run.bytes.length >= run.blocks * BLOCK_BYTES, 'a run has memory for its blocks');
    run.bytes.copy(whole, run.block * BLOCK_BYTES, 0, run.blocks * BLOCK_BYTES);
    end = run.block + run.blocks;
    blocks += run.blocks;
  }
  assert.is(file.blocks, blocks);
  return whole;
}

test('dirty runs equal a byte array under any writes', () => {
  check(
    property(writes, (steps) => {
      const stored = storedContents();
      const model = Buffer.from(stored);
      const file = new DirtyFile(sizeOf(0), EPOCH);
      let fill = 0;
      let taken = 0;
      for (const step of steps) {
        fill = (fill % 99) + 1;
        let { offset, length } = step;
        if (step.aligned) {
          offset -= offset % BLOCK_BYTES;
          length = Math.ceil(length / BLOCK_BYTES) * BLOCK_BYTES;
        }
        length = Math.min(length, FILE_BYTES - offset);
        const bytes = Buffer.alloc(length, fill);
        const from = Math.floor(offset / BLOCK_BYTES);
        const to = Math.ceil((offset + length) / BLOCK_BYTES);
        const missing = file.missingBlocks(from, to);
        const before = file.blocks;
        file.write({
          offset: sizeOf(offset),
          bytes,
          base: (b) => stored.subarray(b * BLOCK_BYTES, (b + 1) * BLOCK_BYTES),
          take: step.takable
            ? () => {
                taken++;
                return () => {};
              }
            : undefined,
        });
        bytes.copy(model, offset);
        assert.is(file.blocks - before, missing, 'missing blocks are what a write adds');
        assert.ok(bytesOfSize(file.size) >= offset + length);
        assert.is(file.missingBlocks(from, to), 0);
        assert.is(file.nextDirty(from, to), from);
      }
      assert.ok(overlaid(file, stored).equals(model));
      assert.is(file.runs.filter((run) => run.release !== undefined).length, taken);
    }),
    { numRuns: 300 },
  );
});

test('a block without a base reads as zeros around what was written', () => {
  const file = new DirtyFile(sizeOf(0), EPOCH);
  file.write({
    offset: sizeOf(5000),
    bytes: Buffer.from('x'),
    base: () => undefined,
    take: undefined,
  });
  const run = file.runAt(1)!;
  const expected = Buffer.alloc(BLOCK_BYTES);
  expected.write('x', 5000 - BLOCK_BYTES);
  assert.ok(run.bytes.subarray(0, BLOCK_BYTES).equals(expected));
  assert.equal(file.size, sizeOf(5001));
  assert.is(file.runAt(0), undefined);
  assert.is(file.nextDirty(0, 10), 1);
  assert.is(file.nextDirty(2, 10), 10);
});

test('many small appends make one run', () => {
  const file = new DirtyFile(sizeOf(0), EPOCH);
  for (let i = 0; i < 5000; i++) {
    const bytes = Buffer.alloc(100, i % 256);
    file.write({ offset: sizeOf(i * 100), bytes, base: () => undefined, take: undefined });
  }
  assert.is(file.runs.length, 1);
  assert.is(file.blocks, Math.ceil(500_000 / BLOCK_BYTES));
});

test.run();

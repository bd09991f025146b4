import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomFillSync } from 'node:crypto';
import { crc32 } from 'node:zlib';
import {
  checksumBlocks,
  checksumInto,
  packedChecksum,
  verifyBlocks,
} from '../../src/data/checksum.ts';
import { DamagedBlock } from '../../src/data/types.ts';
import { BLOCK_BYTES, segmentNumber } from '../../src/model/ids.ts';

const bytes = randomFillSync(Buffer.alloc(5 * BLOCK_BYTES));
const block = (i: number): Buffer => bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES);
const place = { segment: segmentNumber(9), segmentBlock: 100, count: 5 };

test('packed big-endian, a CRC-32 a block', () => {
  const packed = checksumBlocks(bytes);
  assert.is(packed.length, 20);
  for (let i = 0; i < 5; i++) {
    assert.is(packed.readUInt32BE(i * 4), crc32(block(i)));
    assert.is(packedChecksum(packed, i), crc32(block(i)));
  }
  assert.is(checksumBlocks(Buffer.alloc(BLOCK_BYTES)).toString('hex'), 'c71c0011');
});

test('into a given place, from a view in the middle of its memory', () => {
  const packed = Buffer.alloc(16, 0xee);
  const end = checksumInto(bytes.subarray(BLOCK_BYTES, 3 * BLOCK_BYTES), packed, 4);
  assert.is(end, 12);
  assert.is(packed.readUInt32BE(0), 0xeeeeeeee);
  assert.is(packed.readUInt32BE(4), crc32(block(1)));
  assert.is(packed.readUInt32BE(8), crc32(block(2)));
  assert.is(packed.readUInt32BE(12), 0xeeeeeeee);
});

test('anything but whole blocks is a bug', () => {
  assert.throws(() => checksumInto(Buffer.alloc(100), Buffer.alloc(4), 0), /whole blocks/);
});

test('verifying names the first block that differs, and skips those without a checksum', () => {
  const packed = checksumBlocks(bytes);
  const stored = (_: unknown, at: number): number => packedChecksum(packed, at - 100);
  verifyBlocks(place, bytes, stored);
  const damaged = Buffer.from(bytes);
  const at = 3 * BLOCK_BYTES + 4095;
  damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
  try {
    verifyBlocks(place, damaged, stored);
    assert.unreachable('a flipped bit is noticed');
  } catch (error) {
    assert.instance(error, DamagedBlock);
    assert.is((error as DamagedBlock).segment, place.segment);
    assert.is((error as DamagedBlock).segmentBlock, 103);
  }
  verifyBlocks(place, damaged, (_, b) => (b === 103 ? undefined : stored(_, b)));
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  historyFloorBytes,
  reserveBytes,
  spaceFigures,
  withinLimit,
} from '../../src/data/space.ts';

const GIB = 1024 ** 3;
const BLOCKS_PER_GIB = GIB / 4096;
const disk = { totalBytes: 100 * GIB, availableBytes: 50 * GIB, freeBytes: 55 * GIB };
const use = { sizeLimitBlocks: 0, usedBlocks: 1000, heldBlocks: 200, inodes: 7 };

test('the reserve is the larger of 64 MiB and 1 %', () => {
  assert.is(reserveBytes(GIB), 64 * 1024 ** 2);
  assert.is(reserveBytes(100 * GIB), GIB);
  assert.ok(historyFloorBytes(100 * GIB) > reserveBytes(100 * GIB));
  assert.is(historyFloorBytes(1000 * GIB), 18 * GIB);
});

test('without a limit the disk decides; held and reserved-ahead blocks count as free', () => {
  const figures = spaceFigures(use, disk, 4096 * 30);
  assert.is(figures.freeBlocks, 50 * BLOCKS_PER_GIB + 230);
  assert.is(figures.availableBlocks, 49 * BLOCKS_PER_GIB + 230);
  assert.is(figures.blocks, figures.freeBlocks + 1000);
  assert.is(figures.inodes - figures.freeInodes, 7);
});

test('a size limit caps what the disk has', () => {
  const figures = spaceFigures({ ...use, sizeLimitBlocks: 5000 }, disk, 0);
  assert.is(figures.blocks, 5000);
  assert.is(figures.freeBlocks, 4000);
  assert.is(figures.availableBlocks, 4000);
  assert.is(spaceFigures({ ...use, sizeLimitBlocks: 500 }, disk, 0).freeBlocks, 0);
});

test('a full disk shows nothing available, and never less', () => {
  const full = { totalBytes: GIB, availableBytes: 1024 ** 2, freeBytes: 0 };
  const figures = spaceFigures({ ...use, heldBlocks: 0 }, full, 0);
  assert.is(figures.availableBlocks, 0);
  assert.is(figures.freeBlocks, 256);
});

test('the limit counts what is used and pending', () => {
  const limited = { ...use, sizeLimitBlocks: 1100 };
  assert.ok(withinLimit(limited, 50, 50));
  assert.not.ok(withinLimit(limited, 50, 51));
  assert.ok(withinLimit(use, 1e9, 1e9));
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nativeSpace, nativeStat, timeOfMs } from '../../../src/fuse/native/stat.ts';
import { isRefusal } from '../../../src/model/errno.ts';
import { ino, ROOT_INO } from '../../../src/model/ids.ts';
import type { Inode } from '../../../src/model/inode.ts';
import { MAX_SIZE, sizeOf } from '../../../src/model/size.ts';
import { MemoryFilesystem } from '../memory-filesystem.ts';

const root = new MemoryFilesystem().getattr(ROOT_INO) as Inode;

test('attributes are carried, times in whole milliseconds', () => {
  const stat = nativeStat({
    ...root,
    size: sizeOf(2 ** 40 + 5),
    onlineBlocks: 3,
    mtime: { sec: 1_600_000_000, nsec: 123_999_999 },
    ctime: { sec: -5, nsec: 0 },
  });
  if (isRefusal(stat)) assert.unreachable('refused');
  else {
    assert.is(stat.size, 2 ** 40 + 5);
    assert.is(stat.blocks, 24);
    assert.is(stat.mtime, 1_600_000_000_123);
    assert.is(stat.ctime, 0, 'before 1970 is shown as 1970');
    assert.is(stat.mode, root.mode);
  }
});

test('a number that does not fit is refused, not another one given', () => {
  for (const change of [{ ino: ino(2 ** 32) }, { size: MAX_SIZE }]) {
    const stat = nativeStat({ ...root, ...change });
    assert.ok(isRefusal(stat) && stat.name === 'EOVERFLOW');
  }
  assert.not.ok(isRefusal(nativeStat({ ...root, ino: ino(2 ** 32 - 1) })));
});

test('milliseconds become a time; what stat could not show again does not', () => {
  assert.equal(timeOfMs(1_600_000_000_123), { sec: 1_600_000_000, nsec: 123_000_000 });
  assert.equal(timeOfMs(0), { sec: 0, nsec: 0 });
  for (const ms of [-1, NaN, 2 ** 64 - 1000]) {
    const time = timeOfMs(ms);
    assert.ok(isRefusal(time) && time.name === 'EOVERFLOW', String(ms));
  }
});

test('the space of a large disk is told in larger units', () => {
  const small = { blocks: 1000, freeBlocks: 600, availableBlocks: 500, inodes: 9, freeInodes: 8 };
  assert.equal(nativeSpace(small), {
    bsize: 4096,
    frsize: 4096,
    blocks: 1000,
    bfree: 600,
    bavail: 500,
    files: 9,
    ffree: 8,
    favail: 8,
    namemax: 255,
  });
  const space = nativeSpace({ ...small, blocks: 2 ** 34, freeBlocks: 2 ** 33, inodes: 2 ** 50 });
  assert.ok(space.blocks < 2 ** 32);
  assert.is(space.blocks * space.frsize, 2 ** 34 * 4096);
  assert.is(space.bfree * space.frsize, 2 ** 33 * 4096);
  assert.is(space.files, 2 ** 32 - 1);
});

test.run();

/** SEEK_DATA and SEEK_HOLE through every layer that a file's contents may lie in. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRefusal } from '../../src/model/errno.ts';
import { BLOCK_BYTES, byteStringOf, ROOT_INO } from '../../src/model/ids.ts';
import { bytesOfSize, MAX_SIZE, sizeOf, type Size } from '../../src/model/size.ts';
import type { OpenFile } from '../../src/engine/api.ts';
import { CALLER, refusalName, SimVolume } from './sim-volume.ts';
import { inStillTime } from './still-time.ts';

const test = suite('seek');

const BLOCK = Buffer.alloc(BLOCK_BYTES, 'x');

async function created(it: SimVolume, name: string): Promise<OpenFile> {
  const made = await it.create(name);
  if (typeof made === 'string') throw new Error(made);
  return made.file;
}

async function seek(
  it: SimVolume,
  file: OpenFile,
  at: Size | number,
  wanted: 'data' | 'hole',
): Promise<number | string> {
  const offset = typeof at === 'number' ? sizeOf(at) : at;
  const found = await it.volume.filesystem.seek(file, offset, wanted);
  return isRefusal(found) ? found.name : bytesOfSize(found);
}

/** All stretches of data, in blocks, as one finds them who goes through the file. */
async function stretches(it: SimVolume, file: OpenFile): Promise<string> {
  const found: string[] = [];
  for (let at = 0; ;) {
    const data = await seek(it, file, at, 'data');
    if (typeof data === 'string') return `${found.join(' ')} ${data}`;
    const hole = Number(await seek(it, file, data, 'hole'));
    found.push(`${data / BLOCK_BYTES}-${hole / BLOCK_BYTES}`);
    if (hole % BLOCK_BYTES !== 0) return found.join(' ');
    at = hole;
  }
}

test('the same is found in memory, in shipped pieces, in the index and after a reopening', () =>
  inStillTime({ writeLimits: { shipBlocks: 2, settleBytes: 0 } }, async (it) => {
    const file = await created(it, 'f');
    const write = async (block: number): Promise<void> => {
      assert.is(await it.write(file, BLOCK, block * BLOCK_BYTES), undefined);
      await new Promise<void>((resolve) => setImmediate(resolve));
    };
    for (const block of [1, 2, 4, 9]) await write(block);
    assert.is(refusalName(await it.volume.filesystem.flush(file)), undefined);
    await write(5);
    await write(20);
    await write(7);
    const expected = '1-3 4-6 7-8 9-10 20-21 ENXIO';
    assert.is(await stretches(it, file), expected);
    await it.volume.filesystem.setattr(file.ino, { size: sizeOf(50 * BLOCK_BYTES) }, CALLER);
    assert.is(await stretches(it, file), expected, 'a size beyond makes no data');
    it.volume.filesystem.close(file);
  }));

test('what a truncation is still to remove is a hole', async () => {
  const it = await SimVolume.create();
  try {
    const file = await created(it, 'f');
    for (let i = 0; i < 600; i++) {
      assert.is(await it.write(file, BLOCK, 2 * i * BLOCK_BYTES), undefined);
    }
    await it.volume.sync();
    const { filesystem } = it.volume;
    await filesystem.setattr(file.ino, { size: sizeOf(3 * BLOCK_BYTES) }, CALLER);
    const inode = await filesystem.getattr(file.ino);
    assert.ok(!isRefusal(inode) && inode.truncateMark !== undefined, 'it goes on');
    assert.is(await stretches(it, file), '0-1 2-3 ENXIO');
    filesystem.close(file);
  } finally {
    await it.dispose();
  }
});

test('thousands of extents that follow one another are one stretch, found in steps', async () => {
  const it = await SimVolume.create();
  try {
    const COUNT = 3000;
    const file = await created(it, 'f');
    // Backwards, so that no two neighbours merge.
    for (let i = COUNT - 1; i >= 0; i--) {
      assert.is(await it.write(file, BLOCK, i * BLOCK_BYTES), undefined);
      await it.volume.filesystem.flush(file);
    }
    await it.volume.filesystem.setattr(file.ino, { size: MAX_SIZE }, CALLER);
    it.volume.filesystem.close(file);
    await it.volume.close();
    await it.open();
    const { filesystem } = it.volume;
    const inode = await filesystem.lookup(ROOT_INO, byteStringOf('f'));
    assert.ok(!isRefusal(inode) && inode.extents > 2500, 'it is scattered');
    if (isRefusal(inode)) return;
    const again = await filesystem.open(inode.ino, 0, CALLER);
    if (isRefusal(again)) throw new Error(again.name);
    assert.is(await seek(it, again, 17, 'hole'), COUNT * BLOCK_BYTES);
    assert.is(await seek(it, again, COUNT * BLOCK_BYTES, 'data'), 'ENXIO');
    const last = { ...MAX_SIZE, tail: MAX_SIZE.tail - 1 };
    assert.equal(await filesystem.seek(again, last, 'hole'), last);
    assert.is(await seek(it, again, MAX_SIZE, 'hole'), 'ENXIO');
    filesystem.close(again);
  } finally {
    await it.dispose();
  }
});

test('directories and inodes that are gone have no data', async () => {
  const it = await SimVolume.create();
  try {
    const file = await created(it, 'f');
    assert.is(await seek(it, { ...file, ino: ROOT_INO }, 0, 'data'), 'EISDIR');
    assert.is(await it.remove('f'), undefined);
    it.volume.filesystem.close(file);
    await it.volume.sync();
    while (!isRefusal(await it.volume.filesystem.getattr(file.ino))) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    assert.is(await seek(it, file, 0, 'hole'), 'ESTALE');
  } finally {
    await it.dispose();
  }
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { segmentFolder, segmentPath } from '../../src/data/segments.ts';
import { sweep } from '../../src/data/sweep.ts';
import { BLOCK_BYTES, rid, segmentNumber } from '../../src/model/ids.ts';
import type { SimDisk } from '../sim/disk.ts';
import { FakeItems } from './fake-items.ts';
import { blocks, DATA, simDisk } from './store-kit.ts';

const WRITER = rid(0xabc);
const path = (n: number): string => segmentPath(DATA, WRITER, segmentNumber(n));

async function addFile(disk: SimDisk, n: number, written: number, reserved: number): Promise<void> {
  const file = await disk.open(path(n), 'create');
  if (written > 0) await file.write([blocks(written, n * 1000)], 0);
  await file.reserve(0, reserved * BLOCK_BYTES);
  await file.close();
}

const occupied = async (disk: SimDisk, n: number): Promise<number | undefined> => {
  const info = await disk.info(path(n));
  return info && info.allocatedBytes / BLOCK_BYTES;
};

/** Segment 1 unknown; 2 owned up to 6; 3 held by the past up to 9; 4 known and empty. */
async function left(): Promise<{ disk: SimDisk; items: FakeItems }> {
  const disk = await simDisk(1);
  await disk.mkdir(segmentFolder(DATA, WRITER));
  await addFile(disk, 1, 10, 20);
  await addFile(disk, 2, 10, 20);
  await addFile(disk, 3, 10, 20);
  await addFile(disk, 4, 0, 20);
  const items = new FakeItems();
  for (const n of [2, 3, 4]) items.addSegment(n, WRITER);
  const at = (n: number, segmentBlock: number, count: number) => ({
    segment: segmentNumber(n),
    segmentBlock,
    count,
  });
  items.own(at(2, 0, 2));
  items.own(at(2, 4, 2));
  items.own(at(3, 0, 2));
  items.own(at(3, 7, 2));
  items.free(50, at(3, 7, 2));
  return { disk, items };
}

test('deletes what nobody knows, cuts what nobody refers to, keeps the rest', async () => {
  const { disk, items } = await left();
  const report = await sweep({ disk, dir: DATA, items });
  assert.is(await disk.info(path(1)), undefined);
  assert.is(await occupied(disk, 2), 6);
  assert.is(await occupied(disk, 3), 9);
  assert.is(await occupied(disk, 4), 0);
  assert.equal(report, { deletedFiles: 1, cutFiles: 3, freedBytes: (20 + 14 + 11 + 20) * 4096 });
  const file = await disk.open(path(3), 'read');
  const kept = Buffer.alloc(9 * BLOCK_BYTES);
  assert.is(await file.read(kept, 0), kept.length);
  assert.ok(kept.equals(blocks(9, 3000)));
  const again = await sweep({ disk, dir: DATA, items });
  assert.equal(again, { deletedFiles: 0, cutFiles: 0, freedBytes: 0 });
});

test('deletes the file of a number that another run was given', async () => {
  const { disk, items } = await left();
  const earlier = rid(0xaaa);
  await disk.mkdir(segmentFolder(DATA, earlier));
  const stale = segmentPath(DATA, earlier, segmentNumber(2));
  const file = await disk.open(stale, 'create');
  await file.reserve(0, 20 * BLOCK_BYTES);
  await file.close();
  const report = await sweep({ disk, dir: DATA, items });
  assert.is(await disk.info(stale), undefined);
  assert.is(report.deletedFiles, 2);
  assert.is(await occupied(disk, 2), 6, "the other run's is as it was");
});

test('killed before any call, the next sweep ends in the same state', async () => {
  for (let kill = 1; ; kill++) {
    const { disk, items } = await left();
    const last = disk.calls + kill;
    disk.faults = (call) => (call.number >= last ? { kind: 'error', code: 'EIO' } : undefined);
    const failed = await sweep({ disk, dir: DATA, items }).then(
      () => false,
      () => true,
    );
    disk.faults = () => undefined;
    await sweep({ disk, dir: DATA, items });
    assert.is(await disk.info(path(1)), undefined);
    const sizes = [await occupied(disk, 2), await occupied(disk, 3), await occupied(disk, 4)];
    assert.equal(sizes, [6, 9, 0], `killed at call ${kill}`);
    if (!failed) break;
    assert.ok(kill < 100);
  }
});

test('looks only into the folders asked for, and leaves foreign files alone', async () => {
  const { disk, items } = await left();
  await sweep({ disk, dir: DATA, items, rids: new Set([rid(5)]) });
  assert.is(await occupied(disk, 1), 20);
  await disk.mkdir(`${DATA}/lost+found`);
  const foreign = `${segmentFolder(DATA, WRITER)}/notes.txt`;
  await (await disk.open(foreign, 'create')).close();
  await sweep({ disk, dir: DATA, items });
  assert.ok(await disk.info(foreign));
});

test.run();

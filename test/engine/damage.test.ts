/** From bad ranges of data segments to the files that have them, and to their names. */

import { assert as property, integer, nat, property as holds, record } from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { BadRange } from '../../src/data/scrub.ts';
import { damagedBlocks, DamageMap } from '../../src/engine/damage.ts';
import { isRefusal } from '../../src/model/errno.ts';
import { EXTENT_UNWRITTEN, type Extent } from '../../src/model/extent.ts';
import {
  asByteString,
  BLOCK_BYTES,
  byteStringOf,
  ino,
  ROOT_INO,
  segmentNumber,
} from '../../src/model/ids.ts';
import { S_IFDIR } from '../../src/model/inode.ts';
import { CALLER, SimVolume } from './sim-volume.ts';

const test = suite('damage');

const extentAt = (block: number, count: number, segmentBlock: number): Extent => ({
  block,
  count,
  segment: segmentNumber(1),
  segmentBlock,
  flags: 0,
});

const badAt = (segmentBlock: number, count: number): BadRange => ({
  segment: segmentNumber(1),
  segmentBlock,
  count,
  why: 'checksum',
});

test('the damaged blocks of an extent are those whose own place is bad', () => {
  const start = integer({ min: 0, max: 20 });
  const count = integer({ min: 1, max: 12 });
  const given = record({ block: nat(50), count, at: start, badAt: start, badCount: count });
  property(
    holds(given, (it) => {
      const extent = extentAt(it.block, it.count, it.at);
      const bad = badAt(it.badAt, it.badCount);
      const expected: number[] = [];
      for (let i = 0; i < it.count; i++) {
        const place = it.at + i;
        if (place >= it.badAt && place < it.badAt + it.badCount) expected.push(it.block + i);
      }
      const found = damagedBlocks(extent, bad);
      const blocks = Array.from({ length: found?.count ?? 0 }, (_, i) => (found?.block ?? 0) + i);
      assert.equal(blocks, expected);
    }),
  );
});

test('another segment, and blocks that read as zeros, are not damaged', () => {
  const extent = extentAt(0, 4, 0);
  assert.is(damagedBlocks({ ...extent, segment: segmentNumber(2) }, badAt(0, 4)), undefined);
  assert.is(damagedBlocks({ ...extent, flags: EXTENT_UNWRITTEN }, badAt(0, 4)), undefined);
});

test('a range lists each file once, with all its blocks, and at most a hundred files', async () => {
  const map = new DamageMap([badAt(0, 4), badAt(100, 1)]);
  map.add(ino(10), extentAt(0, 1, 0));
  map.add(ino(10), extentAt(7, 9, 3));
  for (let i = 11; i < 120; i++) map.add(ino(i), extentAt(0, 2, 1));
  const [shared, unowned] = await map.named((n) => Promise.resolve([asByteString(`/${n}`)]));
  assert.equal(shared?.files[0], {
    ino: ino(10),
    paths: [asByteString('/10')],
    blocks: [
      { block: 0, count: 1 },
      { block: 7, count: 1 },
    ],
  });
  assert.is(shared?.files.length, 100);
  assert.is(shared?.moreFiles, 10);
  assert.equal(unowned?.files, []);
});

/** A volume whose file "dir/a", also named "b", has 3 blocks of which the second is damaged. */
async function damagedVolume(): Promise<SimVolume> {
  const it = await SimVolume.create({ historyMicros: -1 });
  const { filesystem } = it.volume;
  const dir = await filesystem.mkdir(ROOT_INO, byteStringOf('dir'), S_IFDIR | 0o755, CALLER);
  const made = await it.put('b', Buffer.alloc(3 * BLOCK_BYTES, 'b'));
  assert.is(made, undefined);
  const inode = await filesystem.lookup(ROOT_INO, byteStringOf('b'));
  assert.not(isRefusal(dir) || isRefusal(inode));
  if (!isRefusal(dir) && !isRefusal(inode)) {
    await filesystem.link(inode.ino, dir.ino, byteStringOf('ä'), CALLER);
  }
  assert.is(await it.put('whole', Buffer.alloc(2 * BLOCK_BYTES, 'w')), undefined);
  // Reopened, so that nothing is answered from memory.
  await it.volume.close();
  await it.open();
  const [segment] = await it.dataFiles();
  it.disk.corrupt(segment ?? '', BLOCK_BYTES + 5, 4);
  return it;
}

test('a read that meets damage gets EIO, and the journal names the file', async () => {
  const it = await damagedVolume();
  try {
    assert.is(await it.get('b'), 'EIO');
    assert.equal(await it.get('whole'), Buffer.alloc(2 * BLOCK_BYTES, 'w'));
    const written = await it.openAndWrite('b', Buffer.from('x'), BLOCK_BYTES + 100);
    assert.is(written, 'EIO', 'so does a write that would keep a part of the block');
    assert.is(await it.openAndWrite('b', Buffer.alloc(BLOCK_BYTES), BLOCK_BYTES), undefined);
    assert.is((await it.get('b')).length, 3 * BLOCK_BYTES, 'written as a whole it is good again');
    const lines = it.journal.filter((line) => line.includes('checksum'));
    assert.is(lines.length, 2);
    for (const line of lines) {
      assert.match(
        line,
        /^inode \d+, \/b, \/dir\/ä: data segment \d+, block 1: checksum mismatch$/,
      );
    }
  } finally {
    await it.dispose();
  }
});

test('the scrub names the files of a bad range, or says that only the past has it', async () => {
  const it = await damagedVolume();
  try {
    const { bad } = await it.volume.scrub(() => undefined);
    assert.is(bad.length, 1);
    const [range] = bad;
    assert.equal([range?.segmentBlock, range?.count, range?.why], [1, 1, 'checksum']);
    assert.is(range?.files.length, 1);
    assert.equal(range?.files[0]?.paths, [byteStringOf('/b'), byteStringOf('/dir/ä')]);
    assert.equal(range?.files[0]?.blocks, [{ block: 1, count: 1 }]);
    assert.is(await it.openAndWrite('b', Buffer.alloc(3 * BLOCK_BYTES), 0), undefined);
    await it.volume.sync();
    const past = (await it.volume.scrub(() => undefined)).bad;
    assert.equal(
      past.map(({ segmentBlock, files }) => [segmentBlock, files]),
      [[1, []]],
    );
  } finally {
    await it.dispose();
  }
});

test.run();

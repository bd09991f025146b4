/** Reads that wait: for what the index has to load, and for data on the disk. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRefusal } from '../../src/model/errno.ts';
import { BLOCK_BYTES, byteStringOf, ROOT_INO, segmentNumber, seq } from '../../src/model/ids.ts';
import type { Core } from '../../src/engine/core.ts';
import { Reader } from '../../src/engine/reading.ts';
import { loadBlock } from '../../src/engine/truncate.ts';
import { sizeOf } from '../../src/model/size.ts';
import { CALLER, SimVolume } from './sim-volume.ts';

const test = suite('reading');

/** So many extents that a file cannot be probed key by key: each read has to load a range. */
const FRAGMENTS = 40;

/** Writes a file with a hole behind each block, block i filled with i. */
async function putFragments(it: SimVolume, name: string): Promise<void> {
  const made = await it.create(name);
  if (typeof made === 'string') throw new Error(made);
  for (let i = 0; i < FRAGMENTS; i++) {
    const block = Buffer.alloc(BLOCK_BYTES, i + 1);
    assert.is(await it.write(made.file, block, 2 * i * BLOCK_BYTES), undefined);
  }
  it.volume.filesystem.close(made.file);
}

test('reads that wait for the same extents get their own bytes each', async () => {
  const it = await SimVolume.create();
  try {
    await putFragments(it, 'a');
    assert.is(await it.put('b', Buffer.from('b')), undefined);
    await it.volume.close();
    await it.open();
    // Opens the segment that both lie in: from then on the page cache answers at once.
    assert.equal(await it.get('b'), Buffer.from('b'));
    const { filesystem } = it.volume;
    const inode = await filesystem.lookup(ROOT_INO, byteStringOf('a'));
    if (isRefusal(inode)) throw new Error(inode.name);
    const file = await filesystem.open(inode.ino, 0, CALLER);
    if (isRefusal(file)) throw new Error(file.name);
    // The second wants a part of what the first waits for, and goes on in the same turn.
    const whole = filesystem.read(file, sizeOf(0), 3 * BLOCK_BYTES);
    const part = filesystem.read(file, sizeOf(2 * BLOCK_BYTES), BLOCK_BYTES);
    assert.instance(part, Promise, 'the extents are not in memory yet');
    const firstBytes = async (answer: typeof whole): Promise<number[]> => {
      const chunks = await answer;
      if (isRefusal(chunks)) throw new Error(chunks.name);
      const bytes = Buffer.concat([...chunks]);
      return Array.from({ length: bytes.length / BLOCK_BYTES }, (_, i) => bytes[i * BLOCK_BYTES]!);
    };
    assert.equal(await Promise.all([firstBytes(whole), firstBytes(part)]), [[1, 0, 2], [2]]);
    filesystem.close(file);
  } finally {
    await it.dispose();
  }
});

test('a block that a write needs is not punched while it is read', async () => {
  let pinned: number | undefined;
  const core = {
    index: { applied: seq(7) },
    dirty: { shipped: () => [] },
    data: {
      read: async () => {
        pinned = reader.oldestPin();
      },
    },
  } as unknown as Core;
  const reader = new Reader(core);
  const place = { segment: segmentNumber(1), segmentBlock: 0, count: 1 };
  assert.is(await loadBlock({ core, reader }, ROOT_INO, place, new Map()), undefined);
  assert.is(pinned, 7);
  assert.is(reader.oldestPin(), undefined, 'and free afterwards');
});

test.run();

/**
 * Pending writes that the log refuses: they stay, no more are taken once the first of them are on
 * the disk, and they are logged as soon as they can be, whether or not anybody asks.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { BLOCK_BYTES, byteStringOf, type Ino } from '../../src/model/ids.ts';
import { isRefusal } from '../../src/model/errno.ts';
import type { Inode } from '../../src/model/inode.ts';
import { CALLER, refusalName, SimVolume } from './sim-volume.ts';

const test = suite('refused writes');

const PATIENCE_MS = 20_000;
/** Scattered blocks, each an extent of its own: more than a few transactions may hold. */
const MOST_BLOCKS = 16_384;

async function inodeOf(it: SimVolume, ino: Ino): Promise<Inode> {
  const inode = await it.volume.filesystem.getattr(ino);
  if (isRefusal(inode)) throw new Error(inode.name);
  return inode;
}

/** A volume whose log has no room for anything at all, and whose disk gives it no more. */
async function withFullLog(it: SimVolume, ino: Ino): Promise<void> {
  it.disk.faults = ({ kind, path }) =>
    kind === 'reserve' && path.includes('/log/') ? { kind: 'error', code: 'ENOSPC' } : undefined;
  for (let bytes = 60_000; bytes >= 1; bytes = Math.floor(bytes / 2)) {
    const value = Buffer.alloc(bytes);
    for (;;) {
      const name = byteStringOf('user.filler');
      const answer = await it.volume.filesystem.setXattr(ino, name, value, 0, CALLER);
      if (refusalName(answer) === 'ENOSPC') break;
      // The log's own work gets its turn, as it does between requests of the kernel.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

test('what the log refuses is bounded, and logged later, unasked', async () => {
  const it = await SimVolume.create({ logReserveBytes: 0 });
  try {
    const filler = await it.create('filler');
    const made = await it.create('f');
    if (typeof filler === 'string' || typeof made === 'string') throw new Error('no files');
    await withFullLog(it, filler.ino);

    const write = (i: number) =>
      it.write(made.file, Buffer.alloc(BLOCK_BYTES, 1 + (i % 250)), 2 * i * BLOCK_BYTES);
    let i = 0;
    while (i < MOST_BLOCKS && (await write(i)) === undefined) {
      i++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(i < MOST_BLOCKS, 'refused at last');
    const { size } = await inodeOf(it, made.ino);
    for (let more = 1; more <= 20; more++) assert.is(await write(i + more), 'ENOSPC');
    assert.equal((await inodeOf(it, made.ino)).size, size, 'what is refused is not taken either');

    it.disk.faults = () => undefined;
    const deadline = performance.now() + PATIENCE_MS;
    const before = (await inodeOf(it, made.ino)).dataSeq;
    while ((await inodeOf(it, made.ino)).dataSeq === before) {
      assert.ok(performance.now() < deadline, 'the pending writes are never logged');
      await sleep(50);
    }
    assert.is(refusalName(await it.volume.filesystem.fsync(made.file)), undefined);
    assert.equal(it.failures, []);
  } finally {
    it.disk.faults = () => undefined;
    await it.dispose();
  }
});

test.run();

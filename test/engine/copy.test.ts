/**
 * Copying by sharing blocks: what it costs and what it does not, with others changing the files
 * meanwhile, over large and scattered files in bounded steps, and after a kill.
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { COPY_STEP_EXTENTS } from '../../src/decide/copy.ts';
import { isRefusal } from '../../src/model/errno.ts';
import type { ExtentsMapped } from '../../src/model/event.ts';
import { itemsOf } from '../../src/model/event.ts';
import { BLOCK_BYTES, byteStringOf, ROOT_INO, type Ino } from '../../src/model/ids.ts';
import type { Inode } from '../../src/model/inode.ts';
import { bytesOfSize, MAX_SIZE, sizeOf } from '../../src/model/size.ts';
import type { Transaction } from '../../src/model/transaction.ts';
import type { Caller, OpenFile } from '../../src/engine/api.ts';
import { settle } from '../sim/clock.ts';
import { CALLER, refusalName, SimVolume, type SimVolumeOptions } from './sim-volume.ts';
import { inStillTime, passing } from './still-time.ts';

const test = suite('copy');

const PATIENCE_MS = 60_000;
const USER: Caller = { uid: 5, gid: 5, pid: 1 };
const PATTERN = Buffer.from(Array.from({ length: BLOCK_BYTES }, (_, i) => (i * 31) % 251));

/** `blocks` blocks, each different from the others. */
function contents(blocks: number): Buffer {
  const bytes = Buffer.concat(Array.from({ length: blocks }, () => PATTERN));
  for (let i = 0; i < blocks; i++) bytes.writeUInt32LE(i, i * BLOCK_BYTES);
  return bytes;
}

function on(
  what: string,
  body: (it: SimVolume) => Promise<void>,
  options: SimVolumeOptions = {},
): void {
  test(what, async () => {
    const it = await SimVolume.create(options);
    try {
      await body(it);
    } finally {
      await it.dispose();
    }
  });
}

async function opened(it: SimVolume, name: string, flags = 2): Promise<OpenFile> {
  const { filesystem } = it.volume;
  const inode = await filesystem.lookup(ROOT_INO, byteStringOf(name));
  if (isRefusal(inode)) {
    const made = await it.create(name);
    if (typeof made === 'string') throw new Error(made);
    return made.file;
  }
  const file = await filesystem.open(inode.ino, flags, CALLER);
  if (isRefusal(file)) throw new Error(file.name);
  return file;
}

async function inodeOf(it: SimVolume, ino: Ino): Promise<Inode> {
  const inode = await it.volume.filesystem.getattr(ino);
  if (isRefusal(inode)) throw new Error(inode.name);
  return inode;
}

/** One call of copy_file_range(2): bytes, or the name of a refusal. */
async function copyOnce(
  it: SimVolume,
  [from, at]: readonly [OpenFile, number],
  [to, toAt]: readonly [OpenFile, number],
  bytes: number,
  caller = CALLER,
): Promise<number | string> {
  const { filesystem } = it.volume;
  const copied = await filesystem.copyRange(from, sizeOf(at), to, sizeOf(toAt), bytes, caller);
  return isRefusal(copied) ? copied.name : copied;
}

/** Calls until nothing more is copied; the bytes of each call. */
async function copyAll(it: SimVolume, from: OpenFile, to: OpenFile): Promise<number[]> {
  const calls: number[] = [];
  for (let done = 0; ;) {
    const copied = await copyOnce(it, [from, done], [to, done], 2 ** 40);
    if (typeof copied === 'string') throw new Error(copied);
    if (copied === 0) return calls;
    calls.push(copied);
    done += copied;
  }
}

const closeBoth = (it: SimVolume, ...files: readonly OpenFile[]): void => {
  for (const file of files) it.volume.filesystem.close(file);
};

async function usedBlocks(it: SimVolume): Promise<number> {
  const space = await it.volume.filesystem.space();
  return isRefusal(space) ? Number.NaN : space.blocks - space.freeBlocks;
}

async function copies(it: SimVolume): Promise<Transaction[]> {
  await it.volume.sync();
  return (await it.transactions()).filter(({ cause }) => cause === 'copy');
}

async function assertSound(it: SimVolume): Promise<void> {
  const report = await it.volume.check(() => undefined);
  assert.ok(report.clean, report.lines.join('\n'));
}

on('a copy takes no space, is one transaction, and counts like a write', async (it) => {
  const bytes = contents(64).subarray(0, 63 * BLOCK_BYTES + 17);
  assert.is(await it.put('a', bytes), undefined);
  await it.volume.sync();
  const before = await usedBlocks(it);
  const [from, to] = [await opened(it, 'a'), await opened(it, 'b')];
  const version = (await inodeOf(it, to.ino)).dataVersion;
  assert.is(await copyOnce(it, [from, 0], [to, 0], bytes.length), bytes.length);
  assert.is(await usedBlocks(it), before, 'no block is taken');
  const inode = await inodeOf(it, to.ino);
  assert.is(inode.onlineBlocks, 64, 'but the file has its blocks, as stat shows them');
  assert.is(inode.dataVersion, version + 1n);
  assert.equal(inode.size, sizeOf(bytes.length));
  const [copy, ...more] = await copies(it);
  assert.is(more.length, 0);
  const mapped = copy?.events.find((event) => event.type === 'ExtentsMapped') as ExtentsMapped;
  const write = (await it.transactions()).find(({ cause }) => cause === 'write');
  const written = write?.events.find((event) => event.type === 'ExtentsMapped') as ExtentsMapped;
  assert.equal(mapped.extents, written.extents, 'the very blocks');
  assert.equal(await it.get('b'), bytes);
  closeBoth(it, from, to);
  await assertSound(it);
});

on('writes that are pending on either file are in the copy, in their order', async (it) => {
  const [from, to] = [await opened(it, 'a'), await opened(it, 'b')];
  assert.is(await it.write(from, contents(3)), undefined);
  assert.is(await it.write(to, Buffer.alloc(5 * BLOCK_BYTES, 'before')), undefined);
  assert.is(await copyOnce(it, [from, 0], [to, BLOCK_BYTES], 2 * BLOCK_BYTES), 2 * BLOCK_BYTES);
  assert.is(await it.write(to, Buffer.from('after'), BLOCK_BYTES), undefined);
  const expected = Buffer.alloc(5 * BLOCK_BYTES, 'before');
  contents(2).copy(expected, BLOCK_BYTES);
  expected.write('after', BLOCK_BYTES);
  assert.equal(await it.get('b'), expected);
  assert.equal(await it.get('a'), contents(3), 'the source keeps its own');
  closeBoth(it, from, to);
  await assertSound(it);
});

test('blocks live until their last owner is gone, then their space comes back', () =>
  inStillTime({ historyMicros: 0 }, async (it, clock) => {
    const until = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
      const end = performance.now() + PATIENCE_MS;
      while (!(await isSo())) {
        assert.ok(performance.now() < end, `${what}: never`);
        clock.advance(100);
        await settle();
      }
    };
    const allocated = async (): Promise<number> => {
      let bytes = 0;
      for (const path of await it.dataFiles()) {
        bytes += (await it.disk.info(path))?.allocatedBytes ?? 0;
      }
      return bytes;
    };
    const bytes = contents(64);
    assert.is(await it.put('a', bytes), undefined);
    const [from, to] = [await opened(it, 'a'), await opened(it, 'b')];
    const half = 32 * BLOCK_BYTES;
    assert.is(await copyOnce(it, [from, half], [to, 0], half), half);
    closeBoth(it, from, to);
    await passing(clock, it.volume.sync());
    const before = await allocated();
    assert.is(await it.remove('a'), undefined);
    await until('what nobody shares is punched', async () => (await allocated()) < before);
    await passing(clock, it.volume.close());
    await passing(clock, it.open());
    assert.ok((await allocated()) >= half, 'and no more than that');
    assert.equal(await it.get('b'), bytes.subarray(half));
    assert.is(await it.remove('b'), undefined);
    await until('the segment is removed', async () => (await it.dataFiles()).length === 0);
  }));

/** Creates a file with `count` extents: every other block, each with bytes of its own. */
async function scattered(it: SimVolume, name: string, count: number, fill = 0): Promise<Buffer> {
  const file = await opened(it, name);
  const bytes = Buffer.alloc((2 * count - 1) * BLOCK_BYTES);
  for (let i = 0; i < count; i++) {
    const at = 2 * i * BLOCK_BYTES;
    bytes.writeUInt32LE(fill + i + 1, at);
    const block = bytes.subarray(at, at + BLOCK_BYTES);
    assert.is(await it.write(file, block, at), undefined);
  }
  assert.is(refusalName(await it.volume.filesystem.flush(file)), undefined);
  it.volume.filesystem.close(file);
  await it.volume.sync();
  return bytes;
}

/** The whole contents of a file, however large. */
async function whole(it: SimVolume, file: OpenFile): Promise<Buffer> {
  const { size } = await inodeOf(it, file.ino);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytesOfSize(size); at += 1 << 20) {
    const read = await it.volume.filesystem.read(file, sizeOf(at), 1 << 20);
    if (isRefusal(read)) throw new Error(read.name);
    chunks.push(Buffer.concat([...read]));
  }
  return Buffer.concat(chunks);
}

/** The first bytes of a file. */
async function head(it: SimVolume, file: OpenFile, length: number): Promise<Buffer> {
  const read = await it.volume.filesystem.read(file, sizeOf(0), length);
  if (isRefusal(read)) throw new Error(read.name);
  return Buffer.concat([...read]);
}

on('a scattered file is copied over a scattered one in steps, with turns between', async (it) => {
  const COUNT = 1500;
  const bytes = await scattered(it, 'a', COUNT);
  await scattered(it, 'b', COUNT, 1e6);
  const [from, to] = [await opened(it, 'a'), await opened(it, 'b')];
  let turns = 0;
  let isCopied = false;
  const others = async (): Promise<void> => {
    while (!isCopied) {
      turns++;
      assert.is(await it.put(`other-${turns}`, Buffer.from('x')), undefined);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  };
  const running = others();
  await copyAll(it, from, to);
  isCopied = true;
  await running;
  assert.ok(turns >= 2, `${turns} turns`);
  assert.ok((await whole(it, to)).equals(bytes));
  const steps = await copies(it);
  assert.ok(steps.length >= COUNT / COPY_STEP_EXTENTS, `${steps.length} steps`);
  for (const { events } of steps) {
    const items = events.reduce((sum, event) => sum + itemsOf(event), 0);
    assert.ok(items <= 2 * COPY_STEP_EXTENTS + 2, `${items} items in one step`);
  }
  closeBoth(it, from, to);
  await assertSound(it);
});

on('a call ends after so many steps, and the next one goes on', async (it) => {
  const COUNT = 64 * COPY_STEP_EXTENTS + 10;
  await scattered(it, 'a', COUNT);
  const [from, to] = [await opened(it, 'a'), await opened(it, 'b')];
  const calls = await copyAll(it, from, to);
  assert.is(calls.length, 2, 'a short call and the rest');
  assert.is(calls[0]! + calls[1]!, (2 * COUNT - 1) * BLOCK_BYTES);
  assert.is((await inodeOf(it, to.ino)).extents, COUNT);
  closeBoth(it, from, to);
});

on('a kill between two steps leaves a prefix copied', async (it) => {
  const bytes = await scattered(it, 'a', 1000);
  const [from, to] = [await opened(it, 'a'), await opened(it, 'b')];
  await it.volume.sync();
  const copying = copyOnce(it, [from, 0], [to, 0], bytes.length);
  while (bytesOfSize((await inodeOf(it, to.ino)).size) === 0) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  const syncing = it.volume.sync();
  await Promise.all([copying, syncing]);
  await it.kill();
  await it.open();
  const again = await opened(it, 'b');
  const found = await whole(it, again);
  assert.ok(found.length > 0, 'what was synced is there');
  assert.ok(found.equals(bytes.subarray(0, found.length)), 'a prefix');
  await assertSound(it);
  it.volume.filesystem.close(again);
});

on('an O_SYNC target is durable when the call returns', async (it) => {
  const O_SYNC = 0o4010000;
  assert.is(await it.put('a', contents(4)), undefined);
  assert.is(await it.put('b', Buffer.alloc(0)), undefined);
  await it.volume.sync();
  const [from, to] = [await opened(it, 'a'), await opened(it, 'b', 2 | O_SYNC)];
  assert.is(await copyOnce(it, [from, 0], [to, 100], 9000), 9000);
  await it.kill();
  await it.open();
  const expected = Buffer.concat([Buffer.alloc(100), contents(4).subarray(0, 9000)]);
  assert.equal(await it.get('b'), expected);
});

on('offsets beyond 2^53 are exact', async (it) => {
  const huge = { blocks: 2 ** 51 - 2, tail: 0 };
  assert.is(await it.put('a', contents(2)), undefined);
  const [from, to] = [await opened(it, 'a'), await opened(it, 'b')];
  const { filesystem } = it.volume;
  const copy = (bytes: number, offset = huge) =>
    filesystem.copyRange(from, sizeOf(0), to, offset, bytes, CALLER);
  assert.is(refusalName(await copy(2 * BLOCK_BYTES)), 'EFBIG');
  assert.is(await copy(BLOCK_BYTES), BLOCK_BYTES);
  assert.is(await copy(5, { ...MAX_SIZE, tail: MAX_SIZE.tail - 5 }), 5);
  assert.equal((await inodeOf(it, to.ino)).size, MAX_SIZE);
  const back = await filesystem.copyRange(to, huge, from, sizeOf(0), 2 ** 50, CALLER);
  assert.is(back, 2 * BLOCK_BYTES - 1);
  const expected = Buffer.alloc(2 * BLOCK_BYTES - 1);
  contents(1).copy(expected);
  contents(1).copy(expected, expected.length - 5, 0, 5);
  assert.equal(await it.get('a'), Buffer.concat([expected, contents(2).subarray(-1)]));
  closeBoth(it, from, to);
  await assertSound(it);
});

on('who is not root loses the target’s set-id bits, shared or moved', async (it) => {
  assert.is(await it.put('a', contents(1)), undefined);
  const [from, to] = [await opened(it, 'a'), await opened(it, 'b')];
  const bits = async (): Promise<number> => (await inodeOf(it, to.ino)).mode & 0o7777;
  for (const toAt of [0, 5]) {
    await it.volume.filesystem.setattr(to.ino, { mode: 0o6755 }, CALLER);
    assert.is(await copyOnce(it, [from, 0], [to, toAt], BLOCK_BYTES), BLOCK_BYTES);
    assert.is(await bits(), 0o6755, 'root keeps them');
    assert.is(await copyOnce(it, [from, 0], [to, toAt], BLOCK_BYTES, USER), BLOCK_BYTES);
    assert.is(await bits(), 0o755);
  }
  closeBoth(it, from, to);
});

on('what cannot be copied is refused, and the end of the source is 0', async (it) => {
  assert.is(await it.put('a', contents(2)), undefined);
  const [from, to] = [await opened(it, 'a'), await opened(it, 'b')];
  const appending = { ...to, append: true };
  assert.is(await copyOnce(it, [from, 0], [appending, 0], 5), 'EBADF');
  assert.is(await copyOnce(it, [from, 2 * BLOCK_BYTES], [to, 0], 5), 0);
  assert.is(await copyOnce(it, [from, 0], [to, 0], 0), 0);
  assert.equal((await inodeOf(it, to.ino)).size, sizeOf(0));
  const stale = { ...to, ino: 999_999 as Ino };
  assert.is(await copyOnce(it, [from, 0], [stale, 0], 5), 'ESTALE');
  assert.is(await copyOnce(it, [stale, 0], [to, 0], 5), 'ESTALE');
  const directory = { ...to, ino: ROOT_INO };
  assert.is(await copyOnce(it, [from, 0], [directory, 0], 5), 'EISDIR');
  closeBoth(it, from, to);
});

on('a full disk refuses what is moved, and shares all the same', async (it) => {
  const bytes = contents(64);
  assert.is(await it.put('a', bytes), undefined);
  const [from, to] = [await opened(it, 'a'), await opened(it, 'b')];
  await it.volume.sync();
  it.disk.faults = ({ kind, path }) =>
    kind === 'reserve' && path.includes('/data/') ? { kind: 'error', code: 'ENOSPC' } : undefined;
  const filler = await opened(it, 'filler');
  let refused: string | undefined;
  for (let i = 0; refused === undefined && i < 100_000; i++) {
    refused = await it.write(filler, PATTERN, i * BLOCK_BYTES);
  }
  assert.is(refused, 'ENOSPC');
  assert.is(await copyOnce(it, [from, 0], [to, 0], bytes.length), bytes.length);
  assert.is(await copyOnce(it, [from, 0], [to, 2 ** 20 + 1], BLOCK_BYTES), 'ENOSPC');
  const shared = 62 * BLOCK_BYTES;
  const part = await copyOnce(it, [from, 0], [to, 2 ** 30], shared + 5);
  assert.is(part, shared, 'what was copied before the refusal counts');
  assert.equal(await head(it, to, bytes.length), bytes);
  closeBoth(it, from, to, filler);
});

on('a bad block is shared like a good one, and a read of either tells', async (it) => {
  assert.is(await it.put('a', contents(8)), undefined);
  await it.volume.close();
  await it.open();
  const [segment] = await it.dataFiles();
  it.disk.corrupt(segment ?? '', 3 * BLOCK_BYTES + 5, 4);
  const [from, to] = [await opened(it, 'a'), await opened(it, 'b')];
  assert.is(await copyOnce(it, [from, 0], [to, 0], 2 ** 20), 8 * BLOCK_BYTES);
  assert.is(await it.get('a'), 'EIO');
  assert.is(await it.get('b'), 'EIO');
  assert.is(await copyOnce(it, [from, 0], [to, 1], 2 ** 20), 'EIO', 'moving reads');
  const { bad } = await it.volume.scrub(() => undefined);
  const named = bad.flatMap(({ files }) => files.flatMap(({ paths }) => paths));
  assert.equal(named.toSorted(), ['/a', '/b'].map(byteStringOf), 'scrub names both owners');
  closeBoth(it, from, to);
});

on('a copy goes on beside the removal and the truncation of its source', async (it) => {
  const bytes = await scattered(it, 'a', 1000);
  const [from, to] = [await opened(it, 'a'), await opened(it, 'b')];
  const copying = copyOnce(it, [from, 0], [to, 0], bytes.length);
  assert.is(await it.remove('a'), undefined);
  assert.is(await copying, bytes.length, 'an open file is there');
  assert.ok((await whole(it, to)).equals(bytes));
  // Cut in steps: what lies beyond the mark is not copied any more.
  const { filesystem } = it.volume;
  const cut = await filesystem.setattr(from.ino, { size: sizeOf(BLOCK_BYTES + 7) }, CALLER);
  assert.is(refusalName(cut), undefined);
  const again = await opened(it, 'c');
  assert.is(await copyOnce(it, [from, 0], [again, 0], bytes.length), BLOCK_BYTES + 7);
  assert.ok((await whole(it, again)).equals(bytes.subarray(0, BLOCK_BYTES + 7)));
  const back = await copyOnce(it, [to, 0], [from, 0], bytes.length);
  assert.is(back, bytes.length, 'a target that is being cut is waited for');
  assert.ok((await whole(it, from)).equals(bytes));
  closeBoth(it, from, to, again);
  await assertSound(it);
});

on('large ranges that stand differently are moved in pieces, and short', async (it) => {
  const PIECE = 1 << 20;
  const from = await opened(it, 'a');
  for (let at = 0; at < 20; at++) {
    assert.is(await it.write(from, contents(PIECE / BLOCK_BYTES), at * PIECE), undefined);
  }
  const to = await opened(it, 'b');
  const copied = await copyOnce(it, [from, 3], [to, 0], 20 * PIECE);
  assert.ok(typeof copied === 'number' && copied >= 16 * PIECE && copied < 17 * PIECE, `${copied}`);
  const bytes = await whole(it, from);
  assert.ok((await whole(it, to)).equals(bytes.subarray(3, 3 + Number(copied))));
  closeBoth(it, from, to);
});

test.run();

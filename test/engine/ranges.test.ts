/**
 * fallocate(2) on a volume: what ranges hold, what becomes of them through closes and kills, that
 * what was allocated can be written on a full disk, and that large ranges go in bounded steps.
 * A failure of the random operations names its seed; `SEEDS=n,m` runs those again, `RUNS=n` so many.
 *
 * @limit 300 s
 */

import { randomInt } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { OpenFile } from '../../src/engine/api.ts';
import {
  FALLOC_KEEP_SIZE,
  FALLOC_PUNCH_HOLE,
  FALLOC_ZERO_RANGE,
  RANGE_STEP_EXTENTS,
} from '../../src/decide/ranges.ts';
import { isRefusal } from '../../src/model/errno.ts';
import { itemsOf } from '../../src/model/event.ts';
import { isUnwritten } from '../../src/model/extent.ts';
import { BLOCK_BYTES, byteStringOf, ROOT_INO, type Ino } from '../../src/model/ids.ts';
import { mayHaveUnwritten, statBlocks, type Inode } from '../../src/model/inode.ts';
import { sizeOf, type Size } from '../../src/model/size.ts';
import { MAX_ITEMS } from '../../src/model/transaction.ts';
import { SimRandom } from '../sim/random.ts';
import { CALLER, refusalName, SimVolume, type SimVolumeOptions } from './sim-volume.ts';

const test = suite('ranges');

const PUNCH = FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE;
const MIB = 2 ** 20;

function on(what: string, body: (it: SimVolume) => Promise<void>, options: SimVolumeOptions = {}) {
  test(what, async () => {
    const it = await SimVolume.create(options);
    try {
      await body(it);
    } finally {
      await it.dispose();
    }
  });
}

async function created(it: SimVolume, what: string): Promise<{ ino: Ino; file: OpenFile }> {
  const made = await it.create(what);
  if (typeof made === 'string') throw new Error(made);
  return made;
}

async function opened(it: SimVolume, what: string): Promise<OpenFile> {
  const { filesystem } = it.volume;
  const inode = await filesystem.lookup(ROOT_INO, byteStringOf(what));
  if (isRefusal(inode)) throw new Error(inode.name);
  const file = await filesystem.open(inode.ino, 2, CALLER);
  if (isRefusal(file)) throw new Error(file.name);
  return file;
}

async function inodeOf(it: SimVolume, { ino }: OpenFile): Promise<Inode> {
  const inode = await it.volume.filesystem.getattr(ino);
  if (isRefusal(inode)) throw new Error(inode.name);
  return inode;
}

/** The name of the refusal; undefined where it was done. */
async function range(
  it: SimVolume,
  file: OpenFile,
  mode: number,
  from: number | Size,
  length: number | Size,
): Promise<string | undefined> {
  const size = (n: number | Size) => (typeof n === 'number' ? sizeOf(n) : n);
  const { filesystem } = it.volume;
  const asked = { mode, offset: size(from), length: size(length), killPrivileges: false };
  return refusalName(await filesystem.fallocate(file, asked, CALLER));
}

/** The log equals the index, and every checksum its data; nothing lies on the disk unowned. */
async function assertSound(it: SimVolume): Promise<void> {
  const report = await it.volume.check(() => undefined);
  assert.ok(report.clean, report.lines.join('\n'));
  const scrubbed = await it.volume.scrub(() => undefined);
  assert.equal(scrubbed.bad, []);
  assert.equal(scrubbed.unowned, []);
}

async function read(it: SimVolume, file: OpenFile, from: number, length: number): Promise<Buffer> {
  const bytes = await it.volume.filesystem.read(file, sizeOf(from), length);
  if (isRefusal(bytes)) throw new Error(bytes.name);
  return Buffer.concat([...bytes]);
}

/** Fills the disk with files until one is refused; their number. */
async function fillDisk(it: SimVolume, name = 'filler'): Promise<number> {
  const bytes = Buffer.alloc(256 * 1024, 'f');
  for (let n = 0; n < 100_000; n++) {
    const refusal = await it.put(`${name}-${n}`, bytes);
    if (refusal === 'ENOSPC') return n;
    assert.is(refusal, undefined);
    if (n % 64 === 63) await it.volume.sync();
  }
  return assert.unreachable('the disk never fills') as never;
}

on(
  'allocated blocks read as zeros and count in no st_blocks until they are written',
  async (it) => {
    const { file } = await created(it, 'f');
    assert.is(await range(it, file, FALLOC_KEEP_SIZE, 0, MIB), undefined);
    const kept = await inodeOf(it, file);
    assert.equal([kept.size, statBlocks(kept), kept.extents], [sizeOf(0), 0, 1]);
    assert.is(kept.dataVersion, 0n);
    assert.is(await range(it, file, 0, 0, MIB), undefined);
    const grown = await inodeOf(it, file);
    assert.equal([grown.size, statBlocks(grown), grown.dataVersion], [sizeOf(MIB), 0, 1n]);
    assert.ok(mayHaveUnwritten(grown));
    assert.equal(await read(it, file, 0, MIB), Buffer.alloc(MIB));
    assert.is(await it.write(file, Buffer.from('here'), 10_000), undefined);
    assert.is(statBlocks(await inodeOf(it, file)), 8, 'pending, it counts already');
    await it.volume.sync();
    assert.is(statBlocks(await inodeOf(it, file)), 8);
    const expected = Buffer.alloc(MIB);
    expected.write('here', 10_000);
    assert.equal(await read(it, file, 0, MIB), expected);
    await assertSound(it);
  },
);

on('the first write of a block goes to its place; a later one does not', async (it) => {
  const { file } = await created(it, 'f');
  assert.is(await range(it, file, 0, 0, 16 * BLOCK_BYTES), undefined);
  assert.is(await it.write(file, Buffer.alloc(2 * BLOCK_BYTES, 'a'), 3 * BLOCK_BYTES), undefined);
  await it.volume.sync();
  assert.is(await it.write(file, Buffer.alloc(2 * BLOCK_BYTES, 'b'), 4 * BLOCK_BYTES), undefined);
  await it.volume.sync();
  const mapped = (await it.transactions()).flatMap(({ events }) =>
    events.flatMap((event) => (event.type === 'ExtentsMapped' ? event.extents : [])),
  );
  const [unwritten, first, ...second] = mapped;
  assert.ok(isUnwritten(unwritten!) && unwritten!.count === 16);
  const place = { segment: unwritten!.segment, segmentBlock: unwritten!.segmentBlock + 3 };
  assert.equal(first, { block: 3, count: 2, flags: 0, ...place });
  assert.is(
    second.reduce((sum, { count }) => sum + count, 0),
    2,
  );
  const known = second.find(({ block }) => block === 4)!;
  assert.is.not(known.segmentBlock, unwritten!.segmentBlock + 4, 'what was written stays');
  await assertSound(it);
});

for (const end of ['none', 'close', 'kill'] as const) {
  on(
    `what was allocated is written on a full disk, after ${end === 'none' ? 'nothing' : `a ${end}`}`,
    async (it) => {
      let { file } = await created(it, 'f');
      const bytes = 40 * MIB;
      assert.is(await range(it, file, 0, 0, bytes), undefined);
      assert.is(await it.write(file, Buffer.alloc(5000, 'x'), 1000), undefined);
      await it.volume.sync();
      if (end === 'close') await it.volume.close();
      if (end === 'kill') await it.kill();
      if (end !== 'none') await it.open();
      file = await opened(it, 'f');
      assert.ok((await fillDisk(it)) > 10);
      const piece = Buffer.alloc(MIB, 'y');
      // Beyond the blocks that were written before: those get new places, which there are none of.
      for (let at = MIB; at < bytes; at += MIB) {
        assert.is(await it.write(file, piece, at), undefined, `at ${at}`);
      }
      assert.is(refusalName(await it.volume.filesystem.fsync(file)), undefined);
      assert.is(await it.put('one more', piece), 'ENOSPC', 'the disk is full still');
      assert.equal(it.failures, []);
      assert.equal(await read(it, file, 17 * MIB + 1, MIB), piece);
      assert.equal(await read(it, file, 999, 2), Buffer.from('\0x'));
      await assertSound(it);
      await it.kill();
      await it.open();
      file = await opened(it, 'f');
      assert.equal(await read(it, file, 39 * MIB, MIB), piece);
      assert.is(await it.remove('f'), undefined);
    },
    { totalBytes: 320 * MIB },
  );
}

on(
  'what does not fit is refused, before the disk is full of it',
  async (it) => {
    const { file } = await created(it, 'f');
    const before = await it.volume.filesystem.space();
    if (isRefusal(before)) throw new Error(before.name);
    const most = { blocks: 2 ** 51 - 1, tail: 4095 };
    assert.is(await range(it, file, FALLOC_KEEP_SIZE, 0, most), 'ENOSPC');
    assert.is(await range(it, file, 0, sizeOf(1), most), 'EFBIG');
    assert.is(await range(it, file, FALLOC_ZERO_RANGE, 0, 2 ** 40), 'ENOSPC');
    assert.is((await inodeOf(it, file)).extents, 0);
    assert.is(await it.put('other', Buffer.alloc(MIB)), undefined);
  },
  { totalBytes: 512 * MIB },
);

on('the end of the largest file is allocated, zeroed, punched', async (it) => {
  const { file } = await created(it, 'f');
  const end = { blocks: 2 ** 51 - 1, tail: 4095 };
  const near = { blocks: end.blocks - 2, tail: 17 };
  const length = sizeOf(2 * BLOCK_BYTES + 4095 - 17);
  assert.is(await range(it, file, 0, near, length), undefined);
  assert.equal((await inodeOf(it, file)).size, end);
  const payload = { bytes: Buffer.alloc(8500, 'z'), take: () => () => undefined };
  const { filesystem } = it.volume;
  assert.is(await filesystem.write(file, near, payload, false, CALLER), 8500);
  assert.is(await range(it, file, FALLOC_ZERO_RANGE, near, sizeOf(5)), undefined);
  assert.is(await range(it, file, PUNCH, { ...end, tail: 0 }, sizeOf(4095)), undefined);
  const found = await filesystem.read(file, near, 9000);
  if (isRefusal(found)) throw new Error(found.name);
  const expected = Buffer.alloc(9000);
  expected.fill('z', 5, 2 * BLOCK_BYTES - 17);
  assert.equal(Buffer.concat([...found]), expected);
  assert.is(await range(it, file, PUNCH, 0, end), undefined);
  assert.is((await inodeOf(it, file)).extents, 0);
  assert.not.ok(mayHaveUnwritten(await inodeOf(it, file)), 'nothing is left');
  await assertSound(it);
});

/** A file with every other block written, `count` of them. */
async function scattered(it: SimVolume, what: string, count: number): Promise<OpenFile> {
  const { file } = await created(it, what);
  for (let i = 0; i < count; i++) {
    assert.is(await it.write(file, Buffer.from([7]), 2 * i * BLOCK_BYTES), undefined);
  }
  await it.volume.sync();
  return file;
}

async function assertBounded(it: SimVolume): Promise<number> {
  let steps = 0;
  for (const { cause, events, seq } of await it.transactions()) {
    const items = events.reduce((sum, event) => sum + itemsOf(event), 0);
    assert.ok(items <= MAX_ITEMS, `${cause} ${seq}: ${items} items`);
    if (cause === 'fallocate') steps++;
  }
  return steps;
}

for (const [what, mode] of [
  ['punched', PUNCH],
  ['zeroed', FALLOC_ZERO_RANGE],
  ['filled up', 0],
] as const) {
  on(`a range of many extents is ${what} in bounded steps`, async (it) => {
    const count = 5 * RANGE_STEP_EXTENTS + 3;
    const file = await scattered(it, 'f', count);
    const bytes = 2 * count * BLOCK_BYTES;
    assert.is(await range(it, file, mode, 0, bytes), undefined);
    await it.volume.sync();
    assert.ok((await assertBounded(it)) >= 5);
    const { extents, onlineBlocks, size } = await inodeOf(it, file);
    assert.is(onlineBlocks, mode === 0 ? count : 0);
    if (mode === PUNCH) assert.is(extents, 0);
    const expected = Buffer.alloc(size.blocks * BLOCK_BYTES + size.tail);
    for (let i = 0; mode === 0 && i < count; i++) expected[2 * i * BLOCK_BYTES] = 7;
    assert.equal(await read(it, file, 0, bytes), expected);
    await assertSound(it);
  });
}

on('a crash between two steps leaves a range that is partly punched', async (it) => {
  const count = 6 * RANGE_STEP_EXTENTS;
  let file = await scattered(it, 'f', count);
  const punching = range(it, file, PUNCH, 0, 2 * count * BLOCK_BYTES);
  while ((await inodeOf(it, file)).extents > count - 2 * RANGE_STEP_EXTENTS) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  await it.volume.sync();
  await it.kill();
  await it.open();
  file = await opened(it, 'f');
  const left = (await inodeOf(it, file)).extents;
  assert.ok(left > 0 && left < count, `${left} of ${count} extents`);
  const bytes = await read(it, file, 0, 2 * count * BLOCK_BYTES);
  const gone = count - left;
  for (let i = 0; i < count; i++) assert.is(bytes[2 * i * BLOCK_BYTES], i < gone ? 0 : 7);
  assert.is(await range(it, file, PUNCH, 0, 2 * count * BLOCK_BYTES), undefined);
  assert.is((await inodeOf(it, file)).extents, 0);
  await assertSound(it);
  // The call of the dead run never ends well, and nobody waits for it.
  void punching.catch(() => undefined);
});

on('scattered writes into an unwritten extent stay within bounds', async (it) => {
  const { file } = await created(it, 'f');
  const count = 6000;
  assert.is(await range(it, file, 0, 0, 2 * count * BLOCK_BYTES), undefined);
  const block = Buffer.alloc(BLOCK_BYTES, 's');
  for (let i = 0; i < count; i++) {
    assert.is(await it.write(file, block, 2 * i * BLOCK_BYTES), undefined);
  }
  await it.volume.sync();
  await assertBounded(it);
  const inode = await inodeOf(it, file);
  assert.equal([inode.onlineBlocks, inode.extents], [count, 2 * count]);
  assert.equal(await read(it, file, 4000 * BLOCK_BYTES, BLOCK_BYTES), block);
  assert.equal(await read(it, file, 4001 * BLOCK_BYTES, BLOCK_BYTES), Buffer.alloc(BLOCK_BYTES));
  await assertSound(it);
});

on(
  'space comes back when what was allocated is cut, punched or removed',
  async (it) => {
    const free = async (): Promise<number> => {
      const space = await it.volume.filesystem.space();
      if (isRefusal(space)) throw new Error(space.name);
      return space.availableBlocks;
    };
    for (const give of ['cut', 'punch', 'remove'] as const) {
      const { file, ino } = await created(it, give);
      assert.is(await range(it, file, FALLOC_KEEP_SIZE, 0, 100 * MIB), undefined);
      await it.volume.sync();
      if (give === 'cut') await it.volume.filesystem.setattr(ino, { size: sizeOf(0) }, CALLER);
      if (give === 'punch') assert.is(await range(it, file, PUNCH, 0, 100 * MIB), undefined);
      it.volume.filesystem.close(file);
      if (give === 'remove') assert.is(await it.remove(give), undefined);
      await it.volume.sync();
    }
    const deadline = performance.now() + 60_000;
    const used = async (): Promise<number> => {
      let bytes = 0;
      for (const path of await it.dataFiles()) bytes += (await it.disk.info(path))!.allocatedBytes;
      return bytes;
    };
    while ((await used()) > 60 * MIB) {
      assert.ok(performance.now() < deadline, `${await used()} bytes are still taken`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok((await free()) * BLOCK_BYTES > 150 * MIB);
    await assertSound(it);
  },
  { totalBytes: 400 * MIB },
);

/** Random ranges, writes and cuts of one file beside an array of bytes. */
class RangeModel {
  readonly #it: SimVolume;
  readonly #random: SimRandom;
  #bytes = Buffer.alloc(0);
  #file: OpenFile;

  constructor(it: SimVolume, random: SimRandom, file: OpenFile) {
    this.#it = it;
    this.#random = random;
    this.#file = file;
  }

  async step(): Promise<void> {
    await this.#random.weighted<() => Promise<void>>([
      [10, () => this.#write()],
      [4, () => this.#range(0)],
      [3, () => this.#range(FALLOC_KEEP_SIZE)],
      [5, () => this.#range(PUNCH)],
      [3, () => this.#range(FALLOC_ZERO_RANGE)],
      [3, () => this.#range(FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE)],
      [3, () => this.#cut()],
      [1, () => this.#reopen()],
      [3, () => this.#check()],
    ])();
  }

  #span(): { from: number; length: number } {
    const most = 70 * BLOCK_BYTES;
    const align = this.#random.chance(0.4) ? BLOCK_BYTES : 1;
    const from = Math.floor(this.#random.integer(most) / align) * align;
    const length = this.#random.integer(2 ** this.#random.between(3, 17)) + 1;
    return { from, length: Math.max(align, Math.floor(length / align) * align) };
  }

  #grow(size: number): void {
    const more = Math.max(0, size - this.#bytes.length);
    this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(more)]);
  }

  async #write(): Promise<void> {
    const { from, length } = this.#span();
    const bytes = this.#random.bytes(length);
    assert.is(await this.#it.write(this.#file, Buffer.from(bytes), from), undefined);
    this.#grow(from + length);
    bytes.copy(this.#bytes, from);
    if (this.#random.chance(0.3)) await this.#it.volume.filesystem.flush(this.#file);
  }

  async #range(mode: number): Promise<void> {
    const { from, length } = this.#span();
    assert.is(await range(this.#it, this.#file, mode, from, length), undefined);
    if ((mode & FALLOC_KEEP_SIZE) === 0) this.#grow(from + length);
    if ((mode & ~FALLOC_KEEP_SIZE) !== 0) this.#bytes.subarray(from, from + length).fill(0);
  }

  async #cut(): Promise<void> {
    const size = this.#random.integer(90 * BLOCK_BYTES);
    const { filesystem } = this.#it.volume;
    const set = { size: sizeOf(size) };
    assert.is(refusalName(await filesystem.setattr(this.#file.ino, set, CALLER)), undefined);
    this.#grow(size);
    this.#bytes = this.#bytes.subarray(0, size);
  }

  async #reopen(): Promise<void> {
    this.#it.volume.filesystem.close(this.#file);
    await this.#it.volume.sync();
    if (this.#random.chance(0.5)) await this.#it.kill();
    else await this.#it.volume.close();
    await this.#it.open();
    this.#file = await opened(this.#it, 'f');
  }

  async #check(): Promise<void> {
    const { size } = await inodeOf(this.#it, this.#file);
    assert.equal(size, sizeOf(this.#bytes.length));
    const found = await read(this.#it, this.#file, 0, this.#bytes.length + 10);
    assert.ok(found.equals(this.#bytes), 'the bytes differ');
  }
}

const chosen = process.env['SEEDS'];
const seeds =
  chosen === undefined
    ? Array.from({ length: Number(process.env['RUNS'] ?? 6) }, () => randomInt(2 ** 32))
    : chosen.split(',').map(Number);

for (const seed of seeds) {
  const random = new SimRandom(seed);
  const historyMicros = random.pick([0, -1]);
  const isStream = random.chance(0.5);
  const writeLimits = isStream ? { shipBlocks: random.between(1, 12), settleBytes: 40_000 } : {};
  on(
    `seed ${seed}: a file is what an array of bytes is, whatever is done to its ranges`,
    async (it) => {
      const { file } = await created(it, 'f');
      const model = new RangeModel(it, random, file);
      for (let i = 0; i < 250; i++) await model.step();
      await assertSound(it);
      const digest = await it.volume.digest();
      await it.kill();
      await it.open();
      assert.is(await it.volume.digest(), digest);
    },
    { historyMicros, writeLimits },
  );
}

test.run();

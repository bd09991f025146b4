/**
 * Removing much in bounded steps, and the end of orphans: with others in between, and after a kill.
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { REMOVE_STEP_EXTENTS } from '../../src/decide/contents.ts';
import { isRefusal } from '../../src/model/errno.ts';
import { itemsOf } from '../../src/model/event.ts';
import {
  asByteString,
  BLOCK_BYTES,
  byteStringOf,
  ROOT_INO,
  type Ino,
} from '../../src/model/ids.ts';
import type { Inode } from '../../src/model/inode.ts';
import { sizeOf } from '../../src/model/size.ts';
import { MAX_ITEMS, MAX_TRANSACTION_BYTES } from '../../src/model/transaction.ts';
import type { OpenFile } from '../../src/engine/api.ts';
import { Index, type IndexSnapshot } from '../../src/index/index.ts';
import { extentKey } from '../../src/index/keys.ts';
import { encodeTransaction } from '../../src/log/codec.ts';
import { CALLER, refusalName, SimVolume } from './sim-volume.ts';

const test = suite('removal');

const name = byteStringOf;
const EXTENTS = 5200;

/** A test on a fresh volume. */
function on(what: string, body: (it: SimVolume) => Promise<void>, historyMicros = 0): void {
  test(what, async () => {
    const it = await SimVolume.create({ historyMicros });
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

/** Creates and closes a file with `count` extents: every other block, one byte in each. */
async function scattered(it: SimVolume, what: string, count: number): Promise<Ino> {
  const { file, ino } = await created(it, what);
  for (let i = 0; i < count; i++) {
    const wrote = await it.write(file, Buffer.from([1 + (i % 255)]), 2 * i * BLOCK_BYTES);
    assert.is(wrote, undefined);
  }
  await it.volume.filesystem.flush(file);
  it.volume.filesystem.close(file);
  await it.volume.sync();
  return ino;
}

async function inodeOf(it: SimVolume, ino: Ino): Promise<Inode | undefined> {
  const inode = await it.volume.filesystem.getattr(ino);
  return isRefusal(inode) ? undefined : inode;
}

let others = 0;

/** Waits for `isDone` while other operations go on; the number of those that ran. */
async function meanwhile(it: SimVolume, isDone: () => Promise<boolean>): Promise<number> {
  let operations = 0;
  while (!(await isDone())) {
    assert.is(await it.put(`other-${others++}`, Buffer.from('x')), undefined);
    operations++;
    assert.ok(operations < 5000, 'it never ends');
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return operations;
}

async function assertBounded(it: SimVolume): Promise<void> {
  const buffer = Buffer.alloc(2 * MAX_TRANSACTION_BYTES);
  for (const tx of await it.transactions()) {
    const items = tx.events.reduce((sum, event) => sum + itemsOf(event), 0);
    assert.ok(items <= MAX_ITEMS, `${tx.cause} ${tx.seq}: ${items} items`);
    const bytes = encodeTransaction(tx, buffer, 0);
    assert.ok(bytes <= MAX_TRANSACTION_BYTES, `${tx.cause} ${tx.seq}: ${bytes} bytes`);
  }
}

async function assertSound(it: SimVolume): Promise<void> {
  const report = await it.volume.check(() => undefined);
  assert.ok(report.clean, report.lines.join('\n'));
}

on('a huge file is truncated in steps, while others get their turns', async (it) => {
  const ino = await scattered(it, 'huge', EXTENTS);
  assert.is((await inodeOf(it, ino))?.extents, EXTENTS);
  const { filesystem } = it.volume;
  assert.is(refusalName(await filesystem.setattr(ino, { size: sizeOf(10) }, CALLER)), undefined);

  const cut = await inodeOf(it, ino);
  assert.equal(cut?.size, sizeOf(10));
  assert.ok((cut?.extents ?? 0) > 1, 'the rest goes later');
  assert.is((await it.get('huge')).length, 10, 'and is not seen meanwhile');
  const turns = await meanwhile(
    it,
    async () => (await inodeOf(it, ino))?.truncateMark === undefined,
  );
  assert.ok(turns >= 2, `${turns} turns`);
  assert.is((await inodeOf(it, ino))?.extents, 1);

  await it.volume.sync();
  const steps = (await it.transactions()).filter(({ cause }) => cause === 'truncate');
  assert.ok(steps.length >= EXTENTS / REMOVE_STEP_EXTENTS, `${steps.length} steps`);
  await assertBounded(it);
  await assertSound(it);
});

/** First keys of the scans of extents that begin while `work` goes on. */
async function extentScans(work: () => Promise<unknown>): Promise<string[]> {
  const { snapshot } = Index.prototype;
  const starts: string[] = [];
  Index.prototype.snapshot = function (this: Index): IndexSnapshot {
    const taken = snapshot.call(this);
    const scan: IndexSnapshot['scan'] = (family, gte, lt, options) => {
      if (family === 'extent' && options?.limit !== undefined) starts.push(gte);
      return taken.scan(family, gte, lt, options);
    };
    return { ...taken, scan };
  };
  try {
    await work();
  } finally {
    Index.prototype.snapshot = snapshot;
  }
  return starts;
}

on('each step of a removal looks on from the end of the one before', async (it) => {
  const ino = await scattered(it, 'huge', 1500);
  const starts = await extentScans(async () => {
    assert.is(await it.remove('huge'), undefined);
    await meanwhile(it, async () => (await inodeOf(it, ino)) === undefined);
  });
  const steps = Math.ceil(1500 / REMOVE_STEP_EXTENTS);
  const ends = Array.from({ length: steps }, (_, step) =>
    extentKey(ino, Math.max(0, 2 * REMOVE_STEP_EXTENTS * step - 1)),
  );
  assert.equal(starts, ends);
  await assertSound(it);
});

on('small orphans do not wait for the end of a large one', async (it) => {
  const huge = await scattered(it, 'huge', EXTENTS);
  assert.is(await it.remove('huge'), undefined);
  await new Promise<void>((resolve) => setImmediate(resolve));
  const small: Ino[] = [];
  for (let i = 0; i < 600; i++) {
    const { file, ino } = await created(it, `f${i}`);
    await it.write(file, Buffer.from('x'));
    assert.is(await it.remove(`f${i}`), undefined);
    it.volume.filesystem.close(file);
    small.push(ino);
  }
  await meanwhile(it, async () => (await inodeOf(it, small.at(-1)!)) === undefined);
  assert.ok(((await inodeOf(it, huge))?.extents ?? 0) > 0, 'it is still being removed');
  await meanwhile(it, async () => (await inodeOf(it, huge)) === undefined);
  for (const ino of small) assert.is(await inodeOf(it, ino), undefined);
  await assertSound(it);
});

on('closing does not wait for the end of a removal, the next open takes it up', async (it) => {
  const cut = await scattered(it, 'cut', EXTENTS);
  const gone = await scattered(it, 'gone', EXTENTS);
  await it.volume.filesystem.setattr(cut, { size: sizeOf(0) }, CALLER);
  assert.is(await it.remove('gone'), undefined);
  await it.volume.close();
  await it.open({ quiet: true });
  assert.ok((await inodeOf(it, cut))?.truncateMark !== undefined, 'in the middle of the cut');
  assert.ok(((await inodeOf(it, gone))?.extents ?? 0) > 0, 'in the middle of the removal');
  assert.equal(it.journal, [], 'and nobody complains');
  await it.volume.close();

  await it.open();
  await meanwhile(it, async () => {
    const left = await inodeOf(it, cut);
    return left?.truncateMark === undefined && (await inodeOf(it, gone)) === undefined;
  });
  assert.is((await inodeOf(it, cut))?.extents, 0);
  await assertSound(it);
});

on('extending a file that is still being cut waits, and shows zeros', async (it) => {
  const ino = await scattered(it, 'huge', 1500);
  const { filesystem } = it.volume;
  await filesystem.setattr(ino, { size: sizeOf(0) }, CALLER);
  assert.ok((await inodeOf(it, ino))?.truncateMark !== undefined, 'unfinished');
  const grown = filesystem.setattr(ino, { size: sizeOf(40_000) }, CALLER);
  assert.ok(grown instanceof Promise);
  assert.is(refusalName(await grown), undefined);
  assert.equal(await it.get('huge'), Buffer.alloc(40_000));

  await filesystem.setattr(ino, { size: sizeOf(0) }, CALLER);
  assert.is(await it.openAndWrite('huge', Buffer.from('end'), 30_000), undefined);
  const expected = Buffer.alloc(30_003);
  expected.write('end', 30_000);
  assert.equal(await it.get('huge'), expected);
  await assertSound(it);
});

on('a cut through a block leaves zeros behind it, in memory and on the disk', async (it) => {
  assert.is(await it.put('f', Buffer.alloc(3 * BLOCK_BYTES, 'x')), undefined);
  await it.volume.sync();
  const inode = await it.volume.filesystem.lookup(ROOT_INO, name('f'));
  if (isRefusal(inode)) throw new Error(inode.name);
  const sizes = [BLOCK_BYTES + 7, 3 * BLOCK_BYTES, 2 * BLOCK_BYTES, 5, 9000, 0, 17];
  let expected: Buffer = Buffer.alloc(3 * BLOCK_BYTES, 'x');
  for (const size of sizes) {
    await it.volume.filesystem.setattr(inode.ino, { size: sizeOf(size) }, CALLER);
    expected = Buffer.concat([expected, Buffer.alloc(20_000)]).subarray(0, size);
    assert.equal(await it.get('f'), expected, `${size}`);
  }
  await it.volume.filesystem.setattr(inode.ino, { size: sizeOf(9000) }, CALLER);
  await it.volume.close();
  await it.open();
  assert.equal(await it.get('f'), Buffer.alloc(9000));
});

on('a cut right after a burst waits for space, and is not refused', async (it) => {
  assert.is(await it.put('f', Buffer.alloc(BLOCK_BYTES, 'x')), undefined);
  const inode = await it.volume.filesystem.lookup(ROOT_INO, name('f'));
  if (isRefusal(inode)) throw new Error(inode.name);
  const files = [];
  for (let i = 0; i < 10; i++) files.push((await created(it, `burst-${i}`)).file);
  const small = (await created(it, 'small')).file;
  assert.is((await it.get('f')).length, BLOCK_BYTES, 'and all of its extents are in memory');
  // Until the space that is reserved ahead is promised, to the last block.
  let answer: unknown;
  const fill = (file: OpenFile, bytes: number, count: number) => {
    for (let n = 0; n < count && !(answer instanceof Promise); n++) {
      const payload = { bytes: Buffer.alloc(bytes), take: () => () => undefined };
      answer = it.volume.filesystem.write(file, sizeOf(n * bytes), payload, false, CALLER);
    }
  };
  for (const file of files) fill(file, 1 << 20, 7);
  const waiting = [answer];
  answer = undefined;
  fill(small, BLOCK_BYTES, 256);
  waiting.push(answer);
  const cut = it.volume.filesystem.setattr(inode.ino, { size: sizeOf(5) }, CALLER);
  assert.ok(waiting.at(-1) instanceof Promise, 'the last write waits for space');
  assert.is(refusalName(await cut), undefined);
  await Promise.all(waiting);
  assert.equal(await it.get('f'), Buffer.from('xxxxx'));
});

on('an unlinked file is used as long as it is open, and goes with its last close', async (it) => {
  const { ino, file } = await created(it, 'f');
  const { filesystem } = it.volume;
  const again = await filesystem.open(ino, 2, CALLER);
  if (isRefusal(again)) throw new Error(again.name);
  assert.is(await it.remove('f'), undefined);
  assert.is(await it.write(file, Buffer.from('still here')), undefined);
  filesystem.close(file);
  await new Promise<void>((resolve) => setImmediate(resolve));
  const read = await filesystem.read(again, sizeOf(0), 100);
  assert.equal(isRefusal(read) ? [] : Buffer.concat([...read]).toString(), 'still here');
  assert.is((await inodeOf(it, ino))?.nlink, 0);
  const linked = await filesystem.link(ino, ROOT_INO, name('back'), CALLER);
  assert.is(refusalName(linked), 'ENOENT', 'what lost its last name gets none again');
  filesystem.close(again);
  await meanwhile(it, async () => (await inodeOf(it, ino)) === undefined);
  await assertSound(it);
});

on('an unlinked file stays as long as somebody outside refers to it', async (it) => {
  const { filesystem } = it.volume;
  const { ino, file } = await created(it, 'f');
  let refers = true;
  const holder = { refersTo: (which: Ino) => refers && which === ino };
  filesystem.addReferenceHolder(holder);
  assert.is(await it.remove('f'), undefined);
  filesystem.close(file);
  for (let i = 0; i < 5; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  assert.ok(await inodeOf(it, ino));
  refers = false;
  filesystem.unreferenced(ino);
  await meanwhile(it, async () => (await inodeOf(it, ino)) === undefined);

  const other = await created(it, 'g');
  const forever = { refersTo: () => true };
  filesystem.addReferenceHolder(forever);
  await it.remove('g');
  filesystem.close(other.file);
  for (let i = 0; i < 5; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  assert.ok(await inodeOf(it, other.ino));
  filesystem.removeReferenceHolder(forever);
  await meanwhile(it, async () => (await inodeOf(it, other.ino)) === undefined);
});

on('a file of many extents and attributes is unlinked in bounded steps', async (it) => {
  const ino = await scattered(it, 'huge', EXTENTS);
  const { filesystem } = it.volume;
  for (let i = 0; i < 4500; i++) {
    const set = filesystem.setXattr(ino, name(`user.${i}`), Buffer.from(`${i}`), 0, CALLER);
    assert.is(refusalName(await set), undefined);
  }
  assert.is(await it.remove('huge'), undefined);
  await meanwhile(it, async () => (await inodeOf(it, ino)) === undefined);
  await it.volume.sync();
  await assertBounded(it);
  await assertSound(it);
  assert.equal(it.journal, []);
});

on('a hundred thousand bytes of names in a batch of orphans stay within bounds', async (it) => {
  const { filesystem } = it.volume;
  for (let i = 0; i < 40; i++) {
    const made = await created(it, `f${i}`);
    for (let x = 0; x < 60; x++) {
      const long = asByteString(`user.${`${x}`.padStart(250, 'n')}`);
      await filesystem.setXattr(made.ino, long, Buffer.alloc(10), 0, CALLER);
    }
    filesystem.close(made.file);
  }
  for (let i = 0; i < 40; i++) assert.is(await it.remove(`f${i}`), undefined);
  await it.volume.close();
  await it.open();
  await assertBounded(it);
  await assertSound(it);
});

for (const after of [1, 3]) {
  on(
    `killed after step ${after} of a cut and of a removal, the next open ends both`,
    async (it) => {
      const cut = await scattered(it, 'cut', 2500);
      const gone = await scattered(it, 'gone', 2500);
      await it.volume.filesystem.setattr(cut, { size: sizeOf(4 * BLOCK_BYTES + 1) }, CALLER);
      await it.remove('gone');
      for (let step = 0; step < after; step++) {
        await new Promise<void>((resolve) => setImmediate(resolve));
        await it.volume.sync();
      }
      assert.ok((await inodeOf(it, cut))?.truncateMark !== undefined, 'in the middle of the cut');
      assert.ok(await inodeOf(it, gone), 'in the middle of the removal');

      await it.kill();
      await it.open();
      const expected = Buffer.alloc(4 * BLOCK_BYTES + 1);
      [1, 2, 3].forEach((byte, i) => expected.writeUInt8(byte, 2 * i * BLOCK_BYTES));
      assert.equal(await it.get('cut'), expected);
      await meanwhile(it, async () => {
        const left = await inodeOf(it, cut);
        return left?.truncateMark === undefined && (await inodeOf(it, gone)) === undefined;
      });
      assert.is((await inodeOf(it, cut))?.extents, 3);
      await assertBounded(it);
      await assertSound(it);
    },
  );
}

on('orphans of a killed run are reaped, with what was written to them', async (it) => {
  const open = await created(it, 'open');
  await it.write(open.file, Buffer.alloc(3 * BLOCK_BYTES, 'x'));
  await it.remove('open');
  const kept = await created(it, 'kept');
  await it.volume.sync();
  await it.kill();
  await it.open({ quiet: true });
  assert.is((await inodeOf(it, open.ino))?.nlink, 0, 'a quiet open reaps nothing');
  await it.volume.close();
  await it.open();
  await meanwhile(it, async () => (await inodeOf(it, open.ino)) === undefined);
  assert.ok(await inodeOf(it, kept.ino));
  await assertSound(it);
});

test.run();

/**
 * Pending writes: when they become transactions, in which order, and what their memory is bound to.
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRefusal } from '../../src/model/errno.ts';
import { BLOCK_BYTES, byteStringOf, ROOT_INO, type Ino } from '../../src/model/ids.ts';
import type { Inode } from '../../src/model/inode.ts';
import { sizeOf } from '../../src/model/size.ts';
import type { OpenFile } from '../../src/engine/api.ts';
import { settle, type SimClock } from '../sim/clock.ts';
import type { DiskCall } from '../sim/faults.ts';
import { CALLER, refusalName, type SimVolume, type SimVolumeOptions } from './sim-volume.ts';
import { inStillTime, passing } from './still-time.ts';

const test = suite('pending writes');

const O_RDWR = 2;
const O_APPEND = 0o2000;
const O_DSYNC = 0o10000;
const MIB = 1 << 20;
const BOUND_BYTES = 64 * MIB;

/** A test on a fresh volume whose time stands still: no timer does anything by itself. */
function on(
  what: string,
  body: (it: SimVolume, clock: SimClock) => Promise<void>,
  options: SimVolumeOptions = {},
): void {
  test(what, () => inStillTime(options, body));
}

async function created(it: SimVolume, what: string): Promise<{ ino: Ino; file: OpenFile }> {
  const made = await it.create(what);
  if (typeof made === 'string') throw new Error(made);
  return made;
}

async function inodeOf(it: SimVolume, ino: Ino): Promise<Inode> {
  const inode = await it.volume.filesystem.getattr(ino);
  if (isRefusal(inode)) throw new Error(inode.name);
  return inode;
}

const head = async (it: SimVolume) => (await it.volume.status()).log.head;

on('small writes become one transaction, at the close', async (it) => {
  const { ino, file } = await created(it, 'f');
  const before = await head(it);
  for (let i = 0; i < 1000; i++) {
    assert.is(await it.write(file, Buffer.from(`${i % 10}`), i), undefined);
  }
  assert.is(await head(it), before, 'nothing yet');
  const seen = await inodeOf(it, ino);
  assert.equal(seen.size, sizeOf(1000), 'though everybody sees them');
  assert.is(seen.onlineBlocks, 1);
  assert.is(refusalName(await it.volume.filesystem.flush(file)), undefined);
  assert.is(await head(it), before + 1);
  assert.is((await inodeOf(it, ino)).dataVersion, seen.dataVersion + 1n);
  assert.is(refusalName(await it.volume.filesystem.flush(file)), undefined);
  assert.is(await head(it), before + 1, 'and nothing more at the next close');
});

on(
  'the timer appends and commits what nobody asks for, within the commit time',
  async (it, clock) => {
    await it.volume.close();
    await it.open({ commitMs: 400 });
    const { ino, file } = await created(it, 'f');
    assert.is(await it.write(file, Buffer.from('x')), undefined);
    clock.advance(200);
    await settle();
    assert.ok((await inodeOf(it, ino)).dataSeq > 0, 'a transaction');
    clock.advance(200);
    const isDurable = async () => {
      const { log } = await it.volume.status();
      return log.durable === log.head;
    };
    for (let turns = 0; !(await isDurable()) && turns < 5000; turns++) await settle();
    assert.ok(await isDurable(), 'and durable, without more time');
  },
);

on('at 8 MiB a file’s writes go to the disk, and become a transaction there', async (it) => {
  const { ino, file } = await created(it, 'f');
  const before = await head(it);
  for (let mib = 0; mib < 7; mib++) await it.write(file, Buffer.alloc(MIB, 1), mib * MIB);
  let dataSyncs = 0;
  it.disk.faults = ({ kind, path }) => {
    if (kind === 'datasync' && path.endsWith('.seg')) dataSyncs++;
    return undefined;
  };
  await it.write(file, Buffer.alloc(MIB, 1), 7 * MIB);
  assert.is(await head(it), before, 'the writer is answered first');
  for (let turns = 0; (await head(it)) === before && turns < 5000; turns++) await settle();
  assert.is(await head(it), before + 1);
  assert.is(dataSyncs, 1, 'not before they were durable');
  assert.equal((await inodeOf(it, ino)).size, sizeOf(8 * MIB));
});

on('write, then rename over: in this order in the log', async (it) => {
  assert.is(await it.put('f', Buffer.from('old')), undefined);
  await it.volume.sync();
  const { ino, file } = await created(it, 'f.new');
  const before = await head(it);
  await it.write(file, Buffer.from('new'));
  const { filesystem } = it.volume;
  await filesystem.rename(ROOT_INO, byteStringOf('f.new'), ROOT_INO, byteStringOf('f'), 0, CALLER);
  await it.volume.sync();
  const logged = await it.transactions(before + 1);
  assert.equal(
    logged.slice(0, 2).map(({ cause }) => cause),
    ['write', 'rename'],
  );
  assert.equal(logged[0]?.paths, [{ ino, path: byteStringOf('/f.new') }]);
  await it.kill();
  await it.open();
  assert.equal(await it.get('f'), Buffer.from('new'));
});

on('fsync appends and commits one file’s writes, and leaves another’s pending', async (it) => {
  const a = await created(it, 'a');
  const b = await created(it, 'b');
  await it.write(a.file, Buffer.from('aaa'));
  await it.write(b.file, Buffer.from('bbb'));
  assert.is(refusalName(await it.volume.filesystem.fsync(a.file)), undefined);
  await it.kill();
  await it.open();
  assert.equal(await it.get('a'), Buffer.from('aaa'));
  assert.equal(await it.get('b'), Buffer.alloc(0));
});

on('set-id bits are gone as soon as a write that clears them is answered', async (it) => {
  const { ino, file } = await created(it, 'f');
  await it.volume.filesystem.setattr(ino, { mode: 0o6755 }, CALLER);
  const payload = { bytes: Buffer.from('x'), take: () => () => undefined };
  await it.volume.filesystem.write(file, sizeOf(0), payload, true, CALLER);
  assert.is((await inodeOf(it, ino)).mode & 0o7777, 0o755, 'while the write is pending');
  await it.volume.filesystem.flush(file);
  assert.is((await inodeOf(it, ino)).mode & 0o7777, 0o755);
});

on('each write through O_SYNC is durable when it is answered', async (it) => {
  const { ino } = await created(it, 'f');
  const file = await it.volume.filesystem.open(ino, O_RDWR | O_DSYNC, CALLER);
  if (isRefusal(file)) throw new Error(file.name);
  for (const text of ['first', 'second']) {
    assert.is(await it.write(file, Buffer.from(text)), undefined);
    assert.ok((await inodeOf(it, ino)).dataSeq <= (await it.volume.status()).log.durable);
  }
  await it.kill();
  await it.open();
  assert.equal(await it.get('f'), Buffer.from('second'));
});

on('O_APPEND writes at the end, whoever wrote there last, pending or not', async (it) => {
  const { ino, file } = await created(it, 'f');
  const appending = await it.volume.filesystem.open(ino, O_RDWR | O_APPEND, CALLER);
  if (isRefusal(appending)) throw new Error(appending.name);
  assert.is(await it.write(file, Buffer.from('0123456789')), undefined);
  assert.is(await it.write(appending, Buffer.from('ab'), 3), undefined);
  await it.volume.filesystem.flush(file);
  assert.is(await it.write(appending, Buffer.from('cd'), 0), undefined);
  assert.equal(await it.get('f'), Buffer.from('0123456789abcd'));
  await it.volume.filesystem.setattr(ino, { size: sizeOf(2) }, CALLER);
  assert.is(await it.write(appending, Buffer.from('!')), undefined);
  assert.equal(await it.get('f'), Buffer.from('01!'));
});

on(
  'parts of blocks are completed from the disk, also when it must be waited for',
  async (it, clock) => {
    const old = Buffer.alloc(5 * BLOCK_BYTES, 'o');
    assert.is(await it.put('f', old), undefined);
    await passing(clock, it.volume.close());
    await it.open();
    const expected = Buffer.from(old);
    for (const [at, length] of [
      [100, 50],
      [BLOCK_BYTES - 10, 20],
      [2 * BLOCK_BYTES + 1, 2 * BLOCK_BYTES],
      [5 * BLOCK_BYTES - 3, 10],
    ] as const) {
      const bytes = Buffer.alloc(length, 'n');
      assert.is(await it.openAndWrite('f', bytes, at), undefined);
      bytes.copy(expected, at);
    }
    const whole = Buffer.concat([expected, Buffer.alloc(7, 'n')]);
    assert.equal(await it.get('f'), whole);
    await passing(clock, it.volume.close());
    await it.open();
    assert.equal(await it.get('f'), whole);
  },
);

on(
  'writers wait at 64 MiB until the disk has taken some, and readers do not',
  async (it, clock) => {
    assert.is(await it.put('old', Buffer.from('old')), undefined);
    let isSlow = true;
    const held: (() => void)[] = [];
    const call = it.disk.call.bind(it.disk);
    it.disk.call = async (kind, path, ...rest) => {
      if (isSlow && kind === 'write' && path.endsWith('.seg')) {
        await new Promise<void>((resolve) => held.push(resolve));
      }
      return call(kind, path, ...rest);
    };
    const { filesystem } = it.volume;
    const answers: unknown[] = [];
    let accepted = 0;
    for (let f = 0; f < 24; f++) {
      const { file } = await created(it, `f${f}`);
      for (let mib = 0; mib < 4; mib++) {
        const payload = { bytes: Buffer.alloc(MIB, f), take: () => () => undefined };
        const answer = filesystem.write(file, sizeOf(mib * MIB), payload, false, CALLER);
        const counted = Promise.resolve(answer).then((bytes) => (accepted += Number(bytes)));
        answers.push(counted);
        for (let i = 0; i < 8; i++) await settle();
      }
    }
    assert.ok(accepted < 96 * MIB, 'some wait');
    assert.ok(accepted <= BOUND_BYTES + MIB, `${accepted} bytes accepted`);
    assert.ok(accepted >= BOUND_BYTES / 2, `${accepted} bytes accepted`);
    assert.equal(await it.get('old'), Buffer.from('old'), 'reads go on');
    assert.equal(((await it.get('f0')) as Buffer).subarray(0, 1), Buffer.from([0]));
    assert.not.ok(isRefusal(await filesystem.mkdir(ROOT_INO, byteStringOf('d'), 0o755, CALLER)));

    isSlow = false;
    for (const release of held) release();
    clock.advance(1000);
    await Promise.all(answers);
    assert.is(accepted, 96 * MIB);
  },
);

for (const [what, breaks] of [
  ['log', ({ kind, path }: DiskCall) => kind === 'datasync' && path.endsWith('.avro')],
  ['data', ({ kind, path }: DiskCall) => kind === 'write' && path.endsWith('.seg')],
] as const) {
  on(
    `with 64 MiB pending and a broken ${what}, writers get EIO and none waits for ever`,
    async (it) => {
      const { filesystem } = it.volume;
      const files: OpenFile[] = [];
      for (let f = 0; f < 16; f++) files.push((await created(it, `f${f}`)).file);
      await it.volume.sync();
      const breaking = (await created(it, 'breaking')).file;
      const writeTo = (file: OpenFile, mib: number) => {
        const payload = { bytes: Buffer.alloc(MIB, mib), take: () => () => undefined };
        return filesystem.write(file, sizeOf(mib * MIB), payload, false, CALLER);
      };
      const answers: unknown[] = [];
      for (const file of files)
        for (let mib = 0; mib < 4; mib++) answers.push(await writeTo(file, mib));
      it.disk.faults = (call) => (breaks(call) ? { kind: 'error', code: 'EIO' } : undefined);
      await filesystem.fsync(breaking);
      await it.volume.sync().catch(() => undefined);
      assert.match((await it.volume.status()).failure ?? '', /EIO/);
      for (const file of files) {
        assert.is(refusalName(await writeTo(file, 5)), 'EIO');
        assert.is(refusalName(await filesystem.fsync(file)), 'EIO');
      }
    },
  );
}

test.run();

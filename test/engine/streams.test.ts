/**
 * Streams that run ahead of the disk: shipped pieces of a file, from the moment when they have
 * their place until the log has them.
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRefusal } from '../../src/model/errno.ts';
import { BLOCK_BYTES, byteStringOf, ROOT_INO, type Ino } from '../../src/model/ids.ts';
import type { Inode } from '../../src/model/inode.ts';
import { sizeOf } from '../../src/model/size.ts';
import type { OpenFile } from '../../src/engine/api.ts';
import { settle, type SimClock } from '../sim/clock.ts';
import { CALLER, refusalName, type SimVolume, type SimVolumeOptions } from './sim-volume.ts';
import { inStillTime, passing } from './still-time.ts';

const test = suite('streams');

/** Pieces of four blocks, and no commit waits for more than eight. */
const LIMITS = { shipBlocks: 4, settleBytes: 8 * BLOCK_BYTES };
const TURNS = 5000;
const READ_BYTES = 1 << 20;
const ROOM_BYTES = 10 << 20;

class Stream {
  readonly it: SimVolume;
  readonly file: OpenFile;
  readonly ino: Ino;
  /** What the file should hold. */
  bytes = Buffer.alloc(0);
  readonly #room = Buffer.alloc(ROOM_BYTES);

  constructor(it: SimVolume, ino: Ino, file: OpenFile) {
    this.it = it;
    this.ino = ino;
    this.file = file;
  }

  /** Writes `count` blocks from block `at` on, each full of `fill`. */
  async write(at: number, count: number, fill: number): Promise<string | undefined> {
    for (let i = at; i < at + count; i++) {
      const block = Buffer.alloc(BLOCK_BYTES, fill);
      const refused = await this.it.write(this.file, block, i * BLOCK_BYTES);
      if (refused !== undefined) return refused;
      const size = Math.max(this.bytes.length, (i + 1) * BLOCK_BYTES);
      this.bytes = this.#room.subarray(0, size);
      block.copy(this.bytes, i * BLOCK_BYTES);
    }
    await turn();
    return undefined;
  }

  async inode(): Promise<Inode> {
    const inode = await this.it.volume.filesystem.getattr(this.ino);
    if (isRefusal(inode)) throw new Error(inode.name);
    return inode;
  }

  async assertShown(): Promise<void> {
    const { filesystem } = this.it.volume;
    assert.equal((await this.inode()).size, sizeOf(this.bytes.length));
    for (let at = 0; at < this.bytes.length; at += READ_BYTES) {
      const read = await filesystem.read(this.file, sizeOf(at), READ_BYTES);
      if (isRefusal(read)) throw new Error(read.name);
      const expected = this.bytes.subarray(at, at + READ_BYTES);
      assert.ok(expected.equals(Buffer.concat([...read])), `the contents at ${at}`);
    }
  }
}

/** A turn of the event loop: what is put off until writers are answered is done. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The data segments' syncs do not end before they are let go. */
class SlowSyncs {
  isSlow = true;
  waiting: { readonly path: string; readonly go: () => void }[] = [];

  constructor(it: SimVolume) {
    const call = it.disk.call.bind(it.disk);
    it.disk.call = async (kind, path, ...rest) => {
      if (this.isSlow && kind === 'datasync' && path.endsWith('.seg')) {
        await new Promise<void>((go) => this.waiting.push({ path, go }));
      }
      return call(kind, path, ...rest);
    };
  }

  letGo(): void {
    this.isSlow = false;
    for (const { go } of this.waiting.splice(0)) go();
  }
}

function on(
  what: string,
  body: (it: SimVolume, stream: Stream, syncs: SlowSyncs, clock: SimClock) => Promise<void>,
  options: SimVolumeOptions = {},
): void {
  const onStream = async (it: SimVolume, clock: SimClock): Promise<void> => {
    const syncs = new SlowSyncs(it);
    try {
      const made = await it.create('stream');
      if (typeof made === 'string') throw new Error(made);
      await body(it, new Stream(it, made.ino, made.file), syncs, clock);
    } finally {
      syncs.letGo();
    }
  };
  test(what, () => inStillTime({ writeLimits: LIMITS, ...options }, onStream));
}

async function isOver(work: Promise<unknown>): Promise<boolean> {
  let over = false;
  void work.finally(() => (over = true));
  for (let turns = 0; !over && turns < 200; turns++) await settle();
  return over;
}

async function until(clock: SimClock, what: () => Promise<boolean>): Promise<void> {
  for (let turns = 0; turns < TURNS; turns++) {
    if (await what()) return;
    clock.advance(1);
    await settle();
  }
  throw new Error('it never happens');
}

const head = async (it: SimVolume) => (await it.volume.status()).log.head;

on('shipped pieces are read, overwritten and cut like anything else', async (it, stream, syncs) => {
  const { filesystem } = it.volume;
  await stream.write(0, 10, 1);
  await stream.write(2, 4, 2);
  await stream.write(20, 5, 3);
  await stream.write(3, 1, 4);
  await stream.assertShown();
  assert.is((await stream.inode()).dataVersion, 0n, 'none is logged');
  assert.is((await stream.inode()).onlineBlocks, 15);
  // Part of a block that is shipped, and of one in the hole.
  for (const at of [2 * BLOCK_BYTES + 100, 15 * BLOCK_BYTES + 7]) {
    const bytes = Buffer.from('part');
    assert.is(await it.write(stream.file, bytes, at), undefined);
    bytes.copy(stream.bytes, at);
  }
  await stream.assertShown();
  syncs.letGo();
  const size = 4 * BLOCK_BYTES + 10;
  await filesystem.setattr(stream.ino, { size: sizeOf(size) }, CALLER);
  stream.bytes = stream.bytes.subarray(0, size);
  await stream.assertShown();
  assert.is((await stream.inode()).onlineBlocks, 5);
});

on('nobody’s fsync waits for a stream that runs ahead', async (it, stream, syncs, clock) => {
  await stream.write(0, 64, 1);
  const small = await it.create('small');
  if (typeof small === 'string') throw new Error(small);
  // The stream's first pieces go to a segment that it shares: those syncs may end.
  await stream.write(64, 2048, 2);
  const before = await head(it);
  assert.is(await it.write(small.file, Buffer.from('small')), undefined);
  const synced = Promise.resolve(it.volume.filesystem.fsync(small.file));
  // The first segment is the one of small files; the syncs of the stream's own never end.
  const [shared] = await it.dataFiles();
  for (let turns = 0; !(await isOver(synced)); turns++) {
    assert.ok(turns < TURNS, 'it waits for the stream');
    for (const { path, go } of syncs.waiting) if (path === shared) go();
    clock.advance(10);
  }
  assert.is(refusalName(await synced), undefined);
  assert.ok((await head(it)) > before);
  await stream.assertShown();
});

on('a stream is logged as its data becomes durable, in order', async (it, stream, syncs, clock) => {
  const before = await head(it);
  await stream.write(0, 16, 1);
  await stream.write(2, 4, 2);
  syncs.letGo();
  clock.advance(10);
  await until(clock, async () => (await head(it)) === before + 5);
  await it.volume.sync();
  const sizes: number[] = [];
  for (const { events } of await it.transactions(before + 1)) {
    for (const event of events) {
      if (event.type === 'ContentsChanged') sizes.push(event.size.blocks);
    }
  }
  assert.equal(sizes, [4, 8, 12, 16, 16]);
  await it.kill();
  await it.open();
  assert.ok(stream.bytes.equals((await it.get('stream')) as Buffer));
});

on('a crash leaves the pieces that were logged, whole', async (it, stream, syncs, clock) => {
  const before = await head(it);
  await stream.write(0, 8, 1);
  syncs.letGo();
  await until(clock, async () => (await head(it)) === before + 2);
  syncs.isSlow = true;
  const whole = Buffer.from(stream.bytes);
  await stream.write(8, 8, 2);
  const fsynced = await it.create('other');
  if (typeof fsynced === 'string') throw new Error(fsynced);
  const synced = Promise.resolve(it.volume.filesystem.fsync(fsynced.file));
  assert.ok(await isOver(synced), 'it names no data');
  await it.kill();
  await it.open();
  assert.ok(whole.equals((await it.get('stream')) as Buffer));
  const report = await it.volume.check(() => undefined);
  assert.ok(report.clean, report.lines.join('\n'));
});

/** What needs the stream's writes in the log, and so waits for most of them. */
const NEEDS: Readonly<Record<string, (it: SimVolume, stream: Stream) => unknown>> = {
  fsync: ({ volume }, { file }) => volume.filesystem.fsync(file),
  chmod: ({ volume }, { ino }) => volume.filesystem.setattr(ino, { mode: 0o600 }, CALLER),
  truncate: ({ volume }, { ino }) => volume.filesystem.setattr(ino, { size: sizeOf(7) }, CALLER),
  unlink: (it) => it.remove('stream'),
  rename: ({ volume }) => {
    const [from, to] = [byteStringOf('stream'), byteStringOf('to')];
    return volume.filesystem.rename(ROOT_INO, from, ROOT_INO, to, 0, CALLER);
  },
};

for (const [what, need] of Object.entries(NEEDS)) {
  on(`${what} waits for the stream, and nothing else does`, async (it, stream, syncs, clock) => {
    await stream.write(0, 64, 1);
    const before = await head(it);
    const needing = Promise.resolve(need(it, stream));
    assert.not.ok(await isOver(needing));
    assert.is(await head(it), before, 'it is not in the log');
    const writing = it.write(stream.file, Buffer.from('x'), 64 * BLOCK_BYTES);
    assert.not.ok(await isOver(writing), 'its writers are held');
    const other = it.volume.filesystem.mkdir(ROOT_INO, byteStringOf('d'), 0o755, CALLER);
    assert.not.ok(isRefusal(await other));
    syncs.letGo();
    assert.is(refusalName(await passing(clock, needing)), undefined);
    assert.is(await passing(clock, writing), undefined);
    const logged = await it.volume.sync().then(() => it.transactions(before + 1));
    const causes = logged.map(({ cause }) => cause).filter((cause) => cause !== 'mkdir');
    assert.equal(causes.slice(0, 16), Array(16).fill('write'), 'all of the stream first');
  });
}

on(
  'closing a stream does not wait, and it is logged in the end',
  async (it, stream, syncs, clock) => {
    await stream.write(0, 64, 1);
    await stream.write(64, 1, 2);
    const before = await head(it);
    const { filesystem } = it.volume;
    const flushed = Promise.resolve(filesystem.flush(stream.file));
    assert.ok(await isOver(flushed));
    assert.is(await head(it), before);
    syncs.letGo();
    await until(clock, async () => (await head(it)) === before + 17);
    await stream.assertShown();
  },
);

on('a stream that stops is logged at the timer', async (it, stream, syncs, clock) => {
  const before = await head(it);
  await stream.write(0, 6, 1);
  clock.advance(500);
  await settle();
  assert.is(await head(it), before, 'nothing that is not durable');
  syncs.letGo();
  await until(clock, async () => (await head(it)) === before + 2);
  assert.equal((await stream.inode()).size, sizeOf(6 * BLOCK_BYTES));
});

on('with broken data a stream is lost, and whoever asks is told', async (it, stream, syncs) => {
  await stream.write(0, 64, 1);
  const { filesystem } = it.volume;
  const synced = Promise.resolve(filesystem.fsync(stream.file));
  assert.not.ok(await isOver(synced));
  it.disk.faults = ({ kind, path }) =>
    kind === 'datasync' && path.endsWith('.seg') ? { kind: 'error', code: 'EIO' } : undefined;
  syncs.letGo();
  assert.is(refusalName(await synced), 'EIO');
  assert.is(refusalName(await filesystem.flush(stream.file)), 'EIO');
  assert.is(await it.write(stream.file, Buffer.from('x')), 'EIO');
});

on('a segment is logged before its first use, whoever logs first', async (it, stream, syncs) => {
  const before = await head(it);
  await stream.write(0, 4, 1);
  // In the same segment, which the stream's unlogged piece created.
  assert.is(await it.put('small', Buffer.from('small')), undefined);
  syncs.letGo();
  await it.volume.sync();
  const created = (await it.transactions(before + 1)).flatMap(({ cause, events }) =>
    events.flatMap((event) => (event.type === 'SegmentCreated' ? [cause] : [])),
  );
  assert.equal(created, ['write'], 'once');
  const report = await it.volume.check(() => undefined);
  assert.ok(report.clean, report.lines.join('\n'));
  await stream.assertShown();
});

on('an orphan’s shipped pieces are logged, then removed', async (it, stream, syncs, clock) => {
  const { filesystem } = it.volume;
  assert.is(await it.remove('stream'), undefined);
  await stream.write(0, 64, 1);
  await stream.assertShown();
  filesystem.close(stream.file);
  syncs.letGo();
  await until(clock, async () => isRefusal(await filesystem.getattr(stream.ino)));
  await it.volume.sync();
  const report = await it.volume.scrub(() => undefined);
  assert.equal([report.bad, report.unowned], [[], []]);
});

test.run();

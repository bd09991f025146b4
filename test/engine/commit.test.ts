/** The commit path: attempts that miss, memory bounds, and the index that never leads the log. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRefusal } from '../../src/model/errno.ts';
import { BLOCK_BYTES, byteStringOf, ROOT_INO } from '../../src/model/ids.ts';
import { S_IFREG } from '../../src/model/inode.ts';
import { sizeOf } from '../../src/model/size.ts';
import { settle, type SimClock } from '../sim/clock.ts';
import { CALLER, refusalName, type SimVolume } from './sim-volume.ts';
import { inStillTime, passing } from './still-time.ts';

const test = suite('commit');
const name = byteStringOf;
const TAIL_BYTES = 32 << 20;
const VALUE_BYTES = 60_000;
/** From this size of the overlay on, removals rest. */
const QUIET_BYTES = 16 << 20;

function on(what: string, body: (it: SimVolume, clock: SimClock) => Promise<void>): void {
  test(what, () => inStillTime({}, body));
}

/** Holds the log's syncs back until the returned function is called. */
function holdCommits(it: SimVolume): () => void {
  const held: (() => void)[] = [];
  let isHeld = true;
  const call = it.disk.call.bind(it.disk);
  it.disk.call = async (kind, path, ...rest) => {
    if (isHeld && kind === 'datasync' && path.endsWith('.avro')) {
      await new Promise<void>((resolve) => held.push(resolve));
    }
    return call(kind, path, ...rest);
  };
  return () => {
    isHeld = false;
    for (const release of held) release();
  };
}

const mknod = (it: SimVolume, what: string) =>
  it.volume.filesystem.mknod(ROOT_INO, name(what), S_IFREG | 0o644, 0, CALLER);

on('an attempt that misses has no effect, and one when it is made again', async (it, clock) => {
  assert.is(await it.put('f', Buffer.alloc(3 * BLOCK_BYTES, 'x')), undefined);
  await passing(clock, it.volume.close());
  await it.open();

  const { filesystem } = it.volume;
  const inode = await filesystem.lookup(ROOT_INO, name('f'));
  if (isRefusal(inode)) throw new Error(inode.name);
  const before = (await it.volume.status()).log.head;
  const cut = filesystem.setattr(inode.ino, { size: sizeOf(BLOCK_BYTES) }, CALLER);
  assert.ok(cut instanceof Promise, 'its extents are not in memory');
  const beside = mknod(it, 'beside');
  assert.not.ok(isRefusal(beside) || beside instanceof Promise, 'others do not wait for it');
  assert.not.ok(isRefusal(await cut));
  await it.volume.sync();
  const logged = await it.transactions(before + 1);
  assert.equal(
    logged.map(({ cause }) => cause),
    ['mknod', 'truncate'],
  );
});

on('a full log tail lets changes wait and reads go on', async (it) => {
  assert.is(await it.put('old', Buffer.from('old')), undefined);
  await it.volume.sync();
  const release = holdCommits(it);
  const { filesystem } = it.volume;
  const answers: unknown[] = [];
  const set = (i: number) =>
    filesystem.setXattr(ROOT_INO, name('user.x'), Buffer.alloc(VALUE_BYTES, `${i}`), 0, CALLER);
  while (!(answers.at(-1) instanceof Promise) && answers.length < 3000) {
    answers.push(set(answers.length));
    await settle();
  }
  const bytes = answers.length * VALUE_BYTES;
  assert.ok(bytes >= TAIL_BYTES / 2 && bytes <= 2 * TAIL_BYTES, `${bytes} bytes taken`);
  const creation = mknod(it, 'new');
  assert.ok(creation instanceof Promise);
  assert.equal(await it.get('old'), Buffer.from('old'));
  for (let i = 0; i < 20; i++) await settle();
  assert.is(refusalName(await filesystem.lookup(ROOT_INO, name('new'))), 'ENOENT', 'still waiting');

  release();
  assert.not.ok(isRefusal(await creation));
  for (const answer of answers) assert.is(refusalName(await answer), undefined);
  const value = await filesystem.getXattr(ROOT_INO, name('user.x'));
  assert.equal(value, Buffer.alloc(VALUE_BYTES, `${answers.length - 1}`), 'the last one came last');
});

on('a removal rests while much is to be written, before others have to wait', async (it, clock) => {
  const made = await it.create('huge');
  if (typeof made === 'string') throw new Error(made);
  for (let i = 0; i < 1500; i++) await it.write(made.file, Buffer.from('x'), 2 * i * BLOCK_BYTES);
  it.volume.filesystem.close(made.file);
  await it.volume.sync();
  const release = holdCommits(it);
  const { filesystem } = it.volume;
  for (let bytes = 0; bytes < QUIET_BYTES; bytes += VALUE_BYTES) {
    void filesystem.setXattr(ROOT_INO, name(`user.${bytes}`), Buffer.alloc(VALUE_BYTES), 0, CALLER);
  }
  assert.is(await it.remove('huge'), undefined);
  const extents = async (): Promise<number | undefined> => {
    const inode = await filesystem.getattr(made.ino);
    return isRefusal(inode) ? undefined : inode.extents;
  };
  const pass = async (turns: number): Promise<void> => {
    for (let turn = 0; turn < turns; turn++) {
      clock.advance(10);
      await settle();
    }
  };
  await pass(200);
  const left = (await extents()) ?? 0;
  const beside = mknod(it, 'beside');
  release();
  assert.ok(left > 1000, 'it rests');
  assert.not.ok(beside instanceof Promise, 'others do not');
  for (let turns = 0; (await extents()) !== undefined; turns++) {
    assert.ok(turns < 5000, 'and it goes on');
    await pass(10);
  }
});

on('the index waits for the log, whatever the time', async (it, clock) => {
  const release = holdCommits(it);
  for (let i = 0; i < 50; i++) {
    void mknod(it, `f${i}`);
    clock.advance(500);
    await settle();
    const { index, log } = await it.volume.status();
    assert.ok(index.persisted <= log.durable, `${index.persisted} after ${log.durable}`);
    assert.is(index.applied, log.head, 'though everybody sees it');
  }
  const held = await it.volume.status();
  assert.ok(held.log.durable < held.log.head);
  release();
  await it.volume.sync();
  // LevelDB writes on a thread of its own, in real time.
  for (let turns = 0; (await it.volume.status()).index.persisted < held.log.head; turns++) {
    assert.ok(turns < 20_000, 'and follows it');
    clock.advance(100);
    await settle();
  }
});

on('a shown position is durable: what a kill takes back was never called durable', async (it) => {
  void mknod(it, 'durable');
  const synced = await it.volume.sync();
  void mknod(it, 'lost');
  const { log } = await it.volume.status();
  assert.is(log.durable, synced);
  assert.is(log.head, synced + 1);
  await it.kill();
  await it.open();
  assert.is((await it.volume.status()).log.head, synced);
  assert.is(await it.get('lost'), 'ENOENT');
  assert.equal(await it.get('durable'), Buffer.alloc(0));
});

test.run();

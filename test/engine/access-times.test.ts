/** Access times between the read and the log: when they are logged, and what loses them. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { differences } from '../../src/index/compare.ts';
import { Index } from '../../src/index/index.ts';
import { buildIndex } from '../../src/index/rebuild.ts';
import { isRefusal, type Refusal } from '../../src/model/errno.ts';
import { byteStringOf, ROOT_INO, type Ino } from '../../src/model/ids.ts';
import type { Inode } from '../../src/model/inode.ts';
import type { Time } from '../../src/model/time.ts';
import type { SimClock } from '../sim/clock.ts';
import { settle } from '../sim/clock.ts';
import { CALLER, type SimVolume } from './sim-volume.ts';
import { inStillTime, passing } from './still-time.ts';

const test = suite('engine access times');
const MINUTE_MS = 60_000;

const on = (what: string, body: (it: SimVolume, clock: SimClock) => Promise<void>): void =>
  test(what, () => inStillTime({ historyMicros: -1 }, body));

async function done<T>(answer: T | Refusal | Promise<T | Refusal>): Promise<T> {
  const value = await answer;
  if (isRefusal(value)) throw new Error(`refused: ${value.name}`);
  return value;
}

/** A file that was written a second ago. */
async function written(it: SimVolume, clock: SimClock, name: string): Promise<Ino> {
  assert.is(await it.put(name, Buffer.from(name)), undefined);
  clock.advance(1000);
  await settle();
  return (await done(it.volume.filesystem.lookup(ROOT_INO, byteStringOf(name)))).ino;
}

const inodeOf = (it: SimVolume, ino: Ino): Promise<Inode> =>
  done(it.volume.filesystem.getattr(ino));
const atimeOf = async (it: SimVolume, ino: Ino): Promise<Time> => (await inodeOf(it, ino)).atime;

/** Inodes whose access times were logged, one list a transaction. */
async function logged(it: SimVolume): Promise<number[][]> {
  const found: number[][] = [];
  for (const { cause, events, actor } of await it.transactions()) {
    if (cause !== 'atime') continue;
    assert.is(actor.pid, 0);
    found.push(events.map((e) => (e.type === 'AccessTimeChanged' ? e.ino : -1)));
  }
  return found;
}

on('it is shown at once, logged a minute later, and no change of the inode', async (it, clock) => {
  const ino = await written(it, clock, 'f');
  const before = await inodeOf(it, ino);
  const now = clock.now();
  await it.get('f');
  assert.equal(await atimeOf(it, ino), now);
  clock.advance(1000);
  await it.get('f');
  assert.equal(await atimeOf(it, ino), now, 'relatime');
  await passing(clock, it.volume.sync());
  assert.equal(await logged(it), [], 'a sync does not log it');
  clock.advance(MINUTE_MS);
  await settle();
  await passing(clock, it.volume.sync());
  assert.equal(await logged(it), [[ino]]);
  const after = await inodeOf(it, ino);
  assert.equal(after, { ...before, atime: now });
  clock.advance(2 * MINUTE_MS);
  await settle();
  assert.is((await logged(it)).length, 1, 'once');
});

on('a clean close logs it; the indexes are those of a replay', async (it, clock) => {
  const ino = await written(it, clock, 'f');
  await it.get('f');
  clock.advance(1000);
  it.volume.filesystem.accessed(ROOT_INO);
  const atime = await atimeOf(it, ino);
  const root = await atimeOf(it, ROOT_INO);
  assert.is(root.sec - atime.sec, 1);
  await passing(clock, it.volume.close());
  assert.equal(await logged(it), [[ino, ROOT_INO]]);
  await it.open();
  assert.equal([await atimeOf(it, ino), await atimeOf(it, ROOT_INO)], [atime, root]);
  await passing(clock, it.volume.close());
  const transactions = await it.transactions();
  const replayed = await buildIndex(`${it.scratch}/replayed`, {
    transactions: async function* () {
      yield transactions;
    },
  });
  const kept = await Index.open({ dir: it.indexDir });
  const [left, right] = [kept.snapshot(), replayed.snapshot()];
  for await (const { family, key } of differences(left, right)) {
    assert.unreachable(`${family} ${JSON.stringify(key)}`);
  }
  left.close();
  right.close();
  await kept.close();
  await replayed.close();
  await it.open();
});

on('a crash before that loses it, and nothing else', async (it, clock) => {
  const ino = await written(it, clock, 'f');
  const before = await inodeOf(it, ino);
  await it.get('f');
  await passing(clock, it.volume.sync());
  await it.kill();
  await it.open();
  assert.equal({ ...(await inodeOf(it, ino)), metaSeq: 0 }, { ...before, metaSeq: 0 });
});

on('what was set, or is gone, is not logged', async (it, clock) => {
  const [set, gone] = [await written(it, clock, 'set'), await written(it, clock, 'gone')];
  for (const name of ['set', 'gone']) await it.get(name);
  const atime = { sec: 2 ** 33, nsec: 1 };
  await done(it.volume.filesystem.setattr(set, { atime }, CALLER));
  assert.is(await it.remove('gone'), undefined);
  clock.advance(MINUTE_MS);
  await settle();
  await passing(clock, it.volume.sync());
  assert.equal(await logged(it), []);
  assert.equal(await atimeOf(it, set), atime);
  assert.ok(isRefusal(await it.volume.filesystem.getattr(gone)));
});

on('a mode that changes meanwhile does not bring the old time back', async (it, clock) => {
  const ino = await written(it, clock, 'f');
  await it.get('f');
  const atime = await atimeOf(it, ino);
  const changed = await done(it.volume.filesystem.setattr(ino, { mode: 0o600 }, CALLER));
  assert.equal(changed.atime, atime);
  clock.advance(MINUTE_MS);
  await settle();
  assert.equal((await inodeOf(it, ino)).atime, atime);
});

on('a day later a read counts again, whether or not the first one is logged', async (it, clock) => {
  const ino = await written(it, clock, 'f');
  await it.get('f');
  const first = await atimeOf(it, ino);
  clock.advance(23 * 60 * MINUTE_MS);
  await settle();
  await it.get('f');
  assert.equal(await atimeOf(it, ino), first);
  clock.advance(60 * MINUTE_MS);
  await settle();
  await it.get('f');
  assert.equal(await atimeOf(it, ino), clock.now());
});

on('many are logged in batches, and before their time', async (it, clock) => {
  const { filesystem } = it.volume;
  const inos: Ino[] = [];
  for (let i = 0; i < 4096; i++) {
    const made = await done(filesystem.mkdir(ROOT_INO, byteStringOf(`d${i}`), 0o40755, CALLER));
    inos.push(made.ino);
  }
  clock.advance(10);
  for (const ino of inos.slice(0, -1)) filesystem.accessed(ino);
  clock.advance(0);
  await settle();
  await passing(clock, it.volume.sync());
  assert.equal(await logged(it), []);
  filesystem.accessed(inos.at(-1)!);
  clock.advance(0);
  for (let i = 0; i < 100; i++) await settle();
  await passing(clock, it.volume.sync());
  const batches = await logged(it);
  assert.equal(
    batches.map((batch) => batch.length),
    Array.from({ length: 16 }, () => 256),
  );
  assert.equal(batches.flat(), inos);
});

test.run();

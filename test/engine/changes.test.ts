/** Who is told of which change: everybody with copies, but the one through whom it came. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { CacheHolder, Caller, Change } from '../../src/engine/api.ts';
import { changesOf } from '../../src/engine/changes.ts';
import { isRefusal, type Refusal } from '../../src/model/errno.ts';
import { byteStringOf, ino, ROOT_INO } from '../../src/model/ids.ts';
import { sizeOf } from '../../src/model/size.ts';
import { ONE_OF_EACH } from '../log/samples.ts';
import { CALLER, SimVolume } from './sim-volume.ts';

const test = suite('engine changes');
const name = byteStringOf;

async function done<T>(answer: T | Refusal | Promise<T | Refusal>): Promise<T> {
  const value = await answer;
  if (isRefusal(value)) throw new Error(`refused: ${value.name}`);
  return value;
}

const text = (change: Change): string =>
  change.type === 'entry'
    ? `entry ${change.dir}/${change.name} ${change.ino}`
    : `${change.type} ${change.ino}`;

test('what each event means for copies; each thing once', () => {
  const told = (...events: Parameters<typeof changesOf>[0]): string[] =>
    changesOf(events).map(text);
  const { AttributesChanged, ContentsChanged, LinksChanged, DirentRemoved } = ONE_OF_EACH;
  const { ExtentsMapped, XattrSet, InodeCreated, DirentAdded, AccessTimeChanged } = ONE_OF_EACH;
  assert.equal(told(AttributesChanged, XattrSet), ['attributes 1024']);
  assert.equal(told(LinksChanged, AttributesChanged), ['attributes 5', 'attributes 1024']);
  assert.equal(told(AttributesChanged, ContentsChanged, ExtentsMapped), ['contents 1024']);
  assert.equal(told(DirentRemoved), [`entry 1/${DirentRemoved.name} 1024`]);
  assert.equal(told(InodeCreated, DirentAdded, AccessTimeChanged), []);
});

class Recorder implements CacheHolder {
  isAlone: boolean | undefined;
  readonly heard: string[] = [];
  /** Others that were told by calls through this one. */
  readonly tellings: (Promise<void> | undefined)[] = [];
  answer: Promise<void> | undefined;

  setAlone(isAlone: boolean): void {
    this.isAlone = isAlone;
  }

  changed(changes: readonly Change[]): Promise<void> | undefined {
    this.heard.push(...changes.map(text));
    return this.answer;
  }

  get caller(): Caller {
    const telling = (_: readonly Change[], told: Promise<void> | undefined): void =>
      void this.tellings.push(told);
    return { ...CALLER, origin: { holder: this, telling } };
  }

  take(): string[] {
    return this.heard.splice(0);
  }
}

async function withTwo(body: (it: SimVolume, a: Recorder, b: Recorder) => Promise<void>) {
  const it = await SimVolume.create();
  try {
    const [a, b] = [new Recorder(), new Recorder()];
    it.volume.filesystem.addCacheHolder(a);
    assert.is(a.isAlone, true);
    it.volume.filesystem.addCacheHolder(b);
    assert.equal([a.isAlone, b.isAlone], [false, false]);
    await body(it, a, b);
    it.volume.filesystem.removeCacheHolder(a);
    assert.is(b.isAlone, true);
  } finally {
    await it.dispose();
  }
}

test('names and attributes are told to the other one, when they are changed', () =>
  withTwo(async (it, a, b) => {
    const { filesystem } = it.volume;
    const { inode } = await done(filesystem.create(ROOT_INO, name('f'), 0o644, 2, a.caller));
    const f = inode.ino;
    assert.equal(b.take(), ['attributes 1'], 'a new name nobody can have a copy of');
    await done(filesystem.rename(ROOT_INO, name('f'), ROOT_INO, name('g'), 0, a.caller));
    assert.equal(b.take(), [`entry 1/f ${f}`, 'attributes 1', `attributes ${f}`]);
    await done(filesystem.setXattr(f, name('user.x'), Buffer.from('1'), 0, a.caller));
    assert.equal(b.take(), [`attributes ${f}`]);
    await done(filesystem.unlink(ROOT_INO, name('g'), a.caller));
    assert.equal(b.take(), [`entry 1/g ${f}`, 'attributes 1', `attributes ${f}`]);
    assert.equal(a.take(), []);
    assert.is(a.tellings.length, 4);
  }));

test('a write is told when it is answered, and not again when it is logged', () =>
  withTwo(async (it, a, b) => {
    const { filesystem } = it.volume;
    const made = await done(filesystem.create(ROOT_INO, name('f'), 0o644, 2, a.caller));
    const f = made.inode.ino;
    b.take();
    const told = Promise.resolve();
    b.answer = told;
    const payload = { bytes: Buffer.from('text'), take: () => () => undefined };
    await done(filesystem.write(made.file, sizeOf(0), payload, false, a.caller));
    assert.equal(b.take(), [`contents ${f}`]);
    assert.is(a.tellings.at(-1), told);
    await done(filesystem.fsync(made.file));
    assert.equal(b.take(), []);
    await done(filesystem.setattr(f, { size: sizeOf(1) }, a.caller));
    assert.equal(b.take(), [`contents ${f}`]);
    const log = await it.transactions();
    assert.ok(log.some(({ cause }) => cause === 'write'));
    assert.equal(a.take(), []);
  }));

test('what came through nobody is told to all, and what nobody asked for to none', () =>
  withTwo(async (it, a, b) => {
    const { filesystem } = it.volume;
    const made = await done(filesystem.create(ROOT_INO, name('f'), 0o644, 2, CALLER));
    assert.equal([a.take(), b.take()], [['attributes 1'], ['attributes 1']]);
    filesystem.accessed(ROOT_INO);
    await done(filesystem.unlink(ROOT_INO, name('f'), CALLER));
    for (const holder of [a, b]) assert.is(holder.take().length, 3);
    filesystem.close(made.file);
    while (!isRefusal(await filesystem.getattr(made.inode.ino))) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal([a.take(), b.take()], [[], []], 'the end of an orphan');
    assert.is(((await filesystem.getattr(ino(1))) as { ino: number }).ino, 1);
  }));

test.run();

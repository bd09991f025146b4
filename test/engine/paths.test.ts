/** Advisory paths: right at the moment of their transaction or absent, never wrong. */

import { assert as check, integer, property } from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Paths } from '../../src/engine/paths.ts';
import { isRefusal } from '../../src/model/errno.ts';
import { asByteString, byteStringOf, ino, ROOT_INO, type Ino } from '../../src/model/ids.ts';
import { S_IFDIR, S_IFREG } from '../../src/model/inode.ts';
import { SimRandom } from '../sim/random.ts';
import { CALLER, SimVolume } from './sim-volume.ts';

const test = suite('paths');
const name = byteStringOf;
const DIR_KIND = S_IFDIR >>> 12;
const FILE_KIND = S_IFREG >>> 12;

test('what was never learnt has no path, and the root has one', () => {
  const paths = new Paths();
  assert.equal(paths.ofInode(ROOT_INO), [{ ino: ROOT_INO, path: '/' }]);
  assert.equal(paths.ofInode(ino(5)), []);
  assert.is(paths.of(ino(5), name('x')), undefined);
  assert.is(paths.of(ROOT_INO, name('x')), '/x');
});

test('a path that would be longer than 4,096 bytes is left out', () => {
  const paths = new Paths();
  let dir: Ino = ROOT_INO;
  for (let depth = 0; depth < 40; depth++) {
    const path = paths.of(dir, asByteString('n'.repeat(255)));
    assert.is(path !== undefined, (depth + 1) * 256 <= 4096, `${depth}`);
    paths.learn(dir, asByteString('n'.repeat(255)), ino(100 + depth), DIR_KIND);
    dir = ino(100 + depth);
  }
});

test('a hundred thousand files are forgotten again, and the newest known', () => {
  const paths = new Paths();
  for (let i = 0; i < 100_000; i++) paths.learn(ROOT_INO, name(`f${i}`), ino(2000 + i), FILE_KIND);
  assert.equal(paths.ofInode(ino(2000)), []);
  assert.is(paths.ofInode(ino(101_999))[0]?.path, '/f99999');
});

interface Place {
  parent: Ino;
  name: string;
}

/** The path in a tree of naive records. */
function pathIn(tree: ReadonlyMap<Ino, Place>, at: Ino): string {
  const place = tree.get(at);
  return place === undefined ? '' : `${pathIn(tree, place.parent)}/${place.name}`;
}

const isBelow = (tree: ReadonlyMap<Ino, Place>, at: Ino, top: Ino): boolean => {
  for (let i: Ino | undefined = at; i !== undefined; i = tree.get(i)?.parent) {
    if (i === top) return true;
  }
  return false;
};

test('under any creations, moves and removals of names, a path is right', () => {
  check(
    property(integer({ min: 0, max: 2 ** 32 - 1 }), (seed) => {
      const random = new SimRandom(seed);
      const paths = new Paths();
      const tree = new Map<Ino, Place>();
      const dirs: Ino[] = [ROOT_INO];
      const all: Ino[] = [];
      for (let step = 0; step < 150; step++) {
        const parent = random.pick(dirs);
        const moved = all.length > 3 && random.chance(0.5) ? random.pick(all) : undefined;
        if (moved !== undefined && isBelow(tree, parent, moved)) continue;
        const at = moved ?? ino(100 + step);
        const isDir = moved === undefined ? random.chance(0.5) : dirs.includes(moved);
        const called = `${random.integer(1000)}-${step}`;
        tree.set(at, { parent, name: called });
        paths.learn(parent, name(called), at, isDir ? DIR_KIND : FILE_KIND);
        if (moved === undefined) all.push(at);
        if (moved === undefined && isDir) dirs.push(at);
        const leaf = random.pick(all);
        if (!dirs.includes(leaf) && random.chance(0.1)) {
          paths.forget(leaf);
          assert.equal(paths.ofInode(leaf), []);
          paths.learn(tree.get(leaf)!.parent, name(tree.get(leaf)!.name), leaf, FILE_KIND);
        }
        for (const each of all) assert.is(paths.ofInode(each)[0]?.path, pathIn(tree, each));
      }
    }),
    { numRuns: 30 },
  );
});

test('the log says where a name stood at that moment, through renames of its parents', async () => {
  const it = await SimVolume.create();
  const { filesystem } = it.volume;
  const dir = async (parent: Ino, what: string): Promise<Ino> => {
    const made = await filesystem.mkdir(parent, name(what), S_IFDIR | 0o755, CALLER);
    if (isRefusal(made)) throw new Error(made.name);
    return made.ino;
  };
  try {
    const b = await dir(await dir(ROOT_INO, 'a'), 'b');
    const made = await filesystem.create(b, name('f'), 0o644, 2, CALLER);
    if (isRefusal(made)) throw new Error(made.name);
    await filesystem.rename(ROOT_INO, name('a'), ROOT_INO, name('c'), 0, CALLER);
    await it.write(made.file, Buffer.from('1'));
    await filesystem.flush(made.file);
    await filesystem.rename(b, name('f'), ROOT_INO, name('g'), 0, CALLER);
    await filesystem.setattr(made.inode.ino, { mode: 0o600 }, CALLER);
    await filesystem.unlink(ROOT_INO, name('g'), CALLER);
    await filesystem.setattr(made.inode.ino, { mode: 0o644 }, CALLER);
    await it.volume.sync();
    const logged = (await it.transactions(2)).map(({ cause, paths }) =>
      `${cause} ${paths.map(({ path }) => path).join(' ')}`.trim(),
    );
    assert.equal(logged, [
      'mkdir /a',
      'mkdir /a/b',
      'create /a/b/f',
      'rename /a /c',
      'write /c/b/f',
      'rename /c/b/f /g',
      'setattr /g',
      'unlink /g',
      'setattr',
    ]);
  } finally {
    await it.dispose();
  }
});

test.run();

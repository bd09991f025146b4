/** Paths to inodes, on the memory filesystem, answered at once and later. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { inodeAt, placeAt } from '../../../src/fuse/native/paths.ts';
import { isRefusal } from '../../../src/model/errno.ts';
import { byteString, byteStringOf, ROOT_INO, type Ino } from '../../../src/model/ids.ts';
import { S_IFDIR, S_IFREG } from '../../../src/model/inode.ts';
import { MemoryFilesystem } from '../memory-filesystem.ts';

const ROOT = { uid: 0, gid: 0, pid: 0 };

async function made<T>(answered: T): Promise<Exclude<Awaited<T>, { readonly errno: number }>> {
  const value = await answered;
  assert.not.ok(isRefusal(value), 'refused');
  return value as Exclude<Awaited<T>, { readonly errno: number }>;
}

const errnoOf = async (answered: unknown): Promise<string> => {
  const value = await answered;
  return isRefusal(value) ? value.name : 'answered';
};

interface Tree {
  readonly filesystem: MemoryFilesystem;
  readonly dir: Ino;
  readonly file: Ino;
  readonly odd: Ino;
}

/** `/dir/deep/ä`, and beside it a name that is no UTF-8. */
async function tree(isLazy: boolean): Promise<Tree> {
  const filesystem = new MemoryFilesystem();
  filesystem.isLazy = isLazy;
  const mode = S_IFDIR | 0o755;
  const top = await made(filesystem.mkdir(ROOT_INO, byteStringOf('dir'), mode, ROOT));
  const dir = await made(filesystem.mkdir(top.ino, byteStringOf('deep'), mode, ROOT));
  const make = async (name: Parameters<typeof filesystem.mknod>[1]): Promise<Ino> =>
    (await made(filesystem.mknod(dir.ino, name, S_IFREG | 0o644, 0, ROOT))).ino;
  const file = await make(byteStringOf('ä'));
  const odd = await make(byteString(Buffer.from([0x61, 0xff])));
  return { filesystem, dir: dir.ino, file, odd };
}

for (const isLazy of [false, true]) {
  const how = isLazy ? 'answered later' : 'answered at once';

  test(`a path leads to its inode, ${how}`, async () => {
    const { filesystem, dir, file, odd } = await tree(isLazy);
    const inoAt = async (path: string): Promise<Ino> => (await made(inodeAt(filesystem, path))).ino;
    assert.is(await inoAt('/'), ROOT_INO);
    assert.is(await inoAt('/dir/deep'), dir);
    assert.is(await inoAt('/dir/deep/ä'), file);
    assert.is(await inoAt('/dir/deep/a\uEFFF'), odd);
    assert.equal(await made(placeAt(filesystem, '/dir/deep/new', true)), {
      dir,
      name: byteStringOf('new'),
    });
  });

  test(`what leads nowhere says why, ${how}`, async () => {
    const { filesystem } = await tree(isLazy);
    const at = (path: string): Promise<string> => errnoOf(inodeAt(filesystem, path));
    assert.is(await at('/none'), 'ENOENT');
    assert.is(await at('/dir/none/ä'), 'ENOENT');
    assert.is(await at('/dir/deep/ä/below'), 'ENOTDIR');
    assert.is(await at(`/${'n'.repeat(256)}`), 'ENAMETOOLONG');
    assert.is(await at('/dir/deep/a\uFFFD'), 'EILSEQ', 'never taken for another name');
    assert.is(await errnoOf(placeAt(filesystem, '/dir/deep/a\uEFFF', true)), 'EILSEQ');
    assert.is(await errnoOf(placeAt(filesystem, '/dir/deep/a\uFFFD', false)), 'EILSEQ');
    assert.is(await errnoOf(placeAt(filesystem, '/', false)), 'EBUSY');
    assert.is(await errnoOf(placeAt(filesystem, '/none/x', true)), 'ENOENT');
  });
}

test.run();

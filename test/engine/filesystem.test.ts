/** The engine's filesystem: the suite, and what goes beyond it: extremes, inheritance, times. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRefusal, type Refusal } from '../../src/model/errno.ts';
import { asByteString, BLOCK_BYTES, byteStringOf, ROOT_INO } from '../../src/model/ids.ts';
import { S_IFDIR, S_IFIFO, S_IFREG } from '../../src/model/inode.ts';
import { addBytes, MAX_SIZE, sizeOf, type Size } from '../../src/model/size.ts';
import type { Time } from '../../src/model/time.ts';
import { CAPABILITY } from '../../src/model/xattr.ts';
import { filesystemSuite } from '../suites/filesystem-suite.ts';
import { CALLER, refusalName, SimVolume } from './sim-volume.ts';

const test = suite('filesystem');
const name = byteStringOf;
const compareTimes = (a: Time, b: Time): number => a.sec - b.sec || a.nsec - b.nsec;

filesystemSuite(test, async () => {
  const it = await SimVolume.create();
  return { filesystem: it.volume.filesystem, discard: () => it.dispose() };
});

function on(what: string, body: (it: SimVolume) => Promise<void>): void {
  test(what, async () => {
    const it = await SimVolume.create();
    try {
      await body(it);
    } finally {
      await it.dispose();
    }
  });
}

async function done<T>(answer: T | Refusal | Promise<T | Refusal>): Promise<T> {
  const value = await answer;
  if (isRefusal(value)) throw new Error(`refused: ${value.name}`);
  return value;
}

const payload = (text: string) => ({ bytes: Buffer.from(text), take: () => () => undefined });

on('a sparse file of 8 EiB - 1 is written and read at both ends', async (it) => {
  const { filesystem } = it.volume;
  const { inode, file } = await done(filesystem.create(ROOT_INO, name('f'), 0o644, 2, CALLER));
  await done(filesystem.setattr(inode.ino, { size: MAX_SIZE }, CALLER));
  const last: Size = { blocks: MAX_SIZE.blocks, tail: MAX_SIZE.tail - 3 };
  await done(filesystem.write(file, last, payload('end'), false, CALLER));
  await done(filesystem.write(file, sizeOf(0), payload('begin'), false, CALLER));
  const beyond = filesystem.write(file, addBytes(last, 1), payload('end'), false, CALLER);
  assert.is(refusalName(await beyond), 'EFBIG');
  const tooLarge = { size: { blocks: MAX_SIZE.blocks + 1, tail: 0 } };
  assert.is(refusalName(await filesystem.setattr(inode.ino, tooLarge, CALLER)), 'EFBIG');
  await done(filesystem.fsync(file));
  await it.volume.close();
  await it.open();
  const after = await done(it.volume.filesystem.getattr(inode.ino));
  assert.equal([after.size, after.onlineBlocks, after.extents], [MAX_SIZE, 2, 2]);
  const read = async (at: Size) =>
    Buffer.concat([...(await done(it.volume.filesystem.read(file, at, 100)))]).toString();
  assert.is(await read(last), 'end');
  assert.is((await read(sizeOf(0))).slice(0, 6), 'begin\0');
  assert.is(await read({ blocks: 2 ** 40, tail: 5 }), '\0'.repeat(100));
});

on(
  'a change of nothing is chown(-1, -1): of the owner and of root, and of nobody else',
  async (it) => {
    const { filesystem } = it.volume;
    const owner = { uid: 5, gid: 5, pid: 1 };
    const { inode } = await done(filesystem.create(ROOT_INO, name('f'), 0o6755, 2, owner));
    const stranger = await done(filesystem.setattr(inode.ino, {}, { ...owner, uid: 6 }));
    assert.equal([stranger.mode, stranger.ctime], [inode.mode, inode.ctime]);
    for (const caller of [owner, CALLER]) {
      await done(filesystem.setattr(inode.ino, { mode: 0o6755 }, owner));
      const before = await done(filesystem.getattr(inode.ino));
      const after = await done(filesystem.setattr(inode.ino, {}, caller));
      assert.is(after.mode, S_IFREG | 0o755);
      assert.ok(compareTimes(after.ctime, before.ctime) >= 0);
      assert.equal(after.mtime, before.mtime);
    }
  },
);

on(
  'a directory cannot be moved into itself or below, nor exchanged with what holds it',
  async (it) => {
    const { filesystem } = it.volume;
    const a = await done(filesystem.mkdir(ROOT_INO, name('a'), S_IFDIR | 0o755, CALLER));
    const b = await done(filesystem.mkdir(a.ino, name('b'), S_IFDIR | 0o755, CALLER));
    const move = (flags: number) =>
      filesystem.rename(ROOT_INO, name('a'), b.ino, name('x'), flags, CALLER);
    assert.is(refusalName(await move(0)), 'EINVAL');
    const into = filesystem.rename(ROOT_INO, name('a'), a.ino, name('x'), 0, CALLER);
    assert.is(refusalName(await into), 'EINVAL');
    const up = filesystem.rename(a.ino, name('b'), ROOT_INO, name('a'), 2, CALLER);
    assert.is(refusalName(await up), 'EINVAL');
    const over = filesystem.rename(a.ino, name('b'), ROOT_INO, name('a'), 0, CALLER);
    assert.is(refusalName(await over), 'ENOTEMPTY');
  },
);

on('types must agree where one replaces another', async (it) => {
  const { filesystem } = it.volume;
  await done(filesystem.mkdir(ROOT_INO, name('d'), S_IFDIR, CALLER));
  await done(filesystem.mknod(ROOT_INO, name('f'), S_IFREG, 0, CALLER));
  const move = (from: string, to: string) =>
    filesystem.rename(ROOT_INO, name(from), ROOT_INO, name(to), 0, CALLER);
  assert.is(refusalName(await move('f', 'd')), 'EISDIR');
  assert.is(refusalName(await move('d', 'f')), 'ENOTDIR');
});

on('nothing can be made in a directory that was removed while it is in use', async (it) => {
  const { filesystem } = it.volume;
  const gone = await done(filesystem.mkdir(ROOT_INO, name('d'), S_IFDIR, CALLER));
  filesystem.addReferenceHolder({ refersTo: () => true });
  await done(filesystem.rmdir(ROOT_INO, name('d'), CALLER));
  const made = filesystem.mknod(gone.ino, name('f'), S_IFREG, 0, CALLER);
  assert.is(refusalName(await made), 'ENOENT');
  assert.is(refusalName(await filesystem.lookup(gone.ino, name('..'))), 'ENOENT');
});

on('symbolic links have targets of 1 to 4,095 bytes', async (it) => {
  const { filesystem } = it.volume;
  const link = (target: string) =>
    filesystem.symlink(ROOT_INO, name('l'), asByteString(target), CALLER);
  assert.is(refusalName(await link('')), 'ENOENT');
  assert.is(refusalName(await link('x'.repeat(4096))), 'ENAMETOOLONG');
  const made = await done(link('\xff'.repeat(4095)));
  assert.is(await done(filesystem.readlink(made.ino)), '\xff'.repeat(4095));
  assert.is(refusalName(await filesystem.open(made.ino, 0, CALLER)), 'ELOOP');
});

on('values of 65,535 bytes are kept, and no more taken', async (it) => {
  const { filesystem } = it.volume;
  const set = (bytes: number) =>
    filesystem.setXattr(ROOT_INO, name('user.x'), Buffer.alloc(bytes, 'v'), 0, CALLER);
  assert.is(refusalName(await set(65_536)), 'E2BIG');
  await done(set(65_535));
  await it.volume.close();
  await it.open();
  const value = await done(it.volume.filesystem.getXattr(ROOT_INO, name('user.x')));
  assert.equal(value, Buffer.alloc(65_535, 'v'));
  assert.is((await done(it.volume.filesystem.getattr(ROOT_INO))).xattrs, 1);
});

on('a set-gid directory hands its group down', async (it) => {
  const { filesystem } = it.volume;
  const dir = await done(filesystem.mkdir(ROOT_INO, name('d'), S_IFDIR | 0o755, CALLER));
  await done(filesystem.setattr(dir.ino, { gid: 77, mode: 0o2755 }, CALLER));
  const caller = { uid: 5, gid: 6, pid: 1 };
  const sub = await done(filesystem.mkdir(dir.ino, name('s'), S_IFDIR | 0o700, caller));
  const file = await done(filesystem.mknod(dir.ino, name('f'), S_IFREG | 0o600, 0, caller));
  assert.equal([sub.gid, sub.mode & 0o7777], [77, 0o2700]);
  assert.equal([file.uid, file.gid, file.mode & 0o7777], [5, 77, 0o600]);
});

on('chown and truncation by another clear set-id bits', async (it) => {
  const { filesystem } = it.volume;
  const { ino } = await done(filesystem.mknod(ROOT_INO, name('f'), S_IFREG, 0, CALLER));
  const mode = async () => (await done(filesystem.getattr(ino))).mode & 0o7777;
  await done(filesystem.setattr(ino, { mode: 0o6755 }, CALLER));
  await done(filesystem.setattr(ino, { uid: 5 }, CALLER));
  assert.is(await mode(), 0o755);
  await done(filesystem.setattr(ino, { mode: 0o6745 }, CALLER));
  await done(filesystem.setattr(ino, { size: sizeOf(3), killPrivileges: true }, CALLER));
  assert.is(await mode(), 0o2745, 'without group execution the set-gid bit means something else');
});

on('each operation moves the times that it should', async (it) => {
  const { filesystem } = it.volume;
  const { ino } = await done(filesystem.mknod(ROOT_INO, name('f'), S_IFREG, 0, CALLER));
  const old = { sec: 1000, nsec: 1 };
  const age = async (of = ino) => {
    await done(filesystem.setattr(of, { atime: old, mtime: old }, CALLER));
    return done(filesystem.getattr(of));
  };
  let before = await age();
  await done(filesystem.setattr(ino, { mode: 0o600 }, CALLER));
  let after = await done(filesystem.getattr(ino));
  assert.equal(after.mtime, old, 'chmod: ctime only');
  assert.ok(compareTimes(after.ctime, before.ctime) > 0);
  before = await age();
  await done(filesystem.link(ino, ROOT_INO, name('g'), CALLER));
  after = await done(filesystem.getattr(ino));
  assert.equal(after.mtime, old, 'link: ctime only');
  assert.ok(compareTimes(after.ctime, before.ctime) > 0);
  await age(ROOT_INO);
  await done(filesystem.unlink(ROOT_INO, name('g'), CALLER));
  const root = await done(filesystem.getattr(ROOT_INO));
  assert.ok(compareTimes(root.mtime, old) > 0, 'unlink: the directory changed');
  before = await age();
  await done(filesystem.setattr(ino, { size: before.size }, CALLER));
  after = await done(filesystem.getattr(ino));
  assert.ok(compareTimes(after.mtime, old) > 0, 'a truncation to the same size counts');
  assert.equal(after.crtime, before.crtime);
  assert.equal(after.atime, old);
});

on('only regular files have a size to change', async (it) => {
  const { filesystem } = it.volume;
  const fifo = await done(filesystem.mknod(ROOT_INO, name('p'), S_IFIFO, 0, CALLER));
  const size = sizeOf(1);
  assert.is(refusalName(await filesystem.setattr(fifo.ino, { size }, CALLER)), 'EINVAL');
  assert.is(refusalName(await filesystem.setattr(ROOT_INO, { size }, CALLER)), 'EISDIR');
  assert.is(refusalName(await filesystem.open(ROOT_INO, 0, CALLER)), 'EISDIR');
  const typeless = filesystem.mknod(ROOT_INO, name('t'), 0o644, 0, CALLER);
  assert.is(refusalName(await typeless), 'EINVAL');
});

on('space and inode counts follow what there is', async (it) => {
  const { filesystem } = it.volume;
  const before = await done(filesystem.space());
  assert.is(await it.put('f', Buffer.alloc(10 * BLOCK_BYTES, 'x')), undefined);
  const after = await done(filesystem.space());
  const used = (space: typeof before) => space.inodes - space.freeInodes;
  assert.is(used(after) - used(before), 1);
  assert.ok(after.freeBlocks <= after.blocks);
  assert.ok(after.availableBlocks <= after.freeBlocks);
});

on('a capability is gone with the first byte written, and for good', async (it) => {
  const { filesystem } = it.volume;
  const { inode, file } = await done(filesystem.create(ROOT_INO, name('f'), 0o755, 2, CALLER));
  const value = Buffer.from('all of them');
  const give = () => filesystem.setXattr(inode.ino, CAPABILITY, value, 0, CALLER);
  const found = async () => {
    const got = await it.volume.filesystem.getXattr(inode.ino, CAPABILITY);
    const listed = await done(it.volume.filesystem.listXattrs(inode.ino));
    assert.is(listed.includes(CAPABILITY), !isRefusal(got), 'listed where it is shown');
    return isRefusal(got) ? got.name : got;
  };
  const write = (text: string) =>
    done(filesystem.write(file, sizeOf(0), payload(text), false, CALLER));
  await done(give());
  await done(filesystem.setXattr(inode.ino, name('user.other'), value, 0, CALLER));
  await write('pending');
  assert.is(await found(), 'ENODATA', 'before the write is in the log');
  await done(give());
  assert.equal(await found(), value, 'given after the write');
  await write('pending again');
  await done(filesystem.fsync(file));
  assert.is(await found(), 'ENODATA');
  await done(give());
  await done(filesystem.setattr(inode.ino, { size: sizeOf(3) }, CALLER));
  assert.is(await found(), 'ENODATA', 'truncated');
  await done(give());
  await done(filesystem.setattr(inode.ino, { gid: 12 }, CALLER));
  assert.is(await found(), 'ENODATA', 'given away');
  await it.volume.close();
  await it.open();
  assert.is(await found(), 'ENODATA');
  assert.equal(await done(it.volume.filesystem.listXattrs(inode.ino)), [name('user.other')]);
});

test.run();

/**
 * What every `FilesystemApi` does, as a suite that takes a maker of empty filesystems: names,
 * refusals, links, contents, ranges, attributes. What only the log knows (seqs, durability) is not
 * here.
 */

import * as assert from 'uvu/assert';
import type { Test } from 'uvu';
import type { Caller, DirectoryEntry, FilesystemApi, OpenFile } from '../../src/engine/api.ts';
import { FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE } from '../../src/decide/ranges.ts';
import { ACL_ACCESS, ACL_DEFAULT, ACL_TAG, encodeAcl, NO_ID } from '../../src/model/acl.ts';
import { isRefusal, type Refusal } from '../../src/model/errno.ts';
import {
  asByteString,
  byteStringOf,
  FIRST_POSITION,
  ino,
  position,
  ROOT_INO,
  type Ino,
} from '../../src/model/ids.ts';
import { S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, type Inode } from '../../src/model/inode.ts';
import { sizeOf, type Size } from '../../src/model/size.ts';

export interface FilesystemUnderTest {
  readonly filesystem: FilesystemApi;
  /** Closes it and removes what it left. */
  readonly discard: () => Promise<void>;
}

const CALLER: Caller = { uid: 7, gid: 8, pid: 9 };
const NOBODY = ino(999_999);
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;
const XATTR_CREATE = 1;
const XATTR_REPLACE = 2;
const O_RDWR = 2;
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const O_NOATIME = 0o1000000;

const name = byteStringOf;

/** The answer itself; throws where it was refused. */
async function done<T>(answer: T | Refusal | Promise<T | Refusal>): Promise<T> {
  const value = await answer;
  if (isRefusal(value)) throw new Error(`refused: ${value.name}`);
  return value;
}

async function refused(answer: unknown, errno: string): Promise<void> {
  const value = await answer;
  assert.is(isRefusal(value) ? value.name : 'no refusal', errno);
}

/** The filesystem with short words for what tests do most. */
class Subject {
  readonly fs: FilesystemApi;

  constructor(filesystem: FilesystemApi) {
    this.fs = filesystem;
  }

  async file(what: string, dir: Ino = ROOT_INO): Promise<{ inode: Inode; file: OpenFile }> {
    return done(this.fs.create(dir, name(what), 0o644, O_RDWR, CALLER));
  }

  async dir(what: string, dir: Ino = ROOT_INO): Promise<Ino> {
    return (await done(this.fs.mkdir(dir, name(what), S_IFDIR | 0o755, CALLER))).ino;
  }

  write(file: OpenFile, text: string | Buffer, at = 0) {
    const payload = { bytes: Buffer.from(text), take: () => () => undefined };
    return this.fs.write(file, sizeOf(at), payload, false, CALLER);
  }

  range(file: OpenFile, mode: number, offset: Size, length: Size) {
    return this.fs.fallocate(file, { mode, offset, length, killPrivileges: false }, CALLER);
  }

  async read(file: OpenFile, at = 0, length = 1 << 20): Promise<Buffer> {
    return Buffer.concat([...(await done(this.fs.read(file, sizeOf(at), length)))]);
  }

  rename(from: string, to: string, flags = 0) {
    return this.fs.rename(ROOT_INO, name(from), ROOT_INO, name(to), flags, CALLER);
  }

  inode(what: string, dir: Ino = ROOT_INO): Promise<Inode> {
    return done(this.fs.lookup(dir, name(what)));
  }

  async list(dir: Ino = ROOT_INO, batch = 100): Promise<DirectoryEntry[]> {
    const listing = await done(this.fs.openDirectory(dir));
    const all: DirectoryEntry[] = [];
    for (;;) {
      const from = position((all.at(-1)?.position ?? FIRST_POSITION - 1) + 1);
      const entries = await done(listing.read(from, batch, true));
      if (entries.length === 0) break;
      all.push(...entries);
    }
    listing.close();
    return all;
  }
}

type On = (what: string, body: (it: Subject) => Promise<void>) => void;

/** Adds the suite's tests to `test`. */
export function filesystemSuite(test: Test, make: () => Promise<FilesystemUnderTest>): void {
  const on: On = (what, body) => {
    test(what, async () => {
      const { filesystem, discard } = await make();
      try {
        await body(new Subject(filesystem));
      } finally {
        await discard();
      }
    });
  };
  names(on);
  refusals(on);
  links(on);
  temporaries(on);
  renames(on);
  contents(on);
  accesses(on);
  ranges(on);
  allocation(on);
  attributes(on);
}

function names(on: On): void {
  on('a new filesystem has an empty root', async (it) => {
    const root = await done(it.fs.getattr(ROOT_INO));
    assert.is(root.mode & S_IFMT, S_IFDIR);
    assert.is(root.nlink, 2);
    assert.equal(await it.list(), []);
    assert.is((await it.inode('.')).ino, ROOT_INO);
    assert.is((await it.inode('..')).ino, ROOT_INO);
  });

  on(
    '"." names any inode, also a file that is being written; ".." of a file nothing',
    async (it) => {
      const { inode, file } = await it.file('f');
      assert.is(await it.write(file, 'pending'), 7);
      const found = await it.inode('.', inode.ino);
      assert.equal([found.ino, found.size], [inode.ino, sizeOf(7)]);
      await refused(it.fs.lookup(inode.ino, name('..')), 'ENOTDIR');
      await refused(it.fs.lookup(NOBODY, name('.')), 'ESTALE');
    },
  );

  on('what is made is the caller’s, and is found under its name', async (it) => {
    const dir = await it.dir('d');
    const { inode } = await it.file('f', dir);
    const fifo = await done(it.fs.mknod(dir, name('p'), S_IFIFO | 0o600, 0, CALLER));
    const target = name('../täget');
    const symlink = await done(it.fs.symlink(dir, name('l'), target, CALLER));
    assert.equal([inode.uid, inode.gid, inode.mode], [CALLER.uid, CALLER.gid, S_IFREG | 0o644]);
    assert.is(fifo.mode, S_IFIFO | 0o600);
    assert.is(await done(it.fs.readlink(symlink.ino)), target);
    assert.equal(symlink.size, sizeOf(target.length));
    assert.is((await it.inode('f', dir)).ino, inode.ino);
    assert.is((await it.inode('..', dir)).ino, ROOT_INO);
    assert.equal(
      (await it.list(dir)).map((entry) => entry.name),
      [name('f'), name('p'), name('l')],
    );
    const parent = await done(it.fs.getattr(dir));
    assert.is(parent.entries, 3);
    assert.is(parent.nlink, 2);
    assert.is((await done(it.fs.getattr(ROOT_INO))).nlink, 3);
  });

  on('a name may hold every byte but "/" and NUL, and 255 of them', async (it) => {
    const bytes = Array.from({ length: 256 }, (_, i) => i).filter((i) => i !== 0 && i !== 47);
    const hostile = [
      ...bytes.map((byte) => asByteString(`x${String.fromCharCode(byte)}`)),
      asByteString(String.fromCharCode(...bytes)),
      asByteString('\xff'.repeat(255)),
      asByteString('\xc3\x28'),
      asByteString('...'),
      asByteString(' '),
      asByteString('\n'),
    ];
    const made = new Map<string, Ino>();
    for (const each of hostile) {
      made.set(each, (await done(it.fs.mknod(ROOT_INO, each, S_IFREG, 0, CALLER))).ino);
    }
    for (const [each, number] of made) {
      assert.is((await done(it.fs.lookup(ROOT_INO, asByteString(each)))).ino, number);
    }
    assert.equal(
      (await it.list()).map((entry) => entry.name),
      hostile,
    );
    for (const each of hostile) await done(it.fs.unlink(ROOT_INO, each, CALLER));
    assert.equal(await it.list(), []);
  });

  on('a listing goes on where it was, whatever comes and goes meanwhile', async (it) => {
    for (let i = 0; i < 50; i++) await it.file(`f${i}`);
    const listing = await done(it.fs.openDirectory(ROOT_INO));
    const first = await done(listing.read(FIRST_POSITION, 20, false));
    for (let i = 0; i < 10; i++) await done(it.fs.unlink(ROOT_INO, name(`f${i}`), CALLER));
    await it.file('new');
    const seen = [...first];
    for (;;) {
      const from = position((seen.at(-1)?.position ?? 0) + 1);
      const entries = await done(listing.read(from, 20, false));
      if (entries.length === 0) break;
      seen.push(...entries);
    }
    listing.close();
    const kept = seen.map((entry) => `${entry.name}`).filter((each) => each !== 'new');
    assert.equal(
      kept,
      Array.from({ length: 50 }, (_, i) => `f${i}`),
    );
  });
}

function accesses(on: On): void {
  on('a read shows as access time once, and as nothing else', async (it) => {
    const { inode, file } = await it.file('f');
    await done(it.write(file, 'text'));
    const before = await done(it.fs.getattr(inode.ino));
    await it.read(file);
    const read = await it.inode('f');
    assert.not.equal(read.atime, before.atime);
    assert.equal({ ...read, atime: 0 }, { ...before, atime: 0 });
    await it.read(file);
    assert.equal(
      (await it.list()).map((e) => e.inode?.atime),
      [read.atime],
      'relatime',
    );
    await done(it.write(file, 'more'));
    await it.read(file);
    assert.not.equal((await it.inode('f')).atime, read.atime, 'it was written since');
  });

  on('an access of what is not read as a file is noted when it is told', async (it) => {
    const dir = await it.dir('d');
    const before = await done(it.fs.getattr(dir));
    it.fs.accessed(dir);
    it.fs.accessed(NOBODY);
    const after = await it.inode('.', dir);
    assert.not.equal(after.atime, before.atime);
    assert.equal((await it.inode('..', dir)).atime, (await done(it.fs.getattr(ROOT_INO))).atime);
  });

  on('reads through O_NOATIME leave nothing, and a time that is set stays', async (it) => {
    const { inode } = await it.file('f');
    const quiet = await done(it.fs.open(inode.ino, O_NOATIME, CALLER));
    await it.read(quiet);
    assert.equal((await it.inode('f')).atime, inode.atime);
    const file = await done(it.fs.open(inode.ino, 0, CALLER));
    await it.read(file);
    const atime = { sec: 2 ** 33, nsec: 5 };
    assert.equal((await done(it.fs.setattr(inode.ino, { atime }, CALLER))).atime, atime);
    await it.read(file);
    assert.equal((await it.inode('f')).atime, atime);
  });
}

function refusals(on: On): void {
  on('names that cannot be are refused', async (it) => {
    const mknod = (what: string) => it.fs.mknod(ROOT_INO, asByteString(what), S_IFREG, 0, CALLER);
    await refused(mknod(''), 'ENOENT');
    await refused(mknod('n'.repeat(256)), 'ENAMETOOLONG');
    await refused(mknod('a/b'), 'EINVAL');
    await refused(mknod('a\0b'), 'EINVAL');
    await refused(mknod('.'), 'EEXIST');
    await refused(mknod('..'), 'EEXIST');
    await refused(it.fs.lookup(ROOT_INO, asByteString('n'.repeat(256))), 'ENAMETOOLONG');
    await refused(it.fs.lookup(ROOT_INO, name('none')), 'ENOENT');
    assert.equal(await it.list(), []);
  });

  on('names that are taken or missing, and inodes of another type, are refused', async (it) => {
    const dir = await it.dir('d');
    const { inode, file } = await it.file('f');
    await it.file('in', dir);
    await refused(it.fs.create(ROOT_INO, name('f'), 0o644, O_RDWR, CALLER), 'EEXIST');
    await refused(it.fs.mkdir(ROOT_INO, name('f'), S_IFDIR, CALLER), 'EEXIST');
    await refused(it.fs.symlink(ROOT_INO, name('d'), name('x'), CALLER), 'EEXIST');
    await refused(it.fs.mkdir(inode.ino, name('x'), S_IFDIR, CALLER), 'ENOTDIR');
    await refused(it.fs.lookup(inode.ino, name('x')), 'ENOTDIR');
    await refused(it.fs.openDirectory(inode.ino), 'ENOTDIR');
    await refused(it.fs.unlink(ROOT_INO, name('none'), CALLER), 'ENOENT');
    await refused(it.fs.unlink(ROOT_INO, name('d'), CALLER), 'EISDIR');
    await refused(it.fs.rmdir(ROOT_INO, name('f'), CALLER), 'ENOTDIR');
    await refused(it.fs.rmdir(ROOT_INO, name('d'), CALLER), 'ENOTEMPTY');
    await refused(it.fs.readlink(inode.ino), 'EINVAL');
    it.fs.close(file);
  });

  on('inodes that do not exist are stale', async (it) => {
    await refused(it.fs.getattr(NOBODY), 'ESTALE');
    await refused(it.fs.setattr(NOBODY, { mode: 0 }, CALLER), 'ESTALE');
    await refused(it.fs.setattr(NOBODY, { size: sizeOf(0) }, CALLER), 'ESTALE');
    await refused(it.fs.lookup(NOBODY, name('x')), 'ESTALE');
    await refused(it.fs.mkdir(NOBODY, name('x'), S_IFDIR, CALLER), 'ESTALE');
    await refused(it.fs.unlink(NOBODY, name('x'), CALLER), 'ESTALE');
    await refused(it.fs.rmdir(NOBODY, name('x'), CALLER), 'ESTALE');
    await refused(it.fs.link(NOBODY, ROOT_INO, name('x'), CALLER), 'ESTALE');
    await refused(it.fs.open(NOBODY, O_RDWR, CALLER), 'ESTALE');
    await refused(it.fs.openDirectory(NOBODY), 'ESTALE');
    await refused(it.fs.setXattr(NOBODY, name('user.x'), Buffer.alloc(0), 0, CALLER), 'ESTALE');
  });
}

function links(on: On): void {
  on('a file lives as long as it has a name', async (it) => {
    const dir = await it.dir('d');
    const { inode, file } = await it.file('a');
    assert.is(await it.write(file, 'shared'), 6);
    it.fs.close(file);
    assert.is((await done(it.fs.link(inode.ino, dir, name('b'), CALLER))).nlink, 2);
    await done(it.fs.unlink(ROOT_INO, name('a'), CALLER));
    assert.is((await it.inode('b', dir)).nlink, 1);
    const again = await done(it.fs.open(inode.ino, O_RDWR, CALLER));
    assert.equal(await it.read(again), Buffer.from('shared'));
    it.fs.close(again);
  });

  on('directories have one name, and taken names stay', async (it) => {
    const dir = await it.dir('d');
    const { inode } = await it.file('f');
    await refused(it.fs.link(dir, ROOT_INO, name('x'), CALLER), 'EPERM');
    await refused(it.fs.link(inode.ino, ROOT_INO, name('d'), CALLER), 'EEXIST');
    await refused(it.fs.link(inode.ino, inode.ino, name('x'), CALLER), 'ENOTDIR');
    assert.is((await it.inode('f')).nlink, 1);
  });
}

function temporaries(on: On): void {
  on('a file without a name can be written, and gets a name or goes', async (it) => {
    const dir = await it.dir('d');
    await done(it.fs.setattr(dir, { gid: 77 }, CALLER));
    const made = await done(it.fs.createTemporary(dir, 0o640, O_RDWR, CALLER));
    const { ino, mode, nlink, uid, gid } = made.inode;
    assert.equal([mode, nlink, uid, gid], [S_IFREG | 0o640, 0, CALLER.uid, CALLER.gid]);
    assert.equal(await it.list(dir), []);
    assert.is(await it.write(made.file, 'nameless'), 8);
    assert.is((await done(it.fs.link(ino, dir, name('named'), CALLER))).nlink, 1);
    it.fs.close(made.file);
    assert.is((await it.inode('named', dir)).ino, ino);
    const again = await done(it.fs.open(ino, O_RDWR, CALLER));
    assert.equal(await it.read(again), Buffer.from('nameless'));
    await done(it.fs.unlink(dir, name('named'), CALLER));
    await refused(it.fs.link(ino, dir, name('again'), CALLER), 'ENOENT');
    it.fs.close(again);
  });

  on('an exclusive one never gets a name, and there is none in a file', async (it) => {
    const { file } = await it.file('f');
    const { ino } = await it.inode('f');
    await refused(it.fs.createTemporary(ino, 0o600, O_RDWR, CALLER), 'ENOTDIR');
    await refused(it.fs.createTemporary(NOBODY, 0o600, O_RDWR, CALLER), 'ESTALE');
    const flags = O_RDWR | O_EXCL;
    const made = await done(it.fs.createTemporary(ROOT_INO, 0o600, flags, CALLER));
    await refused(it.fs.link(made.inode.ino, ROOT_INO, name('x'), CALLER), 'ENOENT');
    it.fs.close(made.file);
    it.fs.close(file);
  });
}

function renames(on: On): void {
  on('a rename replaces what is there, and keeps the inode', async (it) => {
    const a = (await it.file('a')).inode.ino;
    await it.file('b');
    await done(it.rename('a', 'b'));
    await refused(it.fs.lookup(ROOT_INO, name('a')), 'ENOENT');
    assert.is((await it.inode('b')).ino, a);
    await done(it.rename('b', 'b'));
    assert.is((await it.inode('b')).ino, a);
  });

  on('flags forbid replacing, or exchange', async (it) => {
    const a = (await it.file('a')).inode.ino;
    const b = await it.dir('b');
    await it.file('in', b);
    await refused(it.rename('a', 'b', RENAME_NOREPLACE), 'EEXIST');
    await refused(it.rename('a', 'none', RENAME_EXCHANGE), 'ENOENT');
    await refused(it.rename('a', 'b', 4), 'EINVAL');
    await done(it.rename('a', 'b', RENAME_EXCHANGE));
    assert.is((await it.inode('a')).ino, b);
    assert.is((await it.inode('b')).ino, a);
    assert.is((await it.inode('in', b)).mode & S_IFMT, S_IFREG);
    await done(it.rename('b', 'c', RENAME_NOREPLACE));
    assert.is((await it.inode('c')).ino, a);
  });

  on('two names of one file: a rename over the other does nothing', async (it) => {
    const { inode } = await it.file('a');
    await done(it.fs.link(inode.ino, ROOT_INO, name('b'), CALLER));
    await done(it.rename('a', 'b'));
    assert.is((await it.inode('a')).nlink, 2);
    assert.is((await it.inode('b')).ino, inode.ino);
  });

  on('a directory that moves has another parent, and its links follow', async (it) => {
    const [from, to] = [await it.dir('from'), await it.dir('to')];
    const moved = await it.dir('d', from);
    await done(it.fs.rename(from, name('d'), to, name('e'), 0, CALLER));
    assert.is((await it.inode('..', moved)).ino, to);
    assert.is((await it.inode('from')).nlink, 2);
    assert.is((await it.inode('to')).nlink, 3);
    await refused(it.fs.rmdir(ROOT_INO, name('to'), CALLER), 'ENOTEMPTY');
    await done(it.fs.rmdir(ROOT_INO, name('from'), CALLER));
  });

  on('a name that is missing or too long is refused', async (it) => {
    await it.file('a');
    await refused(it.rename('none', 'b'), 'ENOENT');
    await refused(it.rename('a', 'n'.repeat(256)), 'ENAMETOOLONG');
    await refused(it.rename('a', 'b/c'), 'EINVAL');
    await refused(it.fs.rename(ROOT_INO, name('a'), NOBODY, name('b'), 0, CALLER), 'ESTALE');
    assert.equal(
      (await it.list()).map((entry) => entry.name),
      [name('a')],
    );
  });
}

function contents(on: On): void {
  on('what is written is read, with zeros between', async (it) => {
    const { file, inode } = await it.file('f');
    assert.is(await it.write(file, 'begin'), 5);
    assert.is(await it.write(file, 'end', 20_000), 3);
    const expected = Buffer.alloc(20_003);
    expected.write('begin');
    expected.write('end', 20_000);
    assert.equal(await it.read(file), expected);
    assert.equal(await it.read(file, 3, 4), expected.subarray(3, 7));
    assert.equal(await it.read(file, 19_999, 100), expected.subarray(19_999));
    assert.equal(await it.read(file, 20_003, 100), Buffer.alloc(0));
    assert.equal(await it.read(file, 1_000_000, 100), Buffer.alloc(0));
    assert.equal((await done(it.fs.getattr(inode.ino))).size, sizeOf(20_003));
    await done(it.fs.flush(file));
    await done(it.fs.fsync(file));
    it.fs.close(file);
    const again = await done(it.fs.open(inode.ino, O_RDWR, CALLER));
    assert.equal(await it.read(again), expected);
    it.fs.close(again);
  });

  on('a file that is cut and grown again has zeros there', async (it) => {
    const { file, inode } = await it.file('f');
    await it.write(file, Buffer.alloc(10_000, 'x'));
    for (const size of [4097, 4096, 17, 9000, 0, 5]) {
      const set = await done(it.fs.setattr(inode.ino, { size: sizeOf(size) }, CALLER));
      assert.equal(set.size, sizeOf(size));
    }
    assert.equal(await it.read(file), Buffer.alloc(5));
    await it.write(file, 'y', 3);
    const emptied = await done(it.fs.open(inode.ino, O_RDWR | O_TRUNC, CALLER));
    assert.equal(await it.read(emptied), Buffer.alloc(0));
    it.fs.close(emptied);
    it.fs.close(file);
  });

  on('large writes keep their bytes, whoever owns the memory', async (it) => {
    const { file } = await it.file('f');
    const bytes = Buffer.alloc(1 << 18, 'large');
    let borrowed = 0;
    const payload = {
      bytes: Buffer.from(bytes),
      take: () => {
        borrowed++;
        return () => borrowed--;
      },
    };
    assert.is(await it.fs.write(file, sizeOf(0), payload, false, CALLER), bytes.length);
    if (borrowed === 0) payload.bytes.fill(0);
    assert.equal(await it.read(file), bytes);
    await done(it.fs.fsync(file));
    it.fs.close(file);
  });
}

function ranges(on: On): void {
  on('data and holes are found, and the end is a hole', async (it) => {
    const { file } = await it.file('f');
    const seek = (at: number, wanted: 'data' | 'hole') => it.fs.seek(file, sizeOf(at), wanted);
    await refused(seek(0, 'data'), 'ENXIO');
    await refused(seek(0, 'hole'), 'ENXIO');
    await it.write(file, Buffer.alloc(8192, 'x'), 8192);
    await it.write(file, 'end', 40_000);
    assert.equal(await done(seek(0, 'data')), sizeOf(8192));
    assert.equal(await done(seek(17, 'hole')), sizeOf(17));
    assert.equal(await done(seek(9000, 'data')), sizeOf(9000));
    assert.equal(await done(seek(9000, 'hole')), sizeOf(16_384));
    assert.equal(await done(seek(16_384, 'data')), sizeOf(36_864));
    assert.equal(await done(seek(40_000, 'hole')), sizeOf(40_003));
    await refused(seek(40_003, 'data'), 'ENXIO');
    await refused(seek(40_003, 'hole'), 'ENXIO');
    it.fs.close(file);
  });

  on('a hole before the end has no data behind it', async (it) => {
    const { file, inode } = await it.file('f');
    await it.write(file, 'data');
    await done(it.fs.setattr(inode.ino, { size: sizeOf(2 ** 40 + 1) }, CALLER));
    await refused(it.fs.seek(file, sizeOf(4096), 'data'), 'ENXIO');
    assert.equal(await done(it.fs.seek(file, sizeOf(0), 'hole')), sizeOf(4096));
    it.fs.close(file);
  });

  on('ranges are copied, whatever their offsets, up to the end of the source', async (it) => {
    const bytes = Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * 7 + (i >> 8)) % 251));
    const { file: from } = await it.file('from');
    await it.write(from, bytes);
    const copy = async (to: OpenFile, at: number, toAt: number, length: number) => {
      for (let done_ = 0; done_ < length;) {
        const [source, target] = [sizeOf(at + done_), sizeOf(toAt + done_)];
        const rest = length - done_;
        const copied = await done(it.fs.copyRange(from, source, to, target, rest, CALLER));
        if (copied === 0) return done_;
        done_ += copied;
      }
      return length;
    };
    const cases: readonly (readonly [number, number, number])[] = [
      [0, 0, 50_000],
      [0, 0, 2 ** 33],
      [4096, 8192, 20_000],
      [100, 4196, 30_000],
      [5, 70_000, 12_345],
      [49_999, 0, 100],
      [50_000, 0, 100],
      [60_000, 0, 100],
      [3, 9, 0],
    ];
    for (const [i, [at, toAt, length]] of cases.entries()) {
      const { file: to } = await it.file(`to-${i}`);
      await it.write(to, Buffer.alloc(30_001, 'o'));
      const expected = Buffer.alloc(200_000);
      expected.fill('o', 0, 30_001);
      const part = bytes.subarray(at, at + length);
      part.copy(expected, toAt);
      assert.is(await copy(to, at, toAt, length), part.length, `${at} ${toAt} ${length}`);
      const size = Math.max(30_001, part.length === 0 ? 0 : toAt + part.length);
      assert.equal(await it.read(to), expected.subarray(0, size), `${at} ${toAt} ${length}`);
      it.fs.close(to);
    }
    await it.write(from, 'changed', 4096);
    const copied = await done(it.fs.open((await it.inode('to-0')).ino, O_RDWR, CALLER));
    assert.equal((await it.read(copied)).subarray(0, 50_000), bytes, 'a copy is a copy');
    it.fs.close(copied);
    it.fs.close(from);
  });

  on('a file is copied within itself, but not onto itself', async (it) => {
    const { file } = await it.file('f');
    const bytes = Buffer.alloc(16_384, 'abc');
    await it.write(file, bytes);
    const copy = (at: number, toAt: number, length: number) =>
      it.fs.copyRange(file, sizeOf(at), file, sizeOf(toAt), length, CALLER);
    await refused(copy(0, 0, 1), 'EINVAL');
    await refused(copy(0, 8192, 8193), 'EINVAL');
    await refused(copy(8191, 0, 8192), 'EINVAL');
    assert.is(await copy(8192, 16_384, 100_000), 8192);
    assert.equal(await it.read(file), Buffer.concat([bytes, bytes.subarray(8192)]));
    it.fs.close(file);
  });
}

function attributes(on: On): void {
  on('mode, owner and times are what they were set to', async (it) => {
    const { inode } = await it.file('f');
    const set = await done(it.fs.setattr(inode.ino, { mode: 0o4750 }, CALLER));
    assert.is(set.mode, S_IFREG | 0o4750);
    const mtime = { sec: -5, nsec: 999_999_999 };
    const atime = { sec: 2 ** 33, nsec: 1 };
    const timed = await done(it.fs.setattr(inode.ino, { mtime, atime }, CALLER));
    assert.equal([timed.mtime, timed.atime], [mtime, atime]);
    const owned = await done(it.fs.setattr(inode.ino, { uid: 2 ** 32 - 2, gid: 0 }, CALLER));
    assert.equal([owned.uid, owned.gid], [2 ** 32 - 2, 0]);
    const now = await done(it.fs.setattr(inode.ino, { mtime: 'now' }, CALLER));
    assert.ok(now.mtime.sec > 1_600_000_000);
    assert.equal(now.atime, atime);
  });

  on('extended attributes come and go', async (it) => {
    const { inode } = await it.file('f');
    const value = Buffer.from('value\0');
    const set = (what: string, flags: number) =>
      it.fs.setXattr(inode.ino, name(what), value, flags, CALLER);
    await refused(it.fs.getXattr(inode.ino, name('user.a')), 'ENODATA');
    await refused(set('user.a', XATTR_REPLACE), 'ENODATA');
    await done(set('user.a', XATTR_CREATE));
    await refused(set('user.a', XATTR_CREATE), 'EEXIST');
    await done(set('user.b', 0));
    await refused(set('nowhere.a', 0), 'EOPNOTSUPP');
    await refused(set('user.', 0), 'EINVAL');
    await refused(set(`user.${'n'.repeat(251)}`, 0), 'ERANGE');
    assert.equal(await done(it.fs.getXattr(inode.ino, name('user.a'))), value);
    const listed = await done(it.fs.listXattrs(inode.ino));
    assert.equal([...listed].toSorted(), [name('user.a'), name('user.b')]);
    await done(it.fs.removeXattr(inode.ino, name('user.a'), CALLER));
    await refused(it.fs.removeXattr(inode.ino, name('user.a'), CALLER), 'ENODATA');
    assert.equal(await done(it.fs.listXattrs(inode.ino)), [name('user.b')]);
  });

  on('an access list and the mode follow each other', async (it) => {
    const { inode } = await it.file('f');
    const set = (value: Buffer, killSetGid = false) =>
      it.fs.setXattr(inode.ino, ACL_ACCESS, value, 0, CALLER, killSetGid);
    const mode = async () => (await it.inode('f')).mode & 0o7777;
    await done(it.fs.setattr(inode.ino, { mode: 0o2755 }, CALLER));
    await done(set(listOf(6, 4, 7)));
    assert.is(await mode(), 0o2670);
    await done(set(listOf(6, 4, 5), true));
    assert.is(await mode(), 0o650);
    await done(it.fs.setattr(inode.ino, { mode: 0o704 }, CALLER));
    assert.equal(await done(it.fs.getXattr(inode.ino, ACL_ACCESS)), listOf(7, 4, 0, 4));
    await refused(set(Buffer.from('nonsense')), 'EOPNOTSUPP');
    await refused(it.fs.setXattr(inode.ino, ACL_DEFAULT, listOf(7, 7, 7), 0, CALLER), 'EACCES');
    await done(it.fs.removeXattr(inode.ino, ACL_ACCESS, CALLER));
    assert.is(await mode(), 0o704);
    await refused(it.fs.getXattr(inode.ino, ACL_ACCESS), 'ENODATA');
    await done(it.fs.removeXattr(inode.ino, ACL_ACCESS, CALLER));
  });

  on('what is made has the mode without the umask, or what a default list hands on', async (it) => {
    const caller = { ...CALLER, umask: 0o077 };
    const dir = await it.dir('d');
    const made = (what: string, mode: number) =>
      done(it.fs.mkdir(dir, name(what), S_IFDIR | mode, caller));
    assert.is((await made('masked', 0o755)).mode, S_IFDIR | 0o700);
    await done(it.fs.setXattr(dir, ACL_DEFAULT, listOf(7, 6, 5), 0, CALLER));
    const sub = await made('listed', 0o750);
    assert.is(sub.mode, S_IFDIR | 0o750);
    assert.equal([...(await done(it.fs.listXattrs(sub.ino)))].toSorted(), [
      ACL_ACCESS,
      ACL_DEFAULT,
    ]);
    assert.equal(await done(it.fs.getXattr(sub.ino, ACL_DEFAULT)), listOf(7, 6, 5));
    const { inode } = await done(it.fs.create(sub.ino, name('f'), 0o666, O_RDWR, caller));
    assert.is(inode.mode, S_IFREG | 0o640);
    const nameless = await done(it.fs.createTemporary(sub.ino, 0o644, O_RDWR, caller));
    assert.is(nameless.inode.mode, S_IFREG | 0o640);
    const plain = await done(it.fs.createTemporary(ROOT_INO, 0o644, O_RDWR, caller));
    assert.is(plain.inode.mode, S_IFREG | 0o600);
    for (const { file } of [nameless, plain]) it.fs.close(file);
    const fifo = await done(it.fs.mknod(sub.ino, name('p'), S_IFIFO | 0o604, 0, caller));
    assert.equal(await done(it.fs.getXattr(fifo.ino, ACL_ACCESS)), listOf(6, 6, 0));
    const link = await done(it.fs.symlink(sub.ino, name('l'), name('t'), caller));
    assert.equal(await done(it.fs.listXattrs(link.ino)), []);
    assert.is(link.mode & 0o777, 0o777);
  });
}

function allocation(on: On): void {
  on('ranges are allocated, zeroed and punched, to the byte', async (it) => {
    const { file, inode } = await it.file('f');
    const expected = Buffer.alloc(20_000, 'x');
    await done(it.write(file, expected));
    const range = (mode: number, from: number, to: number) =>
      it.range(file, mode, sizeOf(from), sizeOf(to - from));
    for (const [mode, from, to] of [
      [FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 4000, 12_500],
      [FALLOC_ZERO_RANGE, 13_000, 13_100],
      [FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE, 15_000, 16_384],
      [FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, 19_000, 50_000],
      [0, 0, 20_000],
      [FALLOC_KEEP_SIZE, 0, 90_000],
    ] as const) {
      await done(range(mode, from, to));
      if ((mode & ~FALLOC_KEEP_SIZE) !== 0) expected.subarray(from, to).fill(0);
      assert.equal(await it.read(file), expected, `mode ${mode}, ${from} to ${to}`);
    }
    await done(range(0, 30_000, 40_001));
    assert.equal((await done(it.fs.getattr(inode.ino))).size, sizeOf(40_001));
    await done(range(FALLOC_ZERO_RANGE, 39_000, 50_000));
    const grown = Buffer.concat([expected, Buffer.alloc(30_000)]);
    assert.equal(await it.read(file), grown);
    it.fs.close(file);
  });

  on('ranges that cannot be are refused', async (it) => {
    const { file } = await it.file('f');
    const range = (mode: number, from: number, length: number) =>
      it.range(file, mode, sizeOf(from), sizeOf(length));
    await refused(range(0, 0, 0), 'EINVAL');
    for (const mode of [FALLOC_PUNCH_HOLE, 0x08, 0x09, 0x20, 0x40, 0x12, 0x13, 0x80]) {
      await refused(range(mode, 0, 4096), 'EOPNOTSUPP');
    }
    const most = { blocks: 2 ** 51 - 1, tail: 4095 };
    await refused(it.range(file, 0, most, sizeOf(1)), 'EFBIG');
    await refused(it.range(file, 1, sizeOf(0), most), 'ENOSPC');
    it.fs.close(file);
    const gone = { ino: NOBODY, synchronous: false, append: false, writable: true };
    await refused(it.range(gone, 0, sizeOf(0), sizeOf(1)), 'ESTALE');
  });
}
/** A list for the owner, a named user, the mask and others; the group itself may read. */
const listOf = (owner: number, named: number, mask: number, other = 0): Buffer =>
  encodeAcl([
    { tag: ACL_TAG.USER_OBJ, perm: owner, id: NO_ID },
    { tag: ACL_TAG.USER, perm: named, id: 4001 },
    { tag: ACL_TAG.GROUP_OBJ, perm: 4, id: NO_ID },
    { tag: ACL_TAG.MASK, perm: mask, id: NO_ID },
    { tag: ACL_TAG.OTHER, perm: other, id: NO_ID },
  ]);

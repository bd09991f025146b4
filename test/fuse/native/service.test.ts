/** Operations over the memory filesystem, called as the package calls them. */

import type { Operations } from 'fuse-native';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fileOperations, xattrOperations } from '../../../src/fuse/native/files.ts';
import { NativeService } from '../../../src/fuse/native/service.ts';
import { treeOperations } from '../../../src/fuse/native/tree.ts';
import { ROOT_INO } from '../../../src/model/ids.ts';
import { MemoryFilesystem } from '../memory-filesystem.ts';

const CALLER = { uid: 7, gid: 8, pid: 0 };

interface Scene {
  readonly filesystem: MemoryFilesystem;
  readonly service: NativeService;
  readonly operations: Operations;
  readonly complaints: string[];
}

function scene(noted = { files: true, directories: true }): Scene {
  const filesystem = new MemoryFilesystem();
  const complaints: string[] = [];
  const log = (_: string, message: string): void => void complaints.push(message);
  const service = new NativeService({ filesystem, caller: CALLER, noted, log });
  const operations = {
    ...treeOperations(service),
    ...fileOperations(service),
    ...xattrOperations(service),
  };
  return { filesystem, service, operations, complaints };
}

/** What an operation ends its request with. */
const ask = (start: (done: (...answer: unknown[]) => void) => void): Promise<unknown[]> =>
  new Promise((resolve, reject) => {
    let times = 0;
    start((...answer) => {
      if (++times === 1) setImmediate(() => setImmediate(resolve, answer));
      else reject(new Error('ended twice'));
    });
  });

const codeOf = async (start: Parameters<typeof ask>[0]): Promise<unknown> => (await ask(start))[0];

for (const isLazy of [false, true]) {
  test(`a file is made, written, read and closed, ${isLazy ? 'later' : 'at once'}`, async () => {
    const { filesystem, service, operations: o } = scene();
    filesystem.isLazy = isLazy;
    assert.is(await codeOf((done) => o.mkdir('/d', 0o2755, done)), 0);
    assert.is(await codeOf((done) => o.mknod('/d/f', 0o104755, 0, done)), 0);
    const [, stat] = (await ask((done) => o.getattr('/d/f', done))) as [number, { mode: number }];
    assert.is(stat.mode, 0o100755, 'set-id bits are not given at creation');
    const [code, fh] = (await ask((done) => o.open('/d/f', 2, done))) as [number, number];
    assert.is(code, 0);
    const memory = Buffer.from('hello, world');
    assert.is(await codeOf((done) => o.write('/d/f', fh, memory, 5, 3, done)), 5);
    memory.fill(0);
    const into = Buffer.alloc(100, 1);
    assert.is(await codeOf((done) => o.read('/d/f', fh, into, 100, 0, done)), 8);
    assert.is(into.subarray(0, 8).toString(), '\0\0\0hello');
    assert.is(await codeOf((done) => o.ftruncate('/gone', fh, 4, done)), 0);
    assert.is(await codeOf((done) => o.flush('/d/f', fh, done)), 0);
    assert.is(await codeOf((done) => o.fsync('/d/f', 0, fh, done)), 0);
    assert.is(await codeOf((done) => o.release('/d/f', fh, done)), 0);
    assert.is(await codeOf((done) => o.read('/d/f', fh, into, 1, 0, done)), -9);
    const [, after] = (await ask((done) => o.getattr('/d/f', done))) as [
      number,
      { size: number; uid: number; gid: number },
    ];
    assert.equal([after.size, after.uid, after.gid], [4, 7, 8]);
    assert.is(service.files.size, 0);
    assert.is(service.stats()['READ'], 2);
  });
}

test('refusals are negative errnos', async () => {
  const { operations: o } = scene();
  assert.is(await codeOf((done) => o.getattr('/none', done)), -2);
  assert.is(await codeOf((done) => o.getattr('/\uFFFD', done)), -84);
  assert.is(await codeOf((done) => o.mknod('/a\uFFFD', 0o100644, 0, done)), -84);
  assert.is(await codeOf((done) => o.symlink('to\uFFFD', '/l', done)), -84);
  assert.is(await codeOf((done) => o.utimens('/', -1, 0, done)), -75);
  assert.is(await codeOf((done) => o.truncate('/', 2 ** 63, done)), -27);
  assert.is(
    await codeOf((done) => o.setxattr('/', 'user.\uFFFD', Buffer.alloc(1), 0, 0, done)),
    -84,
  );
  for (const list of ['system.posix_acl_access', 'system.posix_acl_default']) {
    const set = codeOf((done) => o.setxattr('/', list, Buffer.alloc(4, 2), 0, 0, done));
    assert.is(await set, -95, 'lists are not enforced here');
    assert.is(await codeOf((done) => o.removexattr('/', list, done)), -95);
  }
});

test('both times are set, and owners only where they are named', async () => {
  const { operations: o } = scene();
  assert.is(await codeOf((done) => o.mknod('/f', 0o100644, 0, done)), 0);
  assert.is(await codeOf((done) => o.utimens('/f', 1001, 2002, done)), 0);
  assert.is(await codeOf((done) => o.chown('/f', 2 ** 32 - 1, 33, done)), 0);
  const [, stat] = await ask((done) => o.getattr('/f', done));
  const { atime, mtime, uid, gid } = stat as Record<string, number>;
  assert.equal([atime, mtime, uid, gid], [1001, 2002, 7, 33]);
});

test('an operation that throws is answered with EIO, and said', async () => {
  const { filesystem, operations: o, complaints } = scene();
  filesystem.lookup = () => {
    throw new Error('broken');
  };
  assert.is(await codeOf((done) => o.getattr('/f', done)), -5);
  filesystem.lookup = () => Promise.reject(new Error('broken later'));
  assert.is(await codeOf((done) => o.getattr('/f', done)), -5);
  assert.is(complaints.length, 2);
});

test('when the mount is gone, files are closed and requests get ENOTCONN', async () => {
  const { filesystem, service, operations: o } = scene();
  assert.is(await codeOf((done) => o.mknod('/f', 0o100644, 0, done)), 0);
  assert.is(await codeOf((done) => o.open('/f', 0, done)), 0);
  const opens = (): number =>
    [...filesystem.nodes.values()].reduce((sum, node) => sum + node.opens, 0);
  filesystem.isLazy = true;
  const late = ask((done) => o.open('/f', 0, done));
  service.end();
  assert.is((await late)[0], -107);
  assert.is(opens(), 0, 'the open that came too late is closed too');
  assert.is(await codeOf((done) => o.getattr('/f', done)), -107);
});

test('accesses are noted where the mount notes them', async () => {
  for (const isNoted of [true, false]) {
    const { filesystem, operations: o } = scene({ files: isNoted, directories: isNoted });
    const noted: number[] = [];
    filesystem.accessed = (ino) => noted.push(ino) > 0;
    assert.is(await codeOf((done) => o.symlink('to', '/s', done)), 0);
    assert.is(await codeOf((done) => o.readlink('/s', done)), 0);
    assert.is(await codeOf((done) => o.readdir('/', done)), 0);
    assert.is(noted.length, isNoted ? 2 : 0);
  }
});

test('a listing holds all names once, with "." and ".."', async () => {
  const { operations: o } = scene();
  for (let i = 0; i < 2500; i++) {
    assert.is(await codeOf((done) => o.mknod(`/n${i}`, 0o100644, 0, done)), 0);
  }
  const [, names, stats] = (await ask((done) => o.readdir('/', done))) as [
    number,
    string[],
    { ino: number; mode: number }[],
  ];
  assert.is(new Set(names).size, 2502);
  assert.equal(names.slice(0, 2), ['.', '..']);
  assert.is(stats.length, 2502);
  assert.is(stats[0]?.ino, ROOT_INO);
  assert.is(stats[2]?.mode, 0o100000);
});

test.run();

/** The operations without a kernel: what the kernel was granted, what it took, and what failed. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OPCODE } from '../../src/fuse/kernel/layout.ts';
import { MountService } from '../../src/fuse/service.ts';
import { asByteString, ino, ROOT_INO } from '../../src/model/ids.ts';
import { MemoryFilesystem } from './memory-filesystem.ts';
import { body, message, RecordingTransport, type Field, type Reply } from './messages.ts';

const service = suite('fuse service');
const CALLER = { uid: 0, gid: 0, pid: 0 };

function make() {
  const transport = new RecordingTransport();
  const filesystem = new MemoryFilesystem();
  const logged: string[] = [];
  const log = (level: string, text: string): void => void logged.push(`${level}: ${text}`);
  const ends: string[] = [];
  const mount = new MountService(
    transport,
    { filesystem, log },
    () => undefined,
    (reason) => ends.push(reason),
  );
  transport.start(mount);
  let unique = 0;
  const ask = (opcode: number, nodeid: number, ...fields: readonly Field[]): Reply => {
    unique += 2;
    transport.deliver(message(opcode, unique, nodeid, body(...fields)));
    const reply = transport.replies.at(-1);
    if (reply === undefined) throw new Error('no reply');
    return reply;
  };
  const create = (name: string): Reply => ask(OPCODE.CREATE, 1, 0o102, 0o100644, 0, 0, name);
  return { transport, filesystem, mount, logged, ends, ask, create };
}

service('create grants a lookup and a handle; release and forget take them back', () => {
  const { filesystem, mount, ask, create } = make();
  const made = create('f');
  const nodeid = Number(made.body.readBigUInt64LE(0));
  const fh = made.body.readBigUInt64LE(128);
  assert.is(mount.serving.lookups.count(ino(nodeid)), 1);
  assert.is(mount.serving.files.size, 1);
  assert.is(ask(OPCODE.UNLINK, 1, 'f').errno, 0);
  assert.ok(filesystem.nodes.has(ino(nodeid)));
  ask(OPCODE.RELEASE, nodeid, fh, 0, 0, 0n);
  assert.ok(filesystem.nodes.has(ino(nodeid)), 'gone while the kernel still knows it');
  assert.is(mount.serving.files.size, 0);
  ask(OPCODE.FORGET, nodeid, 1n);
  assert.not(filesystem.nodes.has(ino(nodeid)), 'not given up after the last forget');
});

service('what the kernel did not take was not granted', () => {
  const { transport, filesystem, mount, ask, create } = make();
  create('f');
  transport.isTaken = false;
  ask(OPCODE.LOOKUP, 1, 'f');
  const g = create('g');
  const nodeid = ino(Number(g.body.readBigUInt64LE(0)));
  assert.is(mount.serving.lookups.count(nodeid), 0);
  assert.is(mount.serving.files.size, 1, 'only f is open');
  void filesystem.unlink(ROOT_INO, asByteString('g'), CALLER);
  assert.not(filesystem.nodes.has(nodeid), 'held by an open that nobody got');
  ask(OPCODE.OPENDIR, 1, 0, 0);
  assert.is(mount.serving.directories.size, 0);
});

service('an open that nobody took leaves no claim on the pages that the kernel holds', () => {
  const { transport, ask, create } = make();
  const nodeid = Number(create('f').body.readBigUInt64LE(0));
  const keepsCache = (): boolean => (ask(OPCODE.OPEN, nodeid, 0, 0).body.readUInt32LE(8) & 2) !== 0;
  assert.ok(keepsCache(), 'the create has recorded the state');
  const set = ask(OPCODE.SETATTR, nodeid, 8, 0, 0n, 5n, 0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n);
  assert.is(set.errno, 0);
  transport.isTaken = false;
  assert.not(keepsCache());
  transport.isTaken = true;
  assert.not(keepsCache(), 'pages of an older state would be kept');
  assert.ok(keepsCache());
});

service(
  'a kernel alone keeps names and attributes long, but no guess; beside another a second',
  () => {
    const { transport, filesystem, mount, ask, create } = make();
    create('f');
    const valid = (): bigint[] => {
      const { body: found } = ask(OPCODE.LOOKUP, 1, 'f');
      const attributes = ask(OPCODE.GETATTR, Number(found.readBigUInt64LE(0)), 0, 0, 0n).body;
      return [found.readBigUInt64LE(16), found.readBigUInt64LE(24), attributes.readBigUInt64LE(0)];
    };
    assert.equal(valid(), [60n, 60n, 60n]);
    filesystem.isPending = () => true;
    assert.equal(valid(), [1n, 1n, 1n]);
    filesystem.isPending = () => false;
    assert.not(transport.isExpecting);
    mount.serving.copies.setAlone(false);
    assert.equal(valid(), [1n, 1n, 1n]);
    assert.ok(transport.isExpecting, 'the first change of the other one is told at once');
  },
);

service('a list of names is kept until the directory changes, and of one open at a time', () => {
  const { ask, create } = make();
  const [KEEP, CACHE] = [2, 8];
  const open = (): [bigint, number] => {
    const { body: opened } = ask(OPCODE.OPENDIR, 1, 0, 0);
    return [opened.readBigUInt64LE(0), opened.readUInt32LE(8)];
  };
  const flags = (): number => {
    const [fh, found] = open();
    ask(OPCODE.RELEASEDIR, 1, fh, 0, 0, 0n);
    return found;
  };
  assert.is(flags(), CACHE);
  assert.is(flags(), CACHE | KEEP);
  create('f');
  assert.is(flags(), CACHE, 'a list of the state before would be kept');
  assert.is(flags(), CACHE | KEEP);
  const [first] = open();
  assert.is(flags(), 0, 'two listings of different states would fill one list');
  ask(OPCODE.RELEASEDIR, 1, first, 0, 0, 0n);
  assert.is(flags(), CACHE, 'what the first one read may be older');
  assert.is(flags(), CACHE | KEEP);
});

service('an access time that moves without a READ is told to the kernel', () => {
  const { transport, filesystem, ask, create } = make();
  const nodeid = Number(create('f').body.readBigUInt64LE(0));
  let moves = 0;
  filesystem.accessed = () => ++moves > 0;
  ask(OPCODE.OPENDIR, 1, 0, 0);
  assert.is(moves, 0, 'the kernel will read');
  ask(OPCODE.OPEN, nodeid, 0, 0);
  assert.is(moves, 1, 'it has the pages already');
  assert.equal(
    transport.notifications.map((sent) => sent.readBigUInt64LE(16)),
    [BigInt(nodeid)],
  );
});

service('a lookup that nobody took does not keep an orphan', () => {
  const { transport, filesystem, ask, create } = make();
  const made = create('f');
  const nodeid = ino(Number(made.body.readBigUInt64LE(0)));
  ask(OPCODE.RELEASE, nodeid, made.body.readBigUInt64LE(128), 0, 0, 0n);
  void filesystem.unlink(ROOT_INO, asByteString('f'), CALLER);
  transport.isTaken = false;
  ask(OPCODE.BATCH_FORGET, 0, 2, 0, BigInt(nodeid), 1n, 999n, 5n);
  assert.not(filesystem.nodes.has(nodeid));
});

service('an exception in an operation is EIO and a log line, now and later', async () => {
  const { filesystem, ask, logged, transport } = make();
  filesystem.getattr = () => {
    throw new Error('broken');
  };
  assert.is(ask(OPCODE.GETATTR, 1, 0, 0, 0n).errno, 5);
  filesystem.getattr = () => Promise.reject(new Error('broken later'));
  ask(OPCODE.GETATTR, 1, 0, 0, 0n);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(
    transport.replies.map((reply) => reply.errno),
    [5, 5],
  );
  assert.is(logged.length, 2);
  assert.is(ask(OPCODE.STATFS, 1).errno, 0, 'the mount goes on');
});

service('truncated messages and unknown handles are refused', () => {
  const { ask } = make();
  assert.is(ask(OPCODE.SETATTR, 1, 0).errno, 22);
  assert.is(ask(OPCODE.READ, 1, 77n, 0n, 10, 0, 0n, 0, 0).errno, 9);
  assert.is(ask(OPCODE.READDIR, 1, 77n, 0n, 4096, 0, 0n, 0, 0).errno, 9);
  assert.is(ask(OPCODE.SYMLINK, 1, 'name').errno, 22, 'a symlink without a target');
  assert.is(ask(OPCODE.RENAME2, 1, 1n, 0, 0, 'one').errno, 22);
  assert.is(ask(OPCODE.LSEEK, 1, 77n, 0n, 3, 0).errno, 9);
  assert.is(ask(OPCODE.COPY_FILE_RANGE, 1, 77n, 0n, 1n, 78n, 0n, 10n, 0n).errno, 9);
  assert.is(ask(OPCODE.BMAP, 1, 0n, 4096, 0).errno, 38);
  assert.is(ask(60, 1).errno, 38);
});

service('a copy tells its bytes, in 32 bits where the kernel knows no more', () => {
  const { filesystem, ask, create } = make();
  const made = create('f');
  const nodeid = BigInt(made.body.readBigUInt64LE(0));
  const fh = made.body.readBigUInt64LE(128);
  const asked: number[] = [];
  filesystem.copyRange = (_from, _at, _to, _toAt, bytes) => {
    asked.push(bytes);
    return bytes;
  };
  const copy = (opcode: number, bytes: bigint, flags = 0n) =>
    ask(opcode, Number(nodeid), fh, 0n, nodeid, fh, 1n << 20n, bytes, flags);
  assert.is(
    copy(OPCODE.COPY_FILE_RANGE_64, 5_000_000_000n).body.readBigUInt64LE(0),
    5_000_000_000n,
  );
  assert.is(copy(OPCODE.COPY_FILE_RANGE, 5_000_000_000n).body.readUInt32LE(0), 2 ** 32 - 4096);
  assert.is(copy(OPCODE.COPY_FILE_RANGE_64, 1n << 62n).errno, 0);
  assert.equal(asked, [5_000_000_000, 2 ** 32 - 4096, 2 ** 39]);
  assert.is(copy(OPCODE.COPY_FILE_RANGE_64, 5n, 1n).errno, 22, 'no flag is known');
  const seek = (offset: bigint, whence: number) =>
    ask(OPCODE.LSEEK, Number(nodeid), fh, offset, whence, 0).errno;
  assert.equal([seek(0n, 2), seek(-1n, 3), seek(0n, 4)], [22, 6, 6]);
});

service('an interrupt ends a read that waits; its late answer is dropped', async () => {
  const { transport, filesystem, ask, create } = make();
  filesystem.slowReadMs = 120;
  const made = create('slow');
  const nodeid = Number(made.body.readBigUInt64LE(0));
  const fh = made.body.readBigUInt64LE(128);
  transport.replies.length = 0;
  transport.deliver(message(OPCODE.READ, 1000, nodeid, body(fh, 0n, 10, 0, 0n, 0, 0)));
  transport.deliver(message(OPCODE.INTERRUPT, 1001, 0, body(1000n)));
  assert.is(transport.replies.length, 0);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(
    transport.replies.map(({ unique, errno }) => [unique, errno]),
    [[1000, 4]],
  );
  assert.is(ask(OPCODE.STATFS, 1).errno, 0);
});

service('at the end of the mount everything is closed and given up', async () => {
  const { transport, filesystem, ends, ask, create } = make();
  const f = create('f');
  const nodeid = ino(Number(f.body.readBigUInt64LE(0)));
  ask(OPCODE.OPENDIR, 1, 0, 0);
  void filesystem.unlink(ROOT_INO, asByteString('f'), CALLER);
  filesystem.isLazy = true;
  create('late');
  transport.isTaken = false;
  await transport.close();
  assert.equal(ends, ['closed']);
  assert.not(filesystem.nodes.has(nodeid), 'an orphan outlived the mount');
  assert.is(filesystem.holders.size, 0);
  await new Promise((resolve) => setImmediate(resolve));
  const late = filesystem.nodes.get(ino(nodeid + 1));
  assert.is(late?.opens, 0, 'an open that came after the end was not closed');
});

service('listings of exactly the room there is', () => {
  const { ask, create } = make();
  for (let i = 0; i < 30; i++) create(`entry-number-${i}`);
  const fh = ask(OPCODE.OPENDIR, 1, 0, 0).body.readBigUInt64LE(0);
  const names: string[] = [];
  let cookie = 0n;
  for (let calls = 0; calls < 100; calls++) {
    const { body: listed } = ask(OPCODE.READDIR, 1, fh, cookie, 120, 0, 0n, 0, 0);
    if (listed.length === 0) break;
    assert.ok(listed.length <= 120);
    for (let at = 0; at < listed.length;) {
      const length = listed.readUInt32LE(at + 16);
      names.push(listed.toString('latin1', at + 24, at + 24 + length));
      cookie = listed.readBigUInt64LE(at + 8);
      at += (24 + length + 7) & ~7;
    }
  }
  assert.equal(names.slice(0, 2), ['.', '..']);
  assert.equal(
    names.slice(2),
    Array.from({ length: 30 }, (_, i) => `entry-number-${i}`),
  );
});

service.run();

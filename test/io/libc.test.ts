import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as libc from '../../src/io/libc.ts';
import { ERRNO } from '../../src/model/errno.ts';

const test = suite<{ dir: string }>('libc');

test.before.each((context) => {
  context.dir = mkdtempSync(`${tmpdir()}/ledgerfs-libc-`);
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

/** Runs `use` on a connected pair of sockets. */
function withPair(use: (near: number, far: number) => void): void {
  const [near, far] = libc.socketPair();
  try {
    use(near, far);
  } finally {
    closeSync(near);
    closeSync(far);
  }
}

test('reads and writes without throwing, and reports errno', () => {
  withPair((near, far) => {
    libc.setNonBlocking(near);
    const into = Buffer.alloc(8);
    assert.is(libc.readInto(near, into, 8), -ERRNO.EAGAIN);
    assert.is(libc.writeFrom(far, Buffer.from('hello!'), 5), 5);
    assert.is(libc.readInto(near, into, 8), 5);
    assert.is(into.toString('latin1', 0, 6), 'hello\0');
  });
  assert.is(libc.readInto(99_999, Buffer.alloc(1), 1), -ERRNO.EBADF);
  assert.is(libc.writeFrom(99_999, Buffer.alloc(1), 1), -ERRNO.EBADF);
});

test('writes into a view of a larger buffer, and nowhere else', () => {
  withPair((near, far) => {
    const whole = Buffer.alloc(16, '.');
    libc.writeFrom(far, Buffer.from('abcd'), 4);
    assert.is(libc.readInto(near, whole.subarray(4, 8), 4), 4);
    assert.is(whole.toString('latin1'), '....abcd........');
  });
});

test('no length beyond a buffer reaches the kernel', () => {
  const buffer = Buffer.alloc(16);
  const isRefused = (call: () => unknown): void =>
    assert.throws(call, (error: Error) => error.name === 'AssertionError');
  isRefused(() => libc.readInto(0, buffer, 17));
  isRefused(() => libc.readInto(0, buffer, -1));
  isRefused(() => libc.writeFrom(1, buffer, 17));
  isRefused(() => libc.ioctl(0, 0x8004e500, Buffer.alloc(3)));
  isRefused(() => void libc.fallocate(0, 0, -1, 5));
  isRefused(() => void libc.fallocate(0, 0, 0, 0));
  isRefused(() => libc.tryLock(-1));
});

test('readNoWait reads what is cached', ({ dir }) => {
  writeFileSync(`${dir}/file`, 'some bytes in the page cache');
  const fd = openSync(`${dir}/file`, 'r');
  const into = Buffer.alloc(100);
  const n = libc.readNoWait(fd, into, 5);
  assert.ok(n === 23 || n === -ERRNO.EOPNOTSUPP, `${n}`);
  if (n > 0) assert.is(into.toString('latin1', 0, n), 'bytes in the page cache');
  assert.is(libc.readNoWait(fd, Buffer.alloc(0), 0), 0);
  closeSync(fd);
  assert.is(libc.readNoWait(99_999, into, 0), -ERRNO.EBADF);
});

test('fallocate reports the errno of its own call', async ({ dir }) => {
  const fd = openSync(`${dir}/file`, 'w');
  const codes = await Promise.all([
    libc.fallocate(fd, 0, 0, 4096).then(() => 'done'),
    libc.fallocate(fd, 0x4000, 0, 4096).catch((error: libc.SystemError) => error.code),
    libc.fallocate(99_999, 0, 0, 4096).catch((error: libc.SystemError) => error.code),
  ]);
  assert.equal(codes, ['done', 'ENOTSUP', 'EBADF']);
  closeSync(fd);
});

test('a failed call is an error like those of Node', () => {
  assert.throws(
    () => libc.setNonBlocking(99_999),
    (error: NodeJS.ErrnoException) =>
      error.code === 'EBADF' && error.errno === -ERRNO.EBADF && error.syscall === 'fcntl',
  );
});

test('ioctl reads and writes its argument', () => {
  withPair((near, far) => {
    libc.writeFrom(far, Buffer.from('12345'), 5);
    const FIONREAD = 0x541b;
    const count = Buffer.alloc(4);
    assert.is(libc.ioctl(near, FIONREAD, count), 0);
    assert.is(count.readInt32LE(), 5);
    assert.throws(
      () => libc.ioctl(near, 0x8004e500, count),
      (error: libc.SystemError) => ['ENOTTY', 'EINVAL'].includes(error.code),
    );
  });
});

test('knows who is at the other end of a socket', () => {
  withPair((near) => {
    const peer = libc.peerCredentials(near);
    assert.is(peer.pid, process.pid);
    assert.is(peer.uid, process.getuid?.());
    assert.is(peer.gid, process.getgid?.());
    const groups = (process.getgroups?.() ?? []).filter((group) => group !== peer.gid);
    for (const group of groups) assert.ok(peer.groups.includes(group));
  });
});

test('a duplicate is the same open file', ({ dir }) => {
  writeFileSync(`${dir}/file`, 'abcdef');
  const fd = openSync(`${dir}/file`, 'r');
  const twin = libc.duplicate(fd);
  readSync(fd, Buffer.alloc(2));
  const rest = Buffer.alloc(4);
  assert.is(readSync(twin, rest), 4);
  assert.is(rest.toString(), 'cdef');
  closeSync(fd);
  closeSync(twin);
});

/** Sends descriptor 4 over the socket that is its descriptor 3. */
const SENDER = `
import array, socket
s = socket.socket(fileno=3)
s.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [4]))])
`;

test('receives a descriptor from another program', ({ dir }) => {
  writeFileSync(`${dir}/file`, 'passed on');
  withPair((near, far) => {
    const fd = openSync(`${dir}/file`, 'r');
    const sender = spawnSync('python3', ['-c', SENDER], {
      stdio: ['ignore', 'inherit', 'inherit', far, fd],
    });
    assert.is(sender.status, 0, 'python3 is needed here');
    closeSync(fd);
    const received = libc.receiveDescriptor(near);
    assert.type(received, 'number');
    const bytes = Buffer.alloc(9);
    readSync(received as number, bytes);
    assert.is(bytes.toString(), 'passed on');
    closeSync(received as number);
  });
});

test('a message or an end without a descriptor is none', () => {
  const [near, far] = libc.socketPair();
  libc.writeFrom(far, Buffer.from('x'), 1);
  assert.is(libc.receiveDescriptor(near), undefined);
  closeSync(far);
  assert.is(libc.receiveDescriptor(near), undefined);
  closeSync(near);
});

test('boot time goes on', () => {
  const before = libc.bootTimeMs();
  assert.ok(before > 0);
  assert.ok(libc.bootTimeMs() >= before);
});

test.run();

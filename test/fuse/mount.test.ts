/**
 * The transport through the kernel: a memory filesystem mounted by a process of its own, and this
 * process (and Python, for what Node does not offer) as its user.
 */

import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  canMount,
  inTemporary,
  python,
  run,
  startDaemon,
  stopDaemon,
  withMount,
} from './mounted.ts';

const mount = suite('fuse mount');
const codeOf = (error: unknown): unknown => (error as NodeJS.ErrnoException).code;
const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const REPOSITORY_SOURCE = join(import.meta.dirname, '../../src');

/** Runs the test where mounting is possible, and says so where it is not. */
function mounted(name: string, body: Parameters<typeof withMount>[1], settings = {}): void {
  if (canMount) mount(name, () => withMount(settings, body));
  else mount.skip(`${name} (no /dev/fuse, or not root)`, () => undefined);
}

const WAYS = {
  'answered at once': {},
  'answered later': { lazy: true },
  'watched by the fallback': { pipe: true },
};

for (const [way, settings] of Object.entries(WAYS)) {
  mounted(
    `a copied tree is the same, ${way}`,
    async ({ path, complaints, ask }) => {
      await run('cp', '-a', REPOSITORY_SOURCE, join(path, 'copy'));
      await run('diff', '-r', REPOSITORY_SOURCE, join(path, 'copy'));
      const large = randomBytes(3 * 1024 * 1024 + 5);
      await fs.writeFile(join(path, 'large'), large);
      assert.is(hash(await fs.readFile(join(path, 'large'))), hash(large));
      await run('rm', '-r', join(path, 'copy'), join(path, 'large'));
      assert.equal(await fs.readdir(path), []);
      await run('sync', '-f', path);
      assert.equal(complaints, []);
      const { inodes, overwritten } = await ask<Record<string, number>>('state');
      assert.ok(Number(inodes) < 40, `${inodes} inodes are left of a removed tree`);
      assert.is(overwritten, 0);
    },
    settings,
  );
}

mounted('5,000 entries are listed once each, also while others come and go', async ({ path }) => {
  const names = Array.from({ length: 5000 }, (_, i) => `entry-${i}`);
  for (const name of names) await fs.writeFile(join(path, name), '');
  assert.equal((await fs.readdir(path)).sort(), [...names].sort());
  const seen: string[] = [];
  const directory = await fs.opendir(path, { bufferSize: 32 });
  for await (const entry of directory) {
    seen.push(entry.name);
    if (seen.length % 100 === 0) {
      await fs.unlink(join(path, entry.name));
      await fs.writeFile(join(path, `new-${seen.length}`), '');
    }
  }
  const old = seen.filter((name) => name.startsWith('entry-'));
  assert.is(new Set(seen).size, seen.length, 'a name was listed twice');
  assert.is(old.length, 5000, 'a name was left out');
});

mounted('names of all byte values', async ({ path }) => {
  const values = Array.from({ length: 256 }, (_, i) => i).filter((i) => i !== 0 && i !== 0x2f);
  const names = [values.slice(0, 127), values.slice(127)].map((bytes) => Buffer.from(bytes));
  for (const name of names)
    await fs.writeFile(Buffer.concat([Buffer.from(`${path}/`), name]), name);
  const listed = await fs.readdir(path, { encoding: 'buffer' });
  assert.equal(
    listed.map((n) => n.toString('hex')).sort(),
    names.map((n) => n.toString('hex')).sort(),
  );
  for (const name of names) {
    const file = Buffer.concat([Buffer.from(`${path}/`), name]);
    assert.ok(name.equals(await fs.readFile(file)));
  }
});

mounted('names of 255 bytes are taken, of 256 refused', async ({ path }) => {
  await fs.writeFile(join(path, 'n'.repeat(255)), 'x');
  assert.equal(await fs.readdir(path), ['n'.repeat(255)]);
  const long = join(path, 'n'.repeat(256));
  const attempts = [fs.writeFile(long, ''), fs.mkdir(long), fs.stat(long)];
  for (const ended of await Promise.allSettled(attempts)) {
    assert.is(ended.status === 'rejected' && codeOf(ended.reason), 'ENAMETOOLONG');
  }
});

mounted('large, unaligned and overlapping writes are read back', async ({ path, ask }) => {
  const file = join(path, 'data');
  const expected = randomBytes(5 * 1024 * 1024 + 123);
  await fs.writeFile(file, expected);
  const handle = await fs.open(file, 'r+');
  for (const [offset, length] of [
    [1, 4095],
    [4097, 1048576],
    [3_000_001, 777_777],
    [0, 1],
  ] as const) {
    const bytes = randomBytes(length);
    bytes.copy(expected, offset);
    await handle.write(bytes, 0, length, offset);
  }
  await handle.sync();
  await handle.close();
  await run('python3', '-c', 'open("/proc/sys/vm/drop_caches","w").write("1")').catch(() => '');
  assert.is(hash(await fs.readFile(file)), hash(expected));
  const part = await fs.open(file, 'r');
  const { buffer } = await part.read(Buffer.alloc(100_003), 0, 100_003, 3_000_000);
  await part.close();
  assert.ok(buffer.equals(expected.subarray(3_000_000, 3_100_003)));
  const { overwritten } = await ask<{ overwritten: number }>('state');
  assert.is(overwritten, 0, 'memory that was taken over was written to again');
  const stats = await ask<Record<string, number>>('stats');
  const writes = stats['WRITE'] ?? 0;
  assert.ok(writes >= 8 && writes < 40, `1 MiB requests were not negotiated: ${writes} writes`);
});

mounted('rename with flags', async ({ path }) => {
  const script = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def rename2(a, b, flags):
    r = libc.renameat2(-100, a.encode(), -100, b.encode(), flags)
    return 0 if r == 0 else ctypes.get_errno()
os.chdir(sys.argv[1])
for n in 'ab': open(n, 'w').write(n)
os.mkdir('d')
print(rename2('a', 'b', 1), rename2('a', 'c', 1), rename2('c', 'b', 2), open('b').read(), open('c').read())
print(rename2('b', 'd', 2), open('d').read(), os.path.isdir('b'), rename2('x', 'y', 0), rename2('b', 'z', 4))
os.rename('d', 'c'); print(open('c').read(), sorted(os.listdir('.')))
`;
  assert.is(
    await python(path, script),
    '17 0 0 c b\n'.replace('c b', 'a b') + "0 a True 2 22\na ['b', 'c']\n",
  );
});

mounted('extended attributes', async ({ path }) => {
  const script = `
import os, sys, errno
os.chdir(sys.argv[1]); open('f', 'w').close()
def code(f, *a):
    try: return f(*a)
    except OSError as e: return errno.errorcode[e.errno]
big = bytes(range(256)) * 200
os.setxattr('f', 'user.a', b'1'); os.setxattr('f', 'user.big', big); os.setxattr('f', 'user.empty', b'')
os.setxattr('f', 'trusted.t', b't')
print(os.getxattr('f', 'user.a'), os.getxattr('f', 'user.big') == big, os.getxattr('f', 'user.empty'))
print(sorted(os.listxattr('f')))
print(code(os.setxattr, 'f', 'user.a', b'2', os.XATTR_CREATE), code(os.setxattr, 'f', 'user.n', b'2', os.XATTR_REPLACE))
print(code(os.getxattr, 'f', 'user.none'), code(os.removexattr, 'f', 'user.none'), code(os.removexattr, 'f', 'user.a'))
print(code(os.getxattr, 'f', 'user.a'), code(os.setxattr, 'f', 'weird.x', b''))
os.chmod('f', 0o666); os.chmod('.', 0o755); os.setuid(12345); print(sorted(os.listxattr('f')))
`;
  const expected = [
    "b'1' True b''",
    "['trusted.t', 'user.a', 'user.big', 'user.empty']",
    'EEXIST ENODATA',
    'ENODATA ENODATA None',
    'ENODATA ENOTSUP',
    "['user.big', 'user.empty']",
  ];
  await run('chmod', '755', path);
  assert.is(await python(path, script), `${expected.join('\n')}\n`);
});

mounted('sizes: truncation, holes, and the largest there is', async ({ path }) => {
  const file = join(path, 'f');
  await fs.writeFile(file, 'x'.repeat(10_000));
  await fs.writeFile(file, 'short');
  assert.is(await fs.readFile(file, 'utf8'), 'short');
  await fs.truncate(file, 2);
  await fs.truncate(file, 5);
  assert.is(await fs.readFile(file, 'latin1'), 'sh\0\0\0');
  const handle = await fs.open(file, 'r+');
  await handle.write('end', 10_000_000);
  await handle.close();
  const stat = await fs.stat(file);
  assert.is(stat.size, 10_000_003);
  assert.ok(stat.blocks <= 16, 'a hole takes space');
  await run('truncate', '-s', '9223372036854775807', file);
  assert.is((await fs.stat(file, { bigint: true })).size, 9223372036854775807n);
});

mounted('memory mapped files', async ({ path }) => {
  const script = `
import mmap, os, sys
p = sys.argv[1] + '/m'
open(p, 'wb').write(b'a' * 20000)
f = open(p, 'r+b'); m = mmap.mmap(f.fileno(), 0)
m[5000:5005] = b'hello'; m.flush(); m.close(); f.close()
print(open(p, 'rb').read()[4999:5006])
`;
  assert.is(await python(path, script), "b'ahelloa'\n");
});

mounted('attributes, links, devices and the owner of new files', async ({ path, ask }) => {
  await run('chmod', '777', path);
  const script = `
import os, sys, stat
os.chdir(sys.argv[1])
os.mkfifo('fifo', 0o644); os.mknod('null', 0o20600, os.makedev(1, 3)); os.mknod('big', 0o60600, os.makedev(300, 70000))
s = os.stat('big'); print(stat.S_ISFIFO(os.stat('fifo').st_mode), os.stat('null').st_rdev == os.makedev(1, 3), os.major(s.st_rdev), os.minor(s.st_rdev))
os.setgid(4321); os.setuid(1234); os.umask(0o027)
open('own', 'w').write('x'); os.mkdir('dir'); s = os.stat('own'); d = os.stat('dir')
print(s.st_uid, s.st_gid, oct(s.st_mode), oct(d.st_mode), d.st_nlink)
os.link('own', 'twin'); os.symlink('a/' * 2000 + 'b', 'sym'); print(os.stat('twin').st_nlink, len(os.readlink('sym')), os.lstat('sym').st_size)
os.utime('own', ns=(1234567890123456789, -1000000001)); s = os.stat('own'); print(s.st_atime_ns, s.st_mtime_ns)
os.unlink('own'); print(os.stat('twin').st_nlink, open('twin').read())
try: os.chown('twin', 0, 0)
except PermissionError: print('denied')
v = os.statvfs('.'); print(v.f_bsize, v.f_blocks, v.f_bavail, v.f_namemax)
`;
  const expected = [
    'True True 300 70000',
    '1234 4321 0o100640 0o40750 2',
    '2 4001 4001',
    '1234567890123456789 -1000000001',
    '1 x',
    'denied',
    '4096 1000000 500000 255',
  ];
  assert.is(await python(path, script), `${expected.join('\n')}\n`);
  const birth = Number(await run('stat', '-c', '%W', join(path, 'twin')));
  assert.ok(Math.abs(birth - Date.now() / 1000) < 600, `a birth time of ${birth}`);
  assert.ok(((await ask<Record<string, number>>('stats'))['STATX'] ?? 0) > 0);
});

mounted('a write by another user clears set-id bits', async ({ path }) => {
  const file = join(path, 'f');
  await fs.writeFile(file, 'x');
  await fs.chmod(file, 0o6777);
  await fs.chmod(path, 0o755);
  await python(path, 'import os,sys; os.setuid(99); open(sys.argv[1]+"/f","r+").write("y")');
  assert.is((await fs.stat(file)).mode & 0o7000, 0);
  await fs.chmod(file, 0o6777);
  await python(path, 'import os,sys; os.setuid(99); open(sys.argv[1]+"/f","w").close()');
  assert.is((await fs.stat(file)).mode & 0o7000, 0, 'O_TRUNC kept them');
});

mounted('an unlinked open file lives until it is closed', async ({ path, ask }) => {
  const handle = await fs.open(join(path, 'f'), 'w+');
  await handle.write('still here');
  await fs.unlink(join(path, 'f'));
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(10), 0, 10, 0);
  assert.is(buffer.toString('utf8', 0, bytesRead), 'still here');
  assert.is((await handle.stat()).nlink, 0);
  assert.is((await ask<{ inodes: number }>('state')).inodes, 2);
  await handle.close();
  await run('stat', path);
  for (let i = 0; i < 50 && (await ask<{ inodes: number }>('state')).inodes > 1; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.is((await ask<{ inodes: number }>('state')).inodes, 1, 'the orphan was not given up');
});

mounted(
  'a signal ends a read that waits, and others go on meanwhile',
  async ({ path }) => {
    const script = `
import os, signal, sys, time, mmap
p = sys.argv[1] + '/slow'
open(p, 'wb').write(b's' * 8192)
class Alarm(Exception): pass
def ring(*_): raise Alarm()
signal.signal(signal.SIGALRM, ring)
fd = os.open(p, os.O_RDONLY | os.O_DIRECT)
buf = mmap.mmap(-1, 4096)
signal.setitimer(signal.ITIMER_REAL, 0.3)
try: os.preadv(fd, [buf], 0); print('read')
except Alarm: print('interrupted')
print(len(os.listdir(sys.argv[1])))
`;
    assert.is(await python(path, script), 'interrupted\n1\n');
  },
  { slowReadMs: -1 },
);

mounted(
  'opening again keeps cached pages, until somebody else changes the file',
  async ({ path, ask }) => {
    const file = join(path, 'f');
    const reads = async (): Promise<number> =>
      (await ask<Record<string, number>>('stats'))['READ'] ?? 0;
    await fs.writeFile(file, 'one');
    await fs.readFile(file);
    await fs.readFile(file);
    const before = await reads();
    for (let i = 0; i < 5; i++) assert.is(await fs.readFile(file, 'utf8'), 'one');
    assert.is(await reads(), before, 'cached contents were read again');
    await ask('rewrite f two-two');
    assert.is(await fs.readFile(file, 'utf8'), 'two-two', 'stale contents after a change');
  },
  { entryTimeoutMs: 0, attrTimeoutMs: 0 },
);

mounted(
  'invalidation reaches names and attributes that the kernel keeps for long',
  async ({ path, ask, complaints }) => {
    const file = join(path, 'f');
    await fs.writeFile(file, 'one');
    assert.is((await fs.stat(file)).size, 3);
    await ask('rewrite f longer');
    assert.is((await fs.stat(file)).size, 3, 'the kernel should not have asked again');
    await ask('invalidate f');
    assert.is((await fs.stat(file)).size, 6);
    assert.is(await fs.readFile(file, 'utf8'), 'longer');
    await ask('remove f');
    await ask('invalidateEntry f');
    assert.is(await fs.stat(file).catch((e: NodeJS.ErrnoException) => e.code), 'ENOENT');
    await ask('invalidateEntry never-there');
    assert.equal(complaints, []);
  },
  { entryTimeoutMs: 100_000, attrTimeoutMs: 100_000 },
);

mounted('what is not offered is refused without harm', async ({ path }) => {
  const script = `
import ctypes, errno, fcntl, os, sys
fd = os.open(sys.argv[1] + '/f', os.O_RDWR | os.O_CREAT); os.write(fd, b'12345678')
libc = ctypes.CDLL(None, use_errno=True)
COLLAPSE_RANGE = 8
r = libc.fallocate(fd, COLLAPSE_RANGE, ctypes.c_long(0), ctypes.c_long(4096))
print(r, errno.errorcode[ctypes.get_errno()])
try: fcntl.ioctl(fd, 0x5401, bytes(64))
except OSError as e: print(errno.errorcode[e.errno])
`;
  assert.is(await python(path, script), '-1 ENOTSUP\nENOTTY\n');
});

mounted('data, holes and copied ranges', async ({ path, ask }) => {
  const script = `
import errno, os, sys
def code(f, *a):
    try: return f(*a)
    except OSError as e: return errno.errorcode[e.errno]
seek, D, H = lambda *a: code(os.lseek, *a), os.SEEK_DATA, os.SEEK_HOLE
copy = lambda *a: code(os.copy_file_range, *a)
os.chdir(sys.argv[1])
fd = os.open('f', os.O_RDWR | os.O_CREAT); os.pwrite(fd, b'data', 1 << 20); os.ftruncate(fd, 1 << 41)
print(seek(fd, 0, D), seek(fd, 1 << 20, H), seek(fd, 2 << 20, D))
print(seek(fd, 1 << 41, H), seek(fd, -1, D), seek(fd, 1 << 40, H))
to = os.open('g', os.O_RDWR | os.O_CREAT); os.write(to, b'0123456789'); os.pread(to, 10, 0)
print(copy(fd, to, 2, (1 << 20) + 1, 4), os.pread(to, 100, 0), os.fstat(to).st_size)
print(copy(to, to, 100, 8, 10), os.pread(to, 100, 0), copy(to, to, 5, 0, 3))
print(copy(to, fd, 100, 500, 0), copy(fd, os.open('g', os.O_WRONLY | os.O_APPEND), 1, 0, 0))
`;
  const expected = [
    '1048576 1052672 ENXIO',
    'ENXIO ENXIO 1099511627776',
    "2 b'0123at6789' 10",
    "2 b'0123at678989' EINVAL",
    '0 EBADF',
  ];
  assert.is(await python(path, script), `${expected.join('\n')}\n`);
  const stats = await ask<Record<string, number>>('stats');
  const copies = (stats['COPY_FILE_RANGE_64'] ?? 0) + (stats['COPY_FILE_RANGE'] ?? 0);
  assert.ok(copies >= 2 && (stats['LSEEK'] ?? 0) >= 5, JSON.stringify(stats));
});

mounted('files without a name: written, named, and gone', async ({ path, ask }) => {
  const script = `
import errno, os, sys
os.chdir(sys.argv[1])
def temporary(flags=0): return os.open('.', os.O_TMPFILE | os.O_RDWR | flags, 0o640)
fd = temporary(); os.write(fd, b'nameless'); s = os.fstat(fd); print(s.st_nlink, oct(s.st_mode), s.st_size, os.listdir('.'))
os.link('/proc/self/fd/%d' % fd, 'named', src_dir_fd=0)
os.close(fd); print(open('named').read(), os.stat('named').st_nlink)
fd = temporary(os.O_EXCL)
try: os.link('/proc/self/fd/%d' % fd, 'never', src_dir_fd=0)
except OSError as e: print(errno.errorcode[e.errno])
os.close(fd); print(os.listdir('.'))
`;
  const expected = ['0 0o100640 8 []', 'nameless 1', 'ENOENT', "['named']"];
  assert.is(await python(path, script), `${expected.join('\n')}\n`);
  for (let i = 0; i < 200 && (await ask<{ inodes: number }>('state')).inodes > 2; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.is((await ask<{ inodes: number }>('state')).inodes, 2, 'a nameless one is left');
});

mounted("create over a name made behind the kernel's back opens it", async ({ path }) => {
  const handles = await Promise.all(
    Array.from({ length: 20 }, () =>
      fs.open(join(path, 'same'), constants.O_CREAT | constants.O_WRONLY),
    ),
  );
  for (const handle of handles) await handle.close();
  const exclusive = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY;
  const again = await fs
    .open(join(path, 'same'), exclusive)
    .catch((e: NodeJS.ErrnoException) => e.code);
  assert.is(again, 'EEXIST');
});

mounted(
  'a read-only mount refuses changes',
  async ({ path }) => {
    const failed = await fs.mkdir(join(path, 'd')).catch((e: NodeJS.ErrnoException) => e.code);
    assert.is(failed, 'EROFS');
  },
  { readOnly: true },
);

mounted('unmounting: refused while in use, then clean', async (m) => {
  const handle = await fs.open(join(m.path, 'f'), 'w');
  assert.is(await m.ask('unmount'), 'EBUSY');
  await fs.writeFile(join(m.path, 'still'), 'served');
  await handle.close();
  let result = await m.ask('unmount');
  for (let i = 0; i < 20 && result === 'EBUSY'; i++) result = await m.ask('unmount');
  assert.is(result, 'unmounted');
  assert.equal(await fs.readdir(m.path), []);
  assert.is((await m.ask<{ inodes: number }>('state')).inodes, 3);
  assert.equal(m.complaints, []);
});

mounted('an unmount from outside is noticed', async ({ path, exited, complaints }) => {
  await fs.writeFile(join(path, 'f'), 'x');
  await run('umount', path);
  assert.is(await exited, 0);
  assert.equal(complaints, ['{"unmounted":"unmounted"}']);
});

if (canMount) {
  mount('a dead mount is known as one while the kernel still shows cached attributes', () =>
    inTemporary(async (directory) => {
      const first = await startDaemon(directory, { attrTimeoutMs: 60_000 });
      await fs.stat(directory);
      first.child.kill('SIGKILL');
      await first.exited;
      assert.ok((await fs.stat(directory)).isDirectory(), 'the cache answers');
      await stopDaemon(await startDaemon(directory));
    }),
  );

  mount('a mount whose daemon was killed is cleaned by the next one', () =>
    inTemporary(async (directory) => {
      const first = await startDaemon(directory);
      first.child.kill('SIGKILL');
      await first.exited;
      const dead = await fs.stat(directory).catch((e: NodeJS.ErrnoException) => e.code);
      assert.is(dead, 'ENOTCONN');
      const second = await startDaemon(directory);
      try {
        await fs.writeFile(join(directory, 'f'), 'alive');
        assert.is(await fs.readFile(join(directory, 'f'), 'utf8'), 'alive');
        assert.is(
          await startDaemon(directory).then(
            () => 'mounted',
            () => 'refused',
          ),
          'refused',
        );
        const table = await fs.readFile('/proc/self/mountinfo', 'utf8');
        assert.is(table.split('\n').filter((line) => line.includes(directory)).length, 1);
      } finally {
        await stopDaemon(second);
      }
    }),
  );
}

mount.run();

/**
 * fallocate(1) of util-linux on a mounted volume: sizes, blocks, contents and refusals as on any
 * other filesystem, through remounts and a kill of the daemon; and the promise of space, kept on a
 * small real disk (ext4 in a file) that is full.
 *
 * @limit 600 s
 */

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { canMount, hasProgram, MountedVolume, python, run, shell } from './mounted-volume.ts';

const DISK_BYTES = 400 * 1024 * 1024;
const MIB = 1024 * 1024;

const tests = suite('allocation');
const can = canMount && hasProgram('fallocate');
const test = can ? tests : tests.skip;
const hasLoopDevices = can && (await run('losetup', '-f').catch(() => '')) !== '';
const testOnDisk = hasLoopDevices ? tests : tests.skip;

const statOf = async (path: string): Promise<readonly [size: number, blocks: number]> => {
  const [size = NaN, blocks = NaN] = (await run('stat', '-c', '%s %b', path))
    .split(' ')
    .map(Number);
  return [size, blocks];
};

test('what fallocate(1) does shows as everywhere, and outlives remounts', async () => {
  const it = await MountedVolume.make();
  try {
    await it.mount();
    const f = join(it.path, 'f');
    const expected = join(it.scratch, 'expected');
    await run('fallocate', '-l', String(3 * MIB), f);
    assert.equal(await statOf(f), [3 * MIB, 0], 'unwritten blocks do not count');
    await run('fallocate', '-n', '-l', String(8 * MIB), f);
    assert.equal(await statOf(f), [3 * MIB, 0]);
    // The same on the filesystem of the test, for comparison.
    for (const path of [f, expected]) {
      await shell(
        `truncate -s 3M "$1" && yes 0123456789 | head -c 2000000 \\
           | dd of="$1" bs=64k seek=3 conv=notrunc iflag=fullblock status=none`,
        path,
      );
    }
    await run('cmp', f, expected);
    const written = (await statOf(f))[1];
    for (const path of [f, expected]) {
      await run('fallocate', '-p', '-o', '300001', '-l', '100000', path);
      await run('fallocate', '-z', '-o', '900000', '-l', '55555', path);
      await run('fallocate', '-z', '-n', '-o', '2100000', '-l', '5000000', path);
      await run('fallocate', '-z', '-o', '3145000', '-l', '70000', path);
      await run('fallocate', '-o', '0', '-l', '500000', path);
    }
    await run('cmp', f, expected);
    assert.is((await statOf(f))[0], 3_215_000);
    assert.ok((await statOf(f))[1] < written, 'holes do not count');
    await it.unmount();
    await it.assertWhole();
    await it.mount();
    await run('cmp', f, expected);
    await shell('printf late | dd of="$1" bs=1 seek=3210000 conv=notrunc status=none', f);
    await shell('printf late | dd of="$1" bs=1 seek=3210000 conv=notrunc status=none', expected);
    await it.unmount();
    await it.mount();
    await run('cmp', f, expected);
    const scrubbed = await it.succeed('scrub', it.path);
    assert.match(scrubbed, /\b0 bad|no damage|verified/i);
    await it.unmount();
    await it.assertWhole();
    assert.equal(await it.complaints(), []);
  } finally {
    await it.dispose();
  }
});

const ERRORS = `
import ctypes, errno, os, stat, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
def fallocate(fd, mode, offset, length):
    if libc.fallocate(fd, mode, offset, length) == 0: return 'done'
    return errno.errorcode[ctypes.get_errno()]
path = sys.argv[1]
fd = os.open(path + '/f', os.O_RDWR | os.O_CREAT, 0o644)
print(fallocate(fd, 0, 0, 0), fallocate(fd, 0, -1, 5))
print([fallocate(fd, mode, 0, 8192) for mode in (2, 8, 9, 32, 64, 18, 19)])
print(fallocate(fd, 0, 2**63 - 1, 1), fallocate(fd, 1, 0, 2**62), fallocate(fd, 0, 2**62, 4096))
print(os.fstat(fd).st_size == 2**62 + 4096, fallocate(fd, 3, 0, 2**63 - 1))
ro = os.open(path + '/f', os.O_RDONLY)
print(fallocate(ro, 0, 0, 1), fallocate(os.open(path, os.O_RDONLY), 0, 0, 1))
os.ftruncate(fd, 0)
os.pwrite(fd, b'x' * 9000, 0)
before = os.fstat(fd)
os.fchmod(fd, 0o6777)
os.chown(path + '/f', 0, 0)
os.fchmod(fd, 0o6777)
os.close(os.open(path + '/g', os.O_RDWR | os.O_CREAT))
os.chmod(path + '/g', 0o6777)
if os.fork() == 0:
    os.setgid(1234); os.setuid(1234)
    other = os.open(path + '/f', os.O_RDWR)
    fallocate(other, 3, 0, 4096)
    os.close(os.open(path + '/g', os.O_RDWR | os.O_TRUNC))
    os._exit(0)
os.wait()
after = os.fstat(fd)
print(oct(stat.S_IMODE(after.st_mode)), after.st_mtime_ns > before.st_mtime_ns)
print(oct(stat.S_IMODE(os.stat(path + '/g').st_mode)))
print(os.pread(fd, 5000, 4000) == bytes(96) + b'x' * 4904)
`;

test('refusals, the largest size and set-id bits are those of fallocate(2)', async () => {
  const it = await MountedVolume.make();
  try {
    await it.mount();
    const told = (await python(ERRORS, it.path)).trim().split('\n');
    assert.equal(told, [
      'EINVAL EINVAL',
      `[${Array.from({ length: 7 }, () => "'ENOTSUP'").join(', ')}]`,
      'EFBIG ENOSPC done',
      'True done',
      'EBADF EBADF',
      '0o777 True',
      '0o777',
      'True',
    ]);
    await it.unmount();
    await it.assertWhole();
    assert.equal(await it.complaints(), []);
  } finally {
    await it.dispose();
  }
});

/** Runs `body` with a volume on a small disk of its own. */
async function onSmallDisk(body: (it: MountedVolume) => Promise<void>): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'small-disk-'));
  const [disk, image] = [join(scratch, 'disk'), join(scratch, 'image')];
  try {
    await mkdir(disk);
    const make = 'truncate -s "$3" "$1" && mkfs.ext4 -q -m 0 -F "$1" && mount -o loop "$1" "$2"';
    await shell(make, image, disk, String(DISK_BYTES));
    const it = await MountedVolume.make({ at: join(disk, 'volume'), mkfs: ['--history', 'none'] });
    try {
      await body(it);
    } finally {
      await it.dispose();
    }
  } finally {
    await run('umount', disk).catch(() => run('umount', '-l', disk).catch(() => ''));
    await rm(scratch, { recursive: true, force: true });
  }
}

testOnDisk('what was allocated is written on a full disk, also by the next daemon', () =>
  onSmallDisk(async (it) => {
    await it.mount();
    const f = join(it.path, 'f');
    await run('fallocate', '-l', String(60 * MIB), f);
    await run('sync', '-f', f);
    await shell('dd if=/dev/zero of="$1" bs=1M status=none 2>&1 || true', join(it.path, 'filler'));
    const write =
      'yes word | head -c 10485760 | dd of="$1" bs=1M seek="$2" iflag=fullblock ' +
      'conv=notrunc,fsync status=none';
    await shell(write, f, '0');
    await it.unmount();
    await it.mount();
    const full = await shell('yes | head -c 9000000 > "$1" 2>&1 || echo full', `${f}2`);
    assert.match(full, /full/);
    for (const at of ['10', '20', '30', '40', '50']) await shell(write, f, at);
    const sum = await shell('tail -c 10485760 "$1" | md5sum', f);
    assert.is(sum, await shell('yes word | head -c 10485760 | md5sum'));
    await run('rm', f, join(it.path, 'filler'));
    await it.unmount();
    await it.assertWhole();
    assert.equal(await it.complaints(), []);
  }),
);

tests.run();

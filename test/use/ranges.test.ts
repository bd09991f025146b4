/**
 * Copying without bytes, sparse files and nameless ones, as programs do it on a real mount: GNU cp,
 * and Python for system calls. The tests share one volume, whose size limit makes its free space
 * its own, whatever else fills the disk below.
 *
 * @limit 600 s
 */

import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { canMount, MountedVolume, python, run, shell } from './mounted-volume.ts';

interface Context {
  it: MountedVolume;
}

const tests = suite<Context>('ranges', {} as Context);
const test = canMount ? tests : tests.skip;

tests.before(async (context) => {
  if (!canMount) return;
  context.it = await MountedVolume.make({ mkfs: ['--size', '1G'] });
  await context.it.mount();
});

tests.after(async ({ it }) => {
  if (canMount) await it.dispose();
});

/** Blocks in use, as statfs(2) shows them, once everything written is in the log. */
async function usedBlocks(it: MountedVolume): Promise<number> {
  await it.succeed('sync', it.path);
  const [blocks = 0, free = 0] = (await run('stat', '-f', '-c', '%b %f', it.path))
    .split(' ')
    .map(Number);
  return blocks - free;
}

test('cp copies by sharing: the same bytes, and no space', async ({ it }) => {
  await shell('head -c 20000123 /dev/urandom >"$1/a"', it.path);
  const before = await usedBlocks(it);
  const count = 5;
  for (let i = 0; i < count; i++) {
    const copy = join(it.path, `copy-${i}`);
    await run('cp', '--reflink=auto', join(it.path, 'a'), copy);
    await run('cmp', join(it.path, 'a'), copy);
  }
  assert.is(await usedBlocks(it), before, 'five copies take no block');
  const log = await it.succeed('log', 'show', it.dir);
  assert.ok(log.split('\n').filter((line) => /^\d+ \S+ copy /.test(line)).length >= count);
  await run('rm', join(it.path, 'a'));
  assert.is(await usedBlocks(it), before, 'others have the blocks');
  await run('dd', 'if=/dev/zero', `of=${join(it.path, 'copy-1')}`, 'conv=notrunc', 'count=8');
  await run('cmp', join(it.path, 'copy-0'), join(it.path, 'copy-2'));
  await shell('rm "$1"/copy-*', it.path);
});

test('cp keeps holes, and makes them with --sparse=always', async ({ it }) => {
  const { path } = it;
  await python(
    `
import os, sys
f = open(sys.argv[1] + '/sparse', 'wb')
for i in range(0, 200, 3):
    f.seek(i * 65536 + 1000); f.write(os.urandom(5000))
f.truncate(200 * 65536 + 77)
`,
    path,
  );
  const blocks = async (name: string): Promise<number> =>
    Number(await run('stat', '-c', '%b', join(path, name)));
  // GNU cp shares nothing of a file with holes: it reads and writes what lies between them.
  await run('cp', '--sparse=auto', join(path, 'sparse'), join(path, 'auto'));
  await run('cmp', join(path, 'sparse'), join(path, 'auto'));
  assert.is(await blocks('auto'), await blocks('sparse'), 'the holes are kept');
  const before = await usedBlocks(it);
  await python(
    `
import os, sys
os.chdir(sys.argv[1])
fd, to = os.open('sparse', os.O_RDONLY), os.open('shared', os.O_RDWR | os.O_CREAT)
while os.copy_file_range(fd, to, 1 << 30) > 0: pass
`,
    path,
  );
  await run('cmp', join(path, 'sparse'), join(path, 'shared'));
  assert.is(await blocks('shared'), await blocks('sparse'), 'so they are by copy_file_range');
  assert.is(await usedBlocks(it), before, 'which takes no block');
  await run('cp', '--sparse=never', '--reflink=never', join(path, 'sparse'), join(path, 'full'));
  assert.ok((await blocks('full')) * 512 >= 200 * 65536, 'no hole is left');
  await run('cp', '--sparse=always', join(path, 'full'), join(path, 'dug'));
  await run('cmp', join(path, 'sparse'), join(path, 'dug'));
  assert.ok((await blocks('dug')) <= (await blocks('sparse')), 'the zeros are holes again');
  await shell('rm "$1/full" "$1/dug"', path);
});

test('SEEK_DATA and SEEK_HOLE, O_TMPFILE and copies beside an open file', async ({ it }) => {
  const script = `
import errno, os, sys
os.chdir(sys.argv[1])
def code(f, *a):
    try: return f(*a)
    except OSError as e: return errno.errorcode[e.errno]
fd = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600)
os.pwrite(fd, b'x' * 10000, 40960)
seek = lambda *a: code(os.lseek, *a)
print(seek(fd, 0, os.SEEK_DATA), seek(fd, 45000, os.SEEK_HOLE), seek(fd, 50960, os.SEEK_DATA))
os.link('/proc/self/fd/%d' % fd, 'linked', src_dir_fd=0)
to = os.open('target', os.O_RDWR | os.O_CREAT)
done = 0
while done < 50960: done += os.copy_file_range(fd, to, 1 << 40, done, done)
print(done, os.fstat(to).st_blocks, os.pread(to, 10, 40955), os.lseek(to, 0, os.SEEK_DATA))
os.pwrite(fd, b'changed', 40960); print(os.pread(to, 3, 40960))
copy = lambda *a: code(os.copy_file_range, *a)
print(copy(fd, to, 7, 40960, 3), os.pread(to, 8, 3), copy(fd, fd, 10, 0, 5))
os.fchmod(to, 0o6755); os.chmod('.', 0o755)
os.fchown(to, 1234, 1234)
os.fchmod(to, 0o6755); os.setuid(1234)
print(copy(fd, to, 7, 40960, 3), oct(os.fstat(to).st_mode))
`;
  const expected = [
    '40960 50960 ENXIO',
    "50960 24 b'\\x00\\x00\\x00\\x00\\x00xxxxx' 40960",
    "b'xxx'",
    "7 b'changed\\x00' EINVAL",
    '7 0o100755',
  ];
  assert.is(await python(script, it.path), `${expected.join('\n')}\n`);
});

test('a nameless file that nobody named leaves nothing, a named one stays', async ({ it }) => {
  const script = `
import os, sys
def temporary(bytes):
    fd = os.open(sys.argv[1], os.O_TMPFILE | os.O_RDWR)
    os.write(fd, bytes); os.fsync(fd); return fd
temporary(os.urandom(1 << 20))
os.link('/proc/self/fd/%d' % temporary(b'ok'), sys.argv[1] + '/ok', src_dir_fd=0)
`;
  const before = await usedBlocks(it);
  await python(script, it.path);
  await it.unmount();
  await it.mount();
  assert.is(await run('cat', join(it.path, 'ok')), 'ok');
  assert.is(await usedBlocks(it), before + 1);
});

test('after all that the index equals the log', async ({ it }) => {
  assert.equal(await it.complaints(), []);
  await it.unmount();
  await it.assertWhole();
});

tests.run();

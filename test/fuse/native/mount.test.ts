/**
 * The fuse-native transport on a real mount: a memory filesystem mounted by a process of its own,
 * and this process (and Python, for what Node does not offer) as its user.
 *
 * @limit 600 s
 */

import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { mountAt, mountTable } from '../../../src/io/mount-table.ts';
import { byteStringOf } from '../../../src/model/ids.ts';
import { python, run, withMount, type MountSettings } from '../mounted.ts';
import { whyNot } from './available.ts';

const mount = suite('fuse-native mount');
const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const SOURCE = join(import.meta.dirname, '../../../src/fuse');
const reason = await whyNot();

/** Runs the test where libfuse 2 is there, and says so where it is not. */
function mounted(
  name: string,
  body: Parameters<typeof withMount>[1],
  settings: MountSettings = {},
): void {
  if (reason === undefined) mount(name, () => withMount({ ...settings, native: true }, body));
  else mount.skip(`${name} (${reason})`, () => undefined);
}

const codeOf = (promise: Promise<unknown>): Promise<string | undefined> =>
  promise.then(
    () => 'done',
    (error: NodeJS.ErrnoException) => error.code,
  );

for (const lazy of [false, true]) {
  mounted(
    `a copied tree is the same, answered ${lazy ? 'later' : 'at once'}`,
    async ({ path, complaints, ask }) => {
      await run('cp', '-a', SOURCE, join(path, 'copy'));
      await run('diff', '-r', SOURCE, join(path, 'copy'));
      await run('rm', '-r', join(path, 'copy'));
      assert.equal(await fs.readdir(path), []);
      assert.equal(complaints, []);
      const { inodes } = await ask<{ inodes: number }>('state');
      assert.is(inodes, 1, 'inodes are left of a removed tree');
    },
    { lazy },
  );
}

mounted(
  '8 MiB are read back, over a truncate, an append and a remount of pages',
  async ({ path }) => {
    const file = join(path, 'large');
    const bytes = randomBytes(8 * 1024 * 1024);
    await fs.writeFile(file, bytes);
    assert.is(hash(await fs.readFile(file)), hash(bytes));
    await fs.truncate(file, 5_000_001);
    await fs.appendFile(file, 'tail');
    const expected = Buffer.concat([bytes.subarray(0, 5_000_001), Buffer.from('tail')]);
    assert.is(hash(await fs.readFile(file)), hash(expected));
    const handle = await fs.open(file, 'r+');
    await handle.write(Buffer.from('inside'), 0, 6, 4_194_300);
    await handle.truncate(4_194_310);
    await handle.sync();
    await handle.close();
    const shorter = Buffer.from(expected.subarray(0, 4_194_310));
    shorter.write('inside', 4_194_300);
    assert.is(hash(await fs.readFile(file)), hash(shorter));
  },
);

mounted('names are made, moved and removed', async ({ path }) => {
  const at = (name: string): string => join(path, name);
  await fs.mkdir(at('dir'));
  await fs.writeFile(at('dir/a'), 'a');
  await fs.rename(at('dir/a'), at('b'));
  await fs.link(at('b'), at('dir/c'));
  const [first, second] = await Promise.all([fs.stat(at('b')), fs.stat(at('dir/c'))]);
  assert.equal([second.ino, second.nlink], [first.ino, 2], 'links are known by their number');
  await fs.appendFile(at('b'), 'more');
  assert.is(await fs.readFile(at('dir/c'), 'utf8'), 'amore', 'the other link shows it at once');
  await fs.symlink('dir/c', at('s'));
  assert.is(await fs.readlink(at('s')), 'dir/c');
  assert.is(await fs.readFile(at('s'), 'utf8'), 'amore');
  assert.is(await codeOf(fs.rmdir(at('dir'))), 'ENOTEMPTY');
  assert.is(await codeOf(fs.mkdir(at('dir'))), 'EEXIST');
  assert.is(await codeOf(fs.open(at('b'), 'wx')), 'EEXIST');
  await fs.writeFile(at('target'), 'old');
  await fs.rename(at('b'), at('target'));
  assert.is(await fs.readFile(at('target'), 'utf8'), 'amore');
  await fs.unlink(at('dir/c'));
  await fs.rmdir(at('dir'));
  await run('mkfifo', at('fifo'));
  assert.ok((await fs.stat(at('fifo'))).isFIFO());
  assert.equal((await fs.readdir(path)).sort(), ['fifo', 's', 'target']);
  assert.is(await codeOf(fs.stat(at('n'.repeat(256)))), 'ENAMETOOLONG');
});

mounted('modes, owners, times, space and attributes', async ({ path }) => {
  const file = join(path, 'f');
  await fs.writeFile(file, 'x', { mode: 0o640 });
  await fs.chmod(file, 0o4751);
  assert.is((await fs.stat(file)).mode, 0o104751);
  await fs.chown(file, 1234, 5678);
  await fs.utimes(file, 1_000_000_000.25, 1_200_000_000.5);
  const { uid, gid, atimeMs, mtimeMs } = await fs.stat(file);
  assert.equal([uid, gid, atimeMs, mtimeMs], [1234, 5678, 1_000_000_000_250, 1_200_000_000_500]);
  const early = await run('touch', '-d', '1960-01-01', file).catch(String);
  assert.match(early, 'Value too large', 'stat could not show it again');
  const { bsize, blocks, bfree } = await fs.statfs(path);
  assert.ok(bsize >= 4096 && blocks > 0 && bfree <= blocks);
  const script = `
import errno, os, sys
f = sys.argv[1] + '/f'
os.setxattr(f, 'user.a', b'value')
os.setxattr(f, 'user.large', b'x' * 60000)
os.setxattr(f, 'user.empty', b'')
assert os.getxattr(f, 'user.a') == b'value'
assert os.getxattr(f, 'user.large') == b'x' * 60000
assert os.getxattr(f, 'user.empty') == b''
assert sorted(os.listxattr(f)) == ['user.a', 'user.empty', 'user.large'], os.listxattr(f)
os.removexattr(f, 'user.a')
try:
    os.getxattr(f, 'user.a')
    assert False
except OSError as e:
    assert e.errno == errno.ENODATA, e
`;
  await python(path, script);
});

mounted('a created file has the flags that it was opened with', async ({ path, ask }) => {
  const script = `
import os, sys
fd = os.open(sys.argv[1] + '/s', os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o400)
os.write(fd, b'one')
os.pwrite(fd, b'two', 0)
os.close(fd)
`;
  await python(path, script);
  assert.is(await fs.readFile(join(path, 's'), 'utf8'), 'onetwo');
  assert.is((await fs.stat(join(path, 's'))).mode & 0o777, 0o400);
  const stats = await ask<Record<string, number>>('stats');
  assert.is(stats['MKNOD'], 1);
});

mounted('5,000 entries are listed once each, with their types', async ({ path }) => {
  const script = `
import os, sys
for i in range(5000):
    os.close(os.open(f'{sys.argv[1]}/entry-{i}', os.O_CREAT | os.O_WRONLY))
`;
  await python(path, script);
  const listed = await fs.readdir(path, { withFileTypes: true });
  assert.is(new Set(listed.map(({ name }) => name)).size, 5000);
  assert.is(listed.length, 5000);
  assert.ok(listed.every((entry) => entry.isFile()));
});

mounted('a file that is unlinked while open stays until it is closed', async ({ path, ask }) => {
  const file = join(path, 'open');
  await fs.writeFile(file, 'before');
  const handle = await fs.open(file, 'r+');
  await fs.unlink(file);
  assert.is(await codeOf(fs.stat(file)), 'ENOENT');
  await handle.write('after', 6);
  const { buffer } = await handle.read(Buffer.alloc(11), 0, 11, 0);
  assert.is(buffer.toString(), 'beforeafter');
  assert.is((await handle.stat()).size, 11);
  await handle.close();
  for (let i = 0; i < 100 && (await fs.readdir(path)).length > 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(await fs.readdir(path), [], 'nothing hidden is left');
  assert.is((await ask<{ inodes: number }>('state')).inodes, 1);
});

mounted(
  'a name that is no UTF-8 is refused, and shown where it is there',
  async ({ path, ask }) => {
    const raw = (...bytes: number[]): Buffer =>
      Buffer.concat([Buffer.from(`${path}/bad`), Buffer.from(bytes)]);
    for (const file of [raw(0xff, 0xfe), raw(0xfd, 0xfc), raw(0xef, 0xbf, 0xbd)]) {
      assert.is(await codeOf(fs.writeFile(file, '')), 'EILSEQ');
      assert.is(await codeOf(fs.mkdir(file)), 'EILSEQ');
    }
    assert.is(await codeOf(fs.symlink(raw(0xff), join(path, 'link'))), 'EILSEQ');
    assert.equal(await ask('names'), []);
    await ask('make 626164ff');
    await ask('make 626164fe');
    assert.equal((await fs.readdir(path)).sort(), ['bad\uEFFE', 'bad\uEFFF']);
    await fs.writeFile(join(path, 'bad\uEFFF'), 'mine');
    assert.is(await fs.readFile(join(path, 'bad\uEFFE'), 'utf8'), '', 'another file');
    assert.is(await codeOf(fs.writeFile(join(path, 'bad\uEF80'), '')), 'EILSEQ');
    await fs.rename(join(path, 'bad\uEFFF'), join(path, 'good'));
    await fs.unlink(join(path, 'bad\uEFFE'));
    assert.is(await fs.readFile(join(path, 'good'), 'utf8'), 'mine');
    assert.equal(await ask('names'), [Buffer.from('good').toString('hex')]);
  },
);

mounted(
  'readers that wait hold up nobody else',
  async ({ path }) => {
    await fs.writeFile(join(path, 'slow'), 'x');
    await fs.writeFile(join(path, 'quick'), 'y');
    const waiting = Array.from({ length: 20 }, () => fs.open(join(path, 'slow'), 'r'));
    const handles = await Promise.all(waiting);
    const reads = handles.map((handle) => handle.read(Buffer.alloc(1), 0, 1, 0));
    assert.is(await run('cat', join(path, 'quick')), 'y');
    for (const { bytesRead } of await Promise.all(reads)) assert.is(bytesRead, 1);
    await Promise.all(handles.map((handle) => handle.close()));
  },
  { slowReadMs: 1000 },
);

mounted(
  'umount(8) from outside is noticed and ends the daemon',
  async ({ path, exited, child }) => {
    await fs.writeFile(join(path, 'f'), 'x');
    await run('umount', path);
    assert.is(await exited, 0);
    assert.is(child.signalCode, null);
  },
);

mounted('a lazy umount serves its last user, and ends after it', async (it) => {
  const file = await fs.open(join(it.path, 'f'), 'w+');
  await run('umount', '-l', it.path);
  await file.write('still served');
  const { buffer } = await file.read(Buffer.alloc(12), 0, 12, 0);
  assert.is(buffer.toString(), 'still served');
  assert.is(await it.ask('unmount'), 'EINVAL', 'nothing is mounted there any more');
  await file.close();
  assert.is(await it.exited, 0);
});

mounted('an unmount is refused while in use, and done when not', async ({ path, ask }) => {
  const file = await fs.open(join(path, 'f'), 'w');
  assert.is(await ask('unmount'), 'EBUSY');
  await file.write('x');
  await file.close();
  assert.is(await ask('unmount'), 'unmounted');
  assert.is(mountAt(mountTable(), byteStringOf(path)), undefined);
  assert.is(await ask('unmount'), 'unmounted', 'done already');
});

mounted(
  'read-only and other flags are the kernel ones',
  async ({ path }) => {
    assert.is(await codeOf(fs.writeFile(join(path, 'f'), '')), 'EROFS');
    const found = mountAt(mountTable(), byteStringOf(path));
    assert.is(found?.type, 'fuse.ledgerfs');
    for (const option of ['ro', 'noexec', 'nosuid', 'nodev', 'default_permissions']) {
      assert.ok(found?.options.includes(option), option);
    }
  },
  { readOnly: true, mountOptions: ['noexec'] },
);

mounted('the kernel checks modes; what others make belongs to the daemon', async ({ path }) => {
  await fs.chmod(path, 0o777);
  await fs.writeFile(join(path, 'secret'), 'x', { mode: 0o600 });
  const script = `
import errno, os, sys
os.setgid(65534); os.setuid(65534)
try:
    open(sys.argv[1] + '/secret')
    assert False
except OSError as e:
    assert e.errno == errno.EACCES, e
os.mknod(sys.argv[1] + '/made', 0o6777)
s = os.stat(sys.argv[1] + '/made')
assert (s.st_uid, s.st_mode & 0o6000) == (0, 0), s
`;
  await fs.chmod(join(path, '..'), 0o755).catch(() => undefined);
  await python(path, script);
});

mount.run();

/**
 * Bad input to the command: each is one clear line and exit 1, and leaves everything as it was.
 * What needs another user or a missing /dev/fuse runs in a namespace of its own (unshare, setpriv).
 */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  appendFile,
  chmod,
  chown,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Ran } from './run.ts';
import { ledgerfs } from './run.ts';

const run = promisify(execFile);

interface Context {
  /** Fresh for each test. */
  dir: string;
  volume: string;
  mountPoint: string;
}

const test = suite<Context>('bad input', {} as Context);
/** Without root and /dev/fuse these are reported as skipped. */
const mounting = existsSync('/dev/fuse') && process.getuid?.() === 0 ? test : test.skip;

test.before.each(async (context) => {
  context.dir = await mkdtemp(join(tmpdir(), 'bad-input-'));
  context.volume = join(context.dir, 'volume');
  context.mountPoint = join(context.dir, 'mnt');
  await mkdir(context.mountPoint);
  const made = await ledgerfs('mkfs', '--json', context.volume);
  assert.is(made.status, 0, made.stderr);
});

test.after.each(async ({ dir, mountPoint }) => {
  await run('umount', ['-l', mountPoint]).catch(() => undefined);
  await rm(dir, { recursive: true, force: true });
});

/**
 * Names and contents of all files below `dir`, but for the daemon's diary, and for the index: that
 * is a cache, and LevelDB writes files of its own at every open.
 */
async function contentsOf(dir: string): Promise<string> {
  const names = await readdir(dir, { recursive: true, withFileTypes: true });
  const hash = createHash('sha256');
  const files = names
    .filter((entry) => entry.isFile() && !/^(?:daemon\.log|lock)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.includes('/index'))
    .sort();
  for (const file of files) hash.update(`${file}\0`).update(await readFile(file));
  return hash.digest('hex');
}

function assertRefused(ran: Ran, command: string, what: RegExp): void {
  assert.is(ran.status, 1, ran.stderr);
  assert.match(ran.stderr, new RegExp(`^ledgerfs: ${command}: [^\\n]+ \\(\\d+ E[A-Z]+\\)\\n$`));
  assert.match(ran.stderr, what);
}

/** Runs the command and asserts that it is refused and changes nothing below `dir`. */
async function refused(dir: string, what: RegExp, ...args: readonly string[]): Promise<void> {
  const before = await contentsOf(dir);
  assertRefused(await ledgerfs(...args), args[0] ?? '', what);
  assert.is(await contentsOf(dir), before, 'everything is as it was');
}

test('not a volume', async ({ dir, mountPoint }) => {
  const empty = join(dir, 'empty');
  await mkdir(empty);
  for (const args of [
    ['mount', empty, mountPoint],
    ['digest', empty],
    ['scrub', empty],
    ['checkpoint', empty],
    ['trim', empty, '--before', '1'],
    ['fsck', empty],
    ['upgrade', empty],
    ['log', 'ls', empty],
    ['log', 'show', empty],
    ['log', 'verify', empty],
    ['replay', empty, '--into', join(dir, 'into')],
  ]) {
    await refused(dir, /not a ledgerfs volume/, ...args);
  }
  assert.equal(await readdir(empty), []);
});

test('nothing, a file, another kind of address', async ({ dir, mountPoint }) => {
  const file = join(dir, 'file');
  await writeFile(file, 'x');
  await refused(dir, /2 ENOENT/, 'mount', join(dir, 'nothing'), mountPoint);
  await refused(dir, /20 ENOTDIR/, 'mount', file, mountPoint);
  await refused(dir, /20 ENOTDIR/, 'mkfs', file);
  await refused(dir, /95 EOPNOTSUPP/, 'mkfs', 'nats://localhost:4222/v');
});

test('a directory that is not empty', async ({ dir, volume }) => {
  await writeFile(join(dir, 'precious'), 'x');
  await refused(dir, /39 ENOTEMPTY/, 'mkfs', dir);
  await refused(dir, /39 ENOTEMPTY/, 'mkfs', '--force', dir);
  await refused(dir, /39 ENOTEMPTY/, 'mkfs', volume);
});

test('a volume of a newer format, or with a foreign description', async (context) => {
  const { dir, volume, mountPoint } = context;
  const description = join(volume, 'volume.json');
  const value = JSON.parse(await readFile(description, 'utf8')) as { format: number };
  await writeFile(description, JSON.stringify({ ...value, format: 999 }));
  await refused(dir, /format 999/, 'mount', volume, mountPoint);
  await refused(dir, /format 999/, 'digest', volume);
  for (const text of ['', '{', '[]', '{"fsid":"x","format":1}']) {
    await writeFile(description, text);
    await refused(dir, /damaged or foreign/, 'mount', volume, mountPoint);
  }
});

test('a mount point that is missing, a file, or in the volume', async (context) => {
  const { dir, volume } = context;
  await writeFile(join(dir, 'file'), 'x');
  await refused(dir, /2 ENOENT/, 'mount', volume, join(dir, 'missing'));
  await refused(dir, /20 ENOTDIR/, 'mount', volume, join(dir, 'file'));
  await refused(dir, /lies in the volume/, 'mount', volume, join(volume, 'log'));
  await refused(dir, /not a mount point/, 'umount', join(dir, 'mnt'));
});

/** The only segment of a fresh volume. */
const segmentOf = (volume: string): string => join(volume, 'log', '00000000000000000001.avro');

test('a truncated log', async ({ dir, volume, mountPoint }) => {
  await truncate(segmentOf(volume), 1500);
  await refused(dir, /./, 'mount', volume, mountPoint);
  await refused(dir, /./, 'digest', volume);
});

test("another volume's log, and one that is none", async ({ dir, volume, mountPoint }) => {
  const other = join(dir, 'other');
  assert.is((await ledgerfs('mkfs', other)).status, 0);
  await cp(segmentOf(other), segmentOf(volume));
  await refused(dir, /./, 'mount', volume, mountPoint);
  await refused(dir, /./, 'log', 'verify', volume);
  await writeFile(segmentOf(volume), 'this is no log at all');
  await refused(dir, /./, 'mount', volume, mountPoint);
  await refused(dir, /./, 'log', 'verify', volume);
});

test('a damaged log', async ({ dir, volume, mountPoint }) => {
  const bytes = await readFile(segmentOf(volume));
  const at = bytes.length - 40;
  bytes[at] = (bytes[at] ?? 0) ^ 0x10;
  await writeFile(segmentOf(volume), bytes);
  await refused(dir, /00000000000000000001\.avro, byte \d+/, 'mount', volume, mountPoint);
  await appendFile(segmentOf(volume), Buffer.alloc(100));
  await refused(dir, /00000000000000000001\.avro, byte \d+/, 'mount', volume, mountPoint);
});

mounting('no /dev/fuse', async ({ dir, volume, mountPoint }) => {
  const before = await contentsOf(dir);
  // Another /dev, in a mount namespace of its own, with the one thing that Node needs there.
  const script =
    'mkdir "$0/dev" && touch "$0/dev/null" && mount --bind /dev/null "$0/dev/null" && ' +
    'mount --rbind "$0/dev" /dev && exec "$@"';
  const ran = await inNamespace(script, dir, ['mount', volume, mountPoint]);
  await rm(join(dir, 'dev'), { recursive: true });
  assertRefused(ran, 'mount', /\/dev\/fuse: .*2 ENOENT/);
  assert.is(await contentsOf(dir), before);
});

/** Runs `ledgerfs ARGS` from a shell script ("$0" is `dir`, "$@" the command) in a namespace. */
const inNamespace = (script: string, dir: string, args: readonly string[]): Promise<Ran> =>
  new Promise((done) => {
    const argv = ['--mount', 'sh', '-c', script, dir, process.execPath, resolve('bin/ledgerfs')];
    const child = execFile('unshare', [...argv, ...args], (_, stdout, stderr) => {
      done({ status: child.exitCode ?? -1, stdout, stderr });
    });
  });

mounting('no permission', async ({ dir, volume, mountPoint }) => {
  await chmod(dir, 0o755);
  const nobody = 65_534;
  const script = `exec setpriv --reuid ${nobody} --regid ${nobody} --clear-groups "$@"`;
  for (const args of [
    ['mount', volume, mountPoint],
    ['digest', volume],
    ['mkfs', join(dir, 'another')],
  ]) {
    const ran = await inNamespace(script, dir, args);
    assertRefused(ran, args[0] ?? '', /13 EACCES|1 EPERM/);
  }
  await chown(mountPoint, nobody, nobody);
  assert.equal((await readdir(dir)).sort(), ['mnt', 'volume']);
});

mounting('a read-only disk, and a full one', async ({ dir, mountPoint }) => {
  const small = join(dir, 'small');
  await mkdir(small);
  // As small as a disk can be: nothing fits, and later nothing may be written.
  const full = 'mount -t tmpfs -o size=16k tmpfs "$0/small" && exec "$@"';
  assertRefused(await inNamespace(full, dir, ['mkfs', join(small, 'v')]), 'mkfs', /28 ENOSPC/);
  const readOnly = 'mount -t tmpfs -o ro tmpfs "$0/small" && exec "$@"';
  assertRefused(await inNamespace(readOnly, dir, ['mkfs', join(small, 'v')]), 'mkfs', /30 EROFS/);
  const volumeReadOnly =
    'mount --bind "$0/volume" "$0/volume" && mount -o remount,bind,ro "$0/volume" && exec "$@"';
  const before = await contentsOf(dir);
  const ran = await inNamespace(volumeReadOnly, dir, ['mount', join(dir, 'volume'), mountPoint]);
  assertRefused(ran, 'mount', /30 EROFS/);
  assert.is(await contentsOf(dir), before);
});

mounting('already mounted, busy, and what a mounted volume refuses', async (context) => {
  const { dir, volume, mountPoint } = context;
  const mounted = await ledgerfs('mount', volume, mountPoint);
  assert.is(mounted.status, 0, mounted.stderr);
  assert.match(
    (await ledgerfs('mount', volume, mountPoint)).stderr,
    /mounted there already.*16 EBUSY/,
  );
  const link = join(dir, 'link');
  await symlink(mountPoint, link);
  assert.match((await ledgerfs('mount', volume, link)).stderr, /mounted there already.*16 EBUSY/);

  const other = join(dir, 'other');
  assert.is((await ledgerfs('mkfs', other)).status, 0);
  await refused(other, /something else is mounted.*16 EBUSY/, 'mount', other, mountPoint);

  for (const args of [
    ['mkfs', '--force', volume],
    ['fsck', '--rebuild', volume],
    ['upgrade', volume],
  ]) {
    assertRefused(await ledgerfs(...args), args[0] ?? '', /is mounted.*16 EBUSY/);
  }

  await writeFile(join(mountPoint, 'file'), 'x');
  const user = execFile('sleep', ['60'], { cwd: mountPoint });
  const busy = await ledgerfs('umount', mountPoint);
  assertRefused(busy, 'umount', /in use by sleep \(pid \d+\) \(16 EBUSY\)/);
  assert.is(await readFile(join(mountPoint, 'file'), 'utf8'), 'x', 'it is still mounted');
  user.kill();
  await new Promise((gone) => user.once('exit', gone));
  const unmounted = await ledgerfs('umount', mountPoint);
  assert.is(unmounted.status, 0, unmounted.stderr);
  assert.equal(await readdir(mountPoint), []);
});

test.run();

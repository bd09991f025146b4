/**
 * A volume mounted with `--transport fuse-native`, as people use it: what is made through it is
 * there through the kernel transport, and the daemon's life is the same.
 *
 * @limit 600 s
 */

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { mountAt, mountTable } from '../../src/io/mount-table.ts';
import { byteStringOf } from '../../src/model/ids.ts';
import { whyNot } from '../fuse/native/available.ts';
import { ledgerfs } from '../tools/run.ts';
import { MountedVolume, python, run } from './mounted-volume.ts';
import { projectPath } from './trees.ts';

const tests = suite('fuse-native transport');
const reason = await whyNot();
const ENDING_MS = 60_000;

/** Runs the test on a volume of its own where libfuse 2 is there, and says so where it is not. */
function test(name: string, body: (it: MountedVolume) => Promise<void>): void {
  if (reason !== undefined) return tests.skip(`${name} (${reason})`, () => undefined);
  return tests(name, async () => {
    const it = await MountedVolume.make();
    try {
      await body(it);
    } finally {
      await it.dispose();
    }
  });
}

const mountNative = (it: MountedVolume): Promise<string> =>
  it.succeed('mount', it.dir, it.path, '--transport', 'fuse-native');

async function until(what: string, is: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + ENDING_MS;
  while (!(await is())) {
    if (performance.now() > deadline) assert.unreachable(`never came: ${what}`);
    await sleep(50);
  }
}

const isMounted = (it: MountedVolume): boolean =>
  mountAt(mountTable(), byteStringOf(it.path)) !== undefined;
const isServed = async (it: MountedVolume): Promise<boolean> =>
  (await ledgerfs('status', it.dir)).status === 0;

test('what is made through it is there after a remount, through either transport', async (it) => {
  await mountNative(it);
  const status = JSON.parse(await it.succeed('status', it.dir, '--json')) as {
    mounts: { transport: string }[];
  };
  assert.is(status.mounts[0]?.transport, 'fuse-native');
  assert.match(await it.succeed('status', it.dir), 'transport=fuse-native');
  await run('cp', '-a', projectPath('src'), it.path);
  await run('diff', '-r', projectPath('src'), join(it.path, 'src'));
  const large = randomBytes(8 * 1024 * 1024);
  await writeFile(join(it.path, 'large'), large);
  await it.unmount();
  await it.assertWhole();
  for (const again of [it.mount, () => mountNative(it)]) {
    await again();
    await run('diff', '-r', projectPath('src'), join(it.path, 'src'));
    assert.ok(large.equals(await readFile(join(it.path, 'large'))));
    await it.unmount();
  }
  assert.equal(await it.complaints(), []);
});

test('a file opened with O_SYNC is durable when its write returns, also after a kill', async (it) => {
  await mountNative(it);
  const script = `
import os, sys
fd = os.open(sys.argv[1] + '/s', os.O_CREAT | os.O_WRONLY | os.O_SYNC, 0o644)
os.write(fd, b'durable')
os.kill(int(sys.argv[2]), 9)
`;
  const { pid } = JSON.parse(await it.succeed('status', it.dir, '--json')) as { pid: number };
  await python(script, it.path, String(pid));
  await until('the end of the daemon', async () => !(await isServed(it)));
  assert.ok(isMounted(it), 'a dead mount stays');
  await mountNative(it);
  assert.is(await readFile(join(it.path, 's'), 'utf8'), 'durable');
  await it.unmount();
  await it.assertWhole();
});

test('umount(8) ends the daemon, and loses nothing', async (it) => {
  await mountNative(it);
  await writeFile(join(it.path, 'a'), 'kept');
  await rename(join(it.path, 'a'), join(it.path, 'b'));
  await run('umount', it.path);
  await until('the end of the daemon', async () => !(await isServed(it)));
  await mountNative(it);
  assert.is(await readFile(join(it.path, 'b'), 'utf8'), 'kept');
});

test('both transports show one volume at the same time', async (it) => {
  await mountNative(it);
  const second = join(it.scratch, 'second');
  await run('mkdir', second);
  await it.succeed('mount', it.dir, second);
  try {
    await writeFile(join(it.path, 'f'), 'through one');
    assert.is(await readFile(join(second, 'f'), 'utf8'), 'through one');
    await writeFile(join(second, 'g'), 'through the other');
    assert.is(await readFile(join(it.path, 'g'), 'utf8'), 'through the other');
    await it.unmount();
    assert.is(await readFile(join(second, 'f'), 'utf8'), 'through one');
  } finally {
    await ledgerfs('umount', second);
    await run('umount', '-l', second).catch(() => undefined);
  }
});

test('Ctrl-C of the foreground daemon unmounts', async (it) => {
  const args = ['mount', '-f', '--transport', 'fuse-native', it.dir, it.path];
  const child = spawn(resolve('bin/ledgerfs'), args, { stdio: 'inherit' });
  const exited = new Promise<number | null>((done) => child.once('exit', done));
  try {
    await until('the mount', () => Promise.resolve(isMounted(it)));
    await writeFile(join(it.path, 'f'), 'x');
    child.kill('SIGINT');
    assert.is(await exited, 0);
    assert.not.ok(isMounted(it));
  } finally {
    child.kill('SIGKILL');
  }
});

test('what it does not offer is said in one line', async (it) => {
  const failed = async (...args: string[]): Promise<[number, string]> => {
    const { status, stderr } = await ledgerfs('mount', it.dir, it.path, ...args);
    return [status, stderr];
  };
  const [status, line] = await failed('--transport', 'fuse-native', '-o', 'context=foo');
  assert.is(status, 1);
  assert.match(line, /^ledgerfs: mount: -o context=foo: not offered by .*\(22 EINVAL\)\n$/);
  const [usage, unknown] = await failed('--transport', 'smb');
  assert.is(usage, 64);
  assert.match(unknown, /^ledgerfs: mount: [^\n]*smb[^\n]*\n$/);
  assert.not.ok(isMounted(it));
});

tests.run();

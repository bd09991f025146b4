/**
 * How mounts end, from inside and outside; several mounts of one volume; read-only ones.
 *
 * @limit 900 s
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasFuse, Stage } from './stage.ts';

const tests = suite('ends of mounts');
const test = hasFuse ? tests : tests.skip;

/** Runs `body` with a volume v of root's and empty directories m and n. */
async function staged(body: (stage: Stage) => Promise<void>): Promise<void> {
  await using stage = await Stage.open();
  await stage.did(0, 'mkfs', 'v');
  await stage.succeed(0, 'mkdir', 'm', 'n');
  await body(stage);
}

interface Status {
  readonly pid: number;
  readonly log: { readonly head: number };
  readonly mounts: readonly { readonly mountPoint: string; readonly options: string[] }[];
}

const statusOf = async (stage: Stage): Promise<Status> =>
  JSON.parse(await stage.did(0, 'status', 'v', '--json')) as Status;

/** The position of the volume's last transaction, while nobody serves it. */
async function headOf(stage: Stage): Promise<number> {
  const lines = (await stage.did(0, 'log', 'show', 'v')).split('\n');
  return Number(lines.findLast((line) => /^\d/.test(line))?.split(' ')[0]);
}

const complaints = (stage: Stage): Promise<string> =>
  stage.shell(0, `grep -E '"level":[5-6]0' v/daemon.log || true`);

test('umount from outside: the daemon ends, and all that was answered is there', () =>
  staged(async (stage) => {
    for (const command of ['umount m', 'umount -l m', 'umount -f m']) {
      await stage.did(0, 'mount', 'v', 'm', '-o', 'commit=3600');
      await stage.shell(0, `echo "${command}" >>m/file; mkdir "m/${command}"`);
      await stage.shell(0, command);
      await stage.untilClosed('v');
    }
    await stage.did(0, 'fsck', 'v');
    await stage.did(0, 'mount', 'v', 'm');
    assert.is(await stage.shell(0, 'cat m/file'), 'umount m\numount -l m\numount -f m\n');
    assert.is(await stage.shell(0, 'ls m | wc -l'), '4\n');
    assert.is(await complaints(stage), '');
  }));

test('umount -l of a busy mount: it works on for those in it, and its place is free', () =>
  staged(async (stage) => {
    await stage.did(0, 'mount', 'v', 'm');
    await stage.shell(0, 'echo first >m/file; mkfifo hold');
    const inside = stage.shell(0, 'cd m; read -r go <../hold; echo second >>file; cat file');
    await stage.shell(
      0,
      'until ls -l /proc/[0-9]*/cwd 2>/dev/null | grep -q /home/m; do sleep 0.1; done',
    );
    const { pid } = await statusOf(stage);
    const busy = await stage.ledgerfs(0, 'umount', 'm');
    assert.match(busy.stderr, /^ledgerfs: umount: .*in use by sh \(pid \d+\).*16 EBUSY\)\n$/);
    await stage.succeed(0, 'umount', '-l', 'm');
    await stage.did(0, 'mount', 'v', 'm');
    const now = await statusOf(stage);
    assert.is(now.pid, pid, 'the same daemon');
    assert.is(now.mounts.length, 2);
    await stage.did(0, 'umount', 'm');
    await stage.shell(0, 'echo go >hold');
    assert.is(await inside, 'first\nsecond\n');
    await stage.untilClosed('v');
    await stage.did(0, 'fsck', 'v');
  }));

test('the end of the daemon leaves alone what took the place of a detached mount', () =>
  staged(async (stage) => {
    await stage.did(0, 'mount', 'v', 'm');
    const script = 'exec 3>m/file; umount -l m; mount -t tmpfs stranger m; kill "$1"; sleep 3';
    const { pid } = await statusOf(stage);
    await stage.succeed(0, 'sh', '-euc', script, 'sh', String(pid));
    await stage.untilClosed('v');
    assert.match(await stage.shell(0, 'grep " /mnt/home/m " /proc/self/mounts'), /^stranger /);
  }));

test('kill -9: the dead mount is taken away by mount, also at another place, and by umount', () =>
  staged(async (stage) => {
    const crash = async (): Promise<void> => {
      await stage.did(0, 'sync', 'v');
      await stage.crash(0, (await statusOf(stage)).pid, 'm');
    };
    await stage.did(0, 'mount', 'v', 'm');
    await stage.shell(0, 'echo kept >m/file');
    await crash();
    await stage.did(0, 'mount', 'v', 'm');
    assert.is(
      await stage.shell(0, 'cat m/file; grep -c " /mnt/home/m " /proc/self/mounts'),
      'kept\n1\n',
    );
    await crash();
    await stage.did(0, 'mount', 'v', 'n');
    assert.is(await stage.shell(0, 'cat n/file'), 'kept\n');
    await stage.did(0, 'umount', 'm');
    assert.is(await stage.mountOptions('/mnt/home/m'), undefined);
    assert.equal(
      (await statusOf(stage)).mounts.map(({ mountPoint }) => mountPoint),
      ['/mnt/home/n'],
    );
    await stage.did(0, 'umount', 'n');
    await stage.untilClosed('v');
    await stage.did(0, 'mount', 'v', 'm');
    await crash();
    await stage.did(0, 'umount', 'm');
    assert.is(await stage.mountOptions('/mnt/home/m'), undefined);
    const none = await stage.ledgerfs(0, 'umount', 'm');
    assert.match(none.stderr, /^ledgerfs: umount: .*not a mount point.*22 EINVAL\)\n$/);
    await stage.did(0, 'fsck', 'v');
  }));

test('umount takes a dead mount away also while somebody stands in it', () =>
  staged(async (stage) => {
    await stage.did(0, 'mount', 'v', 'm');
    const { pid } = await statusOf(stage);
    await stage.shell(0, 'mkfifo hold');
    const inside = stage.shell(0, 'cd m; echo in >../hold; read -r go <../hold');
    await stage.shell(0, 'read -r there <hold');
    await stage.crash(0, pid, 'm');
    await stage.did(0, 'umount', '/mnt/home/m');
    await stage.shell(0, 'echo go >hold');
    await inside;
    assert.is(await stage.mountOptions('/mnt/home/m'), undefined);
  }));

test('two mounts, one read-only: each with its options, each ends alone', () =>
  staged(async (stage) => {
    await stage.did(0, 'mount', 'v', 'm', '-o', 'noexec,commit=5');
    await stage.did(0, 'mount', 'v', 'n', '-o', 'ro,noatime,commit=5');
    await stage.succeed(0, 'mkdir', 'home2');
    const wrong = await stage.ledgerfs(0, 'mount', 'v', 'home2', '-o', 'commit=7');
    assert.match(wrong.stderr, /-o commit=7: .*commit=5 \(22 EINVAL\)\n$/);
    const here = (await stage.mountOptions('/mnt/home/m')) ?? [];
    const there = (await stage.mountOptions('/mnt/home/n')) ?? [];
    assert.ok(here.includes('rw') && here.includes('noexec') && !here.includes('noatime'));
    assert.ok(there.includes('ro') && there.includes('noatime') && !there.includes('noexec'));
    await stage.shell(0, 'echo written >m/file');
    assert.is(await stage.shell(0, 'cat n/file'), 'written\n');
    assert.match((await stage.run(0, 'touch', 'n/file')).stderr, /Read-only/);
    const { pid, mounts } = await statusOf(stage);
    assert.is(mounts.length, 2);
    const again = await stage.ledgerfs(0, 'mount', 'v', 'n');
    assert.match(again.stderr, /mounted there already.*16 EBUSY\)\n$/);
    await stage.did(0, 'umount', 'm');
    assert.is((await statusOf(stage)).pid, pid, 'the other mount keeps the daemon');
    assert.is(await stage.shell(0, 'cat n/file'), 'written\n');
    await stage.succeed(0, 'umount', 'n');
    await stage.untilClosed('v');
    await stage.did(0, 'fsck', 'v');
  }));

test('a read-only mount changes nothing, and logs nothing', () =>
  staged(async (stage) => {
    await stage.did(0, 'mount', 'v', 'm');
    await stage.shell(
      0,
      'cd m; echo text >file; ln -s file link; mkdir dir; setfattr -n user.a -v 1 file || true',
    );
    await stage.did(0, 'umount', 'm');
    const head = await headOf(stage);
    const digest = await stage.did(0, 'digest', 'v');
    await stage.did(0, 'mount', 'v', 'm', '-o', 'ro');
    assert.is(await stage.shell(0, 'cat m/file m/link; ls m'), 'text\ntext\ndir\nfile\nlink\n');
    const changes = [
      ['touch', 'm/file'],
      ['touch', 'm/new'],
      ['mkdir', 'm/new'],
      ['rm', 'm/file'],
      ['rmdir', 'm/dir'],
      ['mv', 'm/file', 'm/new'],
      ['ln', 'm/file', 'm/new'],
      ['ln', '-s', 'x', 'm/new'],
      ['chmod', '600', 'm/file'],
      ['truncate', '-s', '1', 'm/file'],
      ['mkfifo', 'm/new'],
      ['python3', '-c', 'import os; os.setxattr("m/file", "user.b", b"2")'],
      ['python3', '-c', 'open("m/file", "r+").write("x")'],
    ];
    const refuseAll = async (who: string): Promise<void> => {
      for (const change of changes) {
        const ran = await stage.run(0, ...change);
        assert.match(ran.stderr, /Read-only/, `${who}: ${change.join(' ')}`);
      }
    };
    await refuseAll('the kernel');
    await stage.succeed(0, 'mount', '-i', '-o', 'remount,rw', '/mnt/home/m');
    assert.ok((await stage.mountOptions('/mnt/home/m'))?.includes('rw'));
    await refuseAll('the daemon');
    assert.is(await stage.shell(0, 'cat m/file; ls m'), 'text\ndir\nfile\nlink\n');
    await stage.did(0, 'umount', 'm');
    assert.is(await headOf(stage), head, 'something was logged');
    assert.is(await stage.did(0, 'digest', 'v'), digest);
    assert.is(await complaints(stage), '');
  }));

tests.run();

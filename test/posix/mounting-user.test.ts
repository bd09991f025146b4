/**
 * An ordinary user's volume: made, mounted, used and looked after without root, through fusermount3.
 *
 * @limit 600 s
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasFuse, hasFusermount, Stage, STRANGER, USER } from './stage.ts';

const tests = suite('mounting as a user');
const test = hasFuse && hasFusermount ? tests : tests.skip;

/** Runs `body` with a volume v and an empty directory m, both the user's. */
async function staged(body: (stage: Stage) => Promise<void>): Promise<void> {
  await using stage = await Stage.open();
  await stage.did(USER, 'mkfs', 'v');
  await stage.succeed(USER, 'mkdir', 'm');
  await body(stage);
}

/** Asserts one line and exit 1, and that nothing was mounted. */
async function assertRefused(stage: Stage, what: RegExp, ...args: readonly string[]) {
  const ran = await stage.ledgerfs(USER, 'mount', ...args);
  assert.is(ran.status, 1, ran.stderr);
  assert.match(ran.stderr, /^ledgerfs: mount: [^\n]+ \(\d+ E[A-Z]+\)\n$/);
  assert.match(ran.stderr, what);
  assert.is(await stage.mountOptions('/mnt/home/m'), undefined);
}

test('everything works without root', () =>
  staged(async (stage) => {
    await stage.did(USER, 'mount', 'v', 'm');
    const options = (await stage.mountOptions('/mnt/home/m')) ?? [];
    for (const option of ['rw', 'nosuid', 'nodev', `user_id=${USER}`, 'default_permissions']) {
      assert.ok(options.includes(option), `${option} in ${options.join()}`);
    }
    assert.not(options.includes('allow_other'));
    await stage.shell(USER, 'mkdir m/dir; echo text >m/dir/file; cp -a /mnt/package/src/model m/');
    await stage.succeed(USER, 'diff', '-r', '/mnt/package/src/model', 'm/model');
    assert.is(await stage.shell(USER, 'stat -c "%u %g" m/dir/file'), `${USER} ${USER}\n`);
    const status = JSON.parse(await stage.did(USER, 'status', 'm', '--json')) as {
      mounts: { mountPoint: string }[];
    };
    assert.equal(
      status.mounts.map(({ mountPoint }) => mountPoint),
      ['/mnt/home/m'],
    );
    await stage.did(USER, 'sync', 'm');
    await stage.did(USER, 'umount', 'm');
    assert.is(await stage.mountOptions('/mnt/home/m'), undefined);
    await stage.untilClosed('v');
    await stage.did(USER, 'fsck', 'v');
    await stage.did(USER, 'mount', 'v', 'm', '-o', 'ro');
    assert.is(await stage.shell(USER, 'cat m/dir/file'), 'text\n');
    const touched = await stage.run(USER, 'touch', 'm/new');
    assert.match(touched.stderr, /Read-only/);
  }));

test('nobody else gets in, root neither', () =>
  staged(async (stage) => {
    await stage.did(USER, 'mount', 'v', 'm');
    await stage.shell(USER, 'chmod 777 m; echo open >m/file; chmod 666 m/file');
    for (const uid of [0, STRANGER] as const) {
      const ran = await stage.run(uid, 'cat', 'm/file');
      assert.match(ran.stderr, /Permission denied/, `uid ${uid}`);
    }
    const taken = await stage.ledgerfs(STRANGER, 'umount', 'm');
    assert.match(taken.stderr, /^ledgerfs: umount: .*EPERM\)\n$/);
    assert.ok(await stage.mountOptions('/mnt/home/m'), 'a stranger unmounted it');
    await stage.did(0, 'umount', '/mnt/home/m');
    await stage.untilClosed('v');
  }));

test('allow_other only where /etc/fuse.conf has user_allow_other', () =>
  staged(async (stage) => {
    await stage.configure('fuse.conf', '#user_allow_other\n');
    await assertRefused(stage, /user_allow_other.*1 EPERM/, 'v', 'm', '-o', 'allow_other');
    await stage.configure('fuse.conf', 'user_allow_other\n');
    await stage.did(USER, 'mount', 'v', 'm', '-o', 'allow_other');
    await stage.shell(USER, 'echo open >m/open; echo own >m/own; chmod 600 m/own');
    assert.is(await stage.shell(STRANGER, 'cat m/open'), 'open\n');
    const ran = await stage.run(STRANGER, 'cat', 'm/own');
    assert.match(ran.stderr, /Permission denied/, 'modes hold for those who are let in');
    assert.is(await stage.shell(0, 'cat m/own'), 'own\n');
  }));

test('what is missing or not allowed is said in one line', () =>
  staged(async (stage) => {
    await stage.shell(0, 'mkdir /mnt/home/roots; chmod 755 /mnt/home/roots');
    await assertRefused(stage, /roots: not yours.*13 EACCES/, 'v', 'roots');
    await assertRefused(stage, /-o suid: root only/, 'v', 'm', '-o', 'suid');
    await assertRefused(stage, /-o dev: root only/, 'v', 'm', '-o', 'dev');
    await stage.succeed(0, 'chmod', '600', '/dev/fuse');
    await assertRefused(stage, /\/dev\/fuse: no permission.*13 EACCES/, 'v', 'm');
    await stage.succeed(0, 'chmod', '666', '/dev/fuse');
    await stage.shell(0, 'mount --bind /dev/null /usr/bin/fusermount3');
    await assertRefused(stage, /fusermount3: not found.*2 ENOENT/, 'v', 'm');
  }));

test('a dead mount of the user is taken away, by umount or by the next mount', () =>
  staged(async (stage) => {
    const kill = async (): Promise<void> => {
      const { pid } = JSON.parse(await stage.did(USER, 'status', 'v', '--json')) as { pid: number };
      await stage.crash(USER, pid, 'm');
    };
    await stage.did(USER, 'mount', 'v', 'm');
    await stage.shell(USER, 'echo kept >m/file');
    await stage.did(USER, 'sync', 'm');
    await kill();
    await stage.did(USER, 'mount', 'v', 'm');
    assert.is(await stage.shell(USER, 'cat m/file'), 'kept\n');
    await kill();
    await stage.did(USER, 'umount', 'm');
    assert.is(await stage.mountOptions('/mnt/home/m'), undefined);
    await stage.did(USER, 'fsck', 'v');
  }));

test('fusermount3 -u and umount(8) from outside end the daemon in order', () =>
  staged(async (stage) => {
    for (const command of [
      ['fusermount3', '-u', 'm'],
      ['umount', 'm'],
      ['fusermount3', '-u', '-z', 'm'],
    ]) {
      await stage.did(USER, 'mount', 'v', 'm');
      await stage.shell(USER, `echo ${command.join('.')} >>m/file`);
      await stage.succeed(USER, ...command);
      await stage.untilClosed('v');
    }
    await stage.did(USER, 'mount', 'v', 'm');
    assert.is(await stage.shell(USER, 'wc -l <m/file'), '3\n');
  }));

test('the source that the mount table shows is the volume, whatever its name', () =>
  staged(async (stage) => {
    const name = 'od,d \\ na=me';
    await stage.did(USER, 'mkfs', name);
    await stage.did(USER, 'mount', name, 'm');
    await stage.shell(USER, 'echo x >m/file');
    await stage.did(USER, 'sync', 'm/file');
    await stage.did(USER, 'umount', 'm');
    await stage.did(USER, 'fsck', name);
  }));

tests.run();

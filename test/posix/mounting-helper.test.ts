/**
 * mount(8) and /etc/fstab: the real programs, in a namespace with our links in /sbin.
 *
 * @limit 600 s
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasFuse, hasFusermount, Stage, USER } from './stage.ts';

const tests = suite('mounting by mount(8)');
const test = hasFuse ? tests : tests.skip;
const testWithFuse3 = hasFuse && hasFusermount ? tests : tests.skip;

const LINK = 'ln -s /mnt/package/bin/ledgerfs /sbin/mount.fuse.ledgerfs';

/** Runs `body` with a volume v of root's and an empty directory m. */
async function staged(body: (stage: Stage) => Promise<void>): Promise<void> {
  await using stage = await Stage.open();
  await stage.did(0, 'mkfs', 'v');
  await stage.succeed(0, 'mkdir', 'm');
  await body(stage);
}

const TYPE = ['-t', 'fuse.ledgerfs'] as const;

test('mount -t fuse.ledgerfs calls the link in /sbin', () =>
  staged(async (stage) => {
    await stage.shell(0, LINK);
    const options = 'noatime,commit=5,nodev,_netdev,x-systemd.idle-timeout=1min';
    await stage.succeed(0, 'mount', ...TYPE, '/mnt/home/v', '/mnt/home/m', '-o', options);
    const mounted = (await stage.mountOptions('/mnt/home/m')) ?? [];
    assert.ok(mounted.includes('noatime') && mounted.includes('allow_other'), mounted.join());
    assert.is(await stage.shell(0, 'echo here >m/file; cat m/file'), 'here\n');
    await stage.succeed(0, 'umount', '/mnt/home/m');
    await stage.untilClosed('v');
    await stage.succeed(0, 'mount', '-r', ...TYPE, '/mnt/home/v', '/mnt/home/m');
    assert.ok((await stage.mountOptions('/mnt/home/m'))?.includes('ro'));
    assert.is(await stage.shell(0, 'cat m/file'), 'here\n');
  }));

test('failures of mount(8) are ours, in one line, with its exit codes', () =>
  staged(async (stage) => {
    await stage.shell(0, `${LINK}; mkdir empty`);
    const mount = (...args: string[]) => stage.run(0, 'mount', ...TYPE, ...args);
    const unknown = await mount('/mnt/home/v', '/mnt/home/m', '-o', 'nonsense');
    assert.is(unknown.stderr, 'ledgerfs: mount: -o nonsense: no such mount option\n');
    assert.is(unknown.status, 1);
    const empty = await mount('/mnt/home/empty', '/mnt/home/m');
    assert.match(empty.stderr, /^ledgerfs: mount: [^\n]*empty[^\n]* \(\d+ E[A-Z]+\)\n$/);
    assert.is(empty.status, 32);
    await stage.succeed(0, 'mount', '-f', ...TYPE, '/mnt/home/v', '/mnt/home/m');
    assert.is(await stage.mountOptions('/mnt/home/m'), undefined, 'mount -f only checks');
    const sloppy = await mount('-s', '/mnt/home/v', '/mnt/home/m', '-o', 'nonsense,noexec');
    assert.is(sloppy.status, 0, sloppy.stderr);
    assert.ok((await stage.mountOptions('/mnt/home/m'))?.includes('noexec'));
  }));

testWithFuse3("without the link, libfuse's mount.fuse finds ledgerfs in the path", () =>
  staged(async (stage) => {
    // As `npm install -g` does; /usr/bin itself stays as it is.
    await stage.shell(0, 'mount -t tmpfs tmpfs /usr/local/bin');
    await stage.shell(0, 'ln -s /mnt/package/bin/ledgerfs /usr/local/bin/ledgerfs');
    await stage.succeed(0, 'mount', ...TYPE, '/mnt/home/v', '/mnt/home/m', '-o', 'noexec');
    assert.ok((await stage.mountOptions('/mnt/home/m'))?.includes('noexec'));
    await stage.succeed(0, 'umount', '/mnt/home/m');
    await stage.untilClosed('v');
    await stage.succeed(0, 'mount', '-t', 'fuse', 'ledgerfs#/mnt/home/v', '/mnt/home/m');
    assert.is(await stage.shell(0, 'touch m/x; ls m'), 'x\n');
  }),
);

test('a line of /etc/fstab: mount -a, noauto, mount by mount point', () =>
  staged(async (stage) => {
    await stage.shell(0, `${LINK}; mkdir n`);
    await stage.did(0, 'mkfs', 'w');
    const lines = [
      '/mnt/home/v /mnt/home/m fuse.ledgerfs defaults,_netdev,x-systemd.automount,commit=2 0 0',
      '/mnt/home/w /mnt/home/n fuse.ledgerfs noauto,ro 0 0',
    ];
    await stage.configure('fstab', `${lines.join('\n')}\n`);
    await stage.succeed(0, 'mount', '-a', ...TYPE);
    assert.ok((await stage.mountOptions('/mnt/home/m'))?.includes('rw'));
    assert.is(await stage.mountOptions('/mnt/home/n'), undefined, 'noauto');
    await stage.succeed(0, 'mount', '-a', ...TYPE);
    await stage.succeed(0, 'mount', '/mnt/home/n');
    assert.ok((await stage.mountOptions('/mnt/home/n'))?.includes('ro'));
    await stage.succeed(0, 'umount', '/mnt/home/n');
    await stage.untilClosed('w');
  }));

testWithFuse3('a user mounts and unmounts what /etc/fstab has with "user"', () =>
  staged(async (stage) => {
    await stage.shell(0, LINK);
    await stage.did(USER, 'mkfs', 'w');
    await stage.succeed(USER, 'mkdir', 'own');
    const line = '/mnt/home/w /mnt/home/own fuse.ledgerfs noauto,user,noatime 0 0\n';
    await stage.configure('fstab', line);
    await stage.succeed(USER, 'mount', '/mnt/home/own');
    const options = (await stage.mountOptions('/mnt/home/own')) ?? [];
    for (const option of [`user_id=${USER}`, 'noexec', 'nosuid', 'nodev', 'noatime']) {
      assert.ok(options.includes(option), `${option} in ${options.join()}`);
    }
    assert.is(await stage.shell(USER, 'touch own/f; stat -c %u own/f'), `${USER}\n`);
    await stage.succeed(USER, 'umount', '/mnt/home/own');
    await stage.untilClosed('w');
  }),
);

tests.run();

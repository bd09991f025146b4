import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseMountOptions } from '../../tools/daemon/options.ts';
import { isHelperCall, mountArguments } from '../../tools/mount-helper.ts';

const failure = (run: () => unknown): string => {
  try {
    run();
  } catch (cause) {
    return `${(cause as Error).name}: ${(cause as Error).message}`;
  }
  return 'none';
};

test('mount(8) calls the helper by its name, libfuse by the volume', () => {
  assert.ok(isHelperCall('/sbin/mount.fuse.ledgerfs', ['v', 'm']));
  assert.ok(isHelperCall('/sbin/mount.ledgerfs', ['v', 'm']));
  assert.ok(isHelperCall('/usr/local/bin/ledgerfs', ['/srv/v', '/mnt', '-o', 'rw']));
  assert.ok(isHelperCall('/usr/local/bin/ledgerfs', ['nats://host/name', '/mnt']));
  assert.not(isHelperCall('/usr/local/bin/ledgerfs', ['mount', '/srv/v', '/mnt']));
  assert.not(isHelperCall('/usr/local/bin/ledgerfs', ['--help']));
  assert.not(isHelperCall('/usr/local/bin/ledgerfs', []));
});

test("a helper's arguments become those of ledgerfs mount", () => {
  const plain = [
    '/v',
    '/m',
    '-n',
    '-v',
    '-o',
    'ro,noatime',
    '-N',
    '/proc/1',
    '-t',
    'fuse.ledgerfs',
  ];
  assert.equal(mountArguments(plain), ['mount', '-o', 'ro,noatime', '--', '/v', '/m']);
  const tight = ['-sfnv', '/v', '-ocommit=5', '-r', '/m'];
  const expected = 'mount --sloppy --fake -o commit=5 -o ro -- /v /m';
  assert.is(mountArguments(tight).join(' '), expected);
});

test('wrong arguments of a helper are refused', () => {
  assert.match(
    failure(() => mountArguments(['/v'])),
    'UsageFailure: needs a volume',
  );
  assert.match(
    failure(() => mountArguments(['/v', '/m', '-x'])),
    'UsageFailure: -x',
  );
  assert.match(
    failure(() => mountArguments(['/v', '/m', '-o'])),
    'UsageFailure: -o needs',
  );
});

test("a line of fstab: ours, the kernel's, and what is meant for others", () => {
  const options = [
    'defaults,noauto,user,_netdev,nofail,x-systemd.automount,x-systemd.requires=a.mount,comment=x',
    'user=anna,noexec,commit=2.5,noatime,allow_other,X-mount.mkdir=0755',
  ];
  assert.equal(parseMountOptions(options), {
    commitMs: 2500,
    kernel: ['noexec', 'noatime', 'allow_other'],
  });
  const label = 'context="system_u:object_r:a_t:s0:c1,c2"';
  assert.equal(parseMountOptions([`${label},nodev`]).kernel, [label, 'nodev']);
});

test('the last of ro and rw holds, and of commit', () => {
  assert.equal(parseMountOptions(['ro,rw']).kernel, []);
  assert.equal(parseMountOptions(['rw', 'sync,ro']).kernel, ['ro', 'sync']);
  assert.is(parseMountOptions(['commit=1,commit=3']).commitMs, 3000);
});

test('unknown options are refused, unless sloppy, and remount with advice', () => {
  for (const option of ['bogus', 'fd=3', 'rootmode=40000', 'user_id=5', 'fsname=x', 'commits=5']) {
    assert.is(
      failure(() => parseMountOptions([`noatime,${option}`])),
      `UsageFailure: -o ${option}: no such mount option`,
    );
    assert.equal(parseMountOptions([`noatime,${option}`], true).kernel, ['noatime']);
  }
  assert.match(
    failure(() => parseMountOptions(['remount,ro'])),
    'unmount, and mount again',
  );
  for (const value of ['', '0', '-1', '3601', '1e3', 'x', '.']) {
    assert.match(
      failure(() => parseMountOptions([`commit=${value}`])),
      /^UsageFailure: -o commit=/,
    );
  }
});

test.run();

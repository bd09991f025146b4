import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fusermountOptions } from '../../../src/fuse/kernel/fusermount.ts';
import {
  cleanStaleMount,
  mountOptions,
  resolveMountPoint,
} from '../../../src/fuse/kernel/mount.ts';

const REQUEST = { mountPoint: '/m', source: 's', fsType: 'ledgerfs', readOnly: false, options: [] };
const options = (change: Partial<Parameters<typeof mountOptions>[0]>): string[] =>
  mountOptions({ ...REQUEST, ...change }, 3).split(',');

test('safe defaults', () => {
  const all = options({});
  for (const option of ['fd=3', 'allow_other', 'default_permissions', 'nosuid', 'nodev']) {
    assert.ok(all.includes(option), option);
  }
  assert.not(all.includes('ro'));
});

test('what is asked for takes the place of a default, and stands once', () => {
  const all = options({ readOnly: true, options: ['suid,noatime', 'allow_other'] });
  assert.not(all.includes('nosuid'));
  assert.ok(all.includes('suid') && all.includes('noatime') && all.includes('ro'));
  assert.ok(all.includes('nodev'));
  assert.is(all.filter((option) => option === 'allow_other').length, 1);
});

test('an ordinary user: only what fusermount3 knows, and a source of any name', () => {
  const asked = ['strictatime,nodiratime', 'nodev', 'noatime', 'noexec'];
  const request = { ...REQUEST, source: '/a,b\\c', readOnly: true, options: asked };
  const expected = ['fsname=/a\\,b\\\\c', 'subtype=ledgerfs', 'default_permissions'];
  const rest = ['max_read=1048576', 'ro', 'noatime', 'noexec'];
  assert.is(fusermountOptions(request), [...expected, ...rest].join(','));
});

test('a mount point is resolved without touching it', async () => {
  assert.is(await resolveMountPoint('/proc/self/../../tmp/x'), '/tmp/x');
  assert.is(await resolveMountPoint('/'), '/');
  const failed = await resolveMountPoint('/no/such/place').catch(
    (e: NodeJS.ErrnoException) => e.code,
  );
  assert.is(failed, 'ENOENT');
});

test('nothing is taken away where nothing of ours is mounted', async () => {
  assert.is(await cleanStaleMount('/tmp'), false);
  assert.is(await cleanStaleMount('/proc'), false);
});

test.run();

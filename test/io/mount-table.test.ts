import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mountAt, mountOf, mountTable, parseMountTable } from '../../src/io/mount-table.ts';
import { asByteString, byteStringOf } from '../../src/model/ids.ts';

const TEXT = asByteString(
  [
    '22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard',
    '36 22 0:45 / /mnt/a\\040b\\134c rw,nosuid shared:7 master:2 - fuse.ledgerfs /vol rw,user_id=0',
    '37 36 0:46 /sub /mnt/a\\040b\\134c/deep ro - tmpfs tmp\\303\\244 rw',
    '38 22 0:47 / /mnt/twice rw - tmpfs one rw',
    '39 38 0:48 / /mnt/twice rw - tmpfs two rw',
    'not a mount',
    '',
  ].join('\n'),
);

const mounts = parseMountTable(TEXT);

test('reads each field, with its escapes', () => {
  assert.is(mounts.length, 5);
  assert.equal(mounts[1], {
    mountId: 36,
    device: '0:45',
    root: '/',
    mountPoint: '/mnt/a b\\c',
    type: 'fuse.ledgerfs',
    source: '/vol',
    options: ['rw', 'nosuid', 'rw', 'user_id=0'],
  });
  assert.is(mounts[2]?.root, '/sub');
  assert.is(mounts[2]?.source, byteStringOf('tmpä'), 'bytes, not characters');
});

test('finds the mount on top of a mount point', () => {
  assert.is(mountAt(mounts, asByteString('/mnt/twice'))?.source, 'two');
  assert.is(mountAt(mounts, asByteString('/mnt')), undefined);
});

test('finds the deepest mount above a path', () => {
  const idOf = (path: string): number | undefined => mountOf(mounts, asByteString(path))?.mountId;
  assert.is(idOf('/'), 22);
  assert.is(idOf('/mnt/a b'), 22);
  assert.is(idOf('/mnt/a b\\c'), 36);
  assert.is(idOf('/mnt/a b\\cd'), 22, 'a longer name is another one');
  assert.is(idOf('/mnt/a b\\c/deep/er'), 37);
  assert.is(idOf('/mnt/twice/x'), 39);
});

test('reads the table of this process', () => {
  const root = mountAt(mountTable(), asByteString('/'));
  assert.ok(root);
  assert.is(mountOf(mountTable(), asByteString('/proc/self'))?.type, 'proc');
});

test.run();

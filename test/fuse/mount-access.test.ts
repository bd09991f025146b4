/** Access times as programs see them through the kernel, and the options that switch them off. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { canMount, python, withMount, type MountSettings } from './mounted.ts';

const mount = suite('fuse mount access');

/** Prints which kinds of access moved an access time: in the mount, whose options are the test's. */
const SCRIPT = `
import os, sys
os.chdir(sys.argv[1])
os.mkdir('dir'); open('dir/in', 'w').close(); os.symlink('target', 'link'); os.symlink('t', 'other')
for name in ('file', 'quiet', 'twice', 'changed', 'written'): open(name, 'w').write('text')
atime = lambda name: os.lstat(name).st_atime_ns
def moves(what, name, access):
    before = atime(name); rest = os.lstat(name)
    access(); after = atime(name); now = os.lstat(name)
    assert (rest.st_mtime_ns, rest.st_ctime_ns) == (now.st_mtime_ns, now.st_ctime_ns)
    print(what, after > before)
def read(name, flags=0):
    fd = os.open(name, os.O_RDONLY | flags); os.read(fd, 10); os.close(fd)
moves('read', 'file', lambda: read('file'))
moves('quiet', 'quiet', lambda: read('quiet', os.O_NOATIME))
moves('list', 'dir', lambda: os.listdir('dir'))
moves('link', 'link', lambda: os.readlink('link'))
moves('stat', 'other', lambda: os.lstat('other'))
read('twice'); moves('again', 'twice', lambda: read('twice'))
read('changed'); os.chmod('changed', 0o600)
moves('changed', 'changed', lambda: read('changed'))
read('written'); open('written', 'a').write('more')
moves('written', 'written', lambda: read('written'))
`;

function moving(what: string, settings: MountSettings, expected: string): void {
  if (!canMount) {
    mount.skip(`${what} (no /dev/fuse, or not root)`, () => undefined);
    return;
  }
  mount(what, () =>
    withMount({ ...settings, attrTimeoutMs: 0 }, async ({ path, complaints }) => {
      const lines = (await python(path, SCRIPT)).trim().split('\n');
      const moved = lines.filter((line) => line.endsWith('True')).map((line) => line.split(' ')[0]);
      assert.is(moved.join(' '), expected);
      assert.equal(complaints, []);
    }),
  );
}

moving('relatime is the default', {}, 'read list link changed written');
moving('noatime', { mountOptions: ['noatime'] }, '');
moving('nodiratime', { mountOptions: ['nodev,nodiratime'] }, 'read link changed written');

mount.run();

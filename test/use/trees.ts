/** Trees to copy into a volume, and the comparison of two. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { python, run, shell } from './mounted-volume.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const MANIFEST = fileURLToPath(new URL('./manifest.py', import.meta.url));
const SHOWN = 3;

/** A real tree of more than 10,000 files: the project's packages, twice, and its sources. */
export async function makeRealTree(dir: string): Promise<void> {
  await mkdir(dir);
  await shell(
    `for copy in one two; do
       mkdir "$2/$copy"
       ( cd "$1/node_modules" && find . \\( -type f -size -64k -o -type l \\) -print0 ) |
         tar -C "$1/node_modules" --null -T - -cf - | tar -C "$2/$copy" -xf -
     done
     cp -a "$1/src" "$1/test" "$2"`,
    ROOT,
    dir,
  );
}

/** What archives and copies get wrong: kinds, modes, times, names, owners, links, xattrs. */
export async function makeSpecialTree(dir: string): Promise<void> {
  await mkdir(dir);
  await python(
    `
import os, socket, sys
os.chdir(sys.argv[1])
def put(name, data=b'x'):
    with open(name, 'wb') as f: f.write(data)
for mode in [0o000, 0o400, 0o4755, 0o2755, 0o1644, 0o7777]:
    name = 'mode-%o' % mode
    put(name); os.chmod(name, mode)
for mode in [0o1777, 0o2775, 0o700]:
    name = 'dir-%o' % mode
    os.mkdir(name); os.chmod(name, mode)
for i, (uid, gid) in enumerate([(1, 2), (65534, 65534), (0, 4), (2**31, 2**32 - 2)]):
    put('owner-%d' % i); os.chown('owner-%d' % i, uid, gid)
os.symlink('mode-400', 'link'); os.symlink('/nowhere/at all', 'dangling'); os.symlink('l' * 1023, 'long')
os.lchown('link', 7, 8)
put('linked', b'hard' * 3000); os.mkdir('other')
for i in range(5): os.link('linked', 'other/name-%d' % i)
os.mkfifo('fifo', 0o622); os.mknod('null', 0o020666, os.makedev(1, 3)); os.mknod('disk', 0o060660, os.makedev(259, 1048575))
s = socket.socket(socket.AF_UNIX); s.bind('socket'); s.close()
for name in [b'n' * 255, b'\\xff\\xfe not UTF-8', b'new\\nline', b'back\\\\slash "quoted"', 'Grüße – 名前'.encode(), b' ', b'-rf']:
    put(name, name)
with open('sparse', 'wb') as f:
    f.truncate(3 << 30); f.seek(1 << 30); f.write(b'middle'); f.seek(5000); f.write(b'early')
put('empty', b'')
put('big', bytes(range(256)) * 40000)
times = [0, 1, -10**9 * 86400 * 3650 + 5, 1234567890123456789, 2**33 * 10**9 + 999999999]
for i, ns in enumerate(times):
    put('time-%d' % i); os.utime('time-%d' % i, ns=(ns, ns))
put('attributes'); os.setxattr('attributes', 'user.short', b'v'); os.setxattr('attributes', 'user.empty', b'')
os.setxattr('attributes', 'user.bytes', bytes(range(256)) * 4); os.setxattr('attributes', 'trusted.root', b'only')
os.setxattr('dir-700', 'user.on a directory', b'd')
os.utime('other', ns=(10**18, 10**18 + 1)); os.utime('link', ns=(5, 6), follow_symlinks=False)
os.utime('.', ns=(10**18 + 3, 10**18 + 4))
`,
    dir,
  );
}

export const countFiles = async (dir: string): Promise<number> =>
  Number(await shell('find "$1" -type f | wc -l', dir));

export const manifestOf = (dir: string): Promise<string> => run('python3', MANIFEST, dir);

/** Fails with the first entries that differ. */
export function assertSameManifest(actual: string, expected: string, what: string): void {
  if (actual === expected) return;
  const has = new Set(actual.split('\n'));
  const should = new Set(expected.split('\n'));
  const missing = [...should].filter((line) => !has.has(line)).slice(0, SHOWN);
  const surplus = [...has].filter((line) => !should.has(line)).slice(0, SHOWN);
  assert.unreachable(`${what}: missing\n${missing.join('\n')}\nsurplus\n${surplus.join('\n')}`);
}

/** Asserts that `copy` equals `source` in every byte and every attribute. */
export async function assertSameTree(copy: string, source: string, what: string): Promise<void> {
  const [actual, expected] = await Promise.all([manifestOf(copy), manifestOf(source)]);
  assertSameManifest(actual, expected, what);
}

export const projectPath = (...parts: readonly string[]): string => join(ROOT, ...parts);

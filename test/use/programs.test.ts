/**
 * Programs that people use, on a real mount: each does to the volume what it does to any disk, and
 * everything is found as it was after an unmount and a mount. The tests share one volume, in order.
 *
 * @limit 1800 s
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { canMount, hasProgram, MountedVolume, python, run, shell } from './mounted-volume.ts';
import {
  assertSameManifest,
  assertSameTree,
  countFiles,
  makeRealTree,
  makeSpecialTree,
  manifestOf,
  projectPath,
} from './trees.ts';

interface Context {
  it: MountedVolume;
  /** On the disk below. */
  tree: string;
  special: string;
}

const tests = suite<Context>('programs', {} as Context);
const test = canMount ? tests : tests.skip;
const testWith = (program: string) => (canMount && hasProgram(program) ? tests : tests.skip);

tests.before(async (context) => {
  if (!canMount) return;
  context.it = await MountedVolume.make();
  context.tree = join(context.it.scratch, 'tree');
  context.special = join(context.it.scratch, 'special');
  await makeRealTree(context.tree);
  await makeSpecialTree(context.special);
  await context.it.mount();
});

tests.after(async ({ it }) => {
  if (canMount) await it.dispose();
});

test('cp -a copies a tree of 10,000 files, byte for byte', async ({ it, tree }) => {
  assert.ok((await countFiles(tree)) >= 10_000);
  await run('cp', '-a', tree, it.path);
  await run('diff', '-r', '--no-dereference', tree, join(it.path, 'tree'));
  await assertSameTree(join(it.path, 'tree'), tree, 'cp -a');
});

test('cp -a copies every kind of file with all that belongs to it', async ({ it, special }) => {
  await run('cp', '-a', '--sparse=always', special, it.path);
  await assertSameTree(join(it.path, 'special'), special, 'cp -a of special files');
  const blocks = Number(await run('stat', '-c', '%b', join(it.path, 'special', 'sparse')));
  assert.ok(blocks * 512 < 1 << 20, `holes take no space: ${blocks} sectors`);
});

test('eight processes read at once what one wrote', async ({ it, tree }) => {
  const sums = (dir: string): Promise<string> =>
    shell('cd "$1" && find . -type f -print0 | xargs -0 -P8 -n200 md5sum | sort', dir);
  assert.ok((await sums(join(it.path, 'tree'))) === (await sums(tree)), 'the same sums');
});

test('tar round-trips owners, modes, times, links and xattrs', async ({ it, special }) => {
  const into = join(it.path, 'untarred');
  await mkdir(into);
  const how = '--format=posix --xattrs --xattrs-include=* --sparse --numeric-owner';
  // A socket cannot be archived; tar says so and goes on.
  await shell(
    `tar ${how} --exclude=./socket -C "$1/special" -cf "$1/all.tar" . &&
     tar ${how} --same-permissions --same-owner -C "$2" -xf "$1/all.tar"`,
    it.path,
    into,
  );
  const withoutSocket = (manifest: string): string =>
    manifest
      .split('\n')
      .filter((line) => !line.includes('"/socket"'))
      .join('\n');
  const [actual, expected] = await Promise.all([manifestOf(into), manifestOf(special)]);
  assertSameManifest(withoutSocket(actual), withoutSocket(expected), 'tar');
});

testWith('rsync')('rsync -aHAX copies, and finds nothing to do', async ({ it, special }) => {
  const into = join(it.path, 'synced');
  await run('rsync', '-aHAX', '--specials', '--devices', `${special}/`, into);
  await assertSameTree(into, special, 'rsync');
  const again = await run('rsync', '-aHAXni', '--checksum', `${special}/`, into);
  assert.is(again, '');
});

test('git adds, commits, checks, packs and clones', async ({ it }) => {
  await shell(
    `cd "$1/tree/two"
     git init -q . && git config user.name N && git config user.email e && git config gc.auto 0
     git add -A . && git commit -qm all && git fsck --full --strict && git gc -q --prune=now
     git fsck --full && test -z "$(git status --porcelain)"
     git clone -q . "$1/cloned" && cd "$1/cloned" && test -z "$(git status --porcelain)"
     git checkout -q -b other && rm -rf typescript rxjs && git commit -qam less && git checkout -q -`,
    it.path,
  );
  const exclude = ['-r', '--no-dereference', '--exclude=.git'];
  await run('diff', ...exclude, join(it.path, 'tree', 'two'), join(it.path, 'cloned'));
});

test('a TypeScript project compiles, and what came out runs', async ({ it }) => {
  const project = join(it.path, 'project');
  await mkdir(project);
  await run('cp', '-a', projectPath('src', 'model'), project);
  const config = {
    extends: projectPath('tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      rootDir: '.',
      outDir: 'out',
      typeRoots: [projectPath('node_modules/@types')],
    },
    include: ['model'],
  };
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify(config));
  await writeFile(join(project, 'package.json'), '{"type":"module"}');
  await run(process.execPath, projectPath('node_modules/typescript/bin/tsc'), '-p', project);
  const script = `import(process.argv[1]).then(({ sizeOf }) => console.log(sizeOf(5000).blocks))`;
  const printed = await run(process.execPath, '-e', script, join(project, 'out/model/size.js'));
  assert.is(printed.trim(), '1');
});

for (const mode of ['delete', 'wal']) {
  testWith('sqlite3')(`sqlite3 keeps a database, journal mode ${mode}`, async ({ it }) => {
    const database = join(it.path, `${mode}.db`);
    const filled = await run(
      'sqlite3',
      database,
      `PRAGMA journal_mode=${mode}; PRAGMA synchronous=FULL; PRAGMA mmap_size=67108864;
       CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, body BLOB);
       BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO t SELECT i, 'name ' || i, randomblob(i % 700) FROM n; COMMIT;
       UPDATE t SET body = zeroblob(50) WHERE id % 3 = 0; DELETE FROM t WHERE id % 5 = 0;
       BEGIN; DELETE FROM t; ROLLBACK; VACUUM; CREATE INDEX b ON t (body);
       PRAGMA integrity_check; SELECT count(*) FROM t;`,
    );
    assert.equal(filled.trim().split('\n').slice(-2), ['ok', '16000']);
    // Four writers at once: locks and, with wal, shared memory between processes.
    await shell(
      `for w in 1 2 3 4; do
         ( i=0; while [ $i -lt 25 ]; do i=$((i+1)); echo "INSERT INTO t (name) VALUES ('$w-$i');"
           done | sqlite3 -cmd '.timeout 60000' "$1" ) &
         pids="\${pids:-} $!"
       done; for p in $pids; do wait "$p"; done`,
      database,
    );
    const after = await run('sqlite3', database, 'PRAGMA integrity_check; SELECT count(*) FROM t;');
    assert.equal(after.trim().split('\n'), ['ok', '16100']);
  });
}

test('a safe save never shows an empty or half-written file', async ({ it }) => {
  await python(
    `
import os, sys
os.chdir(sys.argv[1])
def save(n):
    with open('.saved.tmp', 'wb') as f:
        f.write(b'%08d' % n * 3000); f.flush(); os.fsync(f.fileno())
    os.rename('.saved.tmp', 'saved')
    d = os.open('.', os.O_RDONLY); os.fsync(d); os.close(d)
save(0)
reader = os.fork()
if reader == 0:
    last = 0
    while last < 199:
        with open('saved', 'rb') as f: data = f.read()
        n = int(data[:8])
        if data != b'%08d' % n * 3000 or n < last: os._exit(1)
        last = n
    os._exit(0)
for n in range(1, 200): save(n)
assert os.waitpid(reader, 0)[1] == 0, 'the reader saw something else'
`,
    it.path,
  );
});

test('mapped files: two processes write one, and read(2) sees it', async ({ it }) => {
  await python(
    `
import mmap, os, sys
path = os.path.join(sys.argv[1], 'mapped')
size = 3 << 20
with open(path, 'wb') as f: f.truncate(size)
fd = os.open(path, os.O_RDWR)
shared = mmap.mmap(fd, size)
child = os.fork()
if child == 0:
    other = mmap.mmap(os.open(path, os.O_RDWR), size)
    for i in range(1, size, 8192): other[i:i + 5] = b'child'
    other.flush(); os._exit(0)
for i in range(4096, size, 8192): shared[i:i + 6] = b'parent'
assert os.waitpid(child, 0)[1] == 0
shared.flush()
expected = bytearray(size)
for i in range(1, size, 8192): expected[i:i + 5] = b'child'
for i in range(4096, size, 8192): expected[i:i + 6] = b'parent'
assert bytes(shared) == bytes(expected)
assert os.pread(fd, size, 0) == bytes(expected)
os.ftruncate(fd, size + 4096); os.pwrite(fd, b'end', size + 4093)
os.fsync(fd)
private = mmap.mmap(fd, size, flags=mmap.MAP_PRIVATE); private[0:4] = b'mine'
assert os.pread(fd, 4, 0) == bytes(expected[:4])
`,
    it.path,
  );
});

test('permissions hold between two users', async ({ it }) => {
  await python(
    `
import errno, os, sys
os.chdir(sys.argv[1]); os.umask(0o022)
os.mkdir('users'); os.chdir('users')
def put(name, mode, uid=0, gid=0):
    with open(name, 'w') as f: f.write('secret')
    os.chown(name, uid, gid); os.chmod(name, mode)
put('private', 0o600); put('public', 0o644); put('group', 0o640, 0, 1234); put('theirs', 0o600, 65534, 65534)
put('suid', 0o6777)
os.mkdir('closed', 0o700); os.mkdir('open'); os.chmod('open', 0o777)
os.mkdir('sticky'); os.chmod('sticky', 0o1777); put('sticky/root', 0o666)
os.mkdir('setgid'); os.chown('setgid', 0, 1234); os.chmod('setgid', 0o2777)
`,
    it.path,
  );
  const asNobody = `
import errno, os, sys
os.chdir(sys.argv[1] + '/users'); os.umask(0o022)
def refused(code, call, *args):
    try: call(*args)
    except OSError as e: assert e.errno == code, (call, args, e)
    else: raise AssertionError((call, args, 'was allowed'))
def read(name):
    with open(name) as f: return f.read()
def write(name):
    with open(name, 'a') as f: f.write('x')
assert read('public') == 'secret' and read('group') == 'secret' and read('theirs') == 'secret'
for call in [lambda: read('private'), lambda: write('public'), lambda: write('group'),
             lambda: os.listdir('closed'), lambda: os.mkdir('new'), lambda: os.unlink('public')]:
    refused(errno.EACCES, call)
refused(errno.EPERM, os.chmod, 'public', 0o666)
refused(errno.EPERM, os.chown, 'theirs', 0, 0)
refused(errno.EPERM, os.unlink, 'sticky/root')
refused(errno.EPERM, os.setxattr, 'theirs', 'trusted.t', b'x')
refused(errno.EACCES, os.setxattr, 'public', 'user.t', b'x')
os.chown('theirs', -1, 1234)
for path in ['open/mine', 'sticky/mine', 'setgid/mine']: write(path)
assert os.stat('open/mine').st_uid == 65534 and os.stat('open/mine').st_gid == 65534
assert os.stat('setgid/mine').st_gid == 1234
os.mkdir('setgid/below'); assert os.stat('setgid/below').st_mode & 0o2000
os.rename('sticky/mine', 'sticky/renamed'); os.unlink('sticky/renamed')
write('suid'); assert os.stat('suid').st_mode & 0o7777 == 0o777, 'a write by another takes set-id away'
os.symlink('public', 'open/link'); assert os.lstat('open/link').st_uid == 65534
`;
  const args = ['--reuid', '65534', '--regid', '65534', '--groups', '1234'];
  await run('setpriv', ...args, '/usr/bin/python3', '-c', asNobody, it.path);
});

test('after an unmount and a mount everything is as it was, and the log says the same', async (context) => {
  const { it, tree, special } = context;
  const names = ['special', 'untarred', 'users', 'project'];
  const before = await Promise.all(names.map((name) => manifestOf(join(it.path, name))));
  await it.unmount();
  await it.assertWhole();
  await it.mount();
  for (const [i, name] of names.entries()) {
    assertSameManifest(await manifestOf(join(it.path, name)), before[i] ?? '', name);
  }
  await assertSameTree(join(it.path, 'special'), special, 'the special files');
  await run('diff', '-r', '--no-dereference', '--exclude=.git', tree, join(it.path, 'tree'));
  await run('git', '-C', join(it.path, 'tree', 'two'), 'fsck', '--full');
  assert.equal(await it.complaints(), []);
});

tests.run();

/**
 * File locks as programs use them, on a real volume with two mounts: exclusion across the mounts,
 * the end of a mount, and SQLite, whose databases live by record locks.
 *
 * @limit 600 s
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { canMount, hasProgram, MountedVolume, python, run } from './mounted-volume.ts';

interface Context {
  it: MountedVolume;
  /** The second mount of the same volume. */
  second: string;
}

const tests = suite<Context>('locks in use', {} as Context);
const test = canMount ? tests : tests.skip;
const testSqlite = canMount && hasProgram('sqlite3') ? tests : tests.skip;

tests.before(async (context) => {
  if (!canMount) return;
  context.it = await MountedVolume.make();
  context.second = join(context.it.scratch, 'second');
  await mkdir(context.second);
  await context.it.mount();
  await context.it.succeed('mount', context.it.dir, context.second);
});

tests.after(async ({ it, second }) => {
  if (!canMount) return;
  await run('umount', '-l', second).catch(() => undefined);
  await it.dispose();
});

/** Two processes, one on each mount: the second is asked by lines what it gets. */
const TWO_MOUNTS = `
import errno, fcntl, os, signal, sys, time
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, lockf, flock
first, second = (p + '/shared' for p in sys.argv[1:3])
fd = os.open(first, os.O_RDWR | os.O_CREAT)
def there(f):
    r, w = os.pipe(); pid = os.fork()
    if pid == 0:
        mine = os.open(second, os.O_RDWR)
        try: f(mine); told = b'locked'
        except OSError as e: told = errno.errorcode[e.errno].encode()
        os.write(w, told); os._exit(0)
    os.close(w)
    return pid, r
def result(pair):
    pid, r = pair
    told = os.read(r, 100).decode(); os.close(r); os.waitpid(pid, 0)
    return told
def blocked(pid):
    for _ in range(6000):
        if 'request_wait' in open(f'/proc/{pid}/wchan').read(): return
        time.sleep(0.01)
    raise Exception('never blocked')
for lock in (lockf, flock):
    lock(fd, LOCK_EX)
    print(result(there(lambda mine: lock(mine, LOCK_SH | LOCK_NB))), end=' ')
    waiter = there(lambda mine: lock(mine, LOCK_EX)); blocked(waiter[0])
    lock(fd, LOCK_UN)
    print(result(waiter))
`;

test('two mounts exclude each other, and wait for each other', async ({ it, second }) => {
  assert.is(await python(TWO_MOUNTS, it.path, second), 'EAGAIN locked\n'.repeat(2));
});

test('counting under a lock from both mounts loses nothing', async ({ it, second }) => {
  const script = `
import fcntl, os, sys
for _ in range(200):
    fd = os.open(sys.argv[1] + '/counter', os.O_RDWR | os.O_CREAT)
    fcntl.lockf(fd, fcntl.LOCK_EX)
    n = int(os.pread(fd, 20, 0) or b'0')
    os.pwrite(fd, str(n + 1).encode(), 0)
    os.close(fd)
`;
  await Promise.all([it.path, second, it.path, second].map((path) => python(script, path)));
  assert.is(await readFile(join(it.path, 'counter'), 'utf8'), '800');
  assert.is(await readFile(join(second, 'counter'), 'utf8'), '800');
});

test('a mount that is taken away gives its locks back', async ({ it, second }) => {
  await writeFile(join(it.path, 'shared'), '');
  const script = `
import fcntl, os, subprocess, sys, time
first, second = sys.argv[1:3]
fd = os.open(second + '/shared', os.O_RDWR)
fcntl.lockf(fd, fcntl.LOCK_EX); fcntl.flock(fd, fcntl.LOCK_EX)
mine = os.open(first + '/shared', os.O_RDWR)
r, w = os.pipe(); pid = os.fork()
if pid == 0:
    os.close(fd); own = os.open(first + '/shared', os.O_RDWR)
    os.write(w, b'.'); fcntl.lockf(own, fcntl.LOCK_EX); fcntl.flock(own, fcntl.LOCK_EX)
    os.write(w, b'locked'); os._exit(0)
os.close(w); os.read(r, 1)
for _ in range(6000):
    if 'request_wait' in open(f'/proc/{pid}/wchan').read(): break
    time.sleep(0.01)
control = '/sys/fs/fuse/connections'
if not os.path.ismount(control): subprocess.run(['mount', '-t', 'fusectl', 'none', control], check=True)
minor = os.minor(os.stat(second).st_dev)
open(f'{control}/{minor}/abort', 'w').write('1')
print(os.read(r, 100).decode()); os.waitpid(pid, 0)
`;
  assert.is(await python(script, it.path, second), 'locked\n');
  await run('umount', '-l', second);
  await it.succeed('mount', it.dir, second);
});

const INCREMENTS = 40;

/** Increments a counter again and again, each time in a transaction of its own. */
const countIn = (database: string): Promise<string> =>
  run(
    'sqlite3',
    '-bail',
    '-cmd',
    '.timeout 200000',
    database,
    'BEGIN IMMEDIATE; UPDATE c SET n = n + 1; COMMIT;'.repeat(INCREMENTS),
  );

for (const [journal, where] of [
  ['delete', 'from two mounts'],
  ['wal', 'from one mount'],
] as const) {
  testSqlite(`SQLite (journal_mode ${journal}) ${where}`, async ({ it, second }) => {
    const name = `${journal}.db`;
    const database = join(it.path, name);
    const made = `PRAGMA journal_mode=${journal}; CREATE TABLE c (n INTEGER); INSERT INTO c VALUES (0)`;
    await run('sqlite3', database, made);
    const other = journal === 'wal' ? database : join(second, name);
    await Promise.all([database, other, database, other].map(countIn));
    const found = await run('sqlite3', other, 'SELECT n FROM c; PRAGMA integrity_check');
    assert.is(found, `${4 * INCREMENTS}\nok\n`);
  });
}

test('the daemon had nothing to complain about, and the volume is whole', async ({
  it,
  second,
}) => {
  await it.succeed('umount', second);
  await it.unmount();
  assert.equal(await it.complaints(), []);
  await it.assertWhole();
});

tests.run();

/**
 * File locks through the kernel: several processes (Python) on a real mount, and what the kernel
 * sends for them. Each scenario waits for facts (the daemon's count of waiting requests), and
 * asserts no duration.
 *
 * @limit 300 s
 */

import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { canMount, python, run, withMount, type Mounted } from './mounted.ts';

const locks = suite('fuse mount, locks');

function mounted(name: string, body: (mounted: Mounted) => Promise<void>): void {
  if (canMount) locks(name, () => withMount({}, body));
  else locks.skip(`${name} (no /dev/fuse, or not root)`, () => undefined);
}

/** What every script begins with; `worker` runs a function in a child that is told by pipes. */
const PRELUDE = `
import ctypes, errno, fcntl, os, signal, struct, sys, time
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, lockf, flock
path = sys.argv[1] + '/f'
open(path, 'a').close()
def rw(p=path): return os.open(p, os.O_RDWR)
def attempt(f, *a):
    try: f(*a); return 'locked'
    except OSError as e: return errno.errorcode[e.errno]
def query(fd, kind, start=0, length=0, command=fcntl.F_GETLK):
    asked = struct.pack('hhqqi4x', kind, 0, start, length, 0)
    k, _, s, l, pid = struct.unpack('hhqqi4x', fcntl.fcntl(fd, command, asked))
    return (k, s, l, pid)
def ofd(fd, kind, start=0, length=0, command=37):
    return fcntl.fcntl(fd, command, struct.pack('hhqqi4x', kind, 0, start, length, 0))
def other(kind, length, start):
    'What another process gets for a record lock.'
    return fresh(lambda: lockf(rw(), kind | LOCK_NB, length, start))
def ended(pid, told):
    answer = told.readline().strip(); os.waitpid(pid, 0)
    return answer
R, W, U = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
def child(f):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(r)
        said = lambda text: os.write(w, (text + '\\n').encode())
        try: f(said)
        except BaseException as e: said('failed: ' + repr(e))
        os._exit(0)
    os.close(w)
    return pid, os.fdopen(r)
def blocked(pid):
    'Waits until the child sleeps in the lock call.'
    for _ in range(3000):
        try: where = open(f'/proc/{pid}/wchan').read()
        except OSError: where = ''
        if 'request_wait' in where or 'fuse' in where: return
        time.sleep(0.01)
    raise Exception('never blocked: ' + where)
def fresh(f, *a):
    'What another process gets.'
    pid, said = child(lambda say: say(attempt(f, *a)))
    answer = said.readline().strip(); os.waitpid(pid, 0)
    return answer
`;

const script = (m: Mounted, text: string): Promise<string> => python(m.path, `${PRELUDE}\n${text}`);

mounted('record locks: exclusion, ranges, and who is in the way', async (m) => {
  const said = await script(
    m,
    `
fd = rw()
lockf(fd, LOCK_EX, 10, 100)
print(other(LOCK_EX, 5, 104), other(LOCK_SH, 5, 109))
def asks(say): say(str(query(rw(), W)))
print(ended(*child(asks)) == str((W, 100, 10, os.getpid())))
huge = 2**63 - 2
fcntl.fcntl(fd, fcntl.F_SETLK, struct.pack('hhqqi4x', R, 0, huge, 0, 0))
print(other(LOCK_EX, 1, huge - 1), other(LOCK_EX, 1, huge))
lockf(fd, LOCK_UN, 4, 103)
print(query(rw(), W), other(LOCK_EX, 4, 103), other(LOCK_EX, 1, 107))
ro = os.open(path, os.O_RDONLY)
print(attempt(lockf, ro, LOCK_EX | LOCK_NB))
`,
  );
  const expected = [
    'EAGAIN EAGAIN',
    'True',
    'locked EAGAIN',
    '(2, 0, 0, 0) locked EAGAIN',
    'EBADF',
  ];
  assert.is(said, `${expected.join('\n')}\n`);
});

mounted('a close of another descriptor, even one that only reads, ends the locks', async (m) => {
  const said = await script(
    m,
    `
for flags in (os.O_RDWR, os.O_RDONLY, os.O_WRONLY):
    fd = rw(); other = os.open(path, flags)
    lockf(fd, LOCK_EX)
    print(fresh(lambda: lockf(rw(), LOCK_EX | LOCK_NB)), end=' ')
    os.close(other)
    print(fresh(lambda: lockf(rw(), LOCK_EX | LOCK_NB)))
    os.close(fd)
# A descriptor that a child shares: the close of one process ends the locks of that one.
fd = os.open(path, os.O_RDONLY); r, w = os.pipe()
lockf(fd, LOCK_SH)
pid, said = child(lambda say: (os.close(w), os.read(r, 1)))
print(fresh(lambda: lockf(rw(), LOCK_EX | LOCK_NB)), end=' ')
os.close(fd)
print(fresh(lambda: lockf(rw(), LOCK_EX | LOCK_NB)))
os.close(w); os.waitpid(pid, 0)
`,
  );
  assert.is(said, 'EAGAIN locked\n'.repeat(4));
  assert.is((await m.ask<{ locks: number }>('state')).locks, 0);
});

mounted('waiting, and being let in by unlock, by close and by kill -9', async (m) => {
  const said = await script(
    m,
    `
def holder(say): lockf(rw(), LOCK_EX); say('held'); time.sleep(600)
def waiter(say): fd = rw(); lockf(fd, LOCK_EX); say('locked')
fd = rw(); lockf(fd, LOCK_EX)
pid, told = child(waiter); blocked(pid); lockf(fd, LOCK_UN); print(ended(pid, told))
lockf(fd, LOCK_EX)
pid, told = child(waiter); blocked(pid); os.close(fd); print(ended(pid, told))
victim, told = child(holder); told.readline()
pid, told = child(waiter); blocked(pid); os.kill(victim, signal.SIGKILL)
print(ended(pid, told)); os.waitpid(victim, 0)
`,
  );
  assert.is(said, 'locked\nlocked\nlocked\n');
});

mounted(
  'signals end a wait: SIGINT, SIGALRM, SIGKILL; a restarting handler waits on',
  async (m) => {
    const said = await script(
      m,
      `
fd = rw(); lockf(fd, LOCK_EX); flock(fd, LOCK_EX)
class Alarm(Exception): pass
def ring(*_): raise Alarm()
def alarmed(lock):
    def f(say):
        signal.signal(signal.SIGALRM, ring); signal.setitimer(signal.ITIMER_REAL, 0.3)
        try: lock(rw(), LOCK_EX); say('locked')
        except Alarm: say('alarm')
    return f
def plain(lock):
    def f(say):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        lock(rw(), LOCK_EX); say('locked')
    return f
for lock in (lockf, flock):
    pid, told = child(alarmed(lock)); print(told.readline().strip(), os.waitpid(pid, 0)[1])
    for number in (signal.SIGINT, signal.SIGKILL):
        pid, told = child(plain(lock)); blocked(pid); os.kill(pid, number)
        print(os.waitpid(pid, 0)[1] == number)
# A handler that returns: the call is made again by Python (or by the kernel), and waits on.
def restarted(say):
    signal.signal(signal.SIGUSR1, lambda *_: say('signal'))
    lockf(rw(), LOCK_EX); say('locked')
pid, told = child(restarted); blocked(pid)
os.kill(pid, signal.SIGUSR1); print(told.readline().strip())
blocked(pid); lockf(fd, LOCK_UN); print(ended(pid, told))
`,
    );
    assert.is(said, `${'alarm 0\nTrue\nTrue\n'.repeat(2)}signal\nlocked\n`);
    const { waiting, locks: held } = await m.ask<{ waiting: number; locks: number }>('state');
    assert.is(waiting + held, 0, 'an interrupted wait was left in the queue, or held');
  },
);

mounted('a deadlock of two processes is EDEADLK', async (m) => {
  const said = await script(
    m,
    `
fd = rw(); lockf(fd, LOCK_EX, 1, 0)
def crosses(say):
    mine = rw(); lockf(mine, LOCK_EX, 1, 1); say('holds'); lockf(mine, LOCK_EX, 1, 0); say('locked')
pid, told = child(crosses); told.readline(); blocked(pid)
print(attempt(lockf, fd, LOCK_EX, 1, 1))
lockf(fd, LOCK_UN, 1, 0); print(told.readline().strip()); os.waitpid(pid, 0)
`,
  );
  // Python's name for EDEADLK.
  assert.is(said, 'EDEADLOCK\nlocked\n');
});

mounted(
  'flock: one lock for each open, inherited by fork and dup, gone with the last close',
  async (m) => {
    const said = await script(
      m,
      `
a = rw(); b = rw()
flock(a, LOCK_EX)
print(attempt(flock, b, LOCK_SH | LOCK_NB), attempt(flock, b, LOCK_EX | LOCK_NB))
r, w = os.pipe()
pid, told = child(lambda say: (os.close(w), os.read(r, 1)))
c = os.dup(a); os.close(a); os.close(c)
print(attempt(flock, b, LOCK_EX | LOCK_NB), 'the child has it open')
os.close(w); os.waitpid(pid, 0)
flock(b, LOCK_SH); print('released')
d = rw(); flock(d, LOCK_SH)
print(attempt(flock, b, LOCK_EX | LOCK_NB))
print(attempt(flock, d, LOCK_EX | LOCK_NB), 'the conversion of b gave up its shared lock')
pid, told = child(lambda say: (flock(d, LOCK_UN), say('unlocked')))
told.readline(); os.waitpid(pid, 0)
print(attempt(flock, b, LOCK_EX | LOCK_NB), 'a child unlocked what it inherited')
os.close(b); os.close(d)
`,
    );
    const expected = [
      'EAGAIN EAGAIN',
      'EAGAIN the child has it open',
      'released',
      'EAGAIN',
      'locked the conversion of b gave up its shared lock',
      'locked a child unlocked what it inherited',
    ];
    assert.is(said, `${expected.join('\n')}\n`);
    await run('stat', m.path);
    let left = 1;
    for (let i = 0; i < 500 && left > 0; i++) {
      left = (await m.ask<{ locks: number }>('state')).locks;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.is(left, 0);
  },
);

mounted('locks of open file descriptions: of the open, not of the process', async (m) => {
  const said = await script(
    m,
    `
a = rw(); b = rw(); c = rw()
ofd(a, W, 0, 10)
print(attempt(ofd, b, W, 5, 10), attempt(lockf, b, LOCK_EX | LOCK_NB))
print(struct.unpack('hhqqi4x', ofd(b, W, 0, 0, 36))[::3], query(b, W)[3] == os.getpid())
os.close(c); print(attempt(ofd, b, W, 5, 10), 'closing another descriptor changes nothing')
d = os.dup(a); os.close(a); print(attempt(ofd, b, W, 5, 10), 'a twin is open')
os.close(d)
for _ in range(1000):
    last = attempt(ofd, b, W, 5, 10)
    if last == 'locked': break
    time.sleep(0.01)
print(last, 'with the last close')
`,
  );
  const expected = [
    'EAGAIN EAGAIN',
    '(1, 10) True',
    'EAGAIN closing another descriptor changes nothing',
    'EAGAIN a twin is open',
    'locked with the last close',
  ];
  assert.is(said, `${expected.join('\n')}\n`);
});

mounted("locks on directories are the kernel's own", async (m) => {
  const said = await script(
    m,
    `
a = os.open(sys.argv[1], os.O_RDONLY); b = os.open(sys.argv[1], os.O_RDONLY)
flock(a, LOCK_EX); print(attempt(flock, b, LOCK_EX | LOCK_NB))
os.close(a); print(attempt(flock, b, LOCK_EX | LOCK_NB))
`,
  );
  assert.is(said, 'EAGAIN\nlocked\n');
  const asked = await m.ask<Record<string, number>>('stats');
  assert.is(asked['SETLK'], undefined);
});

mounted('five hundred waiters, while others go on', async (m) => {
  const count = 500;
  const waiters = script(
    m,
    `
fd = rw(); lockf(fd, LOCK_EX)
children = []
for i in range(${count}):
    pid = os.fork()
    if pid == 0:
        mine = rw(); lockf(mine, LOCK_EX)
        out = os.open(sys.argv[1] + '/count', os.O_RDWR | os.O_CREAT)
        n = int(os.read(out, 20) or b'0'); os.pwrite(out, str(n + 1).encode(), 0)
        os._exit(0)
    children.append(pid)
while not os.path.exists(sys.argv[1] + '/go'): time.sleep(0.05)
lockf(fd, LOCK_UN)
print(sum(os.waitpid(pid, 0)[1] == 0 for pid in children), open(sys.argv[1] + '/count').read())
`,
  );
  const waiting = async (): Promise<number> => (await m.ask<{ waiting: number }>('state')).waiting;
  for (let i = 0; i < 6000 && (await waiting()) < count; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.is(await waiting(), count);
  for (let i = 0; i < 200; i++) await fs.stat(join(m.path, 'f'));
  await fs.writeFile(join(m.path, 'other'), 'written');
  assert.is(await fs.readFile(join(m.path, 'other'), 'utf8'), 'written');
  await fs.writeFile(join(m.path, 'go'), '');
  assert.is(await waiters, `${count} ${count}\n`, 'a count under a lock, lost by nobody');
  assert.is(await waiting(), 0);
});

mounted('the end of the daemon ends those who wait', async (m) => {
  const waiter = script(
    m,
    `
fd = rw(); lockf(fd, LOCK_EX)
def waits(say): say(attempt(lockf, rw(), LOCK_EX))
pid, told = child(waits); blocked(pid); print('blocked', flush=True)
print(told.readline().strip()); os.waitpid(pid, 0)
`,
  );
  for (let i = 0; i < 3000; i++) {
    if ((await m.ask<{ waiting: number }>('state')).waiting === 1) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  m.child.kill('SIGKILL');
  assert.match(await waiter, /^blocked\n(ECONNABORTED|ENOTCONN)\n$/);
});

locks.run();

/**
 * Two mounts of one volume, and a process at each: what one changes the other one sees, at once,
 * though its kernel may keep names and attributes for half a minute. Both at full speed in one
 * directory never wait for each other in a circle.
 *
 * @limit 300 s
 */

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { canMount, inTemporary, python, run } from './mounted.ts';

const mount = suite('fuse two mounts');
const DAEMON = fileURLToPath(new URL('./two-mounts.ts', import.meta.url));
const START_MS = 60_000;
/** Longer than any test: what the kernel shows is right because it was told. */
const LONG = { entryTimeoutMs: 600_000, attrTimeoutMs: 600_000 };

/** Runs `body` with the folder of a volume that is mounted at `a` and `b` in it. */
function onTwo(what: string, body: (folder: string) => Promise<void>, timeouts = LONG): void {
  if (!canMount) {
    mount.skip(`${what} (no /dev/fuse, or not root)`, () => undefined);
    return;
  }
  mount(what, () =>
    inTemporary(async (folder) => {
      const args = ['--import', 'tsx', DAEMON, folder, JSON.stringify(timeouts)];
      const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
      const complaints: string[] = [];
      const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      const ready = new Promise<void>((resolve) => {
        createInterface({ input: child.stdout }).on('line', (line) => {
          if (line === '"ready"') resolve();
          else if (!line.includes('"debug"') && !line.includes('"info"')) complaints.push(line);
        });
      });
      const patience = setTimeout(() => child.kill('SIGKILL'), START_MS);
      try {
        await Promise.race([ready, exited]);
        clearTimeout(patience);
        assert.is(child.exitCode, null, `no daemon: ${complaints.join(' ')}`);
        await body(folder);
        assert.equal(complaints, []);
        child.stdin.write('end\n');
        await Promise.race([exited, new Promise((resolve) => setTimeout(resolve, START_MS))]);
        assert.is(child.exitCode, 0, 'the daemon ends when it is told to');
      } finally {
        clearTimeout(patience);
        if (child.exitCode === null) child.kill('SIGKILL');
        await exited;
        for (const name of ['a', 'b']) {
          await run('umount', '-i', '-c', '-l', `${folder}/${name}`).catch(() => undefined);
        }
      }
    }),
  );
}

/** Two processes, of which `tell(TEXT)` in one is what `hear()` in the other one waits for. */
const PAIR = `
import mmap, os, subprocess, sys, time
folder = sys.argv[1]
if len(sys.argv) < 3:
    other = subprocess.Popen(['python3', '-c', os.environ['SCRIPT'], folder, 'b'],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    told, heard = other.stdin, other.stdout
else: told, heard = sys.stdout, sys.stdin
os.chdir(folder + ('/a' if len(sys.argv) < 3 else '/b'))
def tell(text='go'): told.write(text + '\\n'); told.flush()
def hear():
    line = heard.readline()
    assert line != '', 'the other one is gone'
    return line.strip()
def exists(name):
    try: os.lstat(name); return True
    except FileNotFoundError: return False
worst = 0
def soon(what, wanted, show):
    'Waits for what must be so, and notes how long it took.'
    global worst
    start = time.monotonic()
    while show() != wanted:
        assert time.monotonic() - start < 20, f'{what}: {show()!r}, not {wanted!r}'
    worst = max(worst, time.monotonic() - start)
`;

const pair = (folder: string, script: string): Promise<string> =>
  run('env', `SCRIPT=${PAIR}${script}`, 'python3', '-c', `${PAIR}${script}`, folder);

onTwo('each change through one mount is seen through the other', async (folder) => {
  // B looks first at each thing, so that its kernel has something to be wrong about.
  const script = `
read = lambda name: open(name).read()
if len(sys.argv) < 3:
    open('f', 'w').write('one'); tell(); hear()
    open('f', 'a').write('two'); tell(); hear()
    os.chmod('f', 0o600); tell(); hear()
    os.truncate('f', 2); tell(); hear()
    os.setxattr('f', 'user.x', b'1'); os.link('f', 'twin'); tell(); hear()
    os.rename('f', 'g'); tell(); hear()
    open('h', 'w').write('other'); tell(); hear()
    os.rename('h', 'g'); tell(); hear()
    os.unlink('g'); os.rmdir('dir') if exists('dir') else None; tell(); hear()
    fd = os.open('twin', os.O_RDWR)
    for i in range(100):
        os.pwrite(fd, b'%06d' % i, 0); tell(); hear()
    print('slowest', hear()); other.wait()
else:
    hear(); soon('create', True, lambda: exists('f')); soon('bytes', 'one', lambda: read('f'))
    keep = open('f'); keep.read(); os.mkdir('dir'); tell()
    hear(); soon('append', 'onetwo', lambda: read('f')); soon('size', 6, lambda: os.stat('f').st_size)
    soon('open file', 'onetwo', lambda: os.pread(keep.fileno(), 10, 0).decode()); tell()
    hear(); soon('chmod', 0o600, lambda: os.stat('f').st_mode & 0o777); tell()
    hear(); soon('truncate', 'on', lambda: read('f')); tell()
    hear(); soon('xattr', b'1', lambda: os.getxattr('f', 'user.x')); soon('link', 2, lambda: os.stat('f').st_nlink)
    soon('the new name', True, lambda: exists('twin')); tell()
    hear(); soon('old name', False, lambda: exists('f')); soon('new name', 'on', lambda: read('g'))
    soon('listing', ['dir', 'g', 'twin'], lambda: sorted(os.listdir('.'))); tell()
    hear(); soon('another', 'other', lambda: read('h')); tell()
    hear(); soon('replaced', 'other', lambda: read('g')); soon('moved', False, lambda: exists('h'))
    soon('links', 1, lambda: os.stat('twin').st_nlink); tell()
    hear(); soon('unlink', False, lambda: exists('g')); soon('rmdir', False, lambda: exists('dir'))
    fd = os.open('twin', os.O_RDONLY); view = mmap.mmap(fd, 2, prot=mmap.PROT_READ); view[0:2]; tell()
    view = None
    for i in range(100):
        hear()
        if view is None: view = mmap.mmap(fd, 6, prot=mmap.PROT_READ)
        soon('mapped', b'%06d' % i, lambda: view[0:6]); tell()
    tell(f'{worst * 1e3:.1f} ms')
`;
  assert.match(await pair(folder, script), /^slowest [\d.]+ ms$/m);
});

/** In a storm attributes may come to a kernel after it was told to drop them: see decision 8. */
const STORM = { ...LONG, attrTimeoutMs: 1000 };

const storm = async (folder: string): Promise<void> => {
  const script = `
import random
name = 'a' if len(sys.argv) < 3 else 'b'
dice = random.Random(name)
if name == 'a': os.mkdir('d'); os.mkdir('e'); tell(); hear()
else: hear(); os.listdir('d'); tell()
done, start = 0, time.monotonic()
while time.monotonic() - start < 8:
    at, to = (f'{dice.choice("de")}/{dice.randrange(6)}' for _ in range(2))
    try:
        match dice.randrange(6):
            case 0: os.close(os.open(at, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            case 1: os.unlink(at)
            case 2: os.rename(at, to)
            case 3: fd = os.open(at, os.O_RDWR); os.write(fd, name.encode() * 5000); os.close(fd)
            case 4: os.truncate(at, dice.randrange(9000)); open(at, 'rb').read()
            case 5: os.chmod(at, 0o600 | dice.randrange(64)); os.listdir('d')
    except FileExistsError: pass
    except FileNotFoundError: pass
    done += 1
mine = lambda: sorted((n, s.st_ino, s.st_size, s.st_mode, open(f'{at}/{n}', 'rb').read())
    for at in 'de' for n in os.listdir(at) for s in [os.stat(f'{at}/{n}')])
time.sleep(2)
if name == 'a':
    hear(); text = repr(mine()); tell(); theirs = hear()
    assert theirs == text, 'the two mounts show different trees'
    print('a', done); print('b', hear()); other.wait()
else: tell(); hear(); tell(repr(mine())); tell(str(done))
`;
  const counts = (await pair(folder, script))
    .trim()
    .split('\n')
    .map((line) => line.split(' '));
  for (const [name, count] of counts) assert.ok(Number(count) > 100, `${name} did ${count}`);
};
onTwo('both create, rename, write and unlink the same names at full speed', storm, STORM);

onTwo('a mount that goes away holds nobody up', async (folder) => {
  await python(
    folder,
    `
import os, sys
os.chdir(sys.argv[1]); open('a/f', 'w').write('x'); open('b/f').read()
keep = open('b/f')
`,
  );
  await run('umount', '-i', '-c', `${folder}/b`);
  await python(
    folder,
    `
import os, sys
os.chdir(sys.argv[1])
for i in range(50): open('a/f', 'a').write('x'); os.rename('a/f', 'a/g'); os.rename('a/g', 'a/f')
assert os.stat('a/f').st_size == 51
`,
  );
});

mount.run();

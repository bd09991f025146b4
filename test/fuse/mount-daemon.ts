/**
 * A process that serves a `MemoryFilesystem` at the mount point given, for tests: `ready` on stdout
 * once it is usable. Lines on stdin are commands (see `COMMANDS`), each answered by one JSON line.
 */

import { createInterface } from 'node:readline';
import { startNativeSession } from '../../src/fuse/native/session.ts';
import { startSession } from '../../src/fuse/session.ts';
import { pipeWatcher } from '../../src/io/watcher.ts';
import { asByteString, byteString, bytesOf, ROOT_INO, type Ino } from '../../src/model/ids.ts';
import { S_IFREG } from '../../src/model/inode.ts';
import { isRefusal } from '../../src/model/errno.ts';
import { sizeOf } from '../../src/model/size.ts';
import { MemoryFilesystem } from './memory-filesystem.ts';

const [mountPoint = '', settings = '{}'] = process.argv.slice(2);
const { lazy, slowReadMs, pipe, native, ...options } = JSON.parse(settings) as {
  lazy?: boolean;
  slowReadMs?: number;
  pipe?: boolean;
  native?: boolean;
};
const filesystem = new MemoryFilesystem();
filesystem.isLazy = lazy === true;
if (slowReadMs !== undefined) filesystem.slowReadMs = slowReadMs < 0 ? Infinity : slowReadMs;

const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

const start = native === true ? startNativeSession : startSession;
const session = await start({
  filesystem,
  mountPoint,
  source: 'memory',
  ...options,
  watcher: pipe === true ? pipeWatcher : undefined,
  log: (level, message, fields) => say({ log: level, message, ...fields }),
  onUnmounted: (reason) => {
    say({ unmounted: reason });
    process.exit(0);
  },
}).catch((error: Error) => {
  say({ error: error.message });
  process.exit(1);
});

/** The inode that a name in the root stands for. */
function inoOf(name: string): Ino {
  const found = filesystem.lookup(ROOT_INO, asByteString(name));
  if (found instanceof Promise || isRefusal(found)) throw new Error(`no ${name}`);
  return found.ino;
}

const COMMANDS: Record<string, (argument: string) => unknown> = {
  stats: () => session.stats(),
  /** Inodes that exist, pages of taken memory found changed, file locks. */
  state: () => ({
    inodes: filesystem.nodes.size,
    overwritten: filesystem.overwritten,
    locks: filesystem.locks.held,
    waiting: filesystem.locks.waiting,
  }),
  lazy: (on) => {
    filesystem.isLazy = on === 'on';
    return true;
  },
  /** Changes a file behind the kernel's back: NAME TEXT. */
  rewrite: (argument) => {
    const [name = '', text = ''] = argument.split(' ');
    const file = { ino: inoOf(name), synchronous: false, append: false, writable: true };
    const payload = { bytes: Buffer.from(text), take: () => () => undefined };
    void filesystem.setattr(file.ino, { size: sizeOf(0) }, { uid: 0, gid: 0, pid: 0 });
    void filesystem.write(file, sizeOf(0), payload, false, { uid: 0, gid: 0, pid: 0 });
    return true;
  },
  /** Makes an empty file of a name given in hex, behind the kernel's back. */
  make: (hex) => {
    const name = byteString(Buffer.from(hex, 'hex'));
    void filesystem.mknod(ROOT_INO, name, S_IFREG | 0o644, 0, { uid: 0, gid: 0, pid: 0 });
    return true;
  },
  /** The names of the root, in hex. */
  names: () =>
    [...(filesystem.nodes.get(ROOT_INO)?.children.keys() ?? [])].map((name) =>
      bytesOf(name).toString('hex'),
    ),
  /** Removes a name behind the kernel's back. */
  remove: (name) => {
    void filesystem.unlink(ROOT_INO, asByteString(name), { uid: 0, gid: 0, pid: 0 });
    return true;
  },
  invalidate: (name) => session.invalidate.contents(inoOf(name)).then(() => true),
  invalidateEntry: (name) =>
    session.invalidate.entry(ROOT_INO, asByteString(name)).then(() => true),
  unmount: () =>
    session.unmount().then(
      () => 'unmounted',
      (error: NodeJS.ErrnoException) => error.code,
    ),
  exit: () => process.exit(0),
};

// A test process that died must not leave its mount behind.
process.stdin.once('end', () => void session.unmount({ lazy: true }).then(() => process.exit(0)));

createInterface({ input: process.stdin }).on('line', (line) => {
  const space = line.indexOf(' ');
  const [name, argument] = space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)];
  Promise.resolve(COMMANDS[name]?.(argument)).then(
    (result) => say({ result }),
    (error: unknown) => say({ error: String(error) }),
  );
});
say('ready');

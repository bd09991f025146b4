/**
 * A worker of the kill test, a process of its own: works through its stream of operations until the
 * daemon dies under it, and journals each one (descriptor 3) before it starts and after it was
 * answered. Lives through many rounds: an order on standard input begins one. All calls are
 * synchronous, so that the journal's order is the program's.
 */

import * as fs from 'node:fs';
import { tryLock } from '../../src/io/libc.ts';
import { unreachable } from '../../src/model/assert.ts';
import { SimRandom } from '../sim/random.ts';
import { isDeath, monotonic, type Line, type Order } from './journal.ts';
import { fallocate, removeXattr, rename, setXattr } from './libc.ts';
import { OperationStream, pattern, type Operation, type PathOperation } from './operation.ts';

const JOURNAL = 3;
/** Share of operations that go to the shared lane, when nobody else is working there. */
const SHARED = 0.3;
const OWN_SLOTS = [0, 1, 2];
const SHARED_SLOTS = [3, 4];

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR, O_SYNC, O_TRUNC } = fs.constants;

const tell = (line: Line): void => {
  fs.writeSync(JOURNAL, `${JSON.stringify(line)}\n`);
};

class Round {
  readonly #order: Order;
  readonly #random: SimRandom;
  readonly #own: OperationStream;
  readonly #shared: OperationStream;
  readonly #slots = new Map<number, number>();
  #n = 0;
  #isDead = false;

  constructor(order: Order) {
    this.#order = order;
    this.#random = new SimRandom(order.seed);
    const { firstFill } = order;
    this.#own = new OperationStream(this.#random.fork('own'), OWN_SLOTS, firstFill);
    const sharedFill = firstFill + 500_000;
    this.#shared = new OperationStream(this.#random.fork('shared'), SHARED_SLOTS, sharedFill);
  }

  run(): void {
    const { own } = this.#order;
    while (!this.#isDead) {
      if (this.#random.chance(SHARED) && this.#runShared()) continue;
      this.#step(own, this.#own);
    }
    for (const fd of this.#slots.values()) closeQuietly(fd);
  }

  /** False if another worker is working in the shared lane. */
  #runShared(): boolean {
    const lock = fs.openSync(this.#order.sharedLock, O_RDWR | O_CREAT);
    try {
      if (!tryLock(lock)) return false;
      this.#step(this.#order.shared, this.#shared);
      return true;
    } finally {
      fs.closeSync(lock);
    }
  }

  #step(lane: string, stream: OperationStream): void {
    const operation = stream.next((slot) => this.#slots.has(slot));
    const n = this.#n++;
    tell({ kind: 'begin', n, time: monotonic(), lane, operation });
    let error: string | null = null;
    try {
      this.#perform(`${this.#order.mount}/${lane}`, operation);
    } catch (cause) {
      error = (cause as NodeJS.ErrnoException).code ?? String(cause);
    }
    // A daemon killed while it takes a large write over lets the kernel answer that with EIO, where
    // memory for it was not there yet (fuse_dev_do_read): what the next request meets tells.
    if (error === 'EIO') error = deathOf(this.#order.mount) ?? error;
    this.#isDead = isDeath(error);
    tell({ kind: 'end', n, time: monotonic(), error });
  }

  #perform(root: string, operation: Operation): void {
    switch (operation.type) {
      case 'write':
        return this.#write(operation);
      case 'ftruncate':
        return fs.ftruncateSync(this.#fd(operation.slot), operation.size);
      case 'fallocate': {
        const { slot, mode, offset, bytes } = operation;
        return fallocate(this.#fd(slot), mode, offset, bytes);
      }
      case 'fsync':
        return fs.fsyncSync(this.#fd(operation.slot));
      case 'close':
        return this.#close(operation.slot);
      default:
        return this.#performAt(`${root}/${operation.path}`, root, operation);
    }
  }

  #performAt(path: string, root: string, operation: PathOperation): void {
    switch (operation.type) {
      case 'open':
        this.#slots.set(operation.slot, fs.openSync(path, openFlags(operation), 0o644));
        return undefined;
      case 'mkdir':
        fs.mkdirSync(path, operation.mode);
        return undefined;
      case 'rmdir':
        return fs.rmdirSync(path);
      case 'unlink':
        return fs.unlinkSync(path);
      case 'link':
        return fs.linkSync(`${root}/${operation.from}`, path);
      case 'symlink':
        return fs.symlinkSync(operation.target, path);
      case 'rename':
        return rename(`${root}/${operation.from}`, path, operation.kind);
      case 'truncate':
        return fs.truncateSync(path, operation.size);
      case 'chmod':
        return fs.chmodSync(path, operation.mode);
      case 'utimes':
        return fs.lutimesSync(path, operation.mtime, operation.mtime);
      case 'setxattr':
        return setXattr(path, operation.name, pattern(operation.fill, operation.bytes));
      case 'removexattr':
        return removeXattr(path, operation.name);
      case 'fsyncdir':
        return fsyncDirectory(path);
      default:
        return unreachable(operation);
    }
  }

  #write({ slot, offset, bytes, fill }: Extract<Operation, { type: 'write' }>): void {
    const data = pattern(fill, bytes);
    // The kernel may send a write in pieces; one that was taken in part shows in the next call.
    for (let done = 0; done < bytes;) {
      done += fs.writeSync(this.#fd(slot), data, done, bytes - done, offset + done);
    }
  }

  #close(slot: number): void {
    const fd = this.#fd(slot);
    // Gone even if close(2) fails.
    this.#slots.delete(slot);
    fs.closeSync(fd);
  }

  #fd(slot: number): number {
    const fd = this.#slots.get(slot);
    if (fd === undefined) throw new Error(`slot ${slot} is closed`);
    return fd;
  }
}

/**
 * How the mount's connection ended; undefined if it lives. statfs(2) is never answered by the kernel
 * alone, and waits while a killed daemon is still going.
 */
function deathOf(mount: string): string | undefined {
  try {
    fs.statfsSync(mount);
    return undefined;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? null;
    return isDeath(code) ? (code ?? undefined) : undefined;
  }
}

function openFlags(open: Extract<Operation, { type: 'open' }>): number {
  return (
    O_RDWR |
    O_NOFOLLOW |
    (open.create ? O_CREAT : 0) |
    (open.exclusive ? O_EXCL : 0) |
    (open.truncate ? O_TRUNC : 0) |
    (open.append ? O_APPEND : 0) |
    (open.synchronous ? O_SYNC : 0)
  );
}

function fsyncDirectory(path: string): void {
  const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    fs.fsyncSync(fd);
  } finally {
    closeQuietly(fd);
  }
}

/** What a close of a dead mount says is of no interest. */
function closeQuietly(fd: number): void {
  try {
    fs.closeSync(fd);
  } catch {
    // The descriptor is gone all the same.
  }
}

/** The next line of standard input; undefined at its end. */
function* orders(): Generator<Order> {
  let text = '';
  const chunk = Buffer.alloc(65_536);
  for (;;) {
    const end = text.indexOf('\n');
    if (end >= 0) {
      yield JSON.parse(text.slice(0, end)) as Order;
      text = text.slice(end + 1);
      continue;
    }
    const bytes = fs.readSync(0, chunk, 0, chunk.length, null);
    if (bytes === 0) return;
    text += chunk.toString('utf8', 0, bytes);
  }
}

process.umask(0);
for (const order of orders()) {
  new Round(order).run();
  tell({ kind: 'stopped' });
}

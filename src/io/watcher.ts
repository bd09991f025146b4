/**
 * Reading a descriptor that libuv has no class for (/dev/fuse) as soon as it becomes readable, on
 * the event loop's own epoll: no thread, no polling, no copy.
 *
 * Two implementations. `pollWatcher` uses koffi's uv_poll handle, which its authors do not document
 * yet. `pipeWatcher` passes the descriptor off as a pipe, through the class that Node keeps for
 * pipes: internal to Node, so it is the fallback. `chooseWatcher` tries the first on a socket pair
 * and takes the second where that fails. Measured equally fast (docs/design.md, FUSE).
 */

import { closeSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { assert } from '../model/assert.ts';
import { ERRNO } from '../model/errno.ts';
import { duplicate, pollDescriptor, readInto, socketPair, SystemError, writeFrom } from './libc.ts';

export interface WatchTarget {
  /**
   * Receives every message: its bytes stand at the start, until `read` returns. Must hold the
   * longest message, else the kernel refuses the read.
   */
  readonly buffer: Buffer;
  /**
   * A message of `length` bytes is in the buffer. More may be waiting: the callee may read them
   * itself with `readInto`, as many as it likes to take in one turn of the loop. An exception
   * becomes an uncaught one, and the watch goes on.
   */
  read(length: number): void;
  /** No more will come: 0 the end was reached, else the errno of the failed read. Called once. */
  ended(errno: number): void;
}

/** Stops the watch; `ended` is not called then. The descriptor stays open. */
export type StopWatching = () => void;

/**
 * Watches a non-blocking descriptor. Keeps the process alive until stopped or ended. Never call
 * process.exit from within `read` in a Worker: it aborts the process.
 */
export type Watcher = (fd: number, target: WatchTarget) => StopWatching;

/** On koffi's uv_poll handle. */
export const pollWatcher: Watcher = (fd, target) => {
  const poll = pollDescriptor(fd, () => {
    try {
      const n = readInto(fd, target.buffer, target.buffer.length);
      if (n > 0) target.read(n);
      else if (n !== -ERRNO.EAGAIN && n !== -ERRNO.EINTR) {
        poll.close();
        target.ended(-n);
      }
    } catch (error) {
      // koffi would swallow it, and silence the watch for good.
      setImmediate(() => {
        throw error;
      });
    }
  });
  return () => poll.close();
};

interface PipeHandle {
  open(fd: number): number;
}

type PipeClass = new (type: number) => PipeHandle;

/** Node's class for pipe handles, taken from a listening socket that is closed at once. */
function pipeClass(): PipeClass {
  const server = createServer();
  server.on('error', () => undefined);
  server.listen(`\0ledgerfs-pipe-class-${process.pid}-${process.hrtime.bigint()}`);
  const handle = (server as unknown as { _handle: PipeHandle | null })._handle;
  server.close();
  assert(handle !== null, 'Node no longer shows the handle of a listening socket');
  return handle.constructor as PipeClass;
}

const PIPE_SOCKET = 0;

/** On libuv's pipe reader, which takes one message a turn and does not check what it reads from. */
export const pipeWatcher: Watcher = (fd, target) => {
  const Pipe = pipeClass();
  const handle = new Pipe(PIPE_SOCKET);
  // libuv closes what it is given.
  const own = duplicate(fd);
  const status = handle.open(own);
  if (status < 0) {
    closeSync(own);
    throw new SystemError('uv_pipe_open', -status);
  }
  let isOver = false;
  const end = (errno: number): void => {
    if (isOver) return;
    isOver = true;
    socket.destroy();
    target.ended(errno);
  };
  const options = {
    handle,
    readable: true,
    writable: false,
    onread: {
      buffer: target.buffer,
      callback: (length: number): boolean => {
        if (!isOver) target.read(length);
        return !isOver;
      },
    },
  };
  const socket = new Socket(options);
  socket.on('end', () => end(0));
  socket.on('error', (error: NodeJS.ErrnoException) => end(-(error.errno ?? -ERRNO.EIO)));
  return () => {
    isOver = true;
    socket.destroy();
  };
};

const SELF_TEST_MS = 1000;

/** Whether `watcher` delivers two messages, one after the other, and the end. */
export function watcherWorks(watcher: Watcher): Promise<boolean> {
  const [near, far] = socketPair();
  const message = Buffer.from('x');
  let farIsOpen = true;
  const closeFar = (): void => {
    if (farIsOpen) closeSync(far);
    farIsOpen = false;
  };
  return new Promise<boolean>((resolve) => {
    let messages = 0;
    const finish = (works: boolean): void => {
      clearTimeout(timeout);
      stop();
      resolve(works);
    };
    let stop: StopWatching = () => undefined;
    const timeout = setTimeout(() => finish(false), SELF_TEST_MS);
    try {
      stop = watcher(near, {
        buffer: Buffer.alloc(16),
        read(length) {
          messages += length;
          if (messages === 1) writeFrom(far, message, 1);
          else closeFar();
        },
        ended: (errno) => finish(messages === 2 && errno === 0),
      });
      writeFrom(far, message, 1);
    } catch {
      finish(false);
    }
  }).finally(() => {
    closeFar();
    closeSync(near);
  });
}

/** The watcher to use on this machine. Throws where neither works. */
export async function chooseWatcher(
  candidates: readonly Watcher[] = [pollWatcher, pipeWatcher],
): Promise<Watcher> {
  for (const watcher of candidates) if (await watcherWorks(watcher)) return watcher;
  throw new Error('no way to watch a descriptor works here: neither uv_poll nor a pipe handle');
}

/**
 * The kernel transport: one /dev/fuse descriptor, served on the event loop.
 *
 * Owns the descriptor, the watch on it, and the request memory. Order of events: the descriptor
 * becomes readable -> the watcher reads one request -> it is delivered, and usually answered, at
 * once -> more are read and delivered, up to a cap (the loop must get back to timers and promises;
 * the watch is level-triggered, so nothing is lost) -> where it pays, a short spin waits for the
 * next request. A crash at any point leaves a dead mount (ENOTCONN), which the next start cleans.
 *
 * Spinning saves the wake-up between two processors, measured as half of the latency, and costs
 * nothing where client and daemon share one: a credit rises with every spin that finds a request,
 * falls with every one that does not, and at zero only every 32nd turn tries again. While answers
 * are outstanding there is no spinning: the promises behind them need the loop.
 */

import { closeSync, writevSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { ERRNO } from '../../model/errno.ts';
import { readInto, writeFrom } from '../../io/libc.ts';
import type { LogFunction } from '../../io/logger.ts';
import { pollWatcher, type StopWatching, type Watcher } from '../../io/watcher.ts';
import type { Frame, FuseTransport, Receiver } from '../transport.ts';
import { RequestMemory } from './arena.ts';
import { newFrame, putHeader } from './encode.ts';
import { MAX_REQUEST_BYTES, OUT_HEADER_BYTES } from './layout.ts';
import { NotifyThread } from './notify-thread.ts';

/** Requests and milliseconds that one turn of the event loop may take. */
const TURN_REQUESTS = 16;
const TURN_MS = 1;
/** Longest wait for the next request without leaving the turn. */
const SPIN_MS = 0.06;
const SPIN_CREDIT_START = 8;
const SPIN_CREDIT_MAX = 16;
const SPIN_CREDIT_LOSS = 2;
/** At zero credit, one turn in 32 tries. */
const SPIN_PROBE_MASK = 31;

export interface ChannelOptions {
  readonly watcher: Watcher;
  readonly log: LogFunction;
  /** Whether answers are outstanding, so that spinning would hold them up. */
  readonly isAwaiting: () => boolean;
  /** False on a machine with one processor. */
  readonly spin: boolean;
}

/** The errno of a failed system call made through Node. */
const errnoOf = (error: unknown): number =>
  Math.abs((error as NodeJS.ErrnoException).errno ?? ERRNO.EIO);

export class KernelChannel implements FuseTransport {
  readonly #fd: number;
  readonly #options: ChannelOptions;
  readonly #memory = new RequestMemory();
  readonly #notifications: NotifyThread;
  readonly #errorReply = newFrame(OUT_HEADER_BYTES);
  #receiver: Receiver | undefined;
  #stop: StopWatching | undefined;
  #isOpen = true;
  #shutting: Promise<void> | undefined;
  /** Length of the request being delivered. */
  #length = 0;
  #credit = SPIN_CREDIT_START;
  #turns = 0;

  /** Takes over `fd`: a mounted, non-blocking /dev/fuse descriptor. */
  constructor(fd: number, options: ChannelOptions) {
    this.#fd = fd;
    this.#options = options;
    this.#notifications = new NotifyThread(fd);
  }

  start(receiver: Receiver): void {
    this.#receiver = receiver;
    this.#watch();
  }

  take(): () => void {
    return this.#memory.take(this.#length);
  }

  send(reply: Uint8Array, length: number): boolean {
    if (!this.#isOpen) return false;
    const written = writeFrom(this.#fd, reply, length);
    return written === length || this.#recover(-written, reply);
  }

  sendParts(parts: readonly Uint8Array[]): boolean {
    if (!this.#isOpen) return false;
    try {
      writevSync(this.#fd, parts);
      return true;
    } catch (error) {
      return this.#recover(errnoOf(error), parts[0] ?? this.#errorReply.bytes);
    }
  }

  expectNotifications(): void {
    if (this.#shutting === undefined) this.#notifications.start();
  }

  /** ENOENT says that the kernel had nothing cached, which is what was wanted. */
  async notify(message: Buffer): Promise<void> {
    if (this.#shutting !== undefined) return;
    const errno = await this.#notifications.write(message);
    if (errno === 0 || errno === ERRNO.ENOENT || this.#shutting !== undefined) return;
    throw new Error(`the kernel refused a notification (errno ${errno})`);
  }

  close(): Promise<void> {
    return (this.#shutting ??= this.#shut('closed'));
  }

  #watch(): void {
    const memory = this.#memory;
    // koffi's poll reads where we say at each turn; a pipe's buffer is fixed, so it gets its own.
    const readsInPlace = this.#options.watcher === pollWatcher;
    const fixed = readsInPlace ? undefined : Buffer.alloc(MAX_REQUEST_BYTES);
    this.#stop = this.#options.watcher(this.#fd, {
      get buffer() {
        return fixed ?? memory.frame.bytes;
      },
      read: (length) => {
        fixed?.copy(memory.frame.bytes, 0, 0, length);
        this.#turn(length);
      },
      ended: (errno) => this.#whenReadFailed(errno),
    });
  }

  /** ENOENT: a request was given up while we were reading it; all others end the mount. */
  #whenReadFailed(errno: number): void {
    if (errno === ERRNO.ENOENT) return this.#watch();
    const reason = errno === ERRNO.ENODEV ? 'unmounted' : `reading failed (errno ${errno})`;
    this.#shutting ??= this.#shut(reason);
  }

  #turn(firstLength: number): void {
    const start = performance.now();
    const maySpin = this.#maySpin();
    this.#deliver(this.#memory.frame, firstLength);
    let delivered = 1;
    let idleSince = 0;
    while (this.#isOpen && delivered < TURN_REQUESTS) {
      const frame = this.#memory.frame;
      const n = readInto(this.#fd, frame.bytes, MAX_REQUEST_BYTES);
      if (n > 0) {
        if (idleSince > 0) this.#credit = Math.min(SPIN_CREDIT_MAX, this.#credit + 1);
        idleSince = 0;
        this.#deliver(frame, n);
        delivered++;
        if (performance.now() - start > TURN_MS) return;
        continue;
      }
      // Any failure but "nothing yet" is met again, and dealt with, by the watcher's own read.
      if (n !== -ERRNO.EAGAIN || !maySpin || this.#options.isAwaiting()) return;
      const now = performance.now();
      if (idleSince === 0) idleSince = now;
      else if (now - idleSince > SPIN_MS) {
        this.#credit = Math.max(0, this.#credit - SPIN_CREDIT_LOSS);
        return;
      }
    }
  }

  #maySpin(): boolean {
    this.#turns++;
    if (!this.#options.spin) return false;
    return this.#credit > 0 || (this.#turns & SPIN_PROBE_MASK) === 0;
  }

  #deliver(frame: Frame, length: number): void {
    this.#length = length;
    this.#receiver?.receive(frame, length);
  }

  /**
   * A reply was not taken. ENOENT: the request was given up; ENODEV, ENOTCONN: the mount is gone.
   * Anything else means that the reply was wrong: then the caller must still get an answer, or it
   * would wait forever.
   */
  #recover(errno: number, reply: Uint8Array): boolean {
    if (errno === ERRNO.ENOENT || errno === ERRNO.ENODEV || errno === ERRNO.ENOTCONN) return false;
    const header = Buffer.from(reply.buffer, reply.byteOffset, OUT_HEADER_BYTES);
    const unique = Number(header.readBigUInt64LE(8));
    this.#options.log('error', 'the kernel refused a reply', { unique, errno });
    putHeader(this.#errorReply.words, unique, ERRNO.EIO, OUT_HEADER_BYTES);
    writeFrom(this.#fd, this.#errorReply.bytes, OUT_HEADER_BYTES);
    return false;
  }

  /**
   * The descriptor's number must not come to name another file while the thread may still write to
   * it, so the thread ends first; and its write may wait for a reply, so replies go on meanwhile.
   */
  async #shut(reason: string): Promise<void> {
    this.#stop?.();
    await this.#notifications.close();
    this.#isOpen = false;
    closeSync(this.#fd);
    this.#receiver?.ended(reason);
  }
}

/**
 * The one thread that writes notifications. Writing one can block for as long as a request of ours
 * is unanswered (INVAL_ENTRY takes the directory's inode lock, which a pending CREATE holds): on the
 * serving thread that is a deadlock which not even kill -9 ends, and on libuv's pool it would hold
 * up the fdatasync that the answer waits for.
 *
 * Owns the thread, started when notifications are expected, or by the first one. A crash of it
 * fails the notifications that were under way; the mount goes on.
 */

import { Worker } from 'node:worker_threads';

/** Plain JavaScript, since a worker's file could be loaded neither unbuilt nor from the bundle. */
const SOURCE = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { writeSync } = require('node:fs');
  parentPort.on('message', (message) => {
    let errno = 0;
    try {
      writeSync(workerData, message);
    } catch (error) {
      errno = typeof error.errno === 'number' ? -error.errno : 5;
    }
    parentPort.postMessage(errno);
  });
`;

export class NotifyThread {
  readonly #fd: number;
  #worker: Worker | undefined;
  /** Who waits for the outcome, in the order of the messages sent. */
  #waiting: ((errno: number | Error) => void)[] = [];
  /** Settles with the last message sent. */
  #last: Promise<unknown> = Promise.resolve();

  /** `fd` is the mount's descriptor and stays the caller's. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Starts the thread, which takes some tens of milliseconds, where it does not run. */
  start(): void {
    this.#worker ??= this.#startWorker();
  }

  /** Writes one message; resolves to 0 or the errno of the write. Rejects if the thread died. */
  write(message: Buffer): Promise<number> {
    const worker = (this.#worker ??= this.#startWorker());
    const written = new Promise<number>((resolve, reject) => {
      this.#waiting.push((outcome) =>
        outcome instanceof Error ? reject(outcome) : resolve(outcome),
      );
      worker.postMessage(message);
    });
    this.#last = written.catch(() => undefined);
    return written;
  }

  /** Waits for the messages under way, then ends the thread. */
  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    await this.#last;
    this.#worker = undefined;
    await worker.terminate();
  }

  #startWorker(): Worker {
    const worker = new Worker(SOURCE, { eval: true, workerData: this.#fd, execArgv: [] });
    worker.unref();
    worker.on('message', (errno: number) => this.#waiting.shift()?.(errno));
    worker.on('error', (error) => {
      if (this.#worker === worker) this.#worker = undefined;
      this.#failWaiting(error instanceof Error ? error : new Error(String(error)));
    });
    return worker;
  }

  #failWaiting(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const settle of waiting) settle(error);
  }
}

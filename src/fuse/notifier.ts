/**
 * Tells the kernel to drop what it cached: for changes that did not come through this mount
 * (another mount of the volume, stage, restore). Owns the notifications not yet carried out.
 *
 * Some are on their way to the kernel, in order; the others wait, each inode and each name at most
 * once, and inodes that the kernel never looked up not at all, which bounds the queue by what the
 * kernel itself remembers. Nothing here blocks the serving thread.
 */

import { performance } from 'node:perf_hooks';
import type { LogFunction } from '../io/logger.ts';
import type { ByteString, Ino } from '../model/ids.ts';
import { invalEntry, invalInode } from './kernel/encode.ts';
import type { Lookups } from './lookups.ts';
import type { PageCache } from './page-cache.ts';
import type { FuseTransport } from './transport.ts';
import { deferred } from './waiting.ts';

export interface Notifier {
  /** The contents of `ino` changed: attributes and pages are dropped. Resolves when they are. */
  contents(ino: Ino): Promise<void>;
  /** Only attributes or extended attributes of `ino` changed. */
  attributes(ino: Ino): Promise<void>;
  /** The name was removed or names another inode now. */
  entry(dir: Ino, name: ByteString): Promise<void>;
}

interface Notification {
  readonly key: string;
  /** Whose locks the kernel needs for it, if it needs any. */
  readonly locks: Ino | undefined;
  readonly message: Buffer;
  readonly done: Promise<void>;
  readonly resolve: () => void;
}

/** Notifications on their way, so that none waits until the one before is reported. */
const WINDOW = 16;
/** A kernel that takes longer waits for a lock: longest wait of an answer for a notification. */
export const STUCK_MS = 100;

export class QueuedNotifier implements Notifier {
  readonly #transport: FuseTransport;
  readonly #lookups: Lookups;
  readonly #pages: PageCache;
  readonly #log: LogFunction;
  /** In order; a key is here until its message is on its way. */
  readonly #queue = new Map<string, Notification>();
  /** On their way, in order, with the time at which they set out. */
  readonly #flying = new Map<Notification, number>();
  /** How many notifications, waiting or on their way, may wait for a lock on the inode. */
  readonly #locking = new Map<Ino, number>();

  constructor(transport: FuseTransport, lookups: Lookups, pages: PageCache, log: LogFunction) {
    this.#transport = transport;
    this.#lookups = lookups;
    this.#pages = pages;
    this.#log = log;
  }

  contents(ino: Ino): Promise<void> {
    this.#pages.forget(ino);
    return this.#about(ino, `c${ino}`, ino, () => invalInode(ino, false));
  }

  attributes(ino: Ino): Promise<void> {
    return this.#about(ino, `a${ino}`, undefined, () => invalInode(ino, true));
  }

  entry(dir: Ino, name: ByteString): Promise<void> {
    return this.#about(dir, `e${dir}/${name}`, dir, () => invalEntry(dir, name));
  }

  /** Resolves when the kernel has dropped what it was last told to drop of `ino`. */
  underWay(ino: Ino): Promise<void> | undefined {
    const keys = [`a${ino}`, `c${ino}`];
    const waiting = keys.map((key) => this.#queue.get(key)).find((one) => one !== undefined);
    if (waiting !== undefined) return waiting.done;
    let last: Notification | undefined;
    for (const flying of this.#flying.keys()) if (keys.includes(flying.key)) last = flying;
    return last?.done;
  }

  /** Somebody else may change things from now on. */
  expected(): void {
    this.#transport.expectNotifications();
  }

  /** Whether a notification, waiting or on its way, may need a lock that a request on `ino` holds. */
  mayWaitFor(ino: Ino): boolean {
    return this.#locking.size > 0 && this.#locking.has(ino);
  }

  /** The kernel has not taken a notification for so long that it must be waiting for a lock. */
  get isStuck(): boolean {
    for (const since of this.#flying.values()) return performance.now() - since > STUCK_MS;
    return false;
  }

  #about(ino: Ino, key: string, locks: Ino | undefined, encode: () => Buffer): Promise<void> {
    if (!this.#lookups.refersTo(ino)) return Promise.resolve();
    const queued = this.#queue.get(key);
    if (queued !== undefined) return queued.done;
    const { promise, resolve } = deferred<void>();
    this.#queue.set(key, { key, locks, message: encode(), done: promise, resolve });
    if (locks !== undefined) this.#locking.set(locks, (this.#locking.get(locks) ?? 0) + 1);
    this.#send();
    return promise;
  }

  #send(): void {
    for (const [key, notification] of this.#queue) {
      if (this.#flying.size === WINDOW) return;
      this.#queue.delete(key);
      this.#flying.set(notification, performance.now());
      this.#transport
        .notify(notification.message)
        .catch((error: unknown) => {
          this.#log('warn', 'a kernel cache could not be invalidated', { error: String(error) });
        })
        .finally(() => this.#done(notification))
        .catch(() => undefined);
    }
  }

  /** Each by itself: whoever waits for one must not wait for those behind it (`copies.ts`). */
  #done(notification: Notification): void {
    const { locks, resolve } = notification;
    this.#flying.delete(notification);
    if (locks !== undefined) {
      const left = (this.#locking.get(locks) ?? 1) - 1;
      if (left > 0) this.#locking.set(locks, left);
      else this.#locking.delete(locks);
    }
    resolve();
    this.#send();
  }
}

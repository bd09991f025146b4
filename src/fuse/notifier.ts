/**
 * Tells the kernel to drop what it cached: for changes that did not come through this mount
 * (another mount of the volume, stage, restore). Owns the queue of notifications not yet carried
 * out.
 *
 * One at a time is on its way to the kernel; the others wait in order, each inode and each name at
 * most once, and inodes that the kernel never looked up not at all, which bounds the queue by what
 * the kernel itself remembers. Nothing here blocks the serving thread.
 */

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
  /** The name was added, removed or names another inode now. */
  entry(dir: Ino, name: ByteString): Promise<void>;
}

interface Notification {
  readonly key: string;
  readonly message: Buffer;
  readonly done: Promise<void>;
  readonly resolve: () => void;
}

export class QueuedNotifier implements Notifier {
  readonly #transport: FuseTransport;
  readonly #lookups: Lookups;
  readonly #pages: PageCache;
  readonly #log: LogFunction;
  /** In order; a key is here until its message is on its way. */
  readonly #queue = new Map<string, Notification>();
  #isBusy = false;

  constructor(transport: FuseTransport, lookups: Lookups, pages: PageCache, log: LogFunction) {
    this.#transport = transport;
    this.#lookups = lookups;
    this.#pages = pages;
    this.#log = log;
  }

  contents(ino: Ino): Promise<void> {
    this.#pages.forget(ino);
    return this.#about(ino, `c${ino}`, () => invalInode(ino, false));
  }

  attributes(ino: Ino): Promise<void> {
    return this.#about(ino, `a${ino}`, () => invalInode(ino, true));
  }

  entry(dir: Ino, name: ByteString): Promise<void> {
    return this.#about(dir, `e${dir}/${name}`, () => invalEntry(dir, name));
  }

  #about(ino: Ino, key: string, encode: () => Buffer): Promise<void> {
    if (!this.#lookups.refersTo(ino)) return Promise.resolve();
    const queued = this.#queue.get(key);
    if (queued !== undefined) return queued.done;
    const { promise, resolve } = deferred<void>();
    this.#queue.set(key, { key, message: encode(), done: promise, resolve });
    if (!this.#isBusy) void this.#drain();
    return promise;
  }

  async #drain(): Promise<void> {
    this.#isBusy = true;
    for (const notification of this.#queue.values()) {
      this.#queue.delete(notification.key);
      try {
        await this.#transport.notify(notification.message);
      } catch (error) {
        this.#log('warn', 'a kernel cache could not be invalidated', { error: String(error) });
      }
      notification.resolve();
    }
    this.#isBusy = false;
  }
}

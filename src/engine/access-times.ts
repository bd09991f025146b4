/**
 * Access times (atime) that are not in the log yet. A read never logs by itself: it notes the time
 * here, where the relatime rule asks for it, and everybody is shown that from then on.
 *
 * Owns the noted times, at most BOUND of them. They are logged in transactions of up to BATCH
 * inodes: a minute after the first was noted, when there are many, and at a clean close; never with
 * an fsync. A crash loses what was not logged: a file that was read looks as it did before. An
 * access time that is set (utimensat(2)) takes the place of a noted one.
 */

import type { Index } from '../index/index.ts';
import type { Clock } from '../io/clock.ts';
import type { LogFunction } from '../io/logger.ts';
import { isAccessDue } from '../model/access.ts';
import { isRefusal, type Refusal } from '../model/errno.ts';
import type { Event } from '../model/event.ts';
import type { Ino } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import type { Time } from '../model/time.ts';
import { DAEMON } from '../model/transaction.ts';
import type { Committer } from './commit.ts';

const LOG_MS = 60_000;
/** Inodes in one transaction. */
const BATCH = 256;
/** Noted times that are logged without waiting for the timer. */
const MANY = 4096;
/** More are not noted: logging does not get on (a full disk), and they are not worth the memory. */
const BOUND = 4 * MANY;

export interface AccessTimesOptions {
  readonly index: Index;
  readonly committer: Committer;
  readonly clock: Clock;
  readonly journal: LogFunction;
}

export class AccessTimes {
  readonly #options: AccessTimesOptions;
  readonly #noted = new Map<Ino, Time>();
  readonly #nowMicros: () => number;
  #cancelTimer: (() => void) | undefined;
  #logging: Promise<void> | undefined;
  #stopped = false;

  constructor(options: AccessTimesOptions) {
    this.#options = options;
    this.#nowMicros = () => options.clock.micros();
  }

  /**
   * `inode` was accessed; `written` is the time of its pending writes, if it has any. True if its
   * access time is another one now.
   */
  note(inode: Inode, written: Time | undefined): boolean {
    if (!isAccessDue(inode.atime, inode, written, this.#nowMicros)) return false;
    const noted = this.#noted.get(inode.ino);
    if (noted === undefined ? this.#noted.size >= BOUND : !this.#isDue(noted, inode, written)) {
      return false;
    }
    this.#noted.set(inode.ino, this.#options.clock.now());
    if (this.#noted.size >= MANY) this.#arm(0);
    else this.#arm(LOG_MS);
    return true;
  }

  #isDue(noted: Time, inode: Inode, written: Time | undefined): boolean {
    return isAccessDue(noted, inode, written, this.#nowMicros);
  }

  /** The inode with the access time that was noted: what stat(2) shows. */
  overlay(inode: Inode): Inode {
    const atime = this.#noted.size === 0 ? undefined : this.#noted.get(inode.ino);
    return atime === undefined ? inode : { ...inode, atime };
  }

  /** The access time of `ino` is set: what was noted before does not count. */
  forget(ino: Ino): void {
    this.#noted.delete(ino);
  }

  /** Logs all that is noted, without further timers: for closing. Never rejects. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#disarm();
    await this.#logging;
    await this.#logAll();
  }

  #arm(ms: number): void {
    if (this.#stopped || this.#logging !== undefined) return;
    if (ms === 0) this.#disarm();
    this.#cancelTimer ??= this.#options.clock.after(ms, () => {
      this.#cancelTimer = undefined;
      this.#logging ??= this.#logAll().finally(() => {
        this.#logging = undefined;
        if (this.#noted.size > 0) this.#arm(LOG_MS);
      });
    });
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** What fails is told and stays noted. */
  async #logAll(): Promise<void> {
    try {
      while (this.#noted.size > 0) {
        const refusal = await this.#options.committer.mutate(() => this.#logSome());
        if (refusal === undefined) continue;
        this.#complain(refusal.name);
        return;
      }
    } catch (error) {
      this.#complain((error as Error).message);
    }
  }

  #complain(why: string): void {
    const { journal } = this.#options;
    journal('warn', `access times are not logged: ${why}`, { inodes: this.#noted.size });
  }

  /** One transaction, within an attempt; inodes that went away meanwhile are left out. */
  #logSome(): Refusal | undefined {
    const { index, committer } = this.#options;
    const events: Event[] = [];
    const done: Ino[] = [];
    for (const [ino, atime] of this.#noted) {
      if (done.length === BATCH) break;
      done.push(ino);
      const inode = index.inode(ino);
      if (inode === undefined || inode.nlink === 0) continue;
      events.push({ type: 'AccessTimeChanged', ino, atime });
    }
    if (events.length > 0) {
      const decided = { cause: 'atime' as const, actor: DAEMON, paths: [], events };
      const tx = committer.append({ ...decided, privileged: false });
      if (isRefusal(tx)) return tx;
    }
    for (const ino of done) this.#noted.delete(ino);
    return undefined;
  }
}

/**
 * What the engine offers of file locks to those above it. An answer of the daemon's memory: locks
 * are never logged and end with their mount. Every method is one synchronous step.
 */

import type { Refusal } from '../model/errno.ts';
import type { Ino } from '../model/ids.ts';

/** A lock as a process asks for it. */
export interface FileLock {
  /** fcntl(2)'s record locks, or flock(2)'s: they do not see each other. */
  readonly space: 'record' | 'flock';
  /** The kernel's id, 64 bits, of whom the lock is to belong to. */
  readonly owner: bigint;
  readonly pid: number;
  readonly kind: 'read' | 'write' | 'unlock';
  /** Bytes, both included: 0 <= start <= end <= 2^63-1; flock(2) locks all of them. */
  readonly start: bigint;
  readonly end: bigint;
}

/** A lock that is held, of a process on whichever mount. */
export interface BlockingLock {
  readonly write: boolean;
  readonly pid: number;
  readonly start: bigint;
  readonly end: bigint;
}

/** A request that waits. */
export interface WaitingLock {
  /** Ends the wait: it is not settled any more, and nothing is locked. */
  giveUp(): void;
}

/** The file locks of one volume. */
export interface FileLocks {
  /** Locks that are held, and requests that wait, on all mounts. */
  readonly held: number;
  readonly waiting: number;
  /** Begins the locks of one mount. */
  connect(): MountLocks;
}

export interface MountLocks {
  /**
   * The lock that would refuse `lock`, as F_GETLK asks; for an 'unlock', the first one that its
   * owner has in the range.
   */
  test(ino: Ino, lock: FileLock): BlockingLock | undefined;
  /** Locks or unlocks at once. EAGAIN where others are in the way; ENOLCK beyond the bound. */
  set(ino: Ino, lock: FileLock): Refusal | undefined;
  /**
   * Locks at once, where nobody is in the way; else waits: `settle` is then called once, with
   * nothing (locked) or a refusal, within another call of any method, unless given up before.
   * EDEADLK where those in the way wait for this owner, in turn; ENOLCK.
   */
  wait(
    ino: Ino,
    lock: FileLock,
    settle: (refusal: Refusal | undefined) => void,
  ): WaitingLock | Refusal | undefined;
  /** Unlocks all that the owner has on `ino`, as a close does. Never refused. */
  unlockAll(ino: Ino, space: FileLock['space'], owner: bigint): void;
  /** The mount ended: its locks are given back, its waits end without being settled. */
  close(): void;
}

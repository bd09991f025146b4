/**
 * File locks: GETLK, SETLK, SETLKW, and what the closing of files unlocks.
 *
 * Who owns a lock, as the kernel tells it (measured on a mount):
 *   - fcntl(2): the process (its table of descriptors). Every close(2) of any descriptor of the
 *     file sends FLUSH with that owner, and ends the owner's locks on the file
 *   - flock(2): the open. The last close sends RELEASE with the owner and RELEASE_FLOCK_UNLOCK
 *   - F_OFD_SETLK: the open too, yet it comes as a record lock of an owner that no FLUSH ever
 *     names, and RELEASE names none. So each handle remembers who locked through it: whoever is
 *     left at its RELEASE was not ended by a FLUSH, and is ended then
 *
 * A wait is parked, and a signal ends it at once. What is granted is replied to in the same step,
 * so between a grant and its reply no interrupt can come: a request is answered with EINTR and
 * holds nothing, or with success and holds its lock. (A signal that the kernel sent meanwhile finds
 * a request that is answered; the caller gets its lock.) A reply that nobody takes means that the
 * mount has ended, and with it all its locks.
 */

import type { FileLock } from '../../engine/lock-api.ts';
import { ERRNO, isRefusal, type Refusal } from '../../model/errno.ts';
import type { Request } from '../kernel/decode.ts';
import { putLock } from '../kernel/encode.ts';
import {
  F_RDLCK,
  F_UNLCK,
  F_WRLCK,
  FLUSH_IN,
  LK_FLOCK,
  LK_IN,
  RELEASE_FLOCK_UNLOCK,
  RELEASE_IN,
} from '../kernel/layout.ts';
import { BODY, sendBody, sendEmpty, sendErrno, type Serving } from '../serving.ts';
import type { Operation } from './operation.ts';

const LIMIT = 2n ** 63n;
const KINDS: ReadonlyMap<number, FileLock['kind']> = new Map([
  [F_RDLCK, 'read'],
  [F_WRLCK, 'write'],
  [F_UNLCK, 'unlock'],
]);

/** What the request is about; undefined where it makes no sense. */
function lockOf(request: Request): FileLock | undefined {
  const kind = KINDS.get(request.u32(LK_IN.type));
  const start = request.big64(LK_IN.start);
  const end = request.big64(LK_IN.end);
  if (kind === undefined || start > end || end >= LIMIT) return undefined;
  return {
    space: (request.u32(LK_IN.flags) & LK_FLOCK) === 0 ? 'record' : 'flock',
    owner: request.big64(LK_IN.owner),
    pid: request.u32(LK_IN.pid),
    kind,
    start,
    end,
  };
}

export const getlk: Operation = {
  structBytes: LK_IN.bytes,
  run(serving, request) {
    const lock = lockOf(request);
    if (lock === undefined) return sendErrno(serving, request.unique, ERRNO.EINVAL);
    const found = serving.locks.test(request.ino, lock);
    sendBody(serving, request.unique, putLock(serving.reply.words, BODY, found));
  },
};

function sendOutcome(serving: Serving, unique: number, refusal: Refusal | undefined): void {
  if (refusal === undefined) sendEmpty(serving, unique);
  else sendErrno(serving, unique, refusal.errno);
}

/** Remembers, before it is granted, who locks through a handle: the handle stays open till then. */
function noteLocker(serving: Serving, fh: number, lock: FileLock): void {
  if (lock.space === 'flock' || lock.kind === 'unlock') return;
  const owners = serving.lockers.get(fh);
  if (owners === undefined) serving.lockers.set(fh, new Set([lock.owner]));
  else owners.add(lock.owner);
}

/** The lock that is asked for through an open file; else the request is answered already. */
function askedFor(serving: Serving, request: Request): FileLock | undefined {
  const fh = request.u64(LK_IN.fh);
  if (serving.files.get(fh) === undefined) {
    sendErrno(serving, request.unique, ERRNO.EBADF);
    return undefined;
  }
  const lock = lockOf(request);
  if (lock === undefined) sendErrno(serving, request.unique, ERRNO.EINVAL);
  else noteLocker(serving, fh, lock);
  return lock;
}

export const setlk: Operation = {
  structBytes: LK_IN.bytes,
  run(serving, request) {
    const lock = askedFor(serving, request);
    if (lock === undefined) return;
    sendOutcome(serving, request.unique, serving.locks.set(request.ino, lock));
  },
};

export const setlkw: Operation = {
  structBytes: LK_IN.bytes,
  run(serving, request) {
    const lock = askedFor(serving, request);
    if (lock === undefined) return;
    const { unique } = request;
    const outcome = serving.locks.wait(request.ino, lock, (refusal) => {
      if (serving.pending.finish(unique)) sendOutcome(serving, unique, refusal);
    });
    if (outcome === undefined || isRefusal(outcome)) sendOutcome(serving, unique, outcome);
    else serving.pending.park(unique, outcome);
  },
};

/** A process closes a descriptor: its record locks on the file end. */
export function unlockAtFlush(serving: Serving, request: Request): void {
  const { lockers } = serving;
  if (lockers.size === 0) return;
  const owner = request.big64(FLUSH_IN.lockOwner);
  const fh = request.u64(FLUSH_IN.fh);
  const owners = lockers.get(fh);
  if (owners?.delete(owner) === true && owners.size === 0) lockers.delete(fh);
  serving.locks.unlockAll(request.ino, 'record', owner);
}

/** The last descriptor of an open is closed: its own locks end. */
export function unlockAtRelease(serving: Serving, request: Request): void {
  if ((request.u32(RELEASE_IN.releaseFlags) & RELEASE_FLOCK_UNLOCK) !== 0) {
    serving.locks.unlockAll(request.ino, 'flock', request.big64(RELEASE_IN.lockOwner));
  }
  const { lockers } = serving;
  if (lockers.size === 0) return;
  const fh = request.u64(RELEASE_IN.fh);
  for (const owner of lockers.get(fh) ?? []) serving.locks.unlockAll(request.ino, 'record', owner);
  lockers.delete(fh);
}

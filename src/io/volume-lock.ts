/**
 * The lock that makes one process the owner of a volume: flock(2) on `<volume>/lock`.
 *
 * The kernel drops it when the last descriptor of its holder closes, however that process ended, so
 * a crash leaves nothing to clean and a recycled pid cannot be mistaken for the holder. The file
 * holds the holder's pid for messages to people; nobody decides by it. It is never unlinked: then
 * two processes could each lock a different inode of the same name.
 */

import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { tryLock } from './libc.ts';

export interface VolumeLock {
  /** Gives the lock up. */
  release(): void;
}

/** Another process holds the lock. `pid` is what it wrote of itself; undefined if unreadable. */
export interface LockedElsewhere {
  readonly pid: number | undefined;
}

export const isLockedElsewhere = (
  result: VolumeLock | LockedElsewhere,
): result is LockedElsewhere => !('release' in result);

/**
 * Takes the lock on the file `path`, creating it; never waits. Throws system errors where the file
 * cannot be opened or written.
 */
export function takeVolumeLock(path: string): VolumeLock | LockedElsewhere {
  // Node opens with O_CLOEXEC, so that no program we start can keep the lock alive.
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  let taken = false;
  try {
    taken = tryLock(fd);
    if (!taken) return { pid: holderPid(path) };
    ftruncateSync(fd, 0);
    writeSync(fd, `${process.pid}\n`, 0);
  } catch (error) {
    taken = false;
    throw error;
  } finally {
    if (!taken) closeSync(fd);
  }
  return {
    release() {
      ftruncateSync(fd, 0);
      closeSync(fd);
    },
  };
}

/**
 * Whether some process holds the lock now; false also where the file does not exist. It tries the
 * lock to find out, so somebody who takes it at this very moment is told that it is taken.
 */
export function isVolumeLocked(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  try {
    return !tryLock(fd);
  } finally {
    closeSync(fd);
  }
}

function holderPid(path: string): number | undefined {
  const pid = Number.parseInt(readFileSync(path, 'latin1'), 10);
  return Number.isSafeInteger(pid) ? pid : undefined;
}

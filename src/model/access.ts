/**
 * When an access is worth noting: the rule of relatime (mount(8)). Pure.
 *
 * An access time is brought up to date only where it would else tell a lie that programs look at:
 * where it is not ahead of the last modification and change (mail readers ask "read since it was
 * written?"), or is older than a day (cleaners ask "unused for long?").
 */

import type { Inode } from './inode.ts';
import type { Time } from './time.ts';

const DAY_SECONDS = 24 * 60 * 60;

const isAfter = (a: Time, b: Time): boolean =>
  a.sec > b.sec || (a.sec === b.sec && a.nsec > b.nsec);

/**
 * Whether an access now should move `atime`. `written` is the time of writes that are still pending
 * on the inode, which stands for mtime and ctime then.
 */
export function isAccessDue(
  atime: Time,
  inode: Inode,
  written: Time | undefined,
  nowMicros: () => number,
): boolean {
  if (!isAfter(atime, written ?? inode.mtime) || !isAfter(atime, written ?? inode.ctime))
    return true;
  return nowMicros() / 1e6 - atime.sec >= DAY_SECONDS;
}

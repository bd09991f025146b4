/**
 * What every decision may see besides its facts, and what it returns. A decision is a pure function
 * facts + command + env -> events or a refusal: it reads no clock, generates nothing, and all that
 * can be refused is refused here, before the append.
 */

import type { Refusal } from '../model/errno.ts';
import type { Event } from '../model/event.ts';
import type { Generation, Ino } from '../model/ids.ts';
import type { Time } from '../model/time.ts';

export interface Env {
  /** The raw clock, for inode times. */
  readonly now: Time;
  /** The caller's identity: owner of what is created. */
  readonly uid: number;
  readonly gid: number;
  /** Its other groups, as far as they are known: that of a set-gid directory is. */
  readonly groups: readonly number[];
  /** Permission bits that it keeps from what it creates (umask(2)). */
  readonly umask: number;
  /** The inode number and generation that a creation would use. */
  readonly newIno: Ino;
  readonly generation: Generation;
}

export type Decision = readonly Event[] | Refusal;

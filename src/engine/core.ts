/** What the parts of the engine share: the layers below, and the identities of this run. */

import type { DataStore } from '../data/types.ts';
import type { Index } from '../index/index.ts';
import type { Clock } from '../io/clock.ts';
import type { LogFunction } from '../io/logger.ts';
import type { LogWriter } from '../log/writer.ts';
import type { Env } from '../decide/decision.ts';
import type { Generation, Ino } from '../model/ids.ts';
import { FIRST_USER_INO } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import type { AccessTimes } from './access-times.ts';
import type { Changes } from './changes.ts';
import type { Committer } from './commit.ts';
import type { DataWrites } from './data-writes.ts';
import type { DirtyFiles } from './dirty-files.ts';
import type { Paths } from './paths.ts';
import type { Caller } from './api.ts';

export interface Core {
  readonly index: Index;
  readonly log: LogWriter;
  readonly data: DataStore;
  readonly writes: DataWrites;
  readonly clock: Clock;
  readonly committer: Committer;
  readonly changes: Changes;
  readonly dirty: DirtyFiles;
  readonly accesses: AccessTimes;
  readonly paths: Paths;
  /** Random per run: tells inodes apart whose number was handed out again after a crash. */
  readonly generation: Generation;
  readonly journal: LogFunction;
}

/** The inode with what is not in the log yet: pending writes, a noted access time. */
export const shown = (core: Core, inode: Inode): Inode =>
  core.accesses.overlay(core.dirty.overlay(inode));

/** The next free inode number; taken by the InodeCreated event that uses it. */
export function nextIno(core: Core): Ino {
  const next = core.index.volume()?.nextIno ?? FIRST_USER_INO;
  return next < FIRST_USER_INO ? FIRST_USER_INO : next;
}

const NO_GROUPS: readonly number[] = [];

export const envOf = (core: Core, caller: Caller): Env => ({
  now: core.clock.now(),
  uid: caller.uid,
  gid: caller.gid,
  groups: caller.groups ?? NO_GROUPS,
  umask: caller.umask ?? 0,
  newIno: nextIno(core),
  generation: core.generation,
});

/** `ino` was accessed otherwise than by a read. */
export function noteAccess({ accesses, dirty, index }: Core, ino: Ino): boolean {
  const inode = index.inode(ino);
  return inode !== undefined && accesses.note(inode, dirty.get(ino)?.time);
}

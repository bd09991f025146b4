/** chmod, chown, utimens: the attributes that are not contents. */

import type { AttributesChanged } from '../model/event.ts';
import { isDirectory, S_IFMT, S_ISGID, S_ISUID, type Inode } from '../model/inode.ts';
import type { Time } from '../model/time.ts';
import type { Decision, Env } from './decision.ts';

const S_IXGRP = 0o010;

export interface AttributesCommand {
  /** Permission bits (the type is kept). */
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly atime: Time | undefined;
  readonly mtime: Time | undefined;
  /** Set-id bits go, as with a write by another. */
  readonly killPrivileges: boolean;
}

/**
 * Never refused: permission was checked above (default_permissions, setattr_prepare). A chown of
 * anything but a directory clears set-id bits, whoever asks (chown(2), inode(7)).
 */
export function decideAttributes(inode: Inode, command: AttributesCommand, env: Env): Decision {
  return [
    {
      type: 'AttributesChanged',
      ino: inode.ino,
      mode: newMode(inode, command),
      uid: command.uid,
      gid: command.gid,
      atime: command.atime,
      mtime: command.mtime,
      ctime: env.now,
      crtime: undefined,
      projectId: undefined,
      flags: undefined,
    } satisfies AttributesChanged,
  ];
}

function newMode(inode: Inode, command: AttributesCommand): number | undefined {
  if (command.mode !== undefined) return (inode.mode & S_IFMT) | (command.mode & ~S_IFMT);
  const chown = command.uid !== undefined || command.gid !== undefined;
  if (!(chown || command.killPrivileges) || isDirectory(inode.mode)) return undefined;
  return withoutSetId(inode.mode);
}

/**
 * The mode without set-id bits, or undefined if it has none to clear: set-user-ID always,
 * set-group-ID only together with group execution (without, it once meant mandatory locking).
 */
export function withoutSetId(mode: number): number | undefined {
  let cleared = mode & ~S_ISUID;
  if ((mode & S_IXGRP) !== 0) cleared &= ~S_ISGID;
  return cleared === mode ? undefined : cleared;
}

/** chmod, chown, utimens: the attributes that are not contents. */

import { isRefusal } from '../model/errno.ts';
import { isDirectory, S_IFMT, S_ISGID, S_ISUID, S_IXGRP, type Inode } from '../model/inode.ts';
import type { Time } from '../model/time.ts';
import { aclAfterChmod, capabilityDropped, type Attached } from './acl.ts';
import { attributesChanged } from './changed.ts';
import type { Decision, Env } from './decision.ts';

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
 * Permission was checked above (default_permissions, setattr_prepare). A chown of anything but a
 * directory clears set-id bits and capabilities, whoever asks (chown(2), inode(7)); a chmod changes
 * the access list too. Nothing where there is nothing to take away. EIO where the list is none.
 */
export function decideAttributes(
  inode: Inode,
  attached: Attached,
  command: AttributesCommand,
  env: Env,
): Decision {
  const mode = newMode(inode, command);
  const acl = command.mode === undefined ? [] : aclAfterChmod(inode, attached, command.mode, env);
  if (isRefusal(acl)) return acl;
  const isLost = isPrivilegeLost(inode, command);
  const dropped = isLost ? capabilityDropped(inode, attached, env.now) : [];
  if (mode === undefined && dropped.length === 0 && isIdle(command)) return [];
  return [...acl, ...dropped, attributesChanged(inode, env.now, { ...command, mode })];
}

function newMode(inode: Inode, command: AttributesCommand): number | undefined {
  if (command.mode !== undefined) return (inode.mode & S_IFMT) | (command.mode & ~S_IFMT);
  return isPrivilegeLost(inode, command) ? withoutSetId(inode.mode) : undefined;
}

/** Nothing was to be set, only to be taken away. */
const isIdle = ({ killPrivileges, mode, uid, gid, atime, mtime }: AttributesCommand): boolean =>
  killPrivileges && (mode ?? uid ?? gid ?? atime ?? mtime) === undefined;

function isPrivilegeLost(inode: Inode, command: AttributesCommand): boolean {
  if (isDirectory(inode.mode)) return false;
  return command.killPrivileges || command.uid !== undefined || command.gid !== undefined;
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

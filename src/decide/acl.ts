/**
 * What lists and capabilities mean for an inode's mode and the other way round. Pure. Each operation
 * that touches both says so in one transaction: setting a list, chmod, a creation below a default
 * list; and the capability of a program (`security.capability`) goes when the program changes.
 *
 * The kernel enforces (it read the lists through GETXATTR), checks who may set one, and leaves the
 * rest to us: FUSE_POSIX_ACL, and FUSE_HANDLE_KILLPRIV_V2 for what writes and chown take away.
 */

import {
  ACL_ACCESS,
  ACL_DEFAULT,
  aclWithMode,
  decodeAcl,
  encodeAcl,
  inheritedAcl,
  isMinimal,
  modeWithAcl,
  type Acl,
} from '../model/acl.ts';
import { isRefusal, refuse, type Refusal } from '../model/errno.ts';
import type { Event, XattrRemoved, XattrSet } from '../model/event.ts';
import type { ByteString, Ino } from '../model/ids.ts';
import { isDirectory, isSymlink, S_ISGID, type Inode } from '../model/inode.ts';
import type { Time } from '../model/time.ts';
import { CAPABILITY } from '../model/xattr.ts';
import { attributesChanged } from './changed.ts';
import type { Decision, Env } from './decision.ts';

/** What an inode has besides its record that follows its mode, owner or contents. */
export interface Attached {
  /** Value of the access list. */
  readonly acl: Buffer | undefined;
  /** Whether it has `security.capability`. */
  readonly capability: boolean;
}

/** Of an inode without extended attributes. */
export const NOTHING_ATTACHED: Attached = { acl: undefined, capability: false };

export interface SetAclCommand {
  readonly name: ByteString;
  readonly value: Buffer;
  /** The caller may not keep a set-gid bit: neither in the file's group nor privileged. */
  readonly killSetGid: boolean;
}

/**
 * Sets a list. One that says no more than a mode is kept as the mode only; an empty one takes the
 * present one away. `XATTR_CREATE` and `XATTR_REPLACE` mean nothing here, as on Linux. EOPNOTSUPP
 * (symbolic links, another version), EINVAL (no valid list), EACCES (a default list for what is no
 * directory): setxattr(2) on a local disk.
 */
export function decideSetAcl(
  inode: Inode,
  exists: boolean,
  command: SetAclCommand,
  env: Env,
): Decision {
  const { name } = command;
  if (isSymlink(inode.mode)) return refuse('EOPNOTSUPP');
  const acl = decodeAcl(command.value);
  if (isRefusal(acl)) return acl;
  if (acl.length === 0) return decideRemoveAcl(inode, exists, name, env);
  if (name === ACL_DEFAULT) {
    if (!isDirectory(inode.mode)) return refuse('EACCES');
    return [aclSet(inode.ino, name, acl, env.now, undefined)];
  }
  const permitted = modeWithAcl(inode.mode, acl);
  const mode = command.killSetGid ? permitted & ~S_ISGID : permitted;
  if (!isMinimal(acl)) return [aclSet(inode.ino, name, acl, env.now, mode)];
  const changed = attributesChanged(inode, env.now, { mode });
  return exists ? [xattrRemoved(inode.ino, name, env.now), changed] : [changed];
}

/** Removes a list; the mode stays. One that is not there is removed already. */
export function decideRemoveAcl(
  inode: Inode,
  exists: boolean,
  name: ByteString,
  env: Env,
): Decision {
  if (isSymlink(inode.mode)) return refuse('EOPNOTSUPP');
  return exists ? [xattrRemoved(inode.ino, name, env.now)] : [];
}

/** The access list after a chmod to `mode`. EIO where what is stored is no list. */
export function aclAfterChmod(
  inode: Inode,
  { acl: stored }: Attached,
  mode: number,
  env: Env,
): readonly Event[] | Refusal {
  if (stored === undefined) return [];
  const acl = decodeStored(stored);
  if (isRefusal(acl)) return acl;
  const set = aclSet(inode.ino, ACL_ACCESS, aclWithMode(acl, mode), env.now, undefined);
  return set.value.equals(stored) ? [] : [set];
}

/** What goes with new contents or a new owner: the right to run with capabilities. */
export const capabilityDropped = (
  inode: Inode,
  { capability }: Attached,
  now: Time,
): readonly Event[] => (capability ? [xattrRemoved(inode.ino, CAPABILITY, now)] : []);

export interface Inherited {
  /** The mode of the new inode. */
  readonly mode: number;
  /** The lists that it gets, to be logged after its creation. */
  readonly lists: readonly Event[];
}

/**
 * Mode and lists of the new inode, which is asked for with `mode` below a directory with the default
 * list `stored`: the umask does not count there (acl(5), umask(2)). Not for symbolic links, which
 * have no lists. EIO where what is stored is none.
 */
export function inherit(stored: Buffer, mode: number, env: Env): Inherited | Refusal {
  const ino = env.newIno;
  const acl = decodeStored(stored);
  if (isRefusal(acl)) return acl;
  const access = inheritedAcl(acl, mode);
  const lists: Event[] = [];
  if (isDirectory(mode)) lists.push(aclSet(ino, ACL_DEFAULT, acl, env.now, undefined));
  if (!isMinimal(access)) lists.push(aclSet(ino, ACL_ACCESS, access, env.now, undefined));
  return { mode: modeWithAcl(mode, access), lists };
}

/** A list that we keep: anything else than a valid one is damage. */
function decodeStored(stored: Buffer): Acl | Refusal {
  const acl = decodeAcl(stored);
  return isRefusal(acl) || acl.length === 0 ? refuse('EIO') : acl;
}

function aclSet(
  ino: Ino,
  name: ByteString,
  acl: Acl,
  ctime: Time,
  mode: number | undefined,
): XattrSet {
  return { type: 'XattrSet', ino, name, value: encodeAcl(acl), ctime, mode };
}

const xattrRemoved = (ino: Ino, name: ByteString, ctime: Time): XattrRemoved => ({
  type: 'XattrRemoved',
  ino,
  name,
  ctime,
});

/**
 * Gathering what extended attributes mean for other operations: lists that follow the mode, and the
 * capability that goes with new contents. Nothing is looked up for an inode without attributes.
 */

import { NOTHING_ATTACHED, type Attached } from '../decide/acl.ts';
import type { Index } from '../index/index.ts';
import { ACL_ACCESS, ACL_DEFAULT } from '../model/acl.ts';
import type { ByteString } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import { CAPABILITY } from '../model/xattr.ts';
import type { Core } from './core.ts';

/** The facts about `inode` that decisions on its mode, owner and contents need. */
export function attachedTo(index: Index, inode: Inode): Attached {
  if (inode.xattrs === 0) return NOTHING_ATTACHED;
  const acl = index.xattr(inode.ino, ACL_ACCESS)?.value;
  const capability = index.xattr(inode.ino, CAPABILITY) !== undefined;
  return acl === undefined && !capability ? NOTHING_ATTACHED : { acl, capability };
}

/** The default list that new inodes in the directory `dir` inherit from: a fact of each creation. */
export const defaultAclOf = (core: Core, dir: Inode): Buffer | undefined =>
  dir.xattrs === 0 ? undefined : core.index.xattr(dir.ino, ACL_DEFAULT)?.value;

/**
 * Whether writes that are not in the log yet have taken `name` away: what is pending on an inode is
 * newer than any of its attributes, since setting one puts the writes into the log first.
 */
export const isDroppedByWrites = (core: Core, inode: Inode, name: ByteString): boolean =>
  name === CAPABILITY && core.dirty.get(inode.ino) !== undefined;

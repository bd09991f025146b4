/** Setting and removing extended attributes (spec 5.1). */

import { refuse, type Refusal } from '../model/errno.ts';
import type { ByteString } from '../model/ids.ts';
import { isDirectory, isRegular, type Inode } from '../model/inode.ts';
import { isAclName } from '../model/acl.ts';
import { XATTR_VALUE_MAX, xattrNameRefusal } from '../model/xattr.ts';
import { decideRemoveAcl, decideSetAcl } from './acl.ts';
import type { Decision, Env } from './decision.ts';

export const CREATE = 1;
export const REPLACE = 2;

export interface SetXattrCommand {
  readonly name: ByteString;
  readonly value: Buffer;
  readonly flags: number;
  /** Of an access list: see `SetAclCommand`. */
  readonly killSetGid: boolean;
}

/**
 * ERANGE, E2BIG, EINVAL (flags), EOPNOTSUPP, EPERM (`user.` on what is neither file nor directory),
 * ENODATA (REPLACE), EEXIST (CREATE); for lists see `decideSetAcl`.
 */
export function decideSetXattr(
  inode: Inode,
  exists: boolean,
  command: SetXattrCommand,
  env: Env,
): Decision {
  const { name, value, flags } = command;
  const refusal = attachRefusal(inode, name);
  if (refusal !== undefined) return refusal;
  if (value.length > XATTR_VALUE_MAX) return refuse('E2BIG');
  if (flags !== 0 && flags !== CREATE && flags !== REPLACE) return refuse('EINVAL');
  if (isAclName(name)) return decideSetAcl(inode, exists, command, env);
  if (flags === REPLACE && !exists) return refuse('ENODATA');
  if (flags === CREATE && exists) return refuse('EEXIST');
  const ctime = env.now;
  return [{ type: 'XattrSet', ino: inode.ino, name, value, ctime, mode: undefined }];
}

/** ENODATA if there is none; EOPNOTSUPP, EPERM as for setting; for lists see `decideRemoveAcl`. */
export function decideRemoveXattr(
  inode: Inode,
  exists: boolean,
  name: ByteString,
  env: Env,
): Decision {
  const refusal = attachRefusal(inode, name);
  if (refusal !== undefined) return refusal;
  if (isAclName(name)) return decideRemoveAcl(inode, exists, name, env);
  if (!exists) return refuse('ENODATA');
  return [{ type: 'XattrRemoved', ino: inode.ino, name, ctime: env.now }];
}

/** Why `name` cannot be changed on this inode, whatever its value (xattr(7)). */
function attachRefusal(inode: Inode, name: ByteString): Refusal | undefined {
  const refusal = xattrNameRefusal(name);
  if (refusal !== undefined || !name.startsWith('user.')) return refusal;
  return isRegular(inode.mode) || isDirectory(inode.mode) ? undefined : refuse('EPERM');
}

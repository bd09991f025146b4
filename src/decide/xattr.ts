/** Setting and removing extended attributes (spec 5.1). */

import { refuse } from '../model/errno.ts';
import type { ByteString } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import { XATTR_VALUE_MAX, xattrNameRefusal } from '../model/xattr.ts';
import type { Decision, Env } from './decision.ts';

export const CREATE = 1;
export const REPLACE = 2;

export interface SetXattrCommand {
  readonly name: ByteString;
  readonly value: Buffer;
  readonly flags: number;
}

/** ERANGE, E2BIG, EINVAL (flags), EOPNOTSUPP, ENODATA (REPLACE), EEXIST (CREATE). */
export function decideSetXattr(
  inode: Inode,
  exists: boolean,
  command: SetXattrCommand,
  env: Env,
): Decision {
  const { name, value, flags } = command;
  const refusal = xattrNameRefusal(name);
  if (refusal !== undefined) return refusal;
  if (value.length > XATTR_VALUE_MAX) return refuse('E2BIG');
  if (flags !== 0 && flags !== CREATE && flags !== REPLACE) return refuse('EINVAL');
  if (flags === REPLACE && !exists) return refuse('ENODATA');
  if (flags === CREATE && exists) return refuse('EEXIST');
  const ctime = env.now;
  return [{ type: 'XattrSet', ino: inode.ino, name, value, ctime, mode: undefined }];
}

/** ENODATA if there is none. */
export function decideRemoveXattr(
  inode: Inode,
  exists: boolean,
  name: ByteString,
  env: Env,
): Decision {
  const refusal = xattrNameRefusal(name);
  if (refusal !== undefined) return refusal;
  if (!exists) return refuse('ENODATA');
  return [{ type: 'XattrRemoved', ino: inode.ino, name, ctime: env.now }];
}

/** Extended attribute names: namespaces and limits (spec 5.1). */

import { isAclName } from './acl.ts';
import { refuse, type Refusal } from './errno.ts';
import { asByteString, type ByteString } from './ids.ts';

export const XATTR_NAME_MAX = 255;
/** Longest value, in bytes (spec 0). */
export const XATTR_VALUE_MAX = 65535;

/** The capabilities of a program (capabilities(7)): gone with a change of contents or owner. */
export const CAPABILITY = asByteString('security.capability');

/** In `system.` there is nothing but the two access control lists. */
const NAMESPACES = ['user.', 'trusted.', 'security.', 'scoutfs.'];

/** ERANGE beyond 255 bytes, EOPNOTSUPP for an unknown namespace, EINVAL for a bare prefix. */
export function xattrNameRefusal(name: ByteString): Refusal | undefined {
  if (name.length > XATTR_NAME_MAX) return refuse('ERANGE');
  if (isAclName(name)) return undefined;
  const namespace = NAMESPACES.find((prefix) => name.startsWith(prefix));
  if (namespace === undefined) return refuse('EOPNOTSUPP');
  return name.length === namespace.length ? refuse('EINVAL') : undefined;
}

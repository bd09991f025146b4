/** Extended attribute names: namespaces and limits (spec 5.1). */

import { refuse, type Refusal } from './errno.ts';
import type { ByteString } from './ids.ts';

export const XATTR_NAME_MAX = 255;
/** Longest value, in bytes (spec 0). */
export const XATTR_VALUE_MAX = 65535;

/**
 * ACLs (`system.posix_acl_*`) are not among them while nobody enforces them. A disk that takes one
 * has to change the mode by it: cp -a and tar set an ACL in the place of chmod, and fall back to
 * chmod only where they are told that there are none.
 */
const NAMESPACES = ['user.', 'trusted.', 'security.', 'scoutfs.'];

/** ERANGE beyond 255 bytes, EOPNOTSUPP for an unknown namespace, EINVAL for a bare prefix. */
export function xattrNameRefusal(name: ByteString): Refusal | undefined {
  if (name.length > XATTR_NAME_MAX) return refuse('ERANGE');
  const namespace = NAMESPACES.find((prefix) => name.startsWith(prefix));
  if (namespace === undefined) return refuse('EOPNOTSUPP');
  return name.length === namespace.length ? refuse('EINVAL') : undefined;
}

/** Extended attribute names: namespaces and limits (spec 5.1). */

import { refuse, type Refusal } from './errno.ts';
import type { ByteString } from './ids.ts';

export const XATTR_NAME_MAX = 255;
/** Longest value, in bytes (spec 0). */
export const XATTR_VALUE_MAX = 65535;

const NAMESPACES = ['user.', 'trusted.', 'security.', 'scoutfs.'];
const ACL_NAMES = new Set(['system.posix_acl_access', 'system.posix_acl_default']);

/** ERANGE beyond 255 bytes, EOPNOTSUPP for an unknown namespace, EINVAL for a bare prefix. */
export function xattrNameRefusal(name: ByteString): Refusal | undefined {
  if (name.length > XATTR_NAME_MAX) return refuse('ERANGE');
  if (ACL_NAMES.has(name)) return undefined;
  const namespace = NAMESPACES.find((prefix) => name.startsWith(prefix));
  if (namespace === undefined) return refuse('EOPNOTSUPP');
  return name.length === namespace.length ? refuse('EINVAL') : undefined;
}

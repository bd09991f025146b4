/** Directory entries: (directory, name) -> inode, with the position that readdir orders by. */

import type { ByteString, Ino, Position } from './ids.ts';
import { refuse, type Refusal } from './errno.ts';

export interface Dirent {
  readonly dir: Ino;
  readonly name: ByteString;
  readonly ino: Ino;
  /** DT_* of the inode: its type bits >> 12. */
  readonly kind: number;
  readonly position: Position;
}

/** Longest name, in bytes (spec 0). */
export const NAME_MAX = 255;
/** Longest symlink target, in bytes, without the terminating NUL (spec 0). */
export const TARGET_MAX = 4095;

/**
 * Why `name` cannot be a new entry's name: ENOENT if empty, ENAMETOOLONG beyond 255 bytes, EINVAL
 * if it holds "/" or NUL, EEXIST for "." and ".."; undefined if it can.
 */
export function nameRefusal(name: ByteString): Refusal | undefined {
  if (name.length === 0) return refuse('ENOENT');
  if (name.length > NAME_MAX) return refuse('ENAMETOOLONG');
  if (name === '.' || name === '..') return refuse('EEXIST');
  if (name.includes('/') || name.includes('\0')) return refuse('EINVAL');
  return undefined;
}

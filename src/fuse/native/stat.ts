/**
 * What fuse-native can carry of attributes: 32-bit inode numbers, sizes below 2^53, milliseconds
 * since 1970 that are never negative. Pure.
 *
 * A number that does not fit is refused with EOVERFLOW, as stat(2) has it, since another one in its
 * place could make programs take two files for one, or a file for shorter than it is. Times are cut
 * to what fits: nanoseconds to milliseconds, what lies before 1970 to 1970.
 */

import type { SpaceInfo } from '../../engine/api.ts';
import { NAME_MAX } from '../../model/dirent.ts';
import { refuse, type Refusal } from '../../model/errno.ts';
import { BLOCK_BYTES } from '../../model/ids.ts';
import { statBlocks, type Inode } from '../../model/inode.ts';
import { bytesOfSize } from '../../model/size.ts';
import type { Time } from '../../model/time.ts';
import type { NativeSpace, NativeStat } from 'fuse-native';

const UINT32_MAX = 2 ** 32 - 1;
const NSEC_PER_MS = 1e6;

const msOf = ({ sec, nsec }: Time): number =>
  Math.max(0, sec * 1000 + Math.floor(nsec / NSEC_PER_MS));

/** EOVERFLOW where the inode number or the size does not fit. */
export function nativeStat(inode: Inode): NativeStat | Refusal {
  const size = bytesOfSize(inode.size);
  if (inode.ino > UINT32_MAX || !Number.isSafeInteger(size)) return refuse('EOVERFLOW');
  return {
    ino: inode.ino,
    mode: inode.mode,
    nlink: inode.nlink,
    uid: inode.uid,
    gid: inode.gid,
    rdev: inode.rdev,
    size,
    blocks: statBlocks(inode),
    blksize: BLOCK_BYTES,
    atime: msOf(inode.atime),
    mtime: msOf(inode.mtime),
    ctime: msOf(inode.ctime),
  };
}

/**
 * The time that utimens names as milliseconds since 1970. EOVERFLOW before 1970, which stat could
 * not show again.
 */
export function timeOfMs(ms: number): Time | Refusal {
  if (!Number.isSafeInteger(ms) || ms < 0) return refuse('EOVERFLOW');
  const sec = Math.floor(ms / 1000);
  return { sec, nsec: (ms - sec * 1000) * NSEC_PER_MS };
}

/** Counts of blocks are 32 bits: on a large disk the unit grows until they fit. */
export function nativeSpace(space: SpaceInfo): NativeSpace {
  let unit = 1;
  while (space.blocks / unit > UINT32_MAX) unit *= 2;
  const blocks = (count: number): number => Math.floor(count / unit);
  const inodes = (count: number): number => Math.min(count, UINT32_MAX);
  return {
    bsize: BLOCK_BYTES * unit,
    frsize: BLOCK_BYTES * unit,
    blocks: blocks(space.blocks),
    bfree: blocks(space.freeBlocks),
    bavail: blocks(space.availableBlocks),
    files: inodes(space.inodes),
    ffree: inodes(space.freeInodes),
    favail: inodes(space.freeInodes),
    namemax: NAME_MAX,
  };
}

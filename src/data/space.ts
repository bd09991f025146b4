/** Space accounting: what statfs shows, and what a write may take. Pure. */

import { BLOCK_BYTES } from '../model/ids.ts';
import type { DiskSpace } from '../io/disk.ts';

/** Least size of the reserve, in bytes: 64 MiB. */
const MIN_RESERVE_BYTES = 64 * 1024 * 1024;
/** Inodes shown as free where nothing but space limits them: each takes about this many bytes. */
const INODE_BYTES = 1024;
/** Free space that history is given up for, beyond the reserve: this part of the disk. */
const FLOOR_DIVISOR = 20;

/**
 * What only operations that free space, and the reclaimer, may use of a disk of `totalBytes`: the
 * larger of 64 MiB and 1 %.
 */
export const reserveBytes = (totalBytes: number): number =>
  Math.max(MIN_RESERVE_BYTES, Math.floor(totalBytes / 100));

/**
 * Free bytes of the disk below which data that only history holds is given up, oldest first: the
 * reserve, plus 5 % of the disk (at most 8 GiB).
 */
export const historyFloorBytes = (totalBytes: number): number =>
  reserveBytes(totalBytes) + Math.min(Math.floor(totalBytes / FLOOR_DIVISOR), 8 * 1024 ** 3);

/** Counters of the volume, as the index keeps them. */
export interface VolumeUse {
  /** 0 is the disk's own limit. */
  readonly sizeLimitBlocks: number;
  /** Blocks that current extents map, shared ones once. */
  readonly usedBlocks: number;
  /** Blocks that only the past maps. */
  readonly heldBlocks: number;
  readonly inodes: number;
}

/** Figures of statfs(2), in blocks of 4 KiB and in inodes. */
export interface SpaceFigures {
  readonly blocks: number;
  readonly freeBlocks: number;
  readonly availableBlocks: number;
  readonly inodes: number;
  readonly freeInodes: number;
}

/**
 * What statfs shows. Held blocks count as free, since history gives them back when space is short;
 * `aheadBytes` (reserved on the disk for writes to come) do too. The reserve is free, not
 * available.
 */
export function spaceFigures(use: VolumeUse, disk: DiskSpace, aheadBytes: number): SpaceFigures {
  const held = use.heldBlocks + Math.floor(aheadBytes / BLOCK_BYTES);
  const diskFree = Math.floor(disk.availableBytes / BLOCK_BYTES) + held;
  const reserve = Math.floor(reserveBytes(disk.totalBytes) / BLOCK_BYTES);
  const limit = use.sizeLimitBlocks === 0 ? Number.POSITIVE_INFINITY : use.sizeLimitBlocks;
  const left = Math.max(0, limit - use.usedBlocks);
  const freeBlocks = Math.min(diskFree, left);
  const availableBlocks = Math.max(0, Math.min(diskFree - reserve, left));
  const freeInodes = Math.floor((availableBlocks * BLOCK_BYTES) / INODE_BYTES);
  return {
    blocks: Math.min(limit, use.usedBlocks + diskFree),
    freeBlocks,
    availableBlocks,
    inodes: use.inodes + freeInodes,
    freeInodes,
  };
}

/**
 * Whether the volume's own size limit lets `blocks` more be used, `pendingBlocks` being allocated
 * but in no logged extent yet.
 */
export const withinLimit = (use: VolumeUse, pendingBlocks: number, blocks: number): boolean =>
  use.sizeLimitBlocks === 0 || use.usedBlocks + pendingBlocks + blocks <= use.sizeLimitBlocks;

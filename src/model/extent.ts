/**
 * Extents: runs of file blocks that share a place and a state, and interval arithmetic on them.
 *
 * Two independent flags. Neither: the blocks are mapped and online. UNWRITTEN: mapped, but reads as
 * zeros (fallocate). OFFLINE: the contents are in the archive; reading waits. OFFLINE and
 * UNWRITTEN: space preallocated for staging. An extent without a segment is unmapped and then
 * OFFLINE.
 *
 * A block is unwritten for one owner only: its first write goes to that very place, so unwritten
 * extents may be moved from file to file, and are never shared. No checksum exists for it.
 *
 * A list of extents is well formed when it is sorted by `block`, nothing overlaps, every count is
 * positive, and no two neighbours could merge.
 */

import { NO_SEGMENT, type SegmentNumber } from './ids.ts';

export const EXTENT_OFFLINE = 1;
export const EXTENT_UNWRITTEN = 2;

export interface Extent {
  /** First file block. */
  readonly block: number;
  /** Number of blocks, at least 1. */
  readonly count: number;
  /** Data segment, or NO_SEGMENT when unmapped. */
  readonly segment: SegmentNumber;
  /** First block within the segment; 0 when unmapped. */
  readonly segmentBlock: number;
  readonly flags: number;
}

export const endOf = (extent: Extent): number => extent.block + extent.count;
export const isMapped = (extent: Extent): boolean => extent.segment !== NO_SEGMENT;
export const isOffline = (extent: Extent): boolean => (extent.flags & EXTENT_OFFLINE) !== 0;
export const isUnwritten = (extent: Extent): boolean => (extent.flags & EXTENT_UNWRITTEN) !== 0;

/** Counts as online: mapped and not unwritten (spec 1.1). */
export const isOnline = (extent: Extent): boolean => isMapped(extent) && !isUnwritten(extent);

/** Counts as data for SEEK_DATA: online, or in the archive (spec 8). Unwritten is a hole. */
export const holdsData = (extent: Extent): boolean => isOffline(extent) || isOnline(extent);

/** The part of `extent` within [from, to), which must overlap it. */
export function clip(extent: Extent, from: number, to: number): Extent {
  const block = Math.max(extent.block, from);
  const end = Math.min(endOf(extent), to);
  if (block === extent.block && end === endOf(extent)) return extent;
  return {
    block,
    count: end - block,
    segment: extent.segment,
    segmentBlock: isMapped(extent) ? extent.segmentBlock + (block - extent.block) : 0,
    flags: extent.flags,
  };
}

/** Whether `b`, which starts where `a` ends, continues it in place and state. */
export function canMerge(a: Extent, b: Extent): boolean {
  return (
    endOf(a) === b.block &&
    a.flags === b.flags &&
    a.segment === b.segment &&
    (!isMapped(a) || a.segmentBlock + a.count === b.segmentBlock)
  );
}

/** `a` and its continuation `b` as one extent. */
export const merge = (a: Extent, b: Extent): Extent => ({ ...a, count: a.count + b.count });

/** Adds `next` behind `list`, merged into its last extent where that can be. */
export function pushMerged(list: Extent[], next: Extent): void {
  const last = list.at(-1);
  if (last !== undefined && canMerge(last, next)) list[list.length - 1] = merge(last, next);
  else list.push(next);
}

/**
 * `overlapping` (sorted extents that overlap or touch [from, to)) with that range replaced by
 * `replacement` (sorted, within the range; empty punches a hole). The result is well formed.
 */
export function replaceRange(
  overlapping: readonly Extent[],
  from: number,
  to: number,
  replacement: readonly Extent[],
): Extent[] {
  const result: Extent[] = [];
  for (const e of overlapping) {
    if (e.block < from) pushMerged(result, clip(e, e.block, from));
  }
  for (const e of replacement) pushMerged(result, e);
  for (const e of overlapping) {
    if (endOf(e) > to) pushMerged(result, clip(e, Math.max(to, e.block), endOf(e)));
  }
  return result;
}

/**
 * Copying a range of one file into another (copy_file_range(2)). Pure.
 *
 * Blocks that stand alike in both files are shared: the target gets extents that name the source's
 * segment blocks, which then have one owner more. No byte is read, so a block with a bad checksum
 * is shared like a good one, and reading it from either file tells. What cannot be shared is moved
 * through the read and write paths: blocks that are copied in part, ranges that stand differently
 * in the two files, and offline blocks, whose bytes are waited for by whoever reads them.
 *
 * An unwritten block is never shared: its first write goes to that very block. It reads as zeros
 * and is copied as a hole.
 */

import { refuse, type Refusal } from '../model/errno.ts';
import type { Event } from '../model/event.ts';
import { clip, endOf, isOffline, isOnline, isUnwritten, type Extent } from '../model/extent.ts';
import { BLOCK_BYTES } from '../model/ids.ts';
import { isDirectory, isRegular, type Inode } from '../model/inode.ts';
import {
  addBytes,
  bytesOfSize,
  compareSizes,
  MAX_SIZE,
  maxSize,
  ZERO_SIZE,
  type Size,
} from '../model/size.ts';
import { capabilityDropped, type Attached } from './acl.ts';
import { withoutSetId } from './attributes.ts';
import { contentsChanged } from './changed.ts';
import type { Env } from './decision.ts';

/** Extents that one transaction may share, and that it may replace: a few ms of work. */
export const COPY_STEP_EXTENTS = 128;

/** What is still to be copied. */
export interface CopyRange {
  readonly source: Size;
  readonly target: Size;
  /** Below 2^40. */
  readonly bytes: number;
}

/** Blocks at the beginning of a range that may be shared; the last may end with the source. */
export interface SharedPart {
  readonly sourceBlock: number;
  readonly targetBlock: number;
  readonly blocks: number;
  readonly bytes: number;
}

/** So many bytes at the beginning of a range have to be moved. */
export interface MovedPart {
  readonly moved: number;
}

/**
 * EISDIR, EINVAL (no regular file), EFBIG, and EINVAL where a file is copied onto itself. `range`
 * ends with the source (`withinSource`).
 */
export function copyRefusal(source: Inode, target: Inode, range: CopyRange): Refusal | undefined {
  if (isDirectory(source.mode) || isDirectory(target.mode)) return refuse('EISDIR');
  if (!isRegular(source.mode) || !isRegular(target.mode)) return refuse('EINVAL');
  const { bytes } = range;
  if (bytes === 0) return undefined;
  if (compareSizes(addBytes(range.target, bytes), MAX_SIZE) > 0) return refuse('EFBIG');
  if (source.ino === target.ino && overlaps(range)) return refuse('EINVAL');
  return undefined;
}

const overlaps = ({ source, target, bytes }: CopyRange): boolean =>
  compareSizes(source, addBytes(target, bytes)) < 0 &&
  compareSizes(target, addBytes(source, bytes)) < 0;

/** The range without what lies behind the end of its source. */
export function withinSource(range: CopyRange, { size }: Inode): CopyRange {
  const { source } = range;
  if (compareSizes(source, size) >= 0) return { ...range, bytes: 0 };
  const left = bytesOfSize({ blocks: size.blocks - source.blocks, tail: size.tail }) - source.tail;
  return { ...range, bytes: Math.min(range.bytes, left) };
}

/**
 * What comes first of a range that is not empty and ends with the source or before. The source's
 * last block may be shared although the file ends in it, where the target, another file, then ends
 * in it too: bytes behind the end of a file are zeros.
 */
export function firstPart(
  range: CopyRange,
  sourceInode: Inode,
  targetInode: Inode,
): SharedPart | MovedPart {
  const { source, target, bytes } = range;
  if (source.tail !== target.tail) return { moved: bytes };
  if (source.tail > 0) return { moved: Math.min(bytes, BLOCK_BYTES - source.tail) };
  const rest = bytes % BLOCK_BYTES;
  const whole = (bytes - rest) / BLOCK_BYTES;
  const isBothEnds =
    rest > 0 &&
    sourceInode.ino !== targetInode.ino &&
    compareSizes(addBytes(source, bytes), sourceInode.size) === 0 &&
    compareSizes(addBytes(target, bytes), targetInode.size) >= 0;
  const blocks = isBothEnds ? whole + 1 : whole;
  if (blocks === 0) return { moved: bytes };
  return {
    sourceBlock: source.blocks,
    targetBlock: target.blocks,
    blocks,
    bytes: isBothEnds ? bytes : whole * BLOCK_BYTES,
  };
}

/**
 * As much of `part` as one transaction does. `held` and `replaced` are the first extents of source
 * and target that end behind its beginning: none of them is there only if there is none, and behind
 * the last of them there may be more.
 */
export function firstStep(
  part: SharedPart,
  held: readonly Extent[],
  replaced: readonly Extent[],
): SharedPart | MovedPart {
  const { sourceBlock, targetBlock } = part;
  const offline = held.find(isOffline);
  if (offline !== undefined && offline.block <= sourceBlock) {
    return { moved: Math.min(part.bytes, (endOf(offline) - sourceBlock) * BLOCK_BYTES) };
  }
  const blocks = Math.min(
    part.blocks,
    known(held, sourceBlock),
    known(replaced, targetBlock),
    (offline?.block ?? Infinity) - sourceBlock,
  );
  return blocks === part.blocks ? part : { ...part, blocks, bytes: blocks * BLOCK_BYTES };
}

/** Blocks from `from` on of which `found`, the first extents behind it, tells everything. */
function known(found: readonly Extent[], from: number): number {
  const last = found.at(-1);
  return last === undefined ? Infinity : endOf(last) - from;
}

export interface ShareFacts {
  readonly target: Inode;
  /** What the target has. */
  readonly attached: Attached;
  /** The source's extents that overlap the step, and perhaps more; none of the step is offline. */
  readonly held: readonly Extent[];
  /** Those of the target. */
  readonly replaced: readonly Extent[];
}

/**
 * Never refused. Holes of the source become holes; blocks of the target that are unwritten there
 * stay what they are, since they read as zeros too and their space was promised.
 */
export function decideShare(
  facts: ShareFacts,
  step: SharedPart,
  killPrivileges: boolean,
  env: Env,
): readonly Event[] {
  const { target } = facts;
  const shared = sharedExtents(facts.held, step);
  const events: Event[] = [...capabilityDropped(target, facts.attached, env.now)];
  for (const { block, count } of uncovered(cleared(facts.replaced, step), shared)) {
    events.push({ type: 'ExtentsRemoved', ino: target.ino, block, count });
  }
  if (shared.length > 0) events.push({ type: 'ExtentsMapped', ino: target.ino, extents: shared });
  const end = addBytes({ ...ZERO_SIZE, blocks: step.targetBlock }, step.bytes);
  const mode = killPrivileges ? withoutSetId(target.mode) : undefined;
  const version = target.dataVersion + 1n;
  events.push(contentsChanged(target, maxSize(target.size, end), env.now, version, mode));
  return events;
}

/** What the target gets of the source's extents. */
function sharedExtents(held: readonly Extent[], step: SharedPart): Extent[] {
  const { sourceBlock, targetBlock, blocks } = step;
  const shared: Extent[] = [];
  for (const extent of held) {
    if (extent.block >= sourceBlock + blocks || endOf(extent) <= sourceBlock) continue;
    if (!isOnline(extent)) continue;
    const part = clip(extent, sourceBlock, sourceBlock + blocks);
    shared.push({ ...part, block: part.block - sourceBlock + targetBlock });
  }
  return shared;
}

interface Blocks {
  readonly block: number;
  readonly count: number;
}

/** Blocks of the step, sorted, that hold something in the target now. */
function cleared(replaced: readonly Extent[], { targetBlock, blocks }: SharedPart): Blocks[] {
  const to = targetBlock + blocks;
  const readsAsZeros = (e: Extent): boolean => isUnwritten(e) && !isOffline(e);
  return replaced
    .filter((e) => e.block < to && endOf(e) > targetBlock && !readsAsZeros(e))
    .map((extent) => clip(extent, targetBlock, to));
}

/** What of `ranges` no extent of `shared` covers, in as few pieces as can be; both are sorted. */
function uncovered(ranges: readonly Blocks[], shared: readonly Extent[]): Blocks[] {
  const left: Blocks[] = [];
  let next = 0;
  for (const range of ranges) {
    const end = range.block + range.count;
    let at = range.block;
    while (at < end) {
      while (next < shared.length && endOf(shared[next] as Extent) <= at) next++;
      const cover = shared[next];
      const until = Math.min(end, cover?.block ?? end);
      if (until > at) pushBlocks(left, at, until - at);
      at = cover === undefined || cover.block >= end ? end : Math.max(at, endOf(cover));
    }
  }
  return left;
}

function pushBlocks(list: Blocks[], block: number, count: number): void {
  const last = list.at(-1);
  if (last !== undefined && last.block + last.count === block) {
    list[list.length - 1] = { block: last.block, count: last.count + count };
  } else {
    list.push({ block, count });
  }
}

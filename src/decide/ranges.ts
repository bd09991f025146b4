/**
 * fallocate(2): allocating, punching and zeroing a range of a file, in bounded steps. Arithmetic on
 * whole blocks and on the parts of blocks at a range's edges; no float, up to the last byte.
 */

import { refuse, type Refusal } from '../model/errno.ts';
import type { Event } from '../model/event.ts';
import { endOf, EXTENT_UNWRITTEN, isMapped, isUnwritten, type Extent } from '../model/extent.ts';
import { BLOCK_BYTES } from '../model/ids.ts';
import { isDirectory, isRegular, type Inode } from '../model/inode.ts';
import {
  addSizes,
  blocksHolding,
  compareSizes,
  MAX_SIZE,
  maxSize,
  ZERO_SIZE,
  type Size,
} from '../model/size.ts';
import type { Time } from '../model/time.ts';
import { capabilityDropped, type Attached } from './acl.ts';
import { withoutSetId } from './attributes.ts';
import { attributesChanged, contentsChanged } from './changed.ts';
import type { Decision } from './decision.ts';

/** Modes of fallocate(2). */
export const FALLOC_KEEP_SIZE = 0x01;
export const FALLOC_PUNCH_HOLE = 0x02;
export const FALLOC_ZERO_RANGE = 0x10;

/** Blocks that one step allocates, 32 MiB: no more than the data layer keeps ready. */
export const ALLOCATE_STEP_BLOCKS = 8192;
/** Extents that one step looks at, and so removes at most. */
export const RANGE_STEP_EXTENTS = 128;

export type RangeKind = 'allocate' | 'punch' | 'zero';

/** What is asked for: something is done to the bytes from `start` up to `end`. */
export interface RangeChange {
  readonly kind: RangeKind;
  /** The file does not grow. */
  readonly keepSize: boolean;
  readonly start: Size;
  readonly end: Size;
}

/** EINVAL for no bytes, EOPNOTSUPP for other modes, EFBIG beyond the largest size. */
export function rangeChange(mode: number, start: Size, length: Size): RangeChange | Refusal {
  if (compareSizes(length, ZERO_SIZE) === 0) return refuse('EINVAL');
  const keepSize = (mode & FALLOC_KEEP_SIZE) !== 0;
  const kind = KINDS.get(mode & ~FALLOC_KEEP_SIZE);
  if (kind === undefined || (kind === 'punch' && !keepSize)) return refuse('EOPNOTSUPP');
  const end = addSizes(start, length);
  return compareSizes(end, MAX_SIZE) > 0 ? refuse('EFBIG') : { kind, keepSize, start, end };
}

const KINDS: ReadonlyMap<number, RangeKind> = new Map([
  [0, 'allocate'],
  [FALLOC_PUNCH_HOLE, 'punch'],
  [FALLOC_ZERO_RANGE, 'zero'],
]);

/** The blocks in [from, to). */
export interface BlockRange {
  readonly from: number;
  readonly to: number;
}

/** A block of which only the bytes [from, to) become zeros. */
export interface BlockEdge extends BlockRange {
  readonly block: number;
}

export interface RangePlan {
  readonly kind: RangeKind;
  /** Every block that the range touches. */
  readonly outer: BlockRange;
  /** The blocks that it has whole; the last one of a file counts as whole where its bytes are. */
  readonly inner: BlockRange;
  /** At most two, in order. */
  readonly edges: readonly BlockEdge[];
}

/** How a change of a file of `size` falls on blocks. Bytes behind the end of a file are zeros. */
export function planRange({ kind, start, end }: RangeChange, size: Size): RangePlan {
  const outer = { from: start.blocks, to: blocksHolding(end) };
  if (kind === 'allocate') return { kind, outer, inner: outer, edges: [] };
  const from = blocksHolding(start);
  const last = compareSizes(end, size) >= 0 ? outer.to : end.blocks;
  const edges: BlockEdge[] = [];
  const endsInFirst = last === start.blocks;
  if (start.tail > 0 && compareSizes(start, size) < 0) {
    edges.push({
      block: start.blocks,
      from: start.tail,
      to: endsInFirst ? end.tail : BLOCK_BYTES,
    });
  }
  const endsInside = last < outer.to && !(endsInFirst && start.tail > 0);
  if (endsInside) edges.push({ block: last, from: 0, to: end.tail });
  return { kind, outer, inner: { from, to: Math.max(from, last) }, edges };
}

/** Where the work of a plan begins and ends. */
export const workOf = ({ kind, inner, outer }: RangePlan): BlockRange =>
  kind === 'punch' ? inner : outer;

/**
 * The blocks of [from, to) that are to be allocated: holes, and for 'zero' also what is mapped and
 * lies whole in the range. `extents` are all that overlap it, sorted.
 */
export function lackingBlocks(
  plan: RangePlan,
  extents: readonly Extent[],
  from: number,
  to: number,
): BlockRange[] {
  const lacking: BlockRange[] = [];
  const push = (a: number, b: number): void => {
    const last = lacking.at(-1);
    if (a >= b) return;
    if (last?.to === a) lacking[lacking.length - 1] = { from: last.from, to: b };
    else lacking.push({ from: a, to: b });
  };
  let at = from;
  for (const extent of extents) {
    const [start, end] = [Math.max(at, extent.block), Math.min(to, endOf(extent))];
    if (start >= end) continue;
    push(at, start);
    if (plan.kind === 'zero' && !(isMapped(extent) && isUnwritten(extent))) {
      push(Math.max(start, plan.inner.from), Math.min(end, plan.inner.to));
    }
    at = end;
  }
  push(at, to);
  return lacking;
}

/** One step: what it allocates or removes, and where the next one begins. */
export interface RangeStep {
  readonly lacking: readonly BlockRange[];
  readonly removed: BlockRange | undefined;
  readonly next: number;
  readonly isLast: boolean;
}

/** The step that begins at block `at`; `extents` are all that overlap [at, known). */
export function rangeStep(
  plan: RangePlan,
  at: number,
  extents: readonly Extent[],
  known: number,
): RangeStep {
  const { to } = workOf(plan);
  const end = Math.min(to, known);
  const whole = { lacking: [], removed: undefined, next: end, isLast: end >= to };
  if (plan.kind === 'punch') {
    const [first, last] = [extents[0], extents.at(-1)];
    if (first === undefined || last === undefined || at >= end) return whole;
    const removed = { from: Math.max(at, first.block), to: Math.min(end, endOf(last)) };
    return { ...whole, removed };
  }
  const { taken, next } = firstBlocks(lackingBlocks(plan, extents, at, end), end);
  return { lacking: taken, removed: undefined, next, isLast: next >= to };
}

/** As many of `ranges` as one step allocates; where the rest begins, `end` if there is none. */
function firstBlocks(ranges: readonly BlockRange[], end: number) {
  const taken: BlockRange[] = [];
  let left = ALLOCATE_STEP_BLOCKS;
  for (const { from, to } of ranges) {
    if (left === 0) return { taken, next: from };
    const stop = Math.min(to, from + left);
    taken.push({ from, to: stop });
    left -= stop - from;
    if (stop < to) return { taken, next: stop };
  }
  return { taken, next: end };
}

/** A place in a data segment, as `Extent` has it. */
type SegmentRun = Pick<Extent, 'segment' | 'segmentBlock' | 'count'>;

/** `ranges` laid end to end into `places`, which have as many blocks, as unwritten extents. */
export function unwrittenExtents(
  ranges: readonly BlockRange[],
  places: readonly SegmentRun[],
): Extent[] {
  const extents: Extent[] = [];
  let p = 0;
  let used = 0;
  for (const { from, to } of ranges) {
    for (let block = from; block < to;) {
      const place = places[p] as SegmentRun;
      const count = Math.min(to - block, place.count - used);
      const segmentBlock = place.segmentBlock + used;
      extents.push({ block, count, segment: place.segment, segmentBlock, flags: EXTENT_UNWRITTEN });
      block += count;
      used += count;
      if (used < place.count) continue;
      p++;
      used = 0;
    }
  }
  return extents;
}

export interface RangeStepCommand {
  readonly change: RangeChange;
  readonly killPrivileges: boolean;
  readonly step: RangeStep;
  readonly isFirst: boolean;
  readonly time: Time;
  /** Segments and checksums of what the step places. */
  readonly dataEvents: readonly Event[];
  /** The rewritten blocks at the edges. */
  readonly edges: readonly Extent[];
  /** What was allocated for `step.lacking`. */
  readonly allocated: readonly Extent[];
}

/**
 * EISDIR; ENODEV for what is no regular file (fallocate(2)). The events of one step; none where
 * there is nothing to say. Contents change where bytes or the size do: then mtime, ctime and the
 * data version move, else ctime alone. The file grows with the last step, so that a crash before it
 * leaves blocks behind the end, and no end that nobody asked for.
 */
export function decideRangeStep(
  inode: Inode,
  attached: Attached,
  command: RangeStepCommand,
): Decision {
  const refused = refuseType(inode);
  if (refused !== undefined) return refused;
  const { allocated, change, edges, isFirst, step, time } = command;
  const { ino } = inode;
  const events: Event[] = [...command.dataEvents];
  for (const extent of edges) events.push({ type: 'ExtentsMapped', ino, extents: [extent] });
  if (allocated.length > 0) events.push({ type: 'ExtentsMapped', ino, extents: allocated });
  if (step.removed !== undefined) {
    const { from, to } = step.removed;
    events.push({ type: 'ExtentsRemoved', ino, block: from, count: to - from });
  }
  const grows = step.isLast && !change.keepSize && compareSizes(change.end, inode.size) > 0;
  if (events.length === 0 && !isFirst && !grows) return [];
  const size = grows ? maxSize(change.end, inode.size) : inode.size;
  const mode = command.killPrivileges ? withoutSetId(inode.mode) : undefined;
  const isContents = change.kind !== 'allocate' || grows;
  return [
    ...events,
    ...capabilityDropped(inode, attached, time),
    isContents
      ? contentsChanged(inode, size, time, inode.dataVersion + 1n, mode)
      : attributesChanged(inode, time, { mode }),
  ];
}

/** What a range of this inode is refused with, whatever the range. */
export function refuseType({ mode }: Inode): Refusal | undefined {
  if (isDirectory(mode)) return refuse('EISDIR');
  return isRegular(mode) ? undefined : refuse('ENODEV');
}

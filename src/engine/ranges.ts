/**
 * fallocate(2): allocating, punching and zeroing ranges of a file.
 *
 * The file's pending writes are placed first, in the same attempt. A range with few extents is one
 * transaction; a larger one goes in steps of at most RANGE_STEP_EXTENTS extents and
 * ALLOCATE_STEP_BLOCKS blocks, with rests between them like those of a removal. Each step is
 * decided against the file as it is then, and leaves a state that is true by itself: so a crash
 * between two leaves a range that is partly done, of a call that was never answered. Want of space
 * in the middle leaves what was allocated, as ext4 does; what cannot fit is refused before the
 * first step.
 */

import {
  ALLOCATE_STEP_BLOCKS,
  decideRangeStep,
  lackingBlocks,
  planRange,
  RANGE_STEP_EXTENTS,
  rangeChange,
  rangeStep,
  refuseType,
  workOf,
  type BlockEdge,
  type RangeChange,
  type RangePlan,
  type RangeStep,
} from '../decide/ranges.ts';
import { isRefusal, refuse, type Refusal } from '../model/errno.ts';
import { endOf, type Extent } from '../model/extent.ts';
import { BLOCK_BYTES, type Ino } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import type { Answer, Caller, OpenFile, RangeRequest, SpaceInfo } from './api.ts';
import { attachedTo } from './attached.ts';
import type { Core } from './core.ts';
import { MoreSpace } from './dirty-files.ts';
import { syncFile, type FileParts } from './files.ts';
import { placeRewritten, placeUnwritten, type Placed, type RewrittenBlock } from './placing.ts';
import { refusalOf } from './removal.ts';
import { restFor } from './remove-extents.ts';
import { streamOf } from './shipper.ts';
import { baseOf, loadBlock, NeedsBlock } from './truncate.ts';

export interface RangeParts extends FileParts {
  readonly space: () => Answer<SpaceInfo>;
}

/** One call on its way. */
interface Work {
  readonly ino: Ino;
  readonly change: RangeChange;
  readonly killPrivileges: boolean;
  readonly caller: Caller;
  /** Blocks that had to be read from the disk, by their place. */
  readonly loaded: Map<string, Uint8Array>;
  /** Made with the first step, and kept: others may change the size meanwhile. */
  plan: RangePlan | undefined;
  /** Where the next step begins, once there was one. */
  at: number;
}

type Step = 'done' | 'more' | 'unfinished' | NeedsBlock | MoreSpace;

/**
 * fallocate(2). EINVAL (no bytes), EOPNOTSUPP (other modes than 0, ZERO_RANGE, both with or without
 * KEEP_SIZE, and PUNCH_HOLE with it), EFBIG, EISDIR, ENODEV (no regular file), ENOSPC, EIO, ESTALE.
 */
export async function fallocate(
  parts: RangeParts,
  file: OpenFile,
  request: RangeRequest,
  caller: Caller,
): Promise<void | Refusal> {
  const { killPrivileges } = request;
  const change = rangeChange(request.mode, request.offset, request.length);
  if (isRefusal(change)) return change;
  const { ino } = file;
  const inode = await parts.core.committer.attempt(
    () => parts.core.index.inode(ino) ?? refuse('ESTALE'),
  );
  if (isRefusal(inode)) return inode;
  const refused =
    refuseType(inode) ?? (await refuseUnfit(parts, ino, planRange(change, inode.size)));
  if (refused !== undefined) return refused;
  const loaded = new Map<string, Uint8Array>();
  const work = { ino, change, killPrivileges, caller, loaded, plan: undefined, at: 0 };
  const failed = await changeRange(parts, work);
  if (failed !== undefined || !file.synchronous) return failed;
  return syncFile(parts, ino);
}

/** Makes the steps one after the other. */
async function changeRange(parts: RangeParts, work: Work): Promise<Refusal | undefined> {
  const { clock, committer } = parts.core;
  for (;;) {
    const begun = clock.monotonicMs();
    const step = await committer.mutate<Step>(() => attemptStep(parts, work));
    if (step === 'done') return undefined;
    if (isRefusal(step)) return step;
    if (step === 'more') {
      await restFor(parts.core, clock.monotonicMs() - begun);
      await committer.whenQuiet();
    } else {
      const failed = await whatItNeeds(parts, work, step);
      if (failed !== undefined) return failed;
    }
  }
}

async function whatItNeeds(
  parts: RangeParts,
  { ino, loaded }: Work,
  step: Exclude<Step, 'done' | 'more'>,
): Promise<Refusal | undefined> {
  if (step === 'unfinished') {
    return parts.removals.finishTruncate(ino).then(() => undefined, refusalOf);
  }
  if (step instanceof MoreSpace) return (await step.ready) ? undefined : refuse('ENOSPC');
  return loadBlock(parts, ino, step.place, loaded);
}

function attemptStep(parts: RangeParts, work: Work): Step | Refusal {
  const { core } = parts;
  const { change, ino } = work;
  const before = core.index.inode(ino);
  if (before === undefined) return refuse('ESTALE');
  if (before.truncateMark !== undefined) return 'unfinished';
  const failed = core.dirty.place(ino);
  if (failed !== undefined) return failed;
  const inode = core.index.inode(ino)!;
  const isFirst = work.plan === undefined;
  const plan = work.plan ?? planRange(change, inode.size);
  const at = isFirst ? workOf(plan).from : work.at;
  const known = extentsFrom(core, ino, at, workOf(plan).to);
  const step = rangeStep(plan, at, known.extents, known.end);
  const edges = isFirst ? zeroedEdges(parts, inode, plan.edges, work.loaded) : [];
  if (edges instanceof NeedsBlock) return edges;
  const rewritten = placeRewritten(core, edges, change.kind === 'punch');
  if (!('places' in rewritten)) return rewritten;
  const unwritten = placeUnwritten(core, step.lacking, streamOf(ino, change.end));
  if (!('places' in unwritten)) {
    rewritten.undo();
    return unwritten;
  }
  const refused = appendStep(core, work, inode, { isFirst, step, rewritten, unwritten });
  if (refused !== undefined) return refused;
  work.plan = plan;
  work.at = step.next;
  return step.isLast ? 'done' : 'more';
}

interface Taken {
  readonly isFirst: boolean;
  readonly step: RangeStep;
  readonly rewritten: Placed;
  readonly unwritten: Placed;
}

/** Appends the transaction of a step, where it says anything; gives all back where it cannot. */
function appendStep(core: Core, work: Work, inode: Inode, taken: Taken): Refusal | undefined {
  const { rewritten, unwritten, ...rest } = taken;
  const { caller, change, ino, killPrivileges } = work;
  const undo = (): void => {
    unwritten.undo();
    rewritten.undo();
  };
  try {
    const places = [...rewritten.places, ...unwritten.places];
    const dataEvents = [...core.writes.creations(places), ...rewritten.checksums];
    const [edges, allocated] = [rewritten.extents, unwritten.extents];
    const time = core.clock.now();
    const command = { ...rest, change, killPrivileges, time, dataEvents, edges, allocated };
    const events = decideRangeStep(inode, attachedTo(core.index, inode), command);
    const answer =
      isRefusal(events) || events.length === 0
        ? events
        : core.committer.append({
            cause: 'fallocate',
            actor: caller,
            paths: core.paths.ofInode(ino),
            events,
            privileged: change.kind === 'punch',
          });
    if (isRefusal(answer)) {
      undo();
      return answer;
    }
  } catch (error) {
    undo();
    throw error;
  }
  rewritten.write();
  unwritten.write();
  return undefined;
}

/** All extents that overlap [from, end), with `end` at most `to`: as many as a step may have. */
function extentsFrom(
  core: Core,
  ino: Ino,
  from: number,
  to: number,
): { readonly extents: Extent[]; readonly end: number } {
  const extents: Extent[] = [];
  for (let at = from; at < to && extents.length < RANGE_STEP_EXTENTS;) {
    const some = core.index.firstExtents(ino, at, RANGE_STEP_EXTENTS - extents.length);
    for (const extent of some) {
      if (extent.block >= to) return { extents, end: to };
      extents.push(extent);
      at = endOf(extent);
    }
    if (some.length === 0) return { extents, end: to };
  }
  const last = extents.at(-1);
  return { extents, end: last === undefined ? to : Math.min(to, endOf(last)) };
}

/** The blocks at the edges with their zeros, those that hold bytes. */
function zeroedEdges(
  parts: RangeParts,
  inode: Inode,
  edges: readonly BlockEdge[],
  loaded: ReadonlyMap<string, Uint8Array>,
): RewrittenBlock[] | NeedsBlock {
  const blocks: RewrittenBlock[] = [];
  for (const { block, from, to } of edges) {
    const base = baseOf(parts, inode, block, loaded);
    if (base instanceof NeedsBlock) return base;
    if (base === undefined) continue;
    const bytes = Buffer.alloc(BLOCK_BYTES);
    bytes.set(base);
    blocks.push({ block, bytes: bytes.fill(0, from, to) });
  }
  return blocks;
}

/** ENOSPC for what needs more blocks than there are: it is not tried until the disk is full. */
async function refuseUnfit(
  parts: RangeParts,
  ino: Ino,
  plan: RangePlan,
): Promise<Refusal | undefined> {
  const { from, to } = plan.outer;
  if (plan.kind === 'punch' || to - from <= ALLOCATE_STEP_BLOCKS) return undefined;
  const space = await parts.space();
  if (isRefusal(space)) return space;
  if (to - from <= space.availableBlocks) return undefined;
  let lacking = 0;
  for (let at = from; at < to;) {
    const block = at;
    const known = await parts.core.committer.attempt(() => extentsFrom(parts.core, ino, block, to));
    if (isRefusal(known)) return known;
    for (const range of lackingBlocks(plan, known.extents, at, known.end)) {
      lacking += range.to - range.from;
    }
    if (lacking > space.availableBlocks) return refuse('ENOSPC');
    at = known.end;
  }
  return undefined;
}

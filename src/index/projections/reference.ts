/**
 * References: how many current extents map each segment block, in runs of equally owned blocks.
 *
 * A transaction's changes are summed up per block first, so that a block which one extent leaves and
 * another takes never counts as unowned between. Blocks without an owner leave `ref` for `freed`,
 * under the seq at which they were left, and stay counted as held until they are punched.
 */

import { assert } from '../../model/assert.ts';
import type { SegmentNumber } from '../../model/ids.ts';
import { freedKey, refKey } from '../keys.ts';
import { placedEnd, type Placed, type PlacedRef } from '../placed.ts';
import { newRunEdit, substituteRuns, viewRuns, type RunEdit } from './runs.ts';
import type { OwnershipChange, Working } from './working.ts';

/** Longest run in one item: bounds what one change of an owner rewrites. */
export const MAX_RUN_BLOCKS = 65_536;

type RefEdit = RunEdit<PlacedRef, PlacedRef>;

/** Turns the summed ownership changes into `ref` and `freed` mutations and the volume's counts. */
export function finishOwnership(work: Working): void {
  if (work.ownership.length === 0) return;
  const edits = new Map<SegmentNumber, RefEdit>();
  const freed: Freed[] = [];
  for (const change of netChanges(work.ownership)) {
    let edit = edits.get(change.segment);
    if (edit === undefined) edits.set(change.segment, (edit = newRunEdit()));
    own(work, edit, change, freed);
  }
  for (const [segment, edit] of edits) putRefs(work, segment, edit);
  for (const { segment, block, count } of freed) {
    work.put('freed', freedKey(work.seq, segment, block), undefined, { count });
  }
}

interface Freed extends Placed {
  readonly segment: SegmentNumber;
  count: number;
}

/** The changes summed per block: disjoint, sorted, each with a delta that is not zero. */
function netChanges(changes: readonly OwnershipChange[]): readonly OwnershipChange[] {
  if (changes.length === 1) return changes;
  const edges = changes.flatMap(({ segment, block, count, delta }) => [
    { segment, block, delta },
    { segment, block: block + count, delta: -delta },
  ]);
  edges.sort((a, b) => a.segment - b.segment || a.block - b.block);
  const net: OwnershipChange[] = [];
  let delta = 0;
  for (const [i, edge] of edges.entries()) {
    delta += edge.delta;
    const next = edges[i + 1];
    if (next === undefined || next.segment !== edge.segment || delta === 0) continue;
    const count = next.block - edge.block;
    if (count > 0) pushChange(net, { segment: edge.segment, block: edge.block, count, delta });
  }
  return net;
}

function pushChange(net: OwnershipChange[], change: OwnershipChange): void {
  const last = net.at(-1);
  const continues =
    last !== undefined &&
    last.segment === change.segment &&
    placedEnd(last) === change.block &&
    last.delta === change.delta;
  if (continues) net[net.length - 1] = { ...last, count: last.count + change.count };
  else net.push(change);
}

/** Applies one change to the runs that it overlaps or touches. */
function own(work: Working, edit: RefEdit, change: OwnershipChange, freed: Freed[]): void {
  const { segment, block: from, count, delta } = change;
  const to = from + count;
  const low = Math.max(0, from - 1);
  const old = viewRuns(edit, work.before.refs(segment, low, to + 1), low, to + 1);
  const result: PlacedRef[] = [];
  let used = 0;
  let at = from;
  const piece = (until: number, owners: number): void => {
    const after = owners + delta;
    assert(
      after >= 0,
      () => `segment ${segment}, block ${at}, seq ${work.seq}: fewer owners than none`,
    );
    if (after > 0) pushRun(result, { block: at, count: until - at, owners: after });
    else pushFreed(freed, segment, at, until - at);
    if (owners === 0) used += until - at;
    if (after === 0) used -= until - at;
    at = until;
  };
  for (const run of old) {
    const end = placedEnd(run);
    if (run.block < from) pushRun(result, end <= from ? run : { ...run, count: from - run.block });
    if (run.block < to && end > from) {
      if (run.block > at) piece(run.block, 0);
      piece(Math.min(end, to), run.owners);
    }
    if (end <= to) continue;
    if (at < to) piece(to, 0);
    const rest = Math.max(run.block, to);
    pushRun(result, rest === run.block ? run : { ...run, block: rest, count: end - rest });
  }
  if (at < to) piece(to, 0);
  substituteRuns(edit, old, result);
  countUsed(work, used);
}

function pushRun(list: PlacedRef[], run: PlacedRef): void {
  const last = list.at(-1);
  const merges =
    last !== undefined &&
    placedEnd(last) === run.block &&
    last.owners === run.owners &&
    last.count + run.count <= MAX_RUN_BLOCKS;
  if (merges) list[list.length - 1] = { ...last, count: last.count + run.count };
  else list.push(run);
}

function pushFreed(list: Freed[], segment: SegmentNumber, block: number, count: number): void {
  const last = list.at(-1);
  if (last !== undefined && last.segment === segment && placedEnd(last) === block) {
    last.count += count;
  } else list.push({ segment, block, count });
}

/** Blocks that went out of use are held until they are punched. */
function countUsed(work: Working, used: number): void {
  work.volume.usedBlocks += used;
  work.volume.heldBlocks += Math.max(0, -used);
}

function putRefs(work: Working, segment: SegmentNumber, edit: RefEdit): void {
  for (const run of edit.now) {
    const before = edit.gone.get(run.block);
    edit.gone.delete(run.block);
    work.put('ref', refKey(segment, run.block), before, { count: run.count, owners: run.owners });
  }
  for (const run of edit.gone.values()) work.delete('ref', refKey(segment, run.block), run);
}

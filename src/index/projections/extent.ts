/**
 * Extents, the block and item counts that the inode keeps of them, and which segment blocks they
 * own. Neighbours that continue each other are merged; an item that changed begins anew.
 */

import { assert } from '../../model/assert.ts';
import {
  clip,
  endOf,
  isMapped,
  isOffline,
  isOnline,
  isUnwritten,
  replaceRange,
  type Extent,
} from '../../model/extent.ts';
import type { ExtentsMapped, ExtentsRemoved } from '../../model/event.ts';
import type { Ino } from '../../model/ids.ts';
import { INODE_UNWRITTEN } from '../../model/inode.ts';
import type { ExtentItem } from '../items.ts';
import { extentKey } from '../keys.ts';
import type { PlacedExtent } from '../placed.ts';
import { substituteRuns, viewRuns } from './runs.ts';
import type { Working } from './working.ts';

export function extentsMapped(work: Working, event: ExtentsMapped): void {
  const { extents } = event;
  for (let i = 0; i < extents.length;) {
    let next = i + 1;
    while (next < extents.length && startsAtEndOf(extents, next)) next++;
    const run = extents.slice(i, next);
    const from = (run[0] as Extent).block;
    replace(work, event.ino, from, endOf(run.at(-1) as Extent), run);
    i = next;
  }
}

export function extentsRemoved(work: Working, event: ExtentsRemoved): void {
  replace(work, event.ino, event.block, event.block + event.count, []);
}

const startsAtEndOf = (extents: readonly Extent[], i: number): boolean =>
  endOf(extents[i - 1] as Extent) === (extents[i] as Extent).block;

function replace(
  work: Working,
  ino: Ino,
  from: number,
  to: number,
  replacement: readonly Extent[],
): void {
  assert(to > from, () => `ino ${ino}, seq ${work.seq}: an empty range of blocks`);
  const edit = work.extentEdit(ino);
  const low = Math.max(0, from - 1);
  const old = viewRuns(edit, work.before.extents(ino, low, to + 1), low, to + 1);
  const result = replaceRange(old, from, to, replacement);
  substituteRuns(edit, old, result);
  count(work, ino, clipped(old, from, to), replacement, result.length - old.length);
}

function clipped(old: readonly Extent[], from: number, to: number): Extent[] {
  const inside: Extent[] = [];
  for (const e of old) if (e.block < to && endOf(e) > from) inside.push(clip(e, from, to));
  return inside;
}

/** Books what left and what came in the inode's counts and in the owners of segment blocks. */
function count(
  work: Working,
  ino: Ino,
  left: readonly Extent[],
  came: readonly Extent[],
  extents: number,
): void {
  let online = 0;
  let offline = 0;
  for (const [list, delta] of [
    [left, -1],
    [came, 1],
  ] as const) {
    for (const e of list) {
      if (isOnline(e)) online += delta * e.count;
      if (isOffline(e)) offline += delta * e.count;
      if (!isMapped(e)) continue;
      work.ownership.push({ segment: e.segment, block: e.segmentBlock, count: e.count, delta });
    }
  }
  const inode = work.changeInode(ino);
  inode.onlineBlocks += online;
  inode.offlineBlocks += offline;
  inode.extents += extents;
  if (inode.extents === 0) inode.flags = (inode.flags & ~INODE_UNWRITTEN) >>> 0;
  else if (came.some(isUnwritten)) inode.flags = (inode.flags | INODE_UNWRITTEN) >>> 0;
}

/** Turns the extent edits into item mutations. */
export function finishExtents(work: Working): void {
  for (const [ino, edit] of work.extentEdits ?? []) {
    for (const e of edit.now) {
      const before = edit.gone.get(e.block);
      edit.gone.delete(e.block);
      const old = before === undefined ? undefined : itemOf(before, before.began);
      work.put('extent', extentKey(ino, e.block), old, itemOf(e, work.seq));
    }
    for (const e of edit.gone.values()) {
      work.delete('extent', extentKey(ino, e.block), itemOf(e, e.began));
    }
  }
}

const itemOf = (e: Extent, began: PlacedExtent['began']): ExtentItem => ({
  began,
  count: e.count,
  segment: e.segment,
  segmentBlock: e.segmentBlock,
  flags: e.flags,
});

/**
 * An edit of sorted, non-overlapping items of one group (extents of an inode, reference runs of a
 * segment) within one transaction: the items of the state before, less those that are gone, plus
 * those that are new.
 */

import { overlapping, type Placed } from '../placed.ts';

export interface RunEdit<B extends T, T extends Placed> {
  /** Items of the state before that no longer stand as they were, by first block. */
  readonly gone: Map<number, B>;
  /** New items, sorted. */
  readonly now: T[];
}

export const newRunEdit = <B extends T, T extends Placed>(): RunEdit<B, T> => ({
  gone: new Map(),
  now: [],
});

/** The items that overlap [from, to) as the edit leaves them, given those of the state before. */
export function viewRuns<B extends T, T extends Placed>(
  edit: RunEdit<B, T>,
  before: readonly B[],
  from: number,
  to: number,
): readonly T[] {
  if (edit.now.length === 0 && edit.gone.size === 0) return before;
  const standing = before.filter((item) => edit.gone.get(item.block) !== item);
  const mine = overlapping(edit.now, from, to);
  if (mine.length === 0) return standing;
  return [...standing, ...mine].sort((a, b) => a.block - b.block);
}

/**
 * Puts `result` in the place of `old`, a view of the edit. Only the outermost items can be the same
 * objects in both, and those stand.
 */
export function substituteRuns<B extends T, T extends Placed>(
  edit: RunEdit<B, T>,
  old: readonly T[],
  result: readonly T[],
): void {
  const first = old[0] !== undefined && old[0] === result[0] ? 1 : 0;
  const keepsLast = old.length > first && result.length > first && old.at(-1) === result.at(-1);
  const last = keepsLast ? 1 : 0;
  for (let i = first; i < old.length - last; i++) remove(edit, old[i] as T);
  for (let i = first; i < result.length - last; i++) insert(edit.now, result[i] as T);
}

function remove<B extends T, T extends Placed>(edit: RunEdit<B, T>, item: T): void {
  const at = positionOf(edit.now, item.block);
  if (edit.now[at] === item) edit.now.splice(at, 1);
  else edit.gone.set(item.block, item as B);
}

function insert<T extends Placed>(list: T[], item: T): void {
  const last = list.at(-1);
  if (last === undefined || last.block < item.block) list.push(item);
  else list.splice(positionOf(list, item.block), 0, item);
}

/** Position of the first item that starts at or behind `block`. */
function positionOf(list: readonly Placed[], block: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] as Placed).block >= block) high = middle;
    else low = middle + 1;
  }
  return low;
}

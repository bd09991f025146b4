/**
 * Items that occupy a run of blocks, together with the first block that their keys hold: what range
 * caches and interval arithmetic work on.
 */

import type { Extent } from '../model/extent.ts';
import type { Seq } from '../model/ids.ts';
import type { ExtentItem, RefItem } from './items.ts';

/** `count` blocks from `block` on. */
export interface Placed {
  readonly block: number;
  readonly count: number;
}

/** An extent as the index holds it. */
export interface PlacedExtent extends Extent {
  readonly began: Seq;
}

/** A run of segment blocks with equally many owners. */
export interface PlacedRef extends Placed {
  readonly owners: number;
}

export const placedEnd = (placed: Placed): number => placed.block + placed.count;

export const placeExtent = (block: number, item: ExtentItem): PlacedExtent => ({
  block,
  count: item.count,
  segment: item.segment,
  segmentBlock: item.segmentBlock,
  flags: item.flags,
  began: item.began,
});

export const placeRef = (block: number, item: RefItem): PlacedRef => ({
  block,
  count: item.count,
  owners: item.owners,
});

/** Position in `items` (sorted, no overlap) of the first that ends behind `block`. */
export function firstEndingAfter(items: readonly Placed[], block: number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (placedEnd(items[middle] as Placed) > block) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Those of `items` (sorted, no overlap) that overlap [from, to). */
export function overlapping<T extends Placed>(items: readonly T[], from: number, to: number): T[] {
  const found: T[] = [];
  for (let i = firstEndingAfter(items, from); i < items.length; i++) {
    const item = items[i] as T;
    if (item.block >= to) break;
    found.push(item);
  }
  return found;
}

/** What the reclaimer, the scrubber and the sweep need of the index; the `Index` satisfies it. */

import type { Item, Mutation, VolumeItem } from '../index/items.ts';
import { encodeNumber, FAMILY, type Family } from '../index/keys.ts';
import type { SegmentNumber } from '../model/ids.ts';

export interface ScannedItem {
  readonly key: string;
  readonly value: Item;
}

/** The index as it is at one moment. */
export interface ItemSnapshot {
  /** Items with keys in [gte, lt), in key order. */
  scan(
    family: Family,
    gte: string,
    lt: string,
    options?: { limit?: number; reverse?: boolean },
  ): AsyncIterable<ScannedItem>;
  close(): void;
}

export interface ItemSource {
  snapshot(): ItemSnapshot;
  volume(): VolumeItem | undefined;
}

export interface MutableItems extends ItemSource {
  /** Applies what no transaction says: a crash may undo it. */
  applyUnlogged(mutations: readonly Mutation[]): void;
}

/** Key of the volume item. */
export const VOLUME_KEY = `${FAMILY.meta}volume`;

/** The keys in [gte, lt) of the `ref` items of a segment. */
export const refRange = (segment: SegmentNumber): readonly [gte: string, lt: string] => [
  FAMILY.ref + encodeNumber(segment),
  FAMILY.ref + encodeNumber(segment + 1),
];

/** The key after all of a family. */
export const familyEnd = (family: Family): string =>
  String.fromCharCode(FAMILY[family].charCodeAt(0) + 1);

/** All that a scan yields. */
export async function collect(items: AsyncIterable<ScannedItem>): Promise<ScannedItem[]> {
  const all: ScannedItem[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Runs `task` on a snapshot of its own. */
export async function withSnapshot<T>(
  source: ItemSource,
  task: (snapshot: ItemSnapshot) => Promise<T>,
): Promise<T> {
  const snapshot = source.snapshot();
  try {
    return await task(snapshot);
  } finally {
    snapshot.close();
  }
}

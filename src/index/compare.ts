/** Comparing two indexes item by item: what `fsck` reports, and what rebuild tests demand. */

import type { Item } from './items.ts';
import { FAMILY, type Family } from './keys.ts';
import { afterPrefix } from './layer.ts';
import type { IndexSnapshot, KeyValue } from './snapshot.ts';
import { encodeValue } from './values.ts';

/** A key whose values differ; undefined is absent. */
export interface Difference {
  readonly family: Family;
  readonly key: string;
  readonly left: Item | undefined;
  readonly right: Item | undefined;
}

const ALL_FAMILIES = Object.keys(FAMILY) as Family[];

/** All differences between two snapshots, by family and key. */
export async function* differences(
  left: IndexSnapshot,
  right: IndexSnapshot,
  families: readonly Family[] = ALL_FAMILIES,
): AsyncIterable<Difference> {
  for (const family of families) yield* familyDifferences(family, left, right);
}

async function* familyDifferences(
  family: Family,
  left: IndexSnapshot,
  right: IndexSnapshot,
): AsyncIterable<Difference> {
  const lefts = rowsOf(left, family);
  const rights = rowsOf(right, family);
  let a = await lefts.next();
  let b = await rights.next();
  while (a.done !== true || b.done !== true) {
    const order = a.done === true ? 1 : b.done === true ? -1 : compare(a.value.key, b.value.key);
    const key = order <= 0 ? (a.value as KeyValue<Family>).key : (b.value as KeyValue<Family>).key;
    const leftValue = order <= 0 ? (a.value as KeyValue<Family>).value : undefined;
    const rightValue = order >= 0 ? (b.value as KeyValue<Family>).value : undefined;
    if (!sameValue(key, leftValue, rightValue)) {
      yield { family, key, left: leftValue, right: rightValue };
    }
    if (order <= 0) a = await lefts.next();
    if (order >= 0) b = await rights.next();
  }
}

/** The volume is the only item of `meta`; the store's own entries there are no items. */
function rowsOf(snapshot: IndexSnapshot, family: Family): AsyncIterator<KeyValue<Family>> {
  const prefix = family === 'meta' ? `${FAMILY.meta}volume` : FAMILY[family];
  return snapshot.scan(family, prefix, afterPrefix(prefix))[Symbol.asyncIterator]();
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function sameValue(key: string, a: Item | undefined, b: Item | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return Buffer.from(encodeValue(key, a)).equals(encodeValue(key, b));
}

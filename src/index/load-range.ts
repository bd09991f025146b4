/** Reading a range of extents or reference runs for the windows, from a snapshot of the index. */

import { decodeNumber, extentKey, refKey } from './keys.ts';
import type { Ino, SegmentNumber } from '../model/ids.ts';
import type { Miss } from './items.ts';
import { placeExtent, placeRef, type Placed } from './placed.ts';
import type { PlacedExtent, PlacedRef } from './placed.ts';
import type { IndexSnapshot, KeyValue } from './snapshot.ts';
import { NO_END, type LoadedRange } from './windows.ts';

/** Items read around what was asked for. */
interface Around {
  readonly ahead: number;
  readonly behind: number;
}

/** Of one who goes through the group, the next ones are wanted next. */
const IN_ORDER: Around = { ahead: 512, behind: 64 };
/** Of one who jumps, hardly any: reading 500 items for each block written is most of its cost. */
const AT_RANDOM: Around = { ahead: 16, behind: 8 };

const BLOCK_AT = 9;

/**
 * The extents that `miss` asks for, and some around them, more if they are asked for `inOrder`.
 * Closes the snapshot.
 */
export function loadExtents(
  snapshot: IndexSnapshot,
  miss: Miss,
  inOrder: boolean,
): Promise<LoadedRange<PlacedExtent>> {
  const ino = miss.group as Ino;
  const place = ({ key, value }: KeyValue<'extent'>) =>
    placeExtent(decodeNumber(key, BLOCK_AT), value);
  const around = inOrder ? IN_ORDER : AT_RANDOM;
  return loadRange(snapshot, 'extent', (block) => extentKey(ino, block), place, miss, around);
}

/** The same for reference runs. */
export function loadRefs(
  snapshot: IndexSnapshot,
  miss: Miss,
  inOrder: boolean,
): Promise<LoadedRange<PlacedRef>> {
  const segment = miss.group as SegmentNumber;
  const place = ({ key, value }: KeyValue<'ref'>) => placeRef(decodeNumber(key, BLOCK_AT), value);
  const around = inOrder ? IN_ORDER : AT_RANDOM;
  return loadRange(snapshot, 'ref', (block) => refKey(segment, block), place, miss, around);
}

async function loadRange<F extends 'extent' | 'ref', T extends Placed>(
  snapshot: IndexSnapshot,
  family: F,
  keyOf: (block: number) => string,
  place: (row: KeyValue<F>) => T,
  miss: Miss,
  around: Around,
): Promise<LoadedRange<T>> {
  try {
    const options = { limit: around.behind, reverse: true };
    const behind = await snapshot.scanBatch(family, keyOf(0), keyOf(miss.from), options);
    const items = behind.reverse().map(place);
    const from = items.length < around.behind ? 0 : (items[0] as T).block;
    const end = keyOf(NO_END);
    const ahead = snapshot.scan(family, keyOf(miss.from), end);
    let count = 0;
    for await (const row of ahead) {
      const item = place(row);
      if (item.block >= miss.to && count >= around.ahead) return { from, to: item.block, items };
      items.push(item);
      count++;
    }
    return { from, to: NO_END, items };
  } finally {
    snapshot.close();
  }
}

/**
 * A fixed view of the whole index: the overlay's layers and a LevelDB snapshot, taken in one
 * synchronous step. Reads merge the two; what happens to the index afterwards is not seen. An open
 * snapshot keeps LevelDB from dropping old values, so it must be closed.
 */

import type { Seq } from '../model/ids.ts';
import type { Item, ItemTypes } from './items.ts';
import type { Family } from './keys.ts';
import { byKey, firstAtOrAfter, type Layer, type Row } from './layer.ts';
import type { Store, StoreRows, StoreSnapshot } from './store.ts';
import { decodeValue } from './values.ts';

export interface KeyValue<F extends Family> {
  readonly key: string;
  readonly value: ItemTypes[F];
}

export interface ScanOptions {
  /** At most so many rows. */
  readonly limit?: number;
  /** From the last key down. */
  readonly reverse?: boolean;
}

/** Rows of a range in key order, a batch at a time. */
export interface Cursor<F extends Family> {
  /** The next rows, at most `limit`; none is the end. */
  next(limit: number): Promise<KeyValue<F>[]>;
  close(): Promise<void>;
}

export interface IndexSnapshot {
  /** Last transaction that the view contains. */
  readonly seq: Seq;
  get<F extends Family>(family: F, key: string): ItemTypes[F] | undefined;
  /** Rows with gte <= key < lt. */
  scan<F extends Family>(
    family: F,
    gte: string,
    lt: string,
    options?: ScanOptions,
  ): AsyncIterable<KeyValue<F>>;
  /** All rows with gte <= key < lt, up to the limit, at once. */
  scanBatch<F extends Family>(
    family: F,
    gte: string,
    lt: string,
    options?: ScanOptions,
  ): Promise<KeyValue<F>[]>;
  cursor<F extends Family>(family: F, gte: string, lt: string, reverse?: boolean): Cursor<F>;
  close(): void;
}

/** Rows that one step asks of LevelDB: enough to make the step's cost small. */
const STEP_ROWS = 1000;

export function takeSnapshot(store: Store, layers: readonly Layer[], seq: Seq): IndexSnapshot {
  const stored = store.snapshot();
  const overlaid = mergedRanges(layers);

  function get<F extends Family>(family: F, key: string): ItemTypes[F] | undefined {
    for (let i = layers.length - 1; i >= 0; i--) {
      const entry = layers[i]?.find(family, key);
      if (entry !== undefined) return entry.value as ItemTypes[F] | undefined;
    }
    const bytes = store.get(key, stored);
    return bytes === undefined ? undefined : (decodeValue(key, bytes) as ItemTypes[F]);
  }

  function cursor<F extends Family>(
    family: F,
    gte: string,
    lt: string,
    reverse = false,
  ): Cursor<F> {
    const rows = overlaid(family, gte, lt);
    const merged = new MergedRows(reverse ? rows.toReversed() : rows, store, stored, reverse);
    merged.open(gte, lt);
    return merged as unknown as Cursor<F>;
  }

  async function* scan<F extends Family>(
    family: F,
    gte: string,
    lt: string,
    options: ScanOptions = {},
  ): AsyncIterable<KeyValue<F>> {
    const rows = cursor(family, gte, lt, options.reverse);
    try {
      let left = options.limit ?? Infinity;
      while (left > 0) {
        const batch = await rows.next(Math.min(left, STEP_ROWS));
        if (batch.length === 0) return;
        left -= batch.length;
        yield* batch;
      }
    } finally {
      await rows.close();
    }
  }

  async function scanBatch<F extends Family>(
    family: F,
    gte: string,
    lt: string,
    options: ScanOptions = {},
  ): Promise<KeyValue<F>[]> {
    const rows = cursor(family, gte, lt, options.reverse);
    try {
      const limit = options.limit ?? Infinity;
      const found: KeyValue<F>[] = [];
      while (found.length < limit) {
        const batch = await rows.next(Math.min(limit - found.length, STEP_ROWS));
        if (batch.length === 0) break;
        for (const row of batch) found.push(row);
      }
      return found;
    } finally {
      await rows.close();
    }
  }

  return { seq, get, scan, scanBatch, cursor, close: () => void stored.close() };
}

/** What the layers hold of a range, the newest entry of each key. Remembers the last range. */
function mergedRanges(layers: readonly Layer[]) {
  let last: { family: Family; gte: string; lt: string; rows: readonly Row[] } | undefined;
  return (family: Family, gte: string, lt: string): readonly Row[] => {
    if (last === undefined || last.family !== family || last.lt !== lt || gte < last.gte) {
      last = { family, gte, lt, rows: mergeLayers(layers, family, gte, lt) };
    }
    return gte === last.gte ? last.rows : last.rows.slice(firstAtOrAfter(last.rows, gte));
  };
}

function mergeLayers(
  layers: readonly Layer[],
  family: Family,
  gte: string,
  lt: string,
): readonly Row[] {
  const ranges = layers.map((layer) => layer.range(family, gte, lt)).filter((r) => r.length > 0);
  if (ranges.length <= 1) return ranges[0] ?? [];
  const newest = new Map<string, Row>();
  for (const range of ranges) for (const row of range) newest.set(row.key, row);
  return [...newest.values()].sort(byKey);
}

/** Merges overlaid rows, which win, with LevelDB's, in either direction. */
class MergedRows implements Cursor<Family> {
  readonly #overlaid: readonly Row[];
  readonly #store: Store;
  readonly #snapshot: StoreSnapshot;
  readonly #reverse: boolean;
  #rows: StoreRows | undefined;
  #stored: readonly [string, Buffer][] = [];
  #overlaidAt = 0;
  #storedAt = 0;
  #storedEnded = false;

  constructor(overlaid: readonly Row[], store: Store, snapshot: StoreSnapshot, reverse: boolean) {
    this.#overlaid = overlaid;
    this.#store = store;
    this.#snapshot = snapshot;
    this.#reverse = reverse;
  }

  open(gte: string, lt: string): void {
    this.#rows = this.#store.rows(this.#snapshot, gte, lt, this.#reverse);
  }

  async next(limit: number): Promise<KeyValue<Family>[]> {
    const found: { key: string; value: Item }[] = [];
    while (found.length < limit) {
      if (this.#storedAt === this.#stored.length && !this.#storedEnded) {
        await this.#refill(limit - found.length);
      }
      if (!this.#step(found)) break;
    }
    return found;
  }

  async close(): Promise<void> {
    await this.#rows?.close();
  }

  async #refill(wanted: number): Promise<void> {
    this.#stored = (await this.#rows?.next(Math.min(wanted, STEP_ROWS))) ?? [];
    this.#storedAt = 0;
    this.#storedEnded = this.#stored.length === 0;
  }

  /** Moves past one key; false at the end. */
  #step(found: { key: string; value: Item }[]): boolean {
    const over = this.#overlaid[this.#overlaidAt];
    const stored = this.#stored[this.#storedAt];
    if (over === undefined && stored === undefined) return false;
    if (over === undefined || (stored !== undefined && this.#isBefore(stored[0], over.key))) {
      const [key, bytes] = stored as [string, Buffer];
      found.push({ key, value: decodeValue(key, bytes) });
      this.#storedAt++;
      return true;
    }
    if (stored !== undefined && stored[0] === over.key) this.#storedAt++;
    this.#overlaidAt++;
    if (over.value !== undefined) found.push({ key: over.key, value: over.value });
    return true;
  }

  #isBefore(a: string, b: string): boolean {
    return this.#reverse ? a > b : a < b;
  }
}

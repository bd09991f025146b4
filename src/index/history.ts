/**
 * The state at an earlier position S, from the current items and the before-images.
 *
 * At S a key has: its current value if it began at or before S; else the before-image with the
 * smallest end above S, if that one began at or before S; else nothing. Valid for S at or above the
 * history horizon (before-images that ended at or before it may be gone). Current and history keys
 * are read over one snapshot, so work going on meanwhile never shows.
 */

import type { Seq } from '../model/ids.ts';
import type { ItemTypes } from './items.ts';
import { decodeNumber, encodeNumber, FAMILY } from './keys.ts';
import { afterPrefix } from './layer.ts';
import type { Cursor, IndexSnapshot, KeyValue } from './snapshot.ts';

/** Families whose past is kept. */
export type HistoryFamily = 'inode' | 'dirent' | 'position' | 'backref' | 'extent' | 'xattr';

/** A history key ends in NUL and the seq at which its value ended. */
const ENDED_CHARS = 9;
const STEP_ROWS = 256;

/** The seq at which a value came into being. */
export const beganOf = (value: ItemTypes[HistoryFamily]): Seq =>
  'began' in value ? value.began : value.metaSeq;

/** The value that `key` had at `at`. */
export async function itemAt<F extends HistoryFamily>(
  snapshot: IndexSnapshot,
  family: F,
  key: string,
  at: Seq,
): Promise<ItemTypes[F] | undefined> {
  const current = snapshot.get(family, key);
  if (current !== undefined && beganOf(current) <= at) return current;
  const prefix = FAMILY.history + key + '\0';
  const range = { gte: endedAfter(prefix, at), lt: afterPrefix(prefix) };
  const [image] = await snapshot.scanBatch('history', range.gte, range.lt, { limit: 1 });
  if (image === undefined || beganOf(image.value) > at) return undefined;
  return image.value as ItemTypes[F];
}

/** The rows with gte <= key < lt at `at`, in key order. The bounds are whole keys or prefixes. */
export async function* scanAt<F extends HistoryFamily>(
  snapshot: IndexSnapshot,
  family: F,
  gte: string,
  lt: string,
  at: Seq,
): AsyncIterable<KeyValue<F>> {
  const current = new Peekable(snapshot.cursor(family, gte, lt));
  const images = new Peekable(
    snapshot.cursor('history', FAMILY.history + gte, FAMILY.history + lt),
  );
  try {
    for (;;) {
      const key = lesserKey(await current.peek(), await images.peek());
      if (key === undefined) return;
      const past = await imageAt(images, key, at);
      const row = await current.peek();
      const present = row?.key === key ? row.value : undefined;
      if (present !== undefined) current.skip();
      const value = present !== undefined && beganOf(present) <= at ? present : past;
      if (value !== undefined) yield { key, value: value as ItemTypes[F] };
    }
  } finally {
    await current.close();
    await images.close();
  }
}

/** Passes all images of `key`; the one that stood at `at`: their lives never overlap. */
async function imageAt(
  images: Peekable<'history'>,
  key: string,
  at: Seq,
): Promise<ItemTypes['history'] | undefined> {
  let found: ItemTypes['history'] | undefined;
  for (;;) {
    const image = await images.peek();
    if (image === undefined || itemKeyOf(image.key) !== key) return found;
    const ended = decodeNumber(image.key, image.key.length - ENDED_CHARS + 1);
    if (ended > at && beganOf(image.value) <= at) found = image.value;
    images.skip();
  }
}

const itemKeyOf = (historyKey: string): string => historyKey.slice(1, -ENDED_CHARS);

function lesserKey(
  row: KeyValue<HistoryFamily> | undefined,
  image: KeyValue<'history'> | undefined,
): string | undefined {
  if (image === undefined) return row?.key;
  const key = itemKeyOf(image.key);
  return row !== undefined && row.key < key ? row.key : key;
}

/** The least history key under `prefix` that ended above `at`. */
const endedAfter = (prefix: string, at: Seq): string => prefix + encodeNumber(at + 1);

/** A cursor whose next row can be looked at. */
class Peekable<F extends HistoryFamily | 'history'> {
  readonly #cursor: Cursor<F>;
  #rows: readonly KeyValue<F>[] = [];
  #next = 0;
  #ended = false;

  constructor(cursor: Cursor<F>) {
    this.#cursor = cursor;
  }

  async peek(): Promise<KeyValue<F> | undefined> {
    if (this.#next === this.#rows.length && !this.#ended) {
      this.#rows = await this.#cursor.next(STEP_ROWS);
      this.#next = 0;
      this.#ended = this.#rows.length === 0;
    }
    return this.#rows[this.#next];
  }

  skip(): void {
    this.#next++;
  }

  close(): Promise<void> {
    return this.#cursor.close();
  }
}

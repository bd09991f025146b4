/**
 * Writing layers to LevelDB: one atomic batch of the newest value of each key, with the last layer's
 * seq as the applied seq. Encoding is cut into slices, so that requests are served in between.
 */

import { turn } from '../io/turn.ts';
import { must } from '../model/assert.ts';
import type { Seq } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import { FAMILY, type Family } from './keys.ts';
import { LISTED, seqKeys, type Entry, type Layer, type Row } from './layer.ts';
import type { Store, StoreBatch } from './store.ts';
import { encodeValue } from './values.ts';

const FAMILIES = Object.keys(FAMILY) as Family[];

/** Entries worked on before others get their turn: about a millisecond. */
const SLICE = 512;

/** Writes frozen, consecutive layers, oldest first; then calls `release` for each of their entries. */
export async function writeLayers(
  store: Store,
  layers: readonly Layer[],
  release: (entry: Entry) => void,
): Promise<void> {
  const first = must(layers[0], 'no layers to write');
  const last = must(layers.at(-1), 'no layers to write');
  const batch = await store.batch();
  try {
    await eachInSlices(layers, (row, isEntry) => {
      const newer = isEntry ? (row as Entry).newer : undefined;
      if (newer !== undefined && newer.layer.number <= last.number) return;
      collect(batch, row);
      if (isEntry && (row as Entry).family === 'inode') collectSeqs(batch, row, first.baseSeq);
    });
  } catch (error) {
    await batch.abandon();
    throw error;
  }
  await batch.write(last.lastSeq);
  await eachInSlices(layers, (row, isEntry) => {
    if (isEntry) release(row as Entry);
  });
}

function collect(batch: StoreBatch, { key, value }: Row): void {
  if (value === undefined) batch.delete(key);
  else batch.put(key, encodeValue(key, value));
}

/** The seq families follow from the inodes. */
function collectSeqs(batch: StoreBatch, { value }: Row, base: Seq): void {
  if (value === undefined) return;
  seqKeys(value as Inode, base, (key) => batch.put(key, encodeValue(key, true)));
}

/** Visits oldest layers first, so that in the batch a key's later rows come later. */
async function eachInSlices(
  layers: readonly Layer[],
  visit: (row: Row, isEntry: boolean) => void,
): Promise<void> {
  let done = 0;
  for (const family of FAMILIES) {
    const isEntry = LISTED[family] === undefined;
    for (const layer of layers) {
      for (const row of layer.rows(family)) {
        visit(row, isEntry);
        if (++done % SLICE === 0) await turn();
      }
    }
  }
}

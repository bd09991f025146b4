/**
 * Writing layers to LevelDB: one atomic batch of the newest value of each key, with the last layer's
 * seq as the applied seq. Encoding is cut into slices, so that requests are served in between.
 */

import { must } from '../model/assert.ts';
import type { Entry, Layer } from './layer.ts';
import type { Store, StoreBatch } from './store.ts';
import { encodeValue } from './values.ts';

/** Entries worked on before others get their turn: about a millisecond. */
const SLICE = 512;

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Writes frozen, consecutive layers, oldest first; then calls `release` for each of their entries. */
export async function writeLayers(
  store: Store,
  layers: readonly Layer[],
  release: (entry: Entry) => void,
): Promise<void> {
  const last = must(layers.at(-1), 'no layers to write');
  const batch = await store.batch();
  try {
    await eachInSlices(layers, (entry) => collect(batch, entry, last.number));
  } catch (error) {
    await batch.abandon();
    throw error;
  }
  await batch.write(last.lastSeq);
  await eachInSlices(layers, release);
}

function collect(batch: StoreBatch, entry: Entry, last: number): void {
  const { newer, key, value } = entry;
  if (newer !== undefined && newer.layer.number <= last) return;
  if (value === undefined) batch.delete(key);
  else batch.put(key, encodeValue(key, value));
}

async function eachInSlices(
  layers: readonly Layer[],
  visit: (entry: Entry) => void,
): Promise<void> {
  let done = 0;
  for (const layer of layers) {
    for (const entry of layer.entries()) {
      visit(entry);
      if (++done % SLICE === 0) await turn();
    }
  }
}

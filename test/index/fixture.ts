/** Indexes in temporary folders, and what tests read of them. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Index, type IndexOptions } from '../../src/index/index.ts';
import { Miss, type Item } from '../../src/index/items.ts';
import { FAMILY, type Family } from '../../src/index/keys.ts';
import { afterPrefix } from '../../src/index/layer.ts';
import type { IndexSnapshot } from '../../src/index/snapshot.ts';
import type { Transaction } from '../../src/model/transaction.ts';

export const FAMILIES = Object.keys(FAMILY) as Family[];

/** Runs `body` in a fresh folder that is removed afterwards. */
export async function inFolder<T>(body: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'ledgerfs-index-'));
  try {
    return await body(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Runs `body` with an index, closed and removed afterwards. */
export function withIndex<T>(
  body: (index: Index, dir: string) => Promise<T>,
  options: Omit<IndexOptions, 'dir'> = {},
): Promise<T> {
  return inFolder(async (folder) => {
    const dir = join(folder, 'index');
    const index = await Index.open({ dir, ...options });
    try {
      return await body(index, dir);
    } finally {
      await index.close();
    }
  });
}

/** Prepares and applies, loading what is missed. */
export async function commit(index: Index, tx: Transaction): Promise<void> {
  for (;;) {
    try {
      index.apply(tx, index.prepare(tx));
      return;
    } catch (error) {
      if (!(error instanceof Miss)) throw error;
      await index.load(error);
    }
  }
}

/** Calls `read` until nothing is missed any more. */
export async function loaded<T>(index: Index, read: () => T): Promise<T> {
  for (;;) {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof Miss)) throw error;
      await index.load(error);
    }
  }
}

export async function rowsOf(
  snapshot: IndexSnapshot,
  family: Family,
): Promise<{ key: string; value: Item }[]> {
  const prefix = family === 'meta' ? `${FAMILY.meta}volume` : FAMILY[family];
  return snapshot.scanBatch(family, prefix, afterPrefix(prefix));
}

/** Everything in the index, by family. */
export async function dump(
  index: Index,
  families: readonly Family[] = FAMILIES,
): Promise<Record<string, { key: string; value: Item }[]>> {
  const snapshot = index.snapshot();
  try {
    const all: Record<string, { key: string; value: Item }[]> = {};
    for (const family of families) all[family] = await rowsOf(snapshot, family);
    return all;
  } finally {
    snapshot.close();
  }
}

export async function* batches<T>(all: readonly T[], size = 10): AsyncIterable<readonly T[]> {
  for (let i = 0; i < all.length; i += size) yield all.slice(i, i + size);
}

/** Access times have no past: an earlier state shows the last one that its inode got. */
export const withoutAccess = (row: { readonly key: string; readonly value: unknown }): unknown =>
  row.key.startsWith(FAMILY.inode) && row.value !== undefined
    ? { ...row, value: { ...(row.value as object), atime: undefined } }
    : row;

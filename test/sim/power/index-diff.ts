/** Tells two indexes apart, row by row: what a digest only says, in words. */

import { Index } from '../../../src/index/index.ts';
import { FAMILY, type Family } from '../../../src/index/keys.ts';

const MOST_DIFFERENCES = 12;

const LAST_CHAR = '\u00ff';

async function rowsOf(dir: string): Promise<Map<string, string>> {
  const index = await Index.open({ dir });
  const rows = new Map<string, string>();
  const snapshot = index.snapshot();
  for (const family of Object.keys(FAMILY) as Family[]) {
    // Its items are of different types, and the reclaimer counts in them.
    if (family === 'meta') continue;
    const prefix = FAMILY[family];
    for await (const { key, value } of snapshot.scan(family, prefix, prefix + LAST_CHAR)) {
      rows.set(`${family} ${JSON.stringify(key)}`, JSON.stringify(value, plain));
    }
  }
  snapshot.close();
  await index.close();
  return rows;
}

const plain = (_: string, value: unknown): unknown =>
  typeof value === 'bigint' ? `${value}n` : value;

/** Up to a dozen rows in which the indexes in the two directories, both closed, differ. */
export async function indexDifferences(left: string, right: string): Promise<string> {
  const [a, b] = [await rowsOf(left), await rowsOf(right)];
  const differences: string[] = [];
  for (const key of new Set([...a.keys(), ...b.keys()])) {
    if (a.get(key) === b.get(key)) continue;
    differences.push(`${key}\n   ${a.get(key) ?? 'absent'}\n   ${b.get(key) ?? 'absent'}`);
  }
  const some = differences.slice(0, MOST_DIFFERENCES).join('\n');
  return `${differences.length} rows differ:\n${some}`;
}

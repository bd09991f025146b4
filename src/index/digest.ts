/**
 * The digest: one hash of the whole state, equal on every machine that replayed the same log.
 * SHA-256 over the records (`records.ts`) of the primary families in key order. No history, no
 * counters, no caches.
 */

import { createHash, type Hash } from 'node:crypto';
import { FAMILY } from './keys.ts';
import { afterPrefix } from './layer.ts';
import { encodeRecord, recordBytes, type RecordedFamily } from './records.ts';
import type { IndexSnapshot } from './snapshot.ts';
import { encodeValue } from './values.ts';

/** Families whose items make up the state. */
export const PRIMARY_FAMILIES = [
  'inode',
  'dirent',
  'backref',
  'xattr',
  'extent',
  'orphan',
  'checksum',
] as const satisfies readonly RecordedFamily[];

/** The digest of the state of `snapshot`, 64 hexadecimal digits. Reads all of it. */
export async function digestOf(snapshot: IndexSnapshot): Promise<string> {
  const hash = createHash('sha256');
  for (const family of PRIMARY_FAMILIES) await hashFamily(hash, snapshot, family);
  return hash.digest('hex');
}

async function hashFamily(
  hash: Hash,
  snapshot: IndexSnapshot,
  family: RecordedFamily,
): Promise<void> {
  let record = Buffer.alloc(64 * 1024);
  const prefix = FAMILY[family];
  for await (const { key, value } of snapshot.scan(family, prefix, afterPrefix(prefix))) {
    const stored = encodeValue(key, value);
    const bytes = recordBytes(family, key, stored);
    if (bytes > record.length) record = Buffer.alloc(bytes);
    hash.update(record.subarray(0, encodeRecord(family, key, stored, record, 0)));
  }
}

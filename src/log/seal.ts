/**
 * Seals: the chain of custody. Pure.
 *
 * The last record of a commit carries `{ count, hash }`: the number of the commit's records, and the
 * SHA-256 over the previous seal's 32 bytes and the encodings of the commit's records in order, the
 * last one with its seal null. `seal` is the record's last field, so null is its last byte, 0x00:
 * a commit is hashed as it was encoded, and only then is that byte replaced by the seal.
 * Before the first seal stands the SHA-256 of the volume's 16 fsid bytes.
 *
 * A seal noted down proves later that nothing before it was altered, lost or inserted.
 */

import { createHash, hash } from 'node:crypto';
import { assert } from '../model/assert.ts';
import { encodeVarint, varintBytes } from './varint.ts';

export const SEAL_HASH_BYTES = 32;
/** Most bytes that a seal adds to the record that carries it. */
export const MAX_SEAL_BYTES = SEAL_HASH_BYTES + 8;

/** How many bytes the seal of a commit of `count` records adds to the record that carries it. */
export const sealBytes = (count: number): number => SEAL_HASH_BYTES + varintBytes(count);

/** Avro's branch of a union's second type: here, `seal` is not null. */
const PRESENT = 0x02;
const ABSENT = Buffer.alloc(1);

/** Up to here one call that hashes a copy is cheaper than a hash object fed piece by piece. */
const SMALL_BYTES = 8 * 1024;
const scratch = Buffer.alloc(SMALL_BYTES);

/** The seal before a volume's first commit. `fsid`: 32 hexadecimal digits. */
export const firstSeal = (fsid: string): Buffer =>
  createHash('sha256').update(Buffer.from(fsid, 'hex')).digest();

/** SHA-256 over `previous` and `parts`. */
export function sealHash(previous: Buffer, parts: readonly Uint8Array[]): Buffer {
  let total = previous.length;
  for (const part of parts) total += part.length;
  return total <= SMALL_BYTES ? hashCopy(previous, parts, total) : hashParts(previous, parts);
}

function hashCopy(previous: Buffer, parts: readonly Uint8Array[], total: number): Buffer {
  scratch.set(previous);
  let at = previous.length;
  for (const part of parts) {
    scratch.set(part, at);
    at += part.length;
  }
  return hash('sha256', scratch.subarray(0, total), 'buffer');
}

function hashParts(previous: Buffer, parts: readonly Uint8Array[]): Buffer {
  const sum = createHash('sha256').update(previous);
  for (const part of parts) sum.update(part);
  return sum.digest();
}

/**
 * Puts the seal in place of the last byte of an encoded record, which ends at `end` of `into` with
 * MAX_SEAL_BYTES to spare. Returns the record's new end.
 */
export function writeSeal(into: Buffer, end: number, count: number, digest: Buffer): number {
  assert(into[end - 1] === 0, 'the last record of a commit is sealed once');
  into[end - 1] = PRESENT;
  const at = encodeVarint(count, into, end);
  return at + digest.copy(into, at);
}

/**
 * Where the seal of a commit of `count` records begins, if the last of them, which ends with
 * `bytes`, carries one; else -1. Bytes may look like a seal by chance: `verifiedSeal` decides.
 */
export function sealStart(bytes: Buffer, count: number): number {
  const countBytes = varintBytes(count);
  const start = bytes.length - sealBytes(count) - 1;
  if (start < 0 || bytes[start] !== PRESENT) return -1;
  const found = Buffer.alloc(countBytes);
  encodeVarint(count, found, 0);
  return found.compare(bytes, start + 1, start + 1 + countBytes) === 0 ? start : -1;
}

/** The hash in the seal that ends with `bytes`. Shares their memory. */
export const sealIn = (bytes: Buffer): Buffer => bytes.subarray(bytes.length - SEAL_HASH_BYTES);

/**
 * The seal of the commit whose `blocks` (their records' bytes) hold `count` records, if it is sealed
 * there and the seal follows from `previous`; else undefined. Copied.
 */
export function verifiedSeal(
  previous: Buffer,
  blocks: readonly Buffer[],
  count: number,
): Buffer | undefined {
  const last = blocks[blocks.length - 1];
  if (last === undefined) return undefined;
  const start = sealStart(last, count);
  if (start < 0) return undefined;
  const parts: Uint8Array[] = blocks.slice(0, -1);
  parts.push(last.subarray(0, start), ABSENT);
  const digest = sealHash(previous, parts);
  return digest.equals(sealIn(last)) ? digest : undefined;
}

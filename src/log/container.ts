/**
 * Avro Object Container Files, the outer form of a log segment. Pure: buffers in, buffers out.
 *
 *   file    header, block*
 *   header  "Obj" 01, map of metadata (one run of entries, 00), 16 bytes of sync marker
 *   block   long count of records, long length in bytes, the records, the sync marker
 *
 * Metadata, in this order: avro.schema, avro.codec ("null"), ledgerfs.fsid (32 hexadecimal digits),
 * ledgerfs.format and ledgerfs.first_seq (decimal, the latter in 20 digits as in the file's name),
 * ledgerfs.seal (the 32 bytes of the seal that the segment's first commit follows) and
 * ledgerfs.digest (SHA-256 of the whole header with 32 zero bytes in this place), so that a damaged
 * header is known for what it is.
 *
 * Nothing is believed before it is checked: every length against its limit and against the bytes
 * that are there, before anything is allocated or sliced by it.
 */

import { createHash } from 'node:crypto';
import { assert } from '../model/assert.ts';
import { seq, type Seq } from '../model/ids.ts';
import { decodeVarint, encodeVarint, MAX_VARINT_BYTES, varintBytes } from './varint.ts';

/** Largest block, in bytes of records. */
export const MAX_BLOCK_BYTES = 4 * 1024 * 1024;
/** Largest header: the schema is the most of it. */
export const MAX_HEADER_BYTES = 1024 * 1024;
export const SYNC_BYTES = 16;
/** Most that a block takes besides its records. */
export const MAX_FRAME_BYTES = 2 * MAX_VARINT_BYTES + SYNC_BYTES;
/** Digits of a seq in names and headers. */
export const SEQ_DIGITS = 20;

const MAGIC = Buffer.from('Obj\x01', 'latin1');
const DIGEST_KEY = 'ledgerfs.digest';
const DIGEST_BYTES = 32;
const SEAL_BYTES = 32;
const MAX_METADATA = 64;

/** What a segment's header says. */
export interface SegmentHeader {
  /** 32 hexadecimal digits. */
  readonly fsid: string;
  readonly format: number;
  readonly firstSeq: Seq;
  /** The seal before the segment's first commit. */
  readonly seal: Buffer;
  /** The Avro schema of the records, JSON. */
  readonly schema: string;
}

/** A header as it was read. */
export interface ReadHeader extends SegmentHeader {
  readonly sync: Buffer;
  /** Length of the header: offset of the first block. */
  readonly bytes: number;
}

/** The decimal form of a seq, in names and headers. */
export const seqDigits = (n: Seq): string => String(n).padStart(SEQ_DIGITS, '0');

/**
 * The sync marker of a segment. Derived instead of drawn: a segment's bytes are a function of what
 * it holds. Nobody without the log can know it, since the seal is in it.
 */
function syncOf(header: SegmentHeader): Buffer {
  const hash = createHash('sha256').update(header.fsid).update(seqDigits(header.firstSeq));
  return hash.update(header.seal).digest().subarray(0, SYNC_BYTES);
}

/** A segment's header, ready to be written, and its sync marker. */
export function encodeHeader(header: SegmentHeader): { bytes: Buffer; sync: Buffer } {
  assert(header.seal.length === SEAL_BYTES, 'a seal is 32 bytes');
  const sync = syncOf(header);
  const metadata: readonly (readonly [string, Buffer])[] = [
    ['avro.schema', Buffer.from(header.schema)],
    ['avro.codec', Buffer.from('null')],
    ['ledgerfs.fsid', Buffer.from(header.fsid)],
    ['ledgerfs.format', Buffer.from(String(header.format))],
    ['ledgerfs.first_seq', Buffer.from(seqDigits(header.firstSeq))],
    ['ledgerfs.seal', header.seal],
    [DIGEST_KEY, Buffer.alloc(DIGEST_BYTES)],
  ];
  const parts = metadata.flatMap(([key, value]) => [prefixed(Buffer.from(key)), prefixed(value)]);
  const bytes = Buffer.concat([MAGIC, varint(metadata.length), ...parts, Buffer.alloc(1), sync]);
  assert(bytes.length <= MAX_HEADER_BYTES, () => `a header of ${bytes.length} bytes`);
  digestOf(bytes).copy(bytes, digestOffset(bytes.length));
  return { bytes, sync };
}

/** Where the digest stands: it is the last entry, before the map's end and the sync marker. */
const digestOffset = (headerBytes: number): number => headerBytes - SYNC_BYTES - 1 - DIGEST_BYTES;

function digestOf(header: Buffer): Buffer {
  const blank = Buffer.from(header);
  const at = digestOffset(header.length);
  blank.fill(0, at, at + DIGEST_BYTES);
  return createHash('sha256').update(blank).digest();
}

function varint(n: number): Buffer {
  const bytes = Buffer.alloc(varintBytes(n));
  encodeVarint(n, bytes, 0);
  return bytes;
}

const prefixed = (bytes: Buffer): Buffer => Buffer.concat([varint(bytes.length), bytes]);

/** Why bytes are no header, no block: one phrase, for the error that names the place. */
export class Malformed {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** The header at the start of `bytes` (a file's first MAX_HEADER_BYTES, or all of it). */
export function decodeHeader(bytes: Buffer): ReadHeader | Malformed {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return new Malformed('no Avro container');
  const map = decodeMap(bytes, MAGIC.length);
  if (map instanceof Malformed) return map;
  const end = map.end + SYNC_BYTES;
  if (end > bytes.length) return new Malformed('an incomplete header');
  const header = bytes.subarray(0, end);
  const digest = map.entries.get(DIGEST_KEY);
  const foreign = digest === undefined && !map.entries.has('ledgerfs.fsid');
  if (foreign) return new Malformed('an Avro container, but no ledgerfs log');
  if (digest === undefined || !digestOf(header).equals(digest)) {
    return new Malformed('a damaged header');
  }
  return headerOf(map.entries, header);
}

function headerOf(entries: ReadonlyMap<string, Buffer>, header: Buffer): ReadHeader | Malformed {
  const text = (key: string): string => entries.get(key)?.toString() ?? '';
  const format = Number(text('ledgerfs.format'));
  const firstSeq = Number(text('ledgerfs.first_seq'));
  const seal = entries.get('ledgerfs.seal');
  if (!Number.isSafeInteger(format) || !Number.isSafeInteger(firstSeq) || firstSeq < 1) {
    return new Malformed('a header with numbers out of range');
  }
  if (seal?.length !== SEAL_BYTES) return new Malformed('a header without a seal');
  if (text('avro.codec') !== 'null') return new Malformed('a compressed container');
  return {
    fsid: text('ledgerfs.fsid'),
    format,
    firstSeq: seq(firstSeq),
    seal: Buffer.from(seal),
    schema: text('avro.schema'),
    sync: Buffer.from(header.subarray(header.length - SYNC_BYTES)),
    bytes: header.length,
  };
}

function decodeMap(
  bytes: Buffer,
  at: number,
): { entries: Map<string, Buffer>; end: number } | Malformed {
  const entries = new Map<string, Buffer>();
  const count = decodeVarint(bytes, at, bytes.length);
  if (count === undefined) return new Malformed('an incomplete header');
  if (!(count.value >= 1 && count.value <= MAX_METADATA)) return new Malformed('a bad header');
  let end = count.end;
  for (let i = 0; i < count.value; i++) {
    const key = decodePrefixed(bytes, end);
    if (key instanceof Malformed) return key;
    const value = decodePrefixed(bytes, key.end);
    if (value instanceof Malformed) return value;
    entries.set(key.bytes.toString(), value.bytes);
    end = value.end;
  }
  if (end >= bytes.length) return new Malformed('an incomplete header');
  return bytes[end] === 0 ? { entries, end: end + 1 } : new Malformed('a bad header');
}

function decodePrefixed(bytes: Buffer, at: number): { bytes: Buffer; end: number } | Malformed {
  const length = decodeVarint(bytes, at, bytes.length);
  if (length === undefined) return new Malformed('an incomplete header');
  if (!(length.value <= MAX_HEADER_BYTES)) return new Malformed('a bad header');
  const end = length.end + length.value;
  if (end > bytes.length) return new Malformed('an incomplete header');
  return { bytes: bytes.subarray(length.end, end), end };
}

/** What stands before a block's records. */
export function encodeBlockHead(count: number, length: number): Buffer {
  assert(
    count > 0 && length <= MAX_BLOCK_BYTES,
    () => `a block of ${count} records, ${length} bytes`,
  );
  const head = Buffer.alloc(varintBytes(count) + varintBytes(length));
  encodeVarint(length, head, encodeVarint(count, head, 0));
  return head;
}

/** A block within a buffer. */
export interface Block {
  /** Number of records, at least 1. */
  readonly count: number;
  /** Offset of its first record. */
  readonly start: number;
  /** Offset after its last record. */
  readonly end: number;
  /** Offset after its sync marker. */
  readonly next: number;
}

/** How many bytes from its start on a block needs to be read at once. */
export class Incomplete {
  readonly needBytes: number;

  constructor(needBytes: number) {
    this.needBytes = needBytes;
  }
}

/**
 * The block at `at` of `bytes`; Incomplete if it goes on after them. Without `sync` its marker is
 * not looked at.
 */
export function decodeBlock(
  bytes: Buffer,
  at: number,
  sync: Buffer | undefined,
): Block | Incomplete | Malformed {
  const limit = bytes.length;
  const count = decodeVarint(bytes, at, limit);
  if (count === undefined) return new Incomplete(MAX_FRAME_BYTES);
  const length = decodeVarint(bytes, count.end, limit);
  if (length === undefined) return new Incomplete(MAX_FRAME_BYTES);
  if (!(length.value > 0 && length.value <= MAX_BLOCK_BYTES)) {
    return new Malformed('a block of impossible length');
  }
  // Every record takes bytes, so a count beyond the length is no count.
  if (!(count.value > 0 && count.value <= length.value)) {
    return new Malformed('a block with an impossible number of records');
  }
  const end = length.end + length.value;
  const next = end + SYNC_BYTES;
  if (next > limit) return new Incomplete(next - at);
  if (sync !== undefined && sync.compare(bytes, end, next) !== 0) {
    return new Malformed('a block without its sync marker');
  }
  return { count: count.value, start: length.end, end, next };
}

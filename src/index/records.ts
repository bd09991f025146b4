/**
 * Items as Avro records: the form in which checkpoints store the state and digests hash it.
 *
 * A record is a branch of one union: the branch's number, the fields of the item's key, then the
 * value's fields exactly as the index stores them. Order of records: families in the order of
 * RECORDED, keys ascending. Equal states are equal bytes, on every machine.
 */

import { decodeVarint, encodeVarint, varintBytes } from '../log/varint.ts';
import { assert } from '../model/assert.ts';
import { decodeNumber, encodeNumber, FAMILY, type Family } from './keys.ts';
import { valueEnd, VALUE_FIELDS } from './values.ts';

type KeyField =
  | 'ino'
  | 'dir'
  | 'name'
  | 'position'
  | 'block'
  | 'segment'
  | 'run'
  | 'seq'
  | 'second';

/**
 * What a checkpoint holds, and the fields of each key. The other families are derived from these:
 * position from dirent; metaSeq, dataSeq and truncating from inode; history begins anew.
 */
export const RECORDED = {
  meta: [],
  inode: ['ino'],
  dirent: ['dir', 'name'],
  backref: ['ino', 'dir', 'position'],
  xattr: ['ino', 'name'],
  extent: ['ino', 'block'],
  orphan: ['ino'],
  checksum: ['segment', 'run'],
  segment: ['segment'],
  ref: ['segment', 'block'],
  freed: ['seq', 'segment', 'block'],
  timeMark: ['second'],
} as const satisfies { readonly [F in Family]?: readonly KeyField[] };

export type RecordedFamily = keyof typeof RECORDED;
export const RECORDED_FAMILIES = Object.keys(RECORDED) as RecordedFamily[];

/** Follows the last item of a checkpoint. */
export const END_BRANCH = RECORDED_FAMILIES.length;
export const DIGEST_BYTES = 32;

const VOLUME_NAME = 'volume';
const NUMBER_CHARS = 8;

/** The Avro schema of a record, JSON: any Avro tool can read a checkpoint with it. */
export function recordSchema(): string {
  const branches = RECORDED_FAMILIES.map((family) => ({
    type: 'record',
    name: family,
    fields: [...RECORDED[family].map(keyField), ...VALUE_FIELDS[family]],
  }));
  const digest = { type: 'fixed', name: 'Digest', size: DIGEST_BYTES };
  const fields = [
    { name: 'records', type: 'long' },
    { name: 'digest', type: digest },
  ];
  return JSON.stringify([...branches, { type: 'record', name: 'end', fields }]);
}

const keyField = (name: KeyField) => ({ name, type: name === 'name' ? 'bytes' : 'long' });

/** Bytes that the record of an item takes. */
export function recordBytes(family: RecordedFamily, key: string, value: Buffer): number {
  let bytes = varintBytes(branchOf(family)) + value.length;
  let at = 1;
  for (const field of RECORDED[family]) {
    const nameBytes = key.length - at;
    bytes +=
      field === 'name' ? varintBytes(nameBytes) + nameBytes : varintBytes(decodeNumber(key, at));
    at += NUMBER_CHARS;
  }
  return bytes;
}

/** Writes an item's record into `into` at `start`; returns the offset after it. */
export function encodeRecord(
  family: RecordedFamily,
  key: string,
  value: Buffer,
  into: Buffer,
  start: number,
): number {
  let end = encodeVarint(branchOf(family), into, start);
  let at = 1;
  for (const field of RECORDED[family]) {
    if (field === 'name') {
      end = encodeVarint(key.length - at, into, end);
      end += into.write(key.slice(at), end, 'latin1');
    } else end = encodeVarint(decodeNumber(key, at), into, end);
    at += NUMBER_CHARS;
  }
  return end + value.copy(into, end);
}

/** An item out of its record. */
export interface StoredRecord {
  readonly family: RecordedFamily;
  readonly key: string;
  /** The value's bytes: a view. */
  readonly value: Buffer;
  /** Offset after the record. */
  readonly end: number;
}

/** The record at `start` of `bytes`, or 'end' for the closing one. Throws on malformed bytes. */
export function decodeRecord(bytes: Buffer, start: number): StoredRecord | 'end' {
  const branch = numberAt(bytes, start);
  if (branch.value === END_BRANCH) return 'end';
  const family = RECORDED_FAMILIES[branch.value];
  assert(family !== undefined, () => `no such record: ${branch.value}`);
  let key: string = FAMILY[family] + (family === 'meta' ? VOLUME_NAME : '');
  let at = branch.end;
  for (const field of RECORDED[family]) {
    const number = numberAt(bytes, at);
    at = number.end;
    if (field === 'name') {
      key += bytes.toString('latin1', at, at + number.value);
      at += number.value;
    } else key += encodeNumber(number.value);
  }
  const end = valueEnd(family, bytes, at);
  return { family, key, value: bytes.subarray(at, end), end };
}

export function numberAt(bytes: Buffer, at: number): { value: number; end: number } {
  const number = decodeVarint(bytes, at, bytes.length);
  assert(number !== undefined && !Number.isNaN(number.value), () => `no number at ${at}`);
  return number;
}

const branches = new Map(RECORDED_FAMILIES.map((family, i) => [family, i]));
const branchOf = (family: RecordedFamily): number => branches.get(family) as number;

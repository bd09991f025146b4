/**
 * The key table: every family of the index, once.
 *
 * Keys are strings of one char (0..255) a byte, stored as UTF-8, which keeps their order. A number
 * below 2^53 is eight chars of seven bits, most significant first, so that numbers sort as keys and
 * cost one byte a char. Names come last in their keys. A history key is 'h', the item's key, NUL
 * (which no name contains) and the seq at which the value ended.
 *
 *   family          key after the prefix            value
 *   A  meta         name                            volume: VolumeItem; applied seq and schema (`store.ts`)
 *   i  inode        ino                             Inode
 *   d  dirent       dir, name                       began, ino, kind, position
 *   p  position     dir, position                   began, name, ino, kind
 *   b  backref      ino, dir, position              began, name
 *   e  extent       ino, block                      began, count, segment, segmentBlock, flags
 *   x  xattr        ino, name                       began, value
 *   m  metaSeq      seq, ino                        -
 *   s  dataSeq      seq, ino                        -
 *   o  orphan       ino                             -
 *   T  truncating   ino (truncateMark is set)       -
 *   S  segment      segment                         rid
 *   c  checksum     segment, run of 256 blocks      4 bytes a block, 0 where never written
 *   r  ref          segment, first block            count, owners
 *   f  freed        seq, segment, first block       count
 *   t  timeMark     second                          first seq of that second
 *   h  history      item key, NUL, ended seq        the item's old value
 *
 * Changing any family raises INDEX_SCHEMA, which makes every index be rebuilt from the log.
 */

import { AssertionError } from '../model/assert.ts';
import type { ByteString, Ino, Position, SegmentNumber, Seq } from '../model/ids.ts';

export const INDEX_SCHEMA = 1;

export const FAMILY = {
  meta: 'A',
  inode: 'i',
  dirent: 'd',
  position: 'p',
  backref: 'b',
  extent: 'e',
  xattr: 'x',
  metaSeq: 'm',
  dataSeq: 's',
  orphan: 'o',
  truncating: 'T',
  segment: 'S',
  checksum: 'c',
  ref: 'r',
  freed: 'f',
  timeMark: 't',
  history: 'h',
} as const;

export type Family = keyof typeof FAMILY;

/** Families whose replaced and deleted values are kept under `h`. */
export const HISTORY_FAMILIES: ReadonlySet<Family> = new Set([
  'inode',
  'dirent',
  'position',
  'backref',
  'extent',
  'xattr',
]);

/** Number of blocks whose checksums share one item. */
export const CHECKSUM_RUN_BLOCKS = 256;

const DIGIT_BITS = 7;
const NUMBER_CHARS = 8;
const HIGH = 2 ** 28;

/**
 * Encodings of numbers used lately: one transaction's keys repeat its seq, its inode and its
 * directory several times. Direct-mapped by the low bits, so it never grows.
 */
const MEMO_SLOTS = 1024;
const memoNumbers = new Float64Array(MEMO_SLOTS).fill(-1);
const memoStrings = Array.from({ length: MEMO_SLOTS }, () => '');

/** A number below 2^53 as eight chars that sort like it. */
export function encodeNumber(n: number): string {
  const slot = n % MEMO_SLOTS;
  if (memoNumbers[slot] === n) return memoStrings[slot] as string;
  if (!Number.isSafeInteger(n) || n < 0) throw new AssertionError(`key number out of range: ${n}`);
  const high = Math.floor(n / HIGH);
  const low = n % HIGH;
  const encoded = String.fromCharCode(
    (high >>> 21) & 127,
    (high >>> 14) & 127,
    (high >>> 7) & 127,
    high & 127,
    (low >>> 21) & 127,
    (low >>> 14) & 127,
    (low >>> 7) & 127,
    low & 127,
  );
  memoNumbers[slot] = n;
  memoStrings[slot] = encoded;
  return encoded;
}

/** The number that stands in `key` at `at`. */
export function decodeNumber(key: string, at: number): number {
  let n = 0;
  for (let i = at; i < at + NUMBER_CHARS; i++) n = n * 2 ** DIGIT_BITS + key.charCodeAt(i);
  return n;
}

/** Key of the volume's own item. */
export const volumeKey = FAMILY.meta + 'volume';
export const inodeKey = (ino: Ino): string => FAMILY.inode + encodeNumber(ino);
/**
 * One operation asks for the key of its name several times. The last one is kept: a string that was
 * looked up already knows its hash, a new one has to be put together and hashed again.
 */
export function direntKey(dir: Ino, name: ByteString): string {
  if (dir === lastDirent.dir && name === lastDirent.name) return lastDirent.key;
  lastDirent.dir = dir;
  lastDirent.name = name;
  lastDirent.key = FAMILY.dirent + encodeNumber(dir) + name;
  return lastDirent.key;
}
const lastDirent: { dir: number; name: string; key: string } = { dir: -1, name: '', key: '' };

export const positionKey = (dir: Ino, position: Position): string =>
  FAMILY.position + encodeNumber(dir) + encodeNumber(position);
export const backrefKey = (ino: Ino, dir: Ino, position: Position): string =>
  FAMILY.backref + encodeNumber(ino) + encodeNumber(dir) + encodeNumber(position);
export const extentKey = (ino: Ino, block: number): string =>
  FAMILY.extent + encodeNumber(ino) + encodeNumber(block);
export const xattrKey = (ino: Ino, name: ByteString): string =>
  FAMILY.xattr + encodeNumber(ino) + name;
export const metaSeqKey = (seq: Seq, ino: Ino): string =>
  FAMILY.metaSeq + encodeNumber(seq) + encodeNumber(ino);
export const dataSeqKey = (seq: Seq, ino: Ino): string =>
  FAMILY.dataSeq + encodeNumber(seq) + encodeNumber(ino);
export const orphanKey = (ino: Ino): string => FAMILY.orphan + encodeNumber(ino);
export const truncatingKey = (ino: Ino): string => FAMILY.truncating + encodeNumber(ino);
export const segmentKey = (segment: SegmentNumber): string =>
  FAMILY.segment + encodeNumber(segment);
export const checksumKey = (segment: SegmentNumber, run: number): string =>
  FAMILY.checksum + encodeNumber(segment) + encodeNumber(run);
export const refKey = (segment: SegmentNumber, block: number): string =>
  FAMILY.ref + encodeNumber(segment) + encodeNumber(block);
export const freedKey = (seq: Seq, segment: SegmentNumber, block: number): string =>
  FAMILY.freed + encodeNumber(seq) + encodeNumber(segment) + encodeNumber(block);
export const timeMarkKey = (second: number): string => FAMILY.timeMark + encodeNumber(second);
export const historyKey = (itemKey: string, ended: Seq): string =>
  FAMILY.history + itemKey + '\0' + encodeNumber(ended);

/**
 * Item values as bytes: Avro records, one a family, `began` first where a family has it. Key fields
 * stand in the key alone. History values are those of the family whose key they are kept under.
 *
 * The encoding is canonical (no maps, no optional order), so equal items are equal bytes: digests
 * and checkpoints hash and copy these bytes as they are.
 */

import avro from 'avsc';
import { assert } from '../model/assert.ts';
import { asByteString, type ByteString, type Ino } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import { IndexCorrupt } from './errors.ts';
import type { Item, ItemTypes } from './items.ts';
import { decodeNumber, FAMILY, type Family } from './keys.ts';

/** Longest encoded value: an xattr of 64 KiB is the largest item. */
const SCRATCH_BYTES = 128 * 1024;
const EMPTY = Buffer.alloc(0);
const ZERO = Buffer.alloc(8);

/** avsc's cursor over a buffer, as far as it is used here. */
interface Tap {
  writeLong(n: number): void;
  writeBinary(latin1: string, length: number): void;
}

/** Names: the bytes, not a Unicode string. */
class ByteStringType extends avro.types.LogicalType {
  /** Straight from the string, as `_toValue` would have it in a buffer of its own. */
  _write(tap: Tap, name: ByteString): void {
    tap.writeLong(name.length);
    tap.writeBinary(name, name.length);
  }
  override _fromValue(bytes: Buffer): ByteString {
    return asByteString(bytes.toString('latin1'));
  }
  override _toValue(name: ByteString): Buffer {
    return Buffer.from(name, 'latin1');
  }
}

/** Symbolic link targets, which are never empty: no bytes is none. */
class TargetType extends avro.types.LogicalType {
  override _fromValue(bytes: Buffer): ByteString | undefined {
    return bytes.length === 0 ? undefined : asByteString(bytes.toString('latin1'));
  }
  override _toValue(target: ByteString | undefined): Buffer {
    return target === undefined ? EMPTY : Buffer.from(target, 'latin1');
  }
}

/** A block number, or -1 for none. */
class MarkType extends avro.types.LogicalType {
  override _fromValue(block: number): number | undefined {
    return block < 0 ? undefined : block;
  }
  override _toValue(block: number | undefined): number {
    return block ?? -1;
  }
}

/** Unsigned 64 bits, big-endian. */
class Uint64Type extends avro.types.LogicalType {
  override _fromValue(bytes: Buffer): bigint {
    return bytes.readBigUInt64BE();
  }
  override _toValue(value: bigint): Buffer {
    if (value === 0n) return ZERO;
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeBigUInt64BE(value);
    return bytes;
  }
}

const logicalTypes = {
  'byte-string': ByteStringType,
  'symlink-target': TargetType,
  'truncate-mark': MarkType,
  'unsigned-64': Uint64Type,
};

type FieldSchema = { readonly name: string; readonly type: unknown };
const long = (name: string): FieldSchema => ({ name, type: 'long' });
const int = (name: string): FieldSchema => ({ name, type: 'int' });
const bytes = (name: string): FieldSchema => ({ name, type: 'bytes' });
const name = (field: string): FieldSchema => ({
  name: field,
  type: { type: 'bytes', logicalType: 'byte-string' },
});
const uint64 = (field: string): FieldSchema => ({ name: field, type: 'Uint64' });
const time = (field: string): FieldSchema => ({ name: field, type: 'Time' });

const timeSchema = { type: 'record', name: 'Time', fields: [long('sec'), int('nsec')] };
const sizeSchema = { type: 'record', name: 'Size', fields: [long('blocks'), int('tail')] };
const uint64Schema = { type: 'fixed', name: 'Uint64', size: 8, logicalType: 'unsigned-64' };

const inodeFields: readonly FieldSchema[] = [
  long('metaSeq'),
  long('generation'),
  int('mode'),
  long('nlink'),
  long('uid'),
  long('gid'),
  long('rdev'),
  { name: 'size', type: sizeSchema },
  { name: 'atime', type: timeSchema },
  time('mtime'),
  time('ctime'),
  time('crtime'),
  long('dataSeq'),
  { name: 'dataVersion', type: uint64Schema },
  uint64('projectId'),
  long('flags'),
  long('entries'),
  long('nextPosition'),
  long('parent'),
  { name: 'target', type: { type: 'bytes', logicalType: 'symlink-target' } },
  { name: 'truncateMark', type: { type: 'long', logicalType: 'truncate-mark' } },
  long('onlineBlocks'),
  long('offlineBlocks'),
  long('extents'),
  long('xattrs'),
];

/** The fields of each family's value; a family without an entry has empty values. */
export const VALUE_FIELDS = {
  meta: [
    name('fsid'),
    int('format'),
    long('historyMicros'),
    long('sizeLimitBlocks'),
    long('nextIno'),
    long('nextSegment'),
    long('inodes'),
    long('usedBlocks'),
    long('heldBlocks'),
    long('lastTime'),
  ],
  inode: inodeFields,
  dirent: [long('began'), long('ino'), int('kind'), long('position')],
  position: [long('began'), name('name'), long('ino'), int('kind')],
  backref: [long('began'), name('name')],
  extent: [long('began'), long('count'), long('segment'), long('segmentBlock'), int('flags')],
  xattr: [long('began'), bytes('value')],
  metaSeq: [],
  dataSeq: [],
  orphan: [],
  truncating: [],
  segment: [long('rid')],
  checksum: [bytes('checksums')],
  ref: [long('count'), long('owners')],
  freed: [long('count')],
  timeMark: [long('seq')],
} as const satisfies { [F in Exclude<Family, 'history'>]: readonly FieldSchema[] };

/** A parsed record type over `fields`, with the logical types of this file. */
export function recordType(recordName: string, fields: readonly FieldSchema[]): avro.Type {
  const schema = { type: 'record', name: recordName, fields } as unknown as avro.Schema;
  return avro.Type.forSchema(schema, { logicalTypes, omitRecordMethods: true });
}

type Plain<F extends Family> = (record: ItemTypes[F], key: string) => ItemTypes[F];

/** Copies what avsc has read into the plain objects that the rest of the index shares. */
const plain: { readonly [F in Exclude<Family, 'history'>]: Plain<F> } = {
  meta: (r) => ({ ...r }),
  inode: plainInode,
  dirent: (r) => ({ began: r.began, ino: r.ino, kind: r.kind, position: r.position }),
  position: (r) => ({ began: r.began, name: r.name, ino: r.ino, kind: r.kind }),
  backref: (r) => ({ began: r.began, name: r.name }),
  extent: (r) => ({
    began: r.began,
    count: r.count,
    segment: r.segment,
    segmentBlock: r.segmentBlock,
    flags: r.flags,
  }),
  xattr: (r) => ({ began: r.began, value: r.value }),
  metaSeq: () => true,
  dataSeq: () => true,
  orphan: () => true,
  truncating: () => true,
  segment: (r) => ({ rid: r.rid }),
  checksum: (r) => ({ checksums: r.checksums }),
  ref: (r) => ({ count: r.count, owners: r.owners }),
  freed: (r) => ({ count: r.count }),
  timeMark: (r) => ({ seq: r.seq }),
};

function plainInode(r: Omit<Inode, 'ino'>, key: string): Inode {
  return {
    ino: decodeNumber(key, key.length - 8) as Ino,
    generation: r.generation,
    mode: r.mode,
    nlink: r.nlink,
    uid: r.uid,
    gid: r.gid,
    rdev: r.rdev,
    size: { blocks: r.size.blocks, tail: r.size.tail },
    atime: { sec: r.atime.sec, nsec: r.atime.nsec },
    mtime: { sec: r.mtime.sec, nsec: r.mtime.nsec },
    ctime: { sec: r.ctime.sec, nsec: r.ctime.nsec },
    crtime: { sec: r.crtime.sec, nsec: r.crtime.nsec },
    metaSeq: r.metaSeq,
    dataSeq: r.dataSeq,
    dataVersion: r.dataVersion,
    projectId: r.projectId,
    flags: r.flags,
    entries: r.entries,
    nextPosition: r.nextPosition,
    parent: r.parent,
    target: r.target,
    truncateMark: r.truncateMark,
    onlineBlocks: r.onlineBlocks,
    offlineBlocks: r.offlineBlocks,
    extents: r.extents,
    xattrs: r.xattrs,
  };
}

interface Codec {
  readonly type: avro.Type;
  readonly plain: (record: Item, key: string) => Item;
}

/** By the char code of a family's prefix. */
const codecs: Codec[] = [];
for (const [family, prefix] of Object.entries(FAMILY) as [Family, string][]) {
  if (family === 'history') continue;
  const type = recordType(family, VALUE_FIELDS[family]);
  codecs[prefix.charCodeAt(0)] = { type, plain: plain[family] as Codec['plain'] };
}

const HISTORY_CODE = FAMILY.history.charCodeAt(0);

function codecOf(key: string): Codec {
  const code = key.charCodeAt(0);
  return codecs[code === HISTORY_CODE ? key.charCodeAt(1) : code] as Codec;
}

const scratch = Buffer.alloc(SCRATCH_BYTES);

/** The bytes of the value under `key`: a view that the next call overwrites. */
export function encodeValue(key: string, value: Item): Buffer {
  if (value === true) return EMPTY;
  const { type } = codecOf(key);
  const end = type.encode(value, scratch, 0);
  return end >= 0 ? scratch.subarray(0, end) : type.toBuffer(value);
}

/** The value whose bytes stand under `key`. Throws `IndexCorrupt` if they are not a whole value. */
export function decodeValue(key: string, stored: Buffer): Item {
  const isHistory = key.charCodeAt(0) === HISTORY_CODE;
  const { type, plain: toPlain } = codecOf(key);
  try {
    return toPlain(type.fromBuffer(stored) as Item, isHistory ? keptKey(key) : key);
  } catch (cause) {
    throw new IndexCorrupt(`the value of ${JSON.stringify(key)} cannot be read`, { cause });
  }
}

/** The key of the item whose value a history key keeps. */
const keptKey = (historyKey: string): string => historyKey.slice(1, -9);

/** Offset after the value of `family` that starts at `start`. Throws where the bytes end before. */
export function valueEnd(family: Exclude<Family, 'history'>, bytes: Buffer, start: number): number {
  if (VALUE_FIELDS[family].length === 0) return start;
  const { offset } = codecOf(FAMILY[family]).type.decode(bytes, start);
  assert(offset > start, () => `a value of ${family} is cut off`);
  return offset;
}

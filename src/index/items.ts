/**
 * The values of the index's families, as they live in memory, and mutations of them.
 *
 * Projection, overlay and views work on these objects; `values.ts` turns them into bytes only when a
 * layer is written to LevelDB, so an item changed a thousand times in a batch is encoded once.
 * Every item of a family with history carries the seq at which it began (an inode's is its metaSeq).
 */

import type { ByteString, Ino, Position, Rid, SegmentNumber, Seq } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import type { Family } from './keys.ts';

export interface DirentItem {
  readonly began: Seq;
  readonly ino: Ino;
  readonly kind: number;
  readonly position: Position;
}

export interface PositionItem {
  readonly began: Seq;
  readonly name: ByteString;
  readonly ino: Ino;
  readonly kind: number;
}

export interface BackrefItem {
  readonly began: Seq;
  readonly name: ByteString;
}

export interface ExtentItem {
  readonly began: Seq;
  readonly count: number;
  readonly segment: SegmentNumber;
  readonly segmentBlock: number;
  readonly flags: number;
}

export interface XattrItem {
  readonly began: Seq;
  readonly value: Buffer;
}

export interface ChecksumItem {
  /** Four bytes a block, big-endian; up to CHECKSUM_RUN_BLOCKS blocks. */
  readonly checksums: Buffer;
}

export interface SegmentItem {
  readonly rid: Rid;
}

/** A run of segment blocks that `owners` current extents map. */
export interface RefItem {
  readonly count: number;
  readonly owners: number;
}

export interface FreedItem {
  readonly count: number;
}

export interface TimeMarkItem {
  readonly seq: Seq;
}

/** Facts about the volume as a whole; one item, key 'A' + 'volume'. */
export interface VolumeItem {
  readonly fsid: string;
  readonly format: number;
  readonly historyMicros: number;
  readonly sizeLimitBlocks: number;
  /** Above every inode number ever used. */
  readonly nextIno: Ino;
  /** Above every segment number ever used. */
  readonly nextSegment: SegmentNumber;
  /** Existing inodes, orphans included. */
  readonly inodes: number;
  /** Segment blocks that current extents map (shared ones once). */
  readonly usedBlocks: number;
  /** Segment blocks that only the past maps: in `freed`, not yet punched. */
  readonly heldBlocks: number;
  /** Time of the last transaction, microseconds. */
  readonly lastTime: number;
}

export interface ItemTypes {
  meta: VolumeItem;
  inode: Inode;
  dirent: DirentItem;
  position: PositionItem;
  backref: BackrefItem;
  extent: ExtentItem;
  xattr: XattrItem;
  metaSeq: true;
  dataSeq: true;
  orphan: true;
  /** Present while the inode's truncateMark is set, so that a restart finds the unfinished ones. */
  truncating: true;
  segment: SegmentItem;
  checksum: ChecksumItem;
  ref: RefItem;
  freed: FreedItem;
  timeMark: TimeMarkItem;
  /** The value of the item whose key stands in the history key. */
  history: Inode | DirentItem | PositionItem | BackrefItem | ExtentItem | XattrItem;
}

export type Item = ItemTypes[Family];

/**
 * One put, or with `value` undefined one delete. There is no range delete: LevelDB has none. The
 * families metaSeq and dataSeq have none of their own: they follow from those of the inodes.
 */
export interface Mutation {
  readonly family: Family;
  readonly key: string;
  readonly value: Item | undefined;
  /** What it replaces; always given for an inode, whose keys in the seq families leave with it. */
  readonly before?: Item | undefined;
}

/**
 * Thrown (never extended with a stack: it is control flow) when a synchronous read needs a range of
 * items that is not in memory. The attempt has had no effect; its caller awaits `Index.load(miss)`
 * and tries again from the start (architecture 1, "Miss").
 */
export class Miss {
  readonly family: 'extent' | 'ref';
  /** Inode number or segment number. */
  readonly group: number;
  /** First block wanted. */
  readonly from: number;
  /** Block after the last one wanted. */
  readonly to: number;

  constructor(family: 'extent' | 'ref', group: number, from: number, to: number) {
    this.family = family;
    this.group = group;
    this.from = from;
    this.to = to;
  }
}

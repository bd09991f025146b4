/**
 * The event union: what can happen to a volume. Each event is a fact in the past tense, complete in
 * itself, with absolute new values. All of this file is the log's contract: a released event type
 * never changes its meaning, and never disappears.
 */

import type { ByteString, Generation, Ino, Position, Rid, SegmentNumber } from './ids.ts';
import type { Extent } from './extent.ts';
import type { Size } from './size.ts';
import type { Time } from './time.ts';

/** First event of a volume: mkfs. */
export interface VolumeFormatted {
  readonly type: 'VolumeFormatted';
  /** 16 random bytes, hex (32 digits). */
  readonly fsid: string;
  /** Format version of the log, FORMAT_VERSION of the writer. */
  readonly format: number;
  /** How long before-images and dead data are kept, in microseconds; 0 none, -1 forever. */
  readonly historyMicros: number;
  /** Limit of data blocks that the volume may hold; 0 is the disk's own limit. */
  readonly sizeLimitBlocks: number;
}

/** `ledgerfs upgrade` raised the format. */
export interface FormatRaised {
  readonly type: 'FormatRaised';
  readonly format: number;
}

/** A new inode exists. Names it gets stand in their own events; without one it is an orphan. */
export interface InodeCreated {
  readonly type: 'InodeCreated';
  readonly ino: Ino;
  readonly generation: Generation;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  /** atime, mtime, ctime and crtime of the new inode. */
  readonly time: Time;
  readonly projectId: bigint;
  /** Directories: the naming directory; else 0. */
  readonly parent: Ino;
  readonly target: ByteString | undefined;
}

/**
 * chmod, chown, utimens, flags, restore: each attribute that is not undefined has this new value.
 */
export interface AttributesChanged {
  readonly type: 'AttributesChanged';
  readonly ino: Ino;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly atime: Time | undefined;
  readonly mtime: Time | undefined;
  readonly ctime: Time | undefined;
  readonly crtime: Time | undefined;
  readonly projectId: bigint | undefined;
  readonly flags: number | undefined;
}

/** link, unlink or rename changed how many names an inode has; `parent` for moved directories. */
export interface LinksChanged {
  readonly type: 'LinksChanged';
  readonly ino: Ino;
  readonly nlink: number;
  readonly ctime: Time;
  /** Directories: the naming directory now, 0 once removed; undefined for other types. */
  readonly parent: Ino | undefined;
}

/** A directory gained or lost entries: its own attributes after that. ctime is mtime. */
export interface DirectoryChanged {
  readonly type: 'DirectoryChanged';
  readonly ino: Ino;
  readonly nlink: number;
  readonly entries: number;
  /** Sum of the lengths of the names, in bytes. */
  readonly nameBytes: number;
  readonly nextPosition: Position;
  readonly mtime: Time;
}

export interface DirentAdded {
  readonly type: 'DirentAdded';
  readonly dir: Ino;
  readonly name: ByteString;
  readonly ino: Ino;
  readonly kind: number;
  readonly position: Position;
}

export interface DirentRemoved {
  readonly type: 'DirentRemoved';
  readonly dir: Ino;
  readonly name: ByteString;
  readonly ino: Ino;
  readonly kind: number;
  readonly position: Position;
}

/**
 * The last name is gone (or there never was one): the inode lives until its last user closes it.
 */
export interface OrphanAdded {
  readonly type: 'OrphanAdded';
  readonly ino: Ino;
}

/** An orphan got a name (linkat of an O_TMPFILE). */
export interface OrphanRemoved {
  readonly type: 'OrphanRemoved';
  readonly ino: Ino;
}

/** The end of an orphan; it holds no extents and no extended attributes any more. */
export interface InodeDeleted {
  readonly type: 'InodeDeleted';
  readonly ino: Ino;
}

/**
 * Contents or size changed: the inode's values after that. Extents stand in their own events of the
 * same transaction. Raises dataSeq to this transaction's seq.
 */
export interface ContentsChanged {
  readonly type: 'ContentsChanged';
  readonly ino: Ino;
  readonly size: Size;
  readonly mtime: Time;
  readonly ctime: Time;
  readonly dataVersion: bigint;
  /** New mode where the change clears set-id bits; else undefined. */
  readonly mode: number | undefined;
  /** Set by a shrink: extents at or beyond this block are to be removed, in bounded steps. */
  readonly truncateMark: number | undefined;
}

/** All extents beyond the truncate mark are gone. */
export interface TruncateFinished {
  readonly type: 'TruncateFinished';
  readonly ino: Ino;
}

/** These extents replace whatever the inode had in their ranges. Sorted, without overlap. */
export interface ExtentsMapped {
  readonly type: 'ExtentsMapped';
  readonly ino: Ino;
  readonly extents: readonly Extent[];
}

/** The range [block, block + count) of the inode is a hole now. */
export interface ExtentsRemoved {
  readonly type: 'ExtentsRemoved';
  readonly ino: Ino;
  readonly block: number;
  readonly count: number;
}

/**
 * A data segment exists, in the folder of its writer. Logged before or with its first reference.
 */
export interface SegmentCreated {
  readonly type: 'SegmentCreated';
  readonly segment: SegmentNumber;
  readonly rid: Rid;
}

/** The segment's file is gone: no extent, present or kept past, names a block of it. */
export interface SegmentRemoved {
  readonly type: 'SegmentRemoved';
  readonly segment: SegmentNumber;
  /** Its checksums end before this block. */
  readonly blocks: number;
}

/** CRC-32 of consecutive segment blocks, 4 bytes big-endian each, from `segmentBlock` on. */
export interface BlocksChecksummed {
  readonly type: 'BlocksChecksummed';
  readonly segment: SegmentNumber;
  readonly segmentBlock: number;
  readonly checksums: Buffer;
}

/**
 * An extended attribute has this value now. `ctime` is the inode's; `mode` when an ACL changes it.
 */
export interface XattrSet {
  readonly type: 'XattrSet';
  readonly ino: Ino;
  readonly name: ByteString;
  readonly value: Buffer;
  readonly ctime: Time;
  readonly mode: number | undefined;
}

export interface XattrRemoved {
  readonly type: 'XattrRemoved';
  readonly ino: Ino;
  readonly name: ByteString;
  readonly ctime: Time;
}

/**
 * Files were read, directories listed, links followed: their access time is this now. Not a change
 * of the inode: metaSeq, ctime and the past stay as they are (decision 10).
 */
export interface AccessTimeChanged {
  readonly type: 'AccessTimeChanged';
  readonly ino: Ino;
  readonly atime: Time;
}

export type Event =
  | VolumeFormatted
  | FormatRaised
  | InodeCreated
  | AttributesChanged
  | LinksChanged
  | DirectoryChanged
  | DirentAdded
  | DirentRemoved
  | OrphanAdded
  | OrphanRemoved
  | InodeDeleted
  | ContentsChanged
  | TruncateFinished
  | ExtentsMapped
  | ExtentsRemoved
  | SegmentCreated
  | SegmentRemoved
  | BlocksChecksummed
  | XattrSet
  | XattrRemoved
  | AccessTimeChanged;

export type EventType = Event['type'];

/** How many items an event counts for against MAX_ITEMS. */
export function itemsOf(event: Event): number {
  switch (event.type) {
    case 'ExtentsMapped':
      return event.extents.length;
    case 'BlocksChecksummed':
      return Math.ceil(event.checksums.length / 1024);
    default:
      return 1;
  }
}

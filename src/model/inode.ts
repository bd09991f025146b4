/**
 * The inode record: everything about a file but its names, contents and extended attributes.
 * Immutable: a change makes a new record.
 */

import type { ByteString, Generation, Ino, Position, Seq } from './ids.ts';
import type { Size } from './size.ts';
import type { Time } from './time.ts';

export const S_IFMT = 0o170000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_IXGRP = 0o010;

/**
 * A bit of `flags` that is ours: the file may have unwritten extents. Projection sets it with the
 * first of them and clears it with the last extent; events neither set nor clear it. (In Linux's
 * flags it is EXT4_EOFBLOCKS_FL, which no program can set.)
 */
export const INODE_UNWRITTEN = 0x0040_0000;

/** Link count limit (spec 0). */
export const LINK_MAX = 2 ** 31 - 1;

/**
 * What a well-formed inode satisfies:
 * 1. `mode` holds exactly one file type; a type never changes.
 * 2. `nlink` is 0 exactly while an orphan record exists for it.
 * 3. Directories: `entries` counts their names, `size` is the sum of the names' lengths (spec 1.2),
 *    `nextPosition` is above every position in use, `nlink` is 2 + subdirectories, `parent` is the
 *    directory that names it (itself for the root, 0 once removed).
 * 4. `target` is set on symbolic links and nowhere else.
 * 5. `truncateMark`, when set, is a block number: extents at or beyond it are to be removed and
 *    read as holes meanwhile.
 * 6. `onlineBlocks`, `offlineBlocks`, `extents` and `xattrs` equal what the extent and xattr
 *    families hold for it; projection keeps them, events never carry them.
 * 7. One that has an unwritten extent has the bit INODE_UNWRITTEN in `flags`.
 */
export interface Inode {
  readonly ino: Ino;
  readonly generation: Generation;
  /** File type and permission bits. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Device number of character and block devices, in the kernel's 32-bit encoding; else 0. */
  readonly rdev: number;
  readonly size: Size;
  readonly atime: Time;
  readonly mtime: Time;
  readonly ctime: Time;
  /** Creation time (statx btime; scoutfs crtime). */
  readonly crtime: Time;
  /** Last log position that changed this inode in any way (spec 1.1). */
  readonly metaSeq: Seq;
  /** Last log position that changed the contents; 0 if the type has none. */
  readonly dataSeq: Seq;
  /** Counter of content changes, unsigned 64 bit; set once by restore tools. */
  readonly dataVersion: bigint;
  /** Unsigned 64 bit, 0 is none; inherited from the parent directory at creation. */
  readonly projectId: bigint;
  readonly flags: number;
  /** Directories: number of entries. */
  readonly entries: number;
  /** Directories: position of the next entry to be added. */
  readonly nextPosition: Position;
  /** Directories: the directory that names this one. */
  readonly parent: Ino;
  /** Symbolic links: the target, 1..4095 bytes. */
  readonly target: ByteString | undefined;
  readonly truncateMark: number | undefined;
  /** Mapped blocks that are not unwritten. */
  readonly onlineBlocks: number;
  /** Blocks flagged offline. */
  readonly offlineBlocks: number;
  /** Number of extent items. */
  readonly extents: number;
  /** Number of extended attributes. */
  readonly xattrs: number;
}

export const isDirectory = (mode: number): boolean => (mode & S_IFMT) === S_IFDIR;
export const isRegular = (mode: number): boolean => (mode & S_IFMT) === S_IFREG;
export const isSymlink = (mode: number): boolean => (mode & S_IFMT) === S_IFLNK;

/** Whether the file may have unwritten extents, so that a write has to look for them. */
export const mayHaveUnwritten = (inode: Inode): boolean => (inode.flags & INODE_UNWRITTEN) !== 0;

/** The DT_* value of readdir: the type bits of the mode, shifted. */
export const direntKind = (mode: number): number => (mode & S_IFMT) >>> 12;

/** Blocks of 512 bytes as stat(2) shows them: online and offline, not unwritten (spec 1.1). */
export const statBlocks = (inode: Inode): number => (inode.onlineBlocks + inode.offlineBlocks) * 8;

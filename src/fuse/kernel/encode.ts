/**
 * Replies, encoded. Pure: each function writes into a reply buffer that exists once a mount, and
 * returns the bytes of its struct. Nothing is allocated.
 */

import type { DirectoryEntry, SpaceInfo } from '../../engine/api.ts';
import type { BlockingLock } from '../../engine/lock-api.ts';
import { NAME_MAX } from '../../model/dirent.ts';
import { BLOCK_BYTES, ROOT_INO, type ByteString, type Ino } from '../../model/ids.ts';
import type { Inode } from '../../model/inode.ts';
import type { Size } from '../../model/size.ts';
import { put64, putAttr, putBig64, putSize, putStatx } from '../attr.ts';
import type { Frame } from '../transport.ts';
import {
  ATTR_OUT,
  DIRENT,
  ENTRY_OUT,
  F_RDLCK,
  F_UNLCK,
  F_WRLCK,
  GETXATTR_OUT,
  INVAL_ENTRY_OUT,
  INVAL_INODE_OUT,
  LSEEK_OUT,
  LK_OUT,
  NOTIFY,
  OPEN_OUT,
  OUT_HEADER_BYTES,
  STATFS_OUT,
  STATX_OUT,
  WRITE_OUT,
} from './layout.ts';

/** How long the kernel may keep names and attributes without asking, in seconds and nanoseconds. */
export interface Validity {
  readonly entrySec: number;
  readonly entryNsec: number;
  readonly attrSec: number;
  readonly attrNsec: number;
}

/** From milliseconds, 0 and up. */
export function validity(entryTimeoutMs: number, attrTimeoutMs: number): Validity {
  const nsecOf = (ms: number): number => Math.floor((ms % 1000) * 1e6);
  return {
    entrySec: Math.floor(entryTimeoutMs / 1000),
    entryNsec: nsecOf(entryTimeoutMs),
    attrSec: Math.floor(attrTimeoutMs / 1000),
    attrNsec: nsecOf(attrTimeoutMs),
  };
}

/** A reply buffer. `bytes` must hold the largest reply that is not sent in parts. */
export function newFrame(bytes: number): Frame {
  const memory = new ArrayBuffer(bytes);
  return { bytes: Buffer.from(memory), words: new Uint32Array(memory) };
}

/** The out-header: a positive `errno` makes it an error, which has no body. */
export function putHeader(words: Uint32Array, unique: number, errno: number, length: number): void {
  words[0] = length;
  words[1] = -errno;
  put64(words, 8, unique);
}

/**
 * A fuse_entry_out at the byte offset `at`: the kernel has looked `inode` up once more. The root,
 * found as ".." of an exported handle, has generation 0, which the kernel gave it at INIT: with
 * another one Linux warns, and before 6.9 it took its own root for a number used again (EIO).
 */
export function putEntry(words: Uint32Array, at: number, inode: Inode, valid: Validity): number {
  put64(words, at + ENTRY_OUT.nodeid, inode.ino);
  put64(words, at + ENTRY_OUT.generation, inode.ino === ROOT_INO ? 0 : inode.generation);
  put64(words, at + ENTRY_OUT.entryValid, valid.entrySec);
  put64(words, at + ENTRY_OUT.attrValid, valid.attrSec);
  words[(at + ENTRY_OUT.entryValidNsec) >>> 2] = valid.entryNsec;
  words[(at + ENTRY_OUT.attrValidNsec) >>> 2] = valid.attrNsec;
  putAttr(words, at + ENTRY_OUT.attr, inode);
  return ENTRY_OUT.bytes;
}

export function putAttrOut(words: Uint32Array, at: number, inode: Inode, valid: Validity): number {
  put64(words, at + ATTR_OUT.valid, valid.attrSec);
  words[(at + ATTR_OUT.validNsec) >>> 2] = valid.attrNsec;
  words[(at + ATTR_OUT.validNsec + 4) >>> 2] = 0;
  putAttr(words, at + ATTR_OUT.attr, inode);
  return ATTR_OUT.bytes;
}

export function putStatxOut(words: Uint32Array, at: number, inode: Inode, valid: Validity): number {
  words.fill(0, at >>> 2, (at + STATX_OUT.stat) >>> 2);
  put64(words, at + STATX_OUT.valid, valid.attrSec);
  words[(at + STATX_OUT.validNsec) >>> 2] = valid.attrNsec;
  putStatx(words, at + STATX_OUT.stat, inode);
  return STATX_OUT.bytes;
}

export function putOpen(words: Uint32Array, at: number, fh: number, flags: number): number {
  put64(words, at + OPEN_OUT.fh, fh);
  words[(at + OPEN_OUT.flags) >>> 2] = flags;
  words[(at + OPEN_OUT.backingId) >>> 2] = 0;
  return OPEN_OUT.bytes;
}

export function putWritten(words: Uint32Array, at: number, bytes: number): number {
  put64(words, at + WRITE_OUT.size, bytes);
  return WRITE_OUT.bytes;
}

export function putOffset(words: Uint32Array, at: number, offset: Size): number {
  putSize(words, at + LSEEK_OUT.offset, offset);
  return LSEEK_OUT.bytes;
}

/** A fuse_lk_out: the lock that is in the way, or that nothing is. */
export function putLock(words: Uint32Array, at: number, lock: BlockingLock | undefined): number {
  words.fill(0, at >>> 2, (at + LK_OUT.bytes) >>> 2);
  if (lock === undefined) {
    words[(at + LK_OUT.type) >>> 2] = F_UNLCK;
    return LK_OUT.bytes;
  }
  putBig64(words, at + LK_OUT.start, lock.start);
  putBig64(words, at + LK_OUT.end, lock.end);
  words[(at + LK_OUT.type) >>> 2] = lock.write ? F_WRLCK : F_RDLCK;
  words[(at + LK_OUT.pid) >>> 2] = lock.pid;
  return LK_OUT.bytes;
}

export function putXattrSize(words: Uint32Array, at: number, bytes: number): number {
  put64(words, at + GETXATTR_OUT.size, bytes);
  return GETXATTR_OUT.bytes;
}

export function putSpace(words: Uint32Array, at: number, space: SpaceInfo): number {
  words.fill(0, at >>> 2, (at + STATFS_OUT.bytes) >>> 2);
  put64(words, at + STATFS_OUT.blocks, space.blocks);
  put64(words, at + STATFS_OUT.free, space.freeBlocks);
  put64(words, at + STATFS_OUT.available, space.availableBlocks);
  put64(words, at + STATFS_OUT.files, space.inodes);
  put64(words, at + STATFS_OUT.filesFree, space.freeInodes);
  words[(at + STATFS_OUT.blockSize) >>> 2] = BLOCK_BYTES;
  words[(at + STATFS_OUT.nameMax) >>> 2] = NAME_MAX;
  words[(at + STATFS_OUT.fragmentSize) >>> 2] = BLOCK_BYTES;
  return STATFS_OUT.bytes;
}

/** Bytes of a directory record for a name of `nameLength` bytes. */
export const direntBytes = (nameLength: number): number => (DIRENT.bytes + nameLength + 7) & ~7;

/** A fuse_dirent; `next` is the position from which reading goes on after it. */
export function putDirent(
  frame: Frame,
  at: number,
  ino: Ino,
  kind: number,
  name: ByteString,
  next: number,
): number {
  const { words, bytes } = frame;
  const length = direntBytes(name.length);
  // The padding after the name leaves the process: it must not show an earlier reply.
  words.fill(0, (at + length - 8) >>> 2, (at + length) >>> 2);
  put64(words, at + DIRENT.ino, ino);
  put64(words, at + DIRENT.next, next);
  words[(at + DIRENT.nameLength) >>> 2] = name.length;
  words[(at + DIRENT.kind) >>> 2] = kind;
  bytes.write(name, at + DIRENT.bytes, name.length, 'latin1');
  return length;
}

/** A fuse_direntplus. Without an inode (gone meanwhile) it is a plain entry of nodeid 0. */
export function putDirentPlus(
  frame: Frame,
  at: number,
  entry: DirectoryEntry,
  valid: Validity,
): number {
  if (entry.inode === undefined) frame.words.fill(0, at >>> 2, (at + ENTRY_OUT.bytes) >>> 2);
  else putEntry(frame.words, at, entry.inode, valid);
  const { ino, kind, name, position } = entry;
  return ENTRY_OUT.bytes + putDirent(frame, at + ENTRY_OUT.bytes, ino, kind, name, position + 1);
}

function notification(code: number, bytes: number): Frame {
  const frame = newFrame((OUT_HEADER_BYTES + bytes + 7) & ~7);
  frame.words[0] = OUT_HEADER_BYTES + bytes;
  frame.words[1] = code;
  return frame;
}

/** Drops the kernel's attributes of an inode and, unless `attributesOnly`, its cached pages. */
export function invalInode(ino: Ino, attributesOnly: boolean): Buffer {
  const { words, bytes } = notification(NOTIFY.INVAL_INODE, INVAL_INODE_OUT.bytes);
  put64(words, OUT_HEADER_BYTES + INVAL_INODE_OUT.ino, ino);
  put64(words, OUT_HEADER_BYTES + INVAL_INODE_OUT.offset, attributesOnly ? -1 : 0);
  return bytes.subarray(0, OUT_HEADER_BYTES + INVAL_INODE_OUT.bytes);
}

/** Drops the kernel's memory of one name, found or not. */
export function invalEntry(dir: Ino, name: ByteString): Buffer {
  const body = INVAL_ENTRY_OUT.bytes + name.length + 1;
  const { words, bytes } = notification(NOTIFY.INVAL_ENTRY, body);
  put64(words, OUT_HEADER_BYTES + INVAL_ENTRY_OUT.dir, dir);
  words[(OUT_HEADER_BYTES + INVAL_ENTRY_OUT.nameLength) >>> 2] = name.length;
  bytes.write(name, OUT_HEADER_BYTES + INVAL_ENTRY_OUT.bytes, name.length, 'latin1');
  return bytes.subarray(0, OUT_HEADER_BYTES + body);
}

/** Inode -> the kernel's attribute structs. Pure; writes words in place and allocates nothing. */

import { statBlocks, type Inode } from '../model/inode.ts';
import { BLOCK_BYTES } from '../model/ids.ts';
import type { Size } from '../model/size.ts';
import type { Time } from '../model/time.ts';
import { ATTR, STATX, STATX_BASIC_AND_BTIME } from './kernel/layout.ts';

const HIGH = 2 ** 32;
/** Blocks in 2^32 bytes. */
const BLOCKS_HIGH = 2 ** 20;

/** Writes a whole number, -2^53 .. 2^54, as 64 bits at the byte offset `at`. */
export function put64(words: Uint32Array, at: number, value: number): void {
  words[at >>> 2] = value;
  words[(at >>> 2) + 1] = Math.floor(value / HIGH);
}

/** Writes 64 bits, exactly. */
export function putBig64(words: Uint32Array, at: number, value: bigint): void {
  words[at >>> 2] = Number(value & 0xffff_ffffn);
  words[(at >>> 2) + 1] = Number(value >> 32n);
}

/** Writes a size as a 64-bit byte count. */
export function putSize(words: Uint32Array, at: number, size: Size): void {
  words[at >>> 2] = ((size.blocks % BLOCKS_HIGH) * BLOCK_BYTES + size.tail) >>> 0;
  words[(at >>> 2) + 1] = Math.floor(size.blocks / BLOCKS_HIGH);
}

/** Writes a fuse_attr (88 bytes) at the byte offset `at`, a multiple of 8. */
export function putAttr(words: Uint32Array, at: number, inode: Inode): void {
  put64(words, at + ATTR.ino, inode.ino);
  putSize(words, at + ATTR.size, inode.size);
  put64(words, at + ATTR.blocks, statBlocks(inode));
  put64(words, at + ATTR.atime, inode.atime.sec);
  put64(words, at + ATTR.mtime, inode.mtime.sec);
  put64(words, at + ATTR.ctime, inode.ctime.sec);
  const w = at >>> 2;
  words[w + (ATTR.atimeNsec >>> 2)] = inode.atime.nsec;
  words[w + (ATTR.mtimeNsec >>> 2)] = inode.mtime.nsec;
  words[w + (ATTR.ctimeNsec >>> 2)] = inode.ctime.nsec;
  words[w + (ATTR.mode >>> 2)] = inode.mode;
  words[w + (ATTR.nlink >>> 2)] = inode.nlink;
  words[w + (ATTR.uid >>> 2)] = inode.uid;
  words[w + (ATTR.gid >>> 2)] = inode.gid;
  words[w + (ATTR.rdev >>> 2)] = inode.rdev;
  words[w + (ATTR.blockSize >>> 2)] = BLOCK_BYTES;
  words[w + (ATTR.flags >>> 2)] = 0;
}

function putStatxTime(words: Uint32Array, at: number, time: Time): void {
  put64(words, at, time.sec);
  words[(at >>> 2) + 2] = time.nsec;
  words[(at >>> 2) + 3] = 0;
}

/** The kernel's 32-bit device encoding: minor's low 8 bits, 12 bits of major, 12 more of minor. */
const majorOf = (rdev: number): number => (rdev >>> 8) & 0xfff;
const minorOf = (rdev: number): number => (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);

/** Writes a fuse_statx (256 bytes) at the byte offset `at`, a multiple of 8. */
export function putStatx(words: Uint32Array, at: number, inode: Inode): void {
  const w = at >>> 2;
  words.fill(0, w, w + (STATX.bytes >>> 2));
  words[w + (STATX.mask >>> 2)] = STATX_BASIC_AND_BTIME;
  words[w + (STATX.blockSize >>> 2)] = BLOCK_BYTES;
  words[w + (STATX.nlink >>> 2)] = inode.nlink;
  words[w + (STATX.uid >>> 2)] = inode.uid;
  words[w + (STATX.gid >>> 2)] = inode.gid;
  words[w + (STATX.mode >>> 2)] = inode.mode;
  put64(words, at + STATX.ino, inode.ino);
  putSize(words, at + STATX.size, inode.size);
  put64(words, at + STATX.blocks, statBlocks(inode));
  putStatxTime(words, at + STATX.atime, inode.atime);
  putStatxTime(words, at + STATX.btime, inode.crtime);
  putStatxTime(words, at + STATX.ctime, inode.ctime);
  putStatxTime(words, at + STATX.mtime, inode.mtime);
  words[w + (STATX.rdevMajor >>> 2)] = majorOf(inode.rdev);
  words[w + (STATX.rdevMinor >>> 2)] = minorOf(inode.rdev);
}

/**
 * Identities are types: an inode number can never be passed where a log position is wanted. The
 * brands cost nothing at run time; the constructors here are the only casts in the tree, and each
 * asserts its range. All of them are integers in 0 .. 2^53-1 unless said otherwise.
 */

import { assert } from './assert.ts';

declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** Inode number. 1 is the root; users' inodes start at 1024. Never reused. */
export type Ino = Branded<number, 'Ino'>;
/**
 * Position of a transaction in the log. Strictly increasing, not gapless; 0 is before the first.
 */
export type Seq = Branded<number, 'Seq'>;
/**
 * Random per daemon run (embedded) or per mount (cluster): names the writer and its data folder.
 */
export type Rid = Branded<number, 'Rid'>;
/** Number of a data segment. Global, never reused; 0 names none (unmapped extents). */
export type SegmentNumber = Branded<number, 'SegmentNumber'>;
/** Position of an entry in its directory: the readdir cookie. 0 is ".", 1 is "..". */
export type Position = Branded<number, 'Position'>;
/** Disambiguates inode numbers handed out again after a crash. 32 bits, random per daemon run. */
export type Generation = Branded<number, 'Generation'>;

/** File name, path, xattr name or symlink target: bytes, one char (0..255) a byte ("latin1"). */
export type ByteString = Branded<string, 'ByteString'>;

/** 4,096: the unit of extents, data segments and checksums, in bytes. */
export const BLOCK_BYTES = 4096;

export const ROOT_INO = 1 as Ino;
/** The first inode number given to a user's file (spec 0). */
export const FIRST_USER_INO = 1024 as Ino;
export const NO_SEQ = 0 as Seq;
export const NO_SEGMENT = 0 as SegmentNumber;
/** The first position of a real directory entry (spec 0). */
export const FIRST_POSITION = 2 as Position;

function natural(n: number, what: string): number {
  assert(Number.isSafeInteger(n) && n >= 0, () => `${what} out of range: ${n}`);
  return n;
}

export const ino = (n: number): Ino => natural(n, 'ino') as Ino;
export const seq = (n: number): Seq => natural(n, 'seq') as Seq;
export const rid = (n: number): Rid => natural(n, 'rid') as Rid;
export const segmentNumber = (n: number): SegmentNumber => natural(n, 'segment') as SegmentNumber;
export const position = (n: number): Position => natural(n, 'position') as Position;

export function generation(n: number): Generation {
  assert(n >>> 0 === n, () => `generation out of range: ${n}`);
  return n as Generation;
}

/** Bytes to byte string. */
export const byteString = (bytes: Uint8Array): ByteString =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1') as ByteString;

/** Text (Unicode) to the byte string of its UTF-8 form. */
export const byteStringOf = (text: string): ByteString =>
  Buffer.from(text, 'utf8').toString('latin1') as ByteString;

/** Byte string to bytes. */
export const bytesOf = (name: ByteString): Buffer => Buffer.from(name, 'latin1');

/** A string already known to hold one char a byte (decoded keys, literals in ASCII). */
export const asByteString = (latin1: string): ByteString => latin1 as ByteString;

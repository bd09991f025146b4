/**
 * File sizes and offsets reach 2^63-1, beyond a double's 2^53. Below `fuse/` they are whole blocks
 * plus tail bytes, both exact; arithmetic on one IO stays in plain numbers.
 */

import { assert } from './assert.ts';
import { BLOCK_BYTES } from './ids.ts';

/** A byte size or offset: `blocks * 4096 + tail`. Immutable. */
export interface Size {
  /** Whole blocks, 0 .. 2^51-1. */
  readonly blocks: number;
  /** Bytes after the last whole block, 0 .. 4095. */
  readonly tail: number;
}

export const ZERO_SIZE: Size = { blocks: 0, tail: 0 };

/** 2^63-1, the largest size a file may have. */
export const MAX_SIZE: Size = { blocks: 2 ** 51 - 1, tail: BLOCK_BYTES - 1 };

/** From a byte count below 2^53. */
export function sizeOf(bytes: number): Size {
  assert(Number.isSafeInteger(bytes) && bytes >= 0, () => `size out of range: ${bytes}`);
  const tail = bytes % BLOCK_BYTES;
  return { blocks: (bytes - tail) / BLOCK_BYTES, tail };
}

/** From the two 32-bit halves of a 64-bit byte count as they stand in a FUSE request. */
export const sizeOfHalves = (low: number, high: number): Size => ({
  blocks: high * 1048576 + (low >>> 12),
  tail: low & 4095,
});

export const bigintOfSize = (size: Size): bigint =>
  (BigInt(size.blocks) << 12n) | BigInt(size.tail);

/** The byte count as a double: exact below 2^53, rounded above (for display and heuristics). */
export const bytesOfSize = (size: Size): number => size.blocks * BLOCK_BYTES + size.tail;

/** `a + bytes`, for 0 <= bytes < 2^40. */
export function addBytes(a: Size, bytes: number): Size {
  const sum = a.tail + bytes;
  const tail = sum % BLOCK_BYTES;
  return { blocks: a.blocks + (sum - tail) / BLOCK_BYTES, tail };
}

/** `a + b`; up to twice MAX_SIZE exact. */
export const addSizes = (a: Size, b: Size): Size =>
  addBytes({ blocks: a.blocks + b.blocks, tail: a.tail }, b.tail);

/** Negative, zero or positive as `a` is smaller than, equal to or larger than `b`. */
export const compareSizes = (a: Size, b: Size): number => a.blocks - b.blocks || a.tail - b.tail;

export const maxSize = (a: Size, b: Size): Size => (compareSizes(a, b) >= 0 ? a : b);

/** The number of blocks that hold `size` bytes: the tail counts as one. */
export const blocksHolding = (size: Size): number => size.blocks + (size.tail > 0 ? 1 : 0);

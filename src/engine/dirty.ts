/**
 * Bytes written to one file and not yet in the log: sorted runs of whole blocks in memory.
 *
 * Pure but for the memory that it fills. Blocks hold zeros wherever nothing was written and the
 * file had nothing, so that bytes behind the end of a file are zero on disk too. A block written in
 * part is completed from its present contents (its base), which the caller supplies.
 */

import { endOf, replaceRange, type Extent } from '../model/extent.ts';
import { BLOCK_BYTES } from '../model/ids.ts';
import { addBytes, maxSize, type Size } from '../model/size.ts';
import type { Time } from '../model/time.ts';

/** Consecutive dirty blocks in one piece of memory. */
export interface Run {
  readonly block: number;
  /** Filled blocks; `bytes` may have room for more. */
  blocks: number;
  bytes: Buffer;
  /** Gives memory taken from the transport back; undefined where it is our own. */
  readonly release: (() => void) | undefined;
}

/** Memory for small runs is cut from slabs, since a buffer of its own costs a microsecond each. */
const SLAB_BYTES = 1 << 20;
/** Largest capacity that a growing run gets, in blocks. */
const GROWTH_BLOCKS = 256;
/** Writes of whole blocks from this size on keep their memory instead of being copied. */
export const TAKE_BYTES = 64 * 1024;

const NOTHING_PREPARED: readonly Extent[] = [];

let slab = Buffer.alloc(0);

/** `blocks` blocks of memory, contents undefined. */
function memory(blocks: number): Buffer {
  const bytes = blocks * BLOCK_BYTES;
  if (bytes > SLAB_BYTES / 4) return Buffer.allocUnsafeSlow(bytes);
  if (slab.length < bytes) slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  const piece = slab.subarray(0, bytes);
  slab = slab.subarray(bytes);
  return piece;
}

export interface DirtyWrite {
  readonly offset: Size;
  readonly bytes: Buffer;
  /** Present contents of a block that is written in part; undefined reads as zeros. */
  readonly base: (block: number) => Uint8Array | undefined;
  /** Takes the memory of `bytes` over; undefined where it must be copied. */
  readonly take: (() => () => void) | undefined;
}

export class DirtyFile {
  readonly runs: Run[] = [];
  /** The file's size before these writes. */
  readonly sizeBefore: Size;
  /** The file's size with these writes. */
  size: Size;
  /** Time of the last write. */
  time: Time;
  killPrivileges = false;
  /** Dirty blocks in all runs. */
  blocks = 0;
  /** Dirty blocks that were unwritten ones of the file: the places where they go. Sorted. */
  prepared: readonly Extent[] = NOTHING_PREPARED;
  preparedBlocks = 0;

  constructor(size: Size, time: Time) {
    this.sizeBefore = size;
    this.size = size;
    this.time = time;
  }

  /** Dirty blocks that have no place yet: the data layer has promised one for each. */
  get promisedBlocks(): number {
    return this.blocks - this.preparedBlocks;
  }

  /** These unwritten blocks, none of which is dirty, are about to be written. */
  prepare(extents: readonly Extent[]): void {
    for (const extent of extents) {
      this.prepared = replaceRange(this.prepared, extent.block, endOf(extent), [extent]);
      this.preparedBlocks += extent.count;
    }
  }

  /** All dirty blocks follow one another. */
  get isOneStretch(): boolean {
    const [first, last] = [this.runs[0], this.runs.at(-1)];
    if (first === undefined || last === undefined) return false;
    return last.block + last.blocks - first.block === this.blocks;
  }

  /** The run that holds `block`. */
  runAt(block: number): Run | undefined {
    const run = this.runs[this.#indexAt(block)];
    return run !== undefined && block < run.block + run.blocks ? run : undefined;
  }

  /** Number of blocks in [from, to) that are not dirty yet. */
  missingBlocks(from: number, to: number): number {
    let missing = to - from;
    for (let i = Math.max(0, this.#indexAt(from)); i < this.runs.length; i++) {
      const run = this.runs[i]!;
      if (run.block >= to) break;
      missing -= Math.max(0, Math.min(to, run.block + run.blocks) - Math.max(from, run.block));
    }
    return missing;
  }

  /** First dirty block in [from, to), or `to`. */
  nextDirty(from: number, to: number): number {
    const i = this.#indexAt(from);
    const run = this.runs[i];
    if (run !== undefined && from < run.block + run.blocks) return from;
    return Math.min(to, this.runs[i + 1]?.block ?? to);
  }

  write(write: DirtyWrite): void {
    let done = 0;
    while (done < write.bytes.length) done += this.#writeStretch(write, done);
    this.size = maxSize(this.size, addBytes(write.offset, write.bytes.length));
  }

  /** Writes as much as lies in one run, or in one gap between runs; returns the bytes written. */
  #writeStretch(write: DirtyWrite, done: number): number {
    const at = addBytes(write.offset, done);
    const i = this.#indexAt(at.blocks);
    const run = this.runs[i];
    if (run !== undefined && at.blocks < run.block + run.blocks) {
      return copyInto(run, at, write.bytes, done);
    }
    const gapBlocks = (this.runs[i + 1]?.block ?? Infinity) - at.blocks;
    const bytes = Math.min(write.bytes.length - done, gapBlocks * BLOCK_BYTES - at.tail);
    const blocks = Math.ceil((at.tail + bytes) / BLOCK_BYTES);
    const target = this.#makeRoom(write, i, at, blocks, bytes);
    this.blocks += blocks;
    if (target === undefined) return bytes;
    const start = (at.blocks - target.block) * BLOCK_BYTES;
    completeBlocks(target.bytes.subarray(start, start + blocks * BLOCK_BYTES), at, bytes, write);
    write.bytes.copy(target.bytes, start + at.tail, done, done + bytes);
    return bytes;
  }

  /** The run that takes a stretch: the one before it, grown, or a new one; undefined if taken. */
  #makeRoom(write: DirtyWrite, i: number, at: Size, blocks: number, bytes: number) {
    const before = this.runs[i];
    if (before !== undefined && before.block + before.blocks === at.blocks) {
      if (growRun(before, blocks)) return before;
    }
    const whole = at.tail === 0 && bytes === blocks * BLOCK_BYTES;
    if (whole && bytes >= TAKE_BYTES && bytes === write.bytes.length && write.take !== undefined) {
      const release = write.take();
      this.runs.splice(i + 1, 0, { block: at.blocks, blocks, bytes: write.bytes, release });
      return undefined;
    }
    const run = { block: at.blocks, blocks, bytes: memory(blocks), release: undefined };
    this.runs.splice(i + 1, 0, run);
    return run;
  }

  /** Index of the last run that starts at or before `block`; -1 if there is none. */
  #indexAt(block: number): number {
    let low = 0;
    let high = this.runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.runs[middle]!.block <= block) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Overwrites within a run; returns the bytes copied. */
function copyInto(run: Run, at: Size, bytes: Buffer, from: number): number {
  const start = (at.blocks - run.block) * BLOCK_BYTES + at.tail;
  const count = Math.min(bytes.length - from, run.blocks * BLOCK_BYTES - start);
  bytes.copy(run.bytes, start, from, from + count);
  return count;
}

/**
 * Lets `run` hold `blocks` more; false where it has memory of the transport's or is large enough.
 */
function growRun(run: Run, blocks: number): boolean {
  if (run.release !== undefined) return false;
  const wanted = run.blocks + blocks;
  if (wanted * BLOCK_BYTES > run.bytes.length) {
    if (wanted > GROWTH_BLOCKS) return false;
    const grown = memory(Math.min(GROWTH_BLOCKS, Math.max(wanted, run.blocks * 2)));
    run.bytes.copy(grown, 0, 0, run.blocks * BLOCK_BYTES);
    run.bytes = grown;
  }
  run.blocks = wanted;
  return true;
}

/** Fills what a stretch leaves unwritten in its first and last block: their bases, or zeros. */
function completeBlocks(target: Buffer, at: Size, bytes: number, write: DirtyWrite): void {
  const end = at.tail + bytes;
  const lastStart = Math.floor((end - 1) / BLOCK_BYTES) * BLOCK_BYTES;
  if (at.tail > 0) fillBlock(target, 0, write.base(at.blocks));
  if (end % BLOCK_BYTES !== 0 && (lastStart > 0 || at.tail === 0)) {
    fillBlock(target, lastStart, write.base(at.blocks + lastStart / BLOCK_BYTES));
  }
}

function fillBlock(target: Buffer, at: number, base: Uint8Array | undefined): void {
  if (base === undefined) target.fill(0, at, at + BLOCK_BYTES);
  else target.set(base, at);
}

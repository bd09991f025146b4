/**
 * Gives dirty blocks their place on the disk, and their bytes to the data layer (the step "ship" of
 * `dirty-files.ts`). Owns the count of the memory that all files' writes take, until it is given
 * back, and its bound.
 */

import type { DataStore, Place } from '../data/types.ts';
import type { Index } from '../index/index.ts';
import { must } from '../model/assert.ts';
import { refuse, type Refusal } from '../model/errno.ts';
import { BLOCK_BYTES, type Ino } from '../model/ids.ts';
import { bytesOfSize, type Size } from '../model/size.ts';
import { Flight, type DataWrites } from './data-writes.ts';
import { DirtyFile, type Run } from './dirty.ts';
import { freshBlocks, type Pending } from './pending.ts';
import {
  bytesLaid,
  endOfPiece,
  extendPiece,
  layInto,
  newPiece,
  placesFor,
  type LaidRun,
  type Piece,
  type Written,
} from './shipped.ts';

/** Dirty and queued bytes that all files together may hold: beyond it writers wait. */
const MEMORY_BYTES = 64 << 20;
/** A file of at least this size is written to a segment of its own. */
const STREAM_BYTES = 1 << 20;
/**
 * Places of one piece, each of which may be an item of its transaction beside the blocks: only
 * writes that are scattered over unwritten extents come near it.
 */
const MAX_PLACES = 1024;

/** A stream is shipped in so many stretches a piece, while they are in the processor's caches. */
const STRETCHES = 8;

/** The stream that a file of this size allocates for; see `DataStore.allocate`. */
export const streamOf = (ino: Ino, size: Size): number =>
  bytesOfSize(size) >= STREAM_BYTES ? ino : 0;

export interface ShipperOptions {
  readonly index: Index;
  readonly data: DataStore;
  readonly writes: DataWrites;
  /** Blocks of a full piece. */
  readonly shipBlocks: number;
  /** Called when all that was added to a file's piece is durable. */
  readonly onDurable: (pending: Pending) => void;
}

export class Shipper {
  readonly #options: ShipperOptions;
  #dirtyBlocks = 0;
  #queuedBytes = 0;
  #waiters: (() => void)[] = [];

  constructor(options: ShipperOptions) {
    this.#options = options;
  }

  get full(): boolean {
    return this.#dirtyBlocks * BLOCK_BYTES + this.#queuedBytes >= MEMORY_BYTES;
  }

  /** Resolves when enough queued bytes reached the disk, or writing broke. */
  async whenRoom(): Promise<void> {
    while (this.full && this.#options.data.failure === undefined) {
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** So many more blocks are dirty. */
  dirtied(blocks: number): void {
    this.#dirtyBlocks += blocks;
  }

  /** Much is dirty, or the next stretch of a file that is a stream. */
  isWorthIt({ file, pieces }: Pending): boolean {
    const { shipBlocks } = this.#options;
    if (file.blocks >= shipBlocks || file.prepared.length >= MAX_PLACES / 4) return true;
    if (file.blocks < shipBlocks / STRETCHES || !file.isOneStretch) return false;
    const last = pieces.at(-1);
    return last !== undefined && (last.isClosed || this.#continues(last, file));
  }

  /** Makes a piece of what is dirty, and queues its bytes. EIO once writing is broken. */
  ship(pending: Pending): Refusal | undefined {
    pending.isShipDue = false;
    const { ino, file, actor } = pending;
    if (file.blocks === 0) return undefined;
    const allocated = this.#allocate(ino, file);
    if (allocated === 'EIO') return refuse('EIO');
    const places = placesFor(file.runs, file.prepared, allocated);
    const laid = layInto(file.runs, places);
    const { blocks, size, time, killPrivileges } = file;
    const written = { size, time, killPrivileges, actor };
    const piece = this.#pieceFor(pending, written);
    piece.freshBlocks += freshBlocks(file, this.#hasBlocks(pending));
    piece.promisedBlocks += file.promisedBlocks;
    extendPiece(piece, places, laid, written);
    piece.isClosed = piece.blocks >= this.#options.shipBlocks;
    pending.file = new DirtyFile(size, time);
    pending.file.killPrivileges = killPrivileges;
    this.#dirtyBlocks -= blocks;
    this.#send(piece.flight, file.runs, laid);
    return undefined;
  }

  /** Redeems the promises that the dirty blocks have. */
  #allocate(ino: Ino, { size, promisedBlocks }: DirtyFile): readonly Place[] | 'EIO' {
    const { data, writes } = this.#options;
    if (promisedBlocks === 0) return data.failure === undefined ? [] : 'EIO';
    const allocation = writes.allocate(promisedBlocks, streamOf(ino, size));
    return allocation === 'EIO' ? 'EIO' : allocation.places;
  }

  /** The piece that takes what is dirty: the last one, where that goes on behind it, or a new. */
  #pieceFor(pending: Pending, written: Written): Piece {
    const { file, pieces } = pending;
    const last = pieces.at(-1);
    if (last !== undefined && this.#continues(last, file)) return last;
    if (last !== undefined) last.isClosed = true;
    const piece = newPiece(new Flight(() => this.#options.onDurable(pending)), written);
    pieces.push(piece);
    return piece;
  }

  /** Whether what is dirty goes on behind the end of an open piece, and fits into it. */
  #continues(piece: Piece, { runs, blocks, prepared }: DirtyFile): boolean {
    const { shipBlocks } = this.#options;
    if (piece.places.length + 2 * prepared.length > MAX_PLACES) return false;
    if (piece.isClosed || piece.blocks + blocks > shipBlocks + shipBlocks / STRETCHES) return false;
    return runs[0] !== undefined && runs[0].block >= endOfPiece(piece);
  }

  /** Whether the file has blocks beside the dirty ones. */
  #hasBlocks({ ino, pieces }: Pending): boolean {
    return (pieces[0]?.blocks ?? 0) > 0 || this.#options.index.inode(ino)?.extents !== 0;
  }

  /**
   * Hands the bytes to the data layer; each run's memory is given back once all of it is written.
   */
  #send(flight: Flight, runs: readonly Run[], laid: readonly LaidRun[]): void {
    const left = new Map<Run, number>();
    for (const { run } of laid) left.set(run, (left.get(run) ?? 0) + 1);
    for (const run of runs) this.#queuedBytes += run.blocks * BLOCK_BYTES;
    for (const part of laid) {
      const { run, at } = part;
      this.#options.writes.send(flight, at, bytesLaid(part), () => {
        const remaining = must(left.get(run), 'a run is written once') - 1;
        left.set(run, remaining);
        if (remaining === 0) this.#written(run);
      });
    }
  }

  #written(run: Run): void {
    this.#queuedBytes -= run.blocks * BLOCK_BYTES;
    run.release?.();
    if (this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

/**
 * Pending writes: what was written to files and is not in the log yet (architecture 3, "Writes are
 * coalesced").
 *
 * Owns the dirty blocks of every file, the promise of disk space for them, and the bound on their
 * memory. Order of events for one file:
 *   write    blocks are promised by the data layer (or ENOSPC), bytes go to memory, answer
 *   place    before any other transaction on the inode, on close, fsync and rename, when its seq
 *            is asked for, at 8 MiB and at the timer: blocks are allocated, their checksums are
 *            computed, one transaction (segments, checksums, extents, size, times) is appended, and
 *            the bytes are queued to the data segment. All in one attempt, without an `await`.
 *   commit   syncs the data segments before it writes the log (see `commit.ts`)
 * A crash before the commit loses writes that no fsync had promised; after it, none.
 */

import type { Index } from '../index/index.ts';
import type { Clock } from '../io/clock.ts';
import type { LogFunction } from '../io/logger.ts';
import { checksumInto } from '../data/checksum.ts';
import type { Allocation, DataStore, Place } from '../data/types.ts';
import { withoutSetId } from '../decide/attributes.ts';
import { decideWritten } from '../decide/contents.ts';
import { assert, must } from '../model/assert.ts';
import { isRefusal, refuse, type Refusal } from '../model/errno.ts';
import type { Event } from '../model/event.ts';
import { pushMerged, type Extent } from '../model/extent.ts';
import { BLOCK_BYTES, type Ino } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import { bytesOfSize } from '../model/size.ts';
import type { Time } from '../model/time.ts';
import type { Actor, TouchedPath } from '../model/transaction.ts';
import type { Committer } from './commit.ts';
import { DirtyFile, type DirtyWrite, type Run } from './dirty.ts';

/** The disk below is being asked for space: resolves to whether it is worth trying again. */
export class MoreSpace {
  readonly ready: Promise<boolean>;

  constructor(ready: Promise<boolean>) {
    this.ready = ready;
  }
}

/** A file's pending writes become a transaction at this size. */
export const PLACE_BLOCKS = (8 << 20) / BLOCK_BYTES;
/** Dirty and queued bytes that all files together may hold: beyond it writers wait. */
const MEMORY_BYTES = 64 << 20;
/**
 * Bytes of logged writes that may be waiting for the disk before a full-speed writer has to: an
 * fsync of anybody waits for them (architecture 1, "Group commit").
 */
const QUEUE_BYTES = 8 << 20;
/** A file of at least this size is written to a segment of its own. */
const STREAM_BYTES = 1 << 20;

interface Pending {
  readonly file: DirtyFile;
  actor: Actor;
}

export interface DirtyOptions {
  readonly committer: Committer;
  readonly index: Index;
  readonly data: DataStore;
  readonly clock: Clock;
  /** Pending writes become transactions after so many milliseconds without being asked for. */
  readonly placeMs: number;
  readonly pathsOf: (ino: Ino) => readonly TouchedPath[];
  readonly journal: LogFunction;
}

export class DirtyFiles {
  readonly #committer: Committer;
  readonly #index: Index;
  readonly #data: DataStore;
  readonly #pathsOf: (ino: Ino) => readonly TouchedPath[];
  readonly #pending = new Map<Ino, Pending>();
  readonly #clock: Clock;
  readonly #placeMs: number;
  readonly #journal: LogFunction;
  #cancelTimer: (() => void) | undefined;
  #stopped = false;
  #dirtyBlocks = 0;
  #queuedBytes = 0;
  #waiters: (() => void)[] = [];

  constructor(options: DirtyOptions) {
    this.#clock = options.clock;
    this.#placeMs = options.placeMs;
    this.#journal = options.journal;
    this.#committer = options.committer;
    this.#index = options.index;
    this.#data = options.data;
    this.#pathsOf = options.pathsOf;
  }

  get(ino: Ino): DirtyFile | undefined {
    return this.#pending.get(ino)?.file;
  }

  get dirtyBytes(): number {
    return this.#dirtyBlocks * BLOCK_BYTES + this.#queuedBytes;
  }

  get full(): boolean {
    return this.dirtyBytes >= MEMORY_BYTES;
  }

  /** Resolves when enough queued bytes reached the disk, or writing broke. */
  async whenRoom(): Promise<void> {
    while (this.full && this.#data.failure === undefined) await this.#someWritten();
  }

  /** So much is on its way to the disk that a file should wait before it adds 8 MiB to that. */
  get queueIsLong(): boolean {
    return this.#queuedBytes >= QUEUE_BYTES && this.#data.failure === undefined;
  }

  /** Resolves when the queue is short again, or writing broke. */
  async whenQueueIsShort(): Promise<void> {
    while (this.queueIsLong) await this.#someWritten();
  }

  #someWritten(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** The inode as its pending writes make it: what stat(2) shows. */
  overlay(inode: Inode): Inode {
    const file = this.#pending.get(inode.ino)?.file;
    if (file === undefined) return inode;
    const fresh = file.runs.length === 0 ? 0 : this.#unmappedEstimate(inode, file);
    return {
      ...inode,
      mode: (file.killPrivileges ? withoutSetId(inode.mode) : undefined) ?? inode.mode,
      size: file.size,
      mtime: file.time,
      ctime: file.time,
      onlineBlocks: inode.onlineBlocks + fresh,
    };
  }

  /** Dirty blocks not yet mapped, assuming that writes within the old size overwrite. */
  #unmappedEstimate(inode: Inode, file: DirtyFile): number {
    if (inode.extents === 0) return file.blocks;
    const end = Math.ceil(bytesOfSize(inode.size) / BLOCK_BYTES);
    let fresh = 0;
    for (const run of file.runs) {
      fresh += Math.max(0, run.block + run.blocks - Math.max(end, run.block));
    }
    return fresh;
  }

  /**
   * Takes a write into memory. A refusal (ENOSPC, EIO) if its blocks cannot be promised;
   * `MoreSpace` where the disk below is being asked for more.
   */
  write(
    inode: Inode,
    write: DirtyWrite,
    time: Time,
    kill: boolean,
    actor: Actor,
  ): Refusal | MoreSpace | undefined {
    const known = this.#pending.get(inode.ino);
    const pending = known ?? { file: new DirtyFile(inode.size, time), actor };
    const { file } = pending;
    const from = write.offset.blocks;
    const to = from + Math.ceil((write.offset.tail + write.bytes.length) / BLOCK_BYTES);
    const missing = file.missingBlocks(from, to);
    const refused = missing > 0 ? this.#data.reserve(missing) : undefined;
    if (refused !== undefined) return this.#refusal(refused, missing);
    if (known === undefined) this.#pending.set(inode.ino, pending);
    this.#armTimer();
    file.write(write);
    file.time = time;
    file.killPrivileges ||= kill;
    pending.actor = actor;
    this.#dirtyBlocks += missing;
    return undefined;
  }

  #refusal(refused: 'ENOSPC' | 'EIO', blocks: number): Refusal | MoreSpace {
    const ready = refused === 'ENOSPC' ? this.#data.ready(blocks) : undefined;
    return ready === undefined ? refuse(refused) : new MoreSpace(ready);
  }

  #armTimer(): void {
    this.#cancelTimer ??= this.#clock.after(this.#placeMs, () => {
      this.#cancelTimer = undefined;
      void this.placeAll().then((failed) => {
        if (failed === undefined) return;
        this.#journal('error', `pending writes: ${failed.name}; tried again later`);
        if (!this.#stopped && this.#data.failure === undefined) this.#armTimer();
      });
    });
  }

  /** Appends all that is pending on any file; the last refusal, if any. Never rejects. */
  async placeAll(): Promise<Refusal | undefined> {
    let failed: Refusal | undefined;
    const inos = [...this.#pending.keys()];
    for (const ino of inos) failed = (await this.#placeLater(ino)) ?? failed;
    return failed;
  }

  /** What goes wrong with one file must not keep the others' writes from the log. */
  async #placeLater(ino: Ino): Promise<Refusal | undefined> {
    try {
      return await this.#committer.mutate(() => this.place(ino));
    } catch (error) {
      this.#journal('error', `inode ${ino}: pending writes: ${(error as Error).message}`);
      return refuse('EIO');
    }
  }

  /** No timer any more: for closing. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /**
   * Appends the pending writes of `ino`, if any. Within an attempt; throws `Miss`, and then nothing
   * has changed. EIO, ENOSPC where data or log cannot take them: they stay pending.
   */
  place(ino: Ino): Refusal | undefined {
    const pending = this.#pending.get(ino);
    if (pending === undefined) return undefined;
    const { file, actor } = pending;
    const inode = must(this.#index.inode(ino), `pending writes of a missing inode ${ino}`);
    for (const run of file.runs) this.#index.extents(ino, run.block, run.block + run.blocks);
    const stream = bytesOfSize(file.size) >= STREAM_BYTES ? ino : 0;
    const allocation = this.#data.allocate(file.blocks, stream);
    if (allocation === 'EIO') return refuse('EIO');
    const placed = place(file.runs, allocation.places);
    const refusal = this.#append(inode, file, actor, allocation, placed);
    if (refusal !== undefined) return refusal;
    this.#pending.delete(ino);
    this.#dirtyBlocks -= file.blocks;
    this.#queue(file.runs, placed);
    return undefined;
  }

  #append(
    inode: Inode,
    file: DirtyFile,
    actor: Actor,
    allocation: Allocation,
    placed: readonly Placed[],
  ): Refusal | undefined {
    try {
      const events = decideWritten(inode, {
        size: file.size,
        time: file.time,
        killPrivileges: file.killPrivileges,
        extents: extentsOf(placed),
        dataEvents: dataEvents(allocation, placed, this.#data.rid),
      });
      assert(!isRefusal(events), 'pending writes cannot be refused');
      const paths = this.#pathsOf(inode.ino);
      const tx = this.#committer.append({ cause: 'write', actor, paths, events, privileged: true });
      if (!isRefusal(tx)) return undefined;
      this.#data.unallocate(allocation);
      return tx;
    } catch (error) {
      this.#data.unallocate(allocation);
      throw error;
    }
  }

  /**
   * Hands the bytes to the data layer; each run's memory is given back once all of it is written.
   */
  #queue(runs: readonly Run[], placed: readonly Placed[]): void {
    const left = new Map<Run, number>();
    for (const { run } of placed) left.set(run, (left.get(run) ?? 0) + 1);
    for (const run of runs) this.#queuedBytes += run.blocks * BLOCK_BYTES;
    for (const { run, from, at } of placed) {
      const bytes = run.bytes.subarray(from * BLOCK_BYTES, (from + at.count) * BLOCK_BYTES);
      this.#data.write(at, bytes, () => {
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

  /** Forgets the pending writes of an inode that is going away. */
  discard(ino: Ino): void {
    const pending = this.#pending.get(ino);
    if (pending === undefined) return;
    this.#pending.delete(ino);
    this.#dirtyBlocks -= pending.file.blocks;
    this.#data.unreserve(pending.file.blocks);
    for (const run of pending.file.runs) run.release?.();
  }
}

/** Part of a run, and where it lies. */
interface Placed {
  readonly run: Run;
  /** First block, counted within the run. */
  readonly from: number;
  readonly at: Place;
}

/** Lays runs end to end into places; the counts of both agree. */
function place(runs: readonly Run[], places: readonly Place[]): Placed[] {
  const placed: Placed[] = [];
  let p = 0;
  let used = 0;
  for (const run of runs) {
    let from = 0;
    while (from < run.blocks) {
      const into = must(places[p], 'an allocation is as large as asked for');
      const count = Math.min(run.blocks - from, into.count - used);
      const at = { segment: into.segment, segmentBlock: into.segmentBlock + used, count };
      placed.push({ run, from, at });
      from += count;
      used += count;
      if (used === into.count) {
        p++;
        used = 0;
      }
    }
  }
  return placed;
}

function extentsOf(placed: readonly Placed[]): Extent[] {
  const extents: Extent[] = [];
  for (const { run, from, at } of placed) {
    pushMerged(extents, {
      block: run.block + from,
      count: at.count,
      segment: at.segment,
      segmentBlock: at.segmentBlock,
      flags: 0,
    });
  }
  return extents;
}

/** New segments and the checksums of the placed blocks, one event for each consecutive place. */
function dataEvents(
  allocation: Allocation,
  placed: readonly Placed[],
  rid: DataStore['rid'],
): Event[] {
  const events: Event[] = [];
  for (const segment of allocation.created) events.push({ type: 'SegmentCreated', segment, rid });
  let next = 0;
  for (const at of allocation.places) {
    const checksums = Buffer.allocUnsafe(at.count * 4);
    let filled = 0;
    while (filled < at.count) {
      const { run, from, at: part } = must(placed[next++], 'every placed block has its place');
      const bytes = run.bytes.subarray(from * BLOCK_BYTES, (from + part.count) * BLOCK_BYTES);
      checksumInto(bytes, checksums, filled * 4);
      filled += part.count;
    }
    const { segment, segmentBlock } = at;
    events.push({ type: 'BlocksChecksummed', segment, segmentBlock, checksums });
  }
  return events;
}

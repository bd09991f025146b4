/**
 * Pending writes: what was written to files and is not in the log yet (architecture 3, "Writes are
 * coalesced").
 *
 * Owns, for every file with such writes, its dirty blocks, its shipped pieces, and the bound on the
 * memory of all. Order of events for one file, and what a crash after each step leaves:
 *   write    blocks are promised by the data layer (or ENOSPC), or were allocated before and never
 *            written (`unwritten.ts`); bytes go to memory, answer: nothing
 *   ship     at 8 MiB, then at each MiB that is written in order, and before logging: the dirty
 *            blocks are allocated, their checksums are computed, their bytes are queued to the data
 *            segment. They are in a piece now, which holds what its transaction will say, and grows
 *            up to 8 MiB: nothing, its blocks are swept
 *   durable  the data layer has synced the piece: the same
 *   log      one transaction (segments, checksums, extents, size, times): once the piece is full
 *            and durable and those before it are logged; or at once, for all pieces of the file,
 *            before any other transaction on the inode, on fsync, rename and close, when its seq is
 *            asked for, and at the timer: nothing, until the log commits
 *   commit   syncs the data that the log names and that is not durable (`data-writes.ts`), then the
 *            log: all of it
 * So a stream runs ahead of the disk without anybody's commit waiting for it, and after a crash a
 * file has the contents, size and times that it had after some write to it.
 *
 * A commit waits for no more than SETTLE_BYTES of data, and one file's dirty blocks: what would make
 * it more has to wait first, outside the attempt and with that file's writers held, until the data
 * is durable (`NotYet`). Closing and the timer do not wait, they leave the logging to `durable`.
 */

import type { Index } from '../index/index.ts';
import type { Clock } from '../io/clock.ts';
import type { LogFunction } from '../io/logger.ts';
import type { DataStore } from '../data/types.ts';
import { decideWritten } from '../decide/contents.ts';
import { assert, must } from '../model/assert.ts';
import { isRefusal, refuse, type Refusal } from '../model/errno.ts';
import type { Extent } from '../model/extent.ts';
import { BLOCK_BYTES, type Ino, type SegmentNumber } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import type { Time } from '../model/time.ts';
import type { Actor, TouchedPath } from '../model/transaction.ts';
import { attachedTo } from './attached.ts';
import { fitsVolume } from './size-limit.ts';
import type { Committer } from './commit.ts';
import type { DataWrites } from './data-writes.ts';
import type { DirtyFile, DirtyWrite } from './dirty.ts';
import { NotYet } from './not-yet.ts';
import { newPending, undurableBytes, withPending, type Pending } from './pending.ts';
import { checksumEvents, type Piece } from './shipped.ts';
import { Shipper } from './shipper.ts';

/** The disk below is being asked for space: resolves to whether it is worth trying again. */
export class MoreSpace {
  readonly ready: Promise<boolean>;

  constructor(ready: Promise<boolean>) {
    this.ready = ready;
  }
}

export interface WriteLimits {
  /** A file's dirty blocks are shipped at this number. */
  readonly shipBlocks: number;
  /** Bytes that the log may name before they are durable. */
  readonly settleBytes: number;
}

const LIMITS: WriteLimits = { shipBlocks: (8 << 20) / BLOCK_BYTES, settleBytes: 16 << 20 };
const NO_PIECES: readonly Piece[] = [];

export interface DirtyOptions {
  readonly committer: Committer;
  readonly index: Index;
  readonly data: DataStore;
  readonly writes: DataWrites;
  readonly clock: Clock;
  /** Pending writes become transactions after so many milliseconds without being asked for. */
  readonly placeMs: number;
  readonly pathsOf: (ino: Ino) => readonly TouchedPath[];
  readonly journal: LogFunction;
  readonly limits?: Partial<WriteLimits> | undefined;
}

export class DirtyFiles {
  readonly #options: DirtyOptions;
  readonly #committer: Committer;
  readonly #index: Index;
  readonly #data: DataStore;
  readonly #writes: DataWrites;
  readonly #limits: WriteLimits;
  readonly #shipper: Shipper;
  readonly #pending = new Map<Ino, Pending>();
  /** Blocks that were promised to writes which are not logged. */
  #promisedBlocks = 0;
  #cancelTimer: (() => void) | undefined;
  #stopped = false;

  constructor(options: DirtyOptions) {
    this.#options = options;
    this.#committer = options.committer;
    this.#index = options.index;
    this.#data = options.data;
    this.#writes = options.writes;
    this.#limits = { ...LIMITS, ...options.limits };
    this.#shipper = new Shipper({
      index: this.#index,
      data: this.#data,
      writes: this.#writes,
      shipBlocks: this.#limits.shipBlocks,
      onDurable: (pending) => void this.#logDurable(pending),
    });
  }

  /** The dirty blocks of `ino`, and its size and times as they are with all that is pending. */
  get(ino: Ino): DirtyFile | undefined {
    return this.#pending.get(ino)?.file;
  }

  /** What of `ino` was shipped and is not logged. */
  shipped(ino: Ino): readonly Piece[] {
    return this.#pending.get(ino)?.pieces ?? NO_PIECES;
  }

  /** Whether a piece that is not logged lies in `segment`. */
  holds(segment: SegmentNumber): boolean {
    for (const { pieces } of this.#pending.values()) {
      if (pieces.some(({ places }) => places.some((place) => place.segment === segment)))
        return true;
    }
    return false;
  }

  get full(): boolean {
    return this.#shipper.full;
  }

  /** Blocks that will be in use once all that is pending is logged. */
  get promisedBlocks(): number {
    return this.#promisedBlocks;
  }

  /** Ships all that is dirty; resolves when some of it reached the disk, or writing broke. */
  makeRoom(): Promise<void> {
    for (const pending of this.#pending.values()) this.#shipper.ship(pending);
    return this.#shipper.whenRoom();
  }

  /**
   * What a writer to `ino` has to wait for: bytes that somebody is about to log. It never rejects.
   */
  held(ino: Ino): NotYet | undefined {
    const settling = this.#pending.get(ino)?.settling;
    return settling === undefined ? undefined : new NotYet(settling);
  }

  /** The log refused writes of `ino`: they have to be placed before more is taken. */
  isRefused(ino: Ino): boolean {
    return this.#pending.get(ino)?.isRefused === true;
  }

  /** The inode as its pending writes make it: what stat(2) shows. */
  overlay(inode: Inode): Inode {
    const pending = this.#pending.get(inode.ino);
    return pending === undefined ? inode : withPending(inode, pending);
  }

  /**
   * Takes a write into memory. `prepared` are blocks of it that have their place on the disk already
   * (`unwritten.ts`). A refusal (ENOSPC, EIO) if the others cannot be promised one; `MoreSpace` where
   * the disk below is being asked for more.
   */
  write(
    inode: Inode,
    write: DirtyWrite,
    time: Time,
    kill: boolean,
    actor: Actor,
    prepared: readonly Extent[],
  ): Refusal | MoreSpace | undefined {
    const known = this.#pending.get(inode.ino);
    const pending = known ?? newPending(inode, time, actor);
    const { file } = pending;
    const from = write.offset.blocks;
    const to = from + Math.ceil((write.offset.tail + write.bytes.length) / BLOCK_BYTES);
    const missing = file.missingBlocks(from, to);
    let wanted = missing;
    for (const { count } of prepared) wanted -= count;
    if (!fitsVolume(this.#index, this.#promisedBlocks, wanted)) return refuse('ENOSPC');
    const refused = wanted > 0 ? this.#data.reserve(wanted) : undefined;
    if (refused !== undefined) return this.#refusal(refused, wanted);
    this.#promisedBlocks += wanted;
    if (prepared.length > 0) file.prepare(prepared);
    if (known === undefined) this.#pending.set(inode.ino, pending);
    this.#armTimer();
    file.write(write);
    file.time = time;
    file.killPrivileges ||= kill;
    pending.actor = actor;
    this.#shipper.dirtied(missing);
    return undefined;
  }

  #refusal(refused: 'ENOSPC' | 'EIO', blocks: number): Refusal | MoreSpace {
    const ready = refused === 'ENOSPC' ? this.#data.ready(blocks) : undefined;
    return ready === undefined ? refuse(refused) : new MoreSpace(ready);
  }

  /** Ships what a long enough write left dirty, once its writer has been answered. */
  shipSoon(ino: Ino): void {
    const pending = this.#pending.get(ino);
    if (pending === undefined || pending.isShipDue || !this.#shipper.isWorthIt(pending)) return;
    pending.isShipDue = true;
    setImmediate(() => {
      if (pending.isShipDue) this.#shipper.ship(pending);
    });
  }

  /** Ships what is due before more is written: no piece outgrows its transaction. */
  shipDue(ino: Ino): Refusal | undefined {
    const pending = this.#pending.get(ino);
    return pending?.isShipDue === true ? this.#shipper.ship(pending) : undefined;
  }

  /**
   * Appends the pending writes of `ino`, if any. Within an attempt; throws `Miss` and `NotYet`, and
   * then making the attempt again goes on where it was. EIO, ENOSPC where data or log cannot take
   * them: they stay pending.
   */
  place(ino: Ino): Refusal | undefined {
    const pending = this.#pending.get(ino);
    if (pending === undefined) return undefined;
    if (this.#data.failure !== undefined) return refuse('EIO');
    if (this.#isTooMuch(pending)) throw new NotYet(this.#settle(pending));
    return this.#shipper.ship(pending) ?? this.#log(pending, () => true);
  }

  /**
   * Appends the pending writes of `ino` like `place`, but where that would have to wait for the
   * disk, it is left to be done once they are durable. Within an attempt; throws `Miss`.
   */
  placeAtClose(ino: Ino): Refusal | undefined {
    return this.#placeOrPush(ino, false);
  }

  /** With `isStreamLeft` a file with pieces that are not durable is left to them in any case. */
  #placeOrPush(ino: Ino, isStreamLeft: boolean): Refusal | undefined {
    const pending = this.#pending.get(ino);
    if (pending === undefined) return undefined;
    if (this.#data.failure !== undefined) return refuse('EIO');
    const isLeft = isStreamLeft && undurableBytes(pending) > 0;
    if (!isLeft && !this.#isTooMuch(pending)) return this.place(ino);
    const failed = this.#shipper.ship(pending);
    if (failed !== undefined) return failed;
    must(pending.pieces.at(-1), 'there is something to push').isClosed = true;
    void this.#sync(pending);
    return undefined;
  }

  /** Logging the file's writes now would make a commit wait for too many bytes. */
  #isTooMuch(pending: Pending): boolean {
    const own = undurableBytes(pending);
    const bytes = own + pending.file.blocks * BLOCK_BYTES;
    if (own > 0 && bytes > this.#limits.settleBytes) return true;
    const { namedBytes } = this.#writes;
    if (namedBytes === 0 || pending.hasSettled) return false;
    return bytes + namedBytes > this.#limits.settleBytes;
  }

  /** Resolves when what is too much is durable, or writing broke. */
  #settle(pending: Pending): Promise<void> {
    pending.settling ??= this.#sync(pending).then(() => {
      pending.settling = undefined;
      pending.hasSettled = true;
    });
    return pending.settling;
  }

  /** Makes the pieces durable. Never rejects: a failure is the data layer's, whom all ask. */
  #sync({ pieces }: Pending): Promise<void> {
    return this.#writes.sync(pieces.map(({ flight }) => flight)).catch(() => undefined);
  }

  /** Appends the file's pieces in their order, up to the first that is not `ready`. */
  #log(pending: Pending, ready: (piece: Piece) => boolean): Refusal | undefined {
    const { ino, pieces } = pending;
    for (let piece = pieces[0]; piece !== undefined && ready(piece); piece = pieces[0]) {
      const refusal = this.#append(ino, piece);
      pending.isRefused = refusal !== undefined;
      if (refusal !== undefined) return refusal;
      pieces.shift();
      this.#promisedBlocks -= piece.promisedBlocks;
      pending.hasSettled = false;
    }
    const isAll = pieces.length === 0 && pending.file.blocks === 0;
    if (isAll && this.#pending.get(ino) === pending) this.#pending.delete(ino);
    return undefined;
  }

  #append(ino: Ino, piece: Piece): Refusal | undefined {
    const inode = must(this.#index.inode(ino), `pending writes of a missing inode ${ino}`);
    const { extents, places, written } = piece;
    const { size, time, killPrivileges, actor } = written;
    const dataEvents = [...this.#writes.creations(places), ...checksumEvents(piece)];
    const command = { size, time, killPrivileges, extents, dataEvents };
    const events = decideWritten(inode, attachedTo(this.#index, inode), command);
    const paths = this.#options.pathsOf(ino);
    const tx = this.#committer.append({ cause: 'write', actor, paths, events, privileged: true });
    if (isRefusal(tx)) return tx;
    this.#writes.logged(piece.flight, places);
    return undefined;
  }

  /** Appends the pieces that are durable. Never rejects. */
  async #logDurable(pending: Pending): Promise<void> {
    const isDurable = ({ flight, isClosed }: Piece): boolean =>
      isClosed && flight.undurableBytes === 0;
    if (pending.pieces[0] === undefined || !isDurable(pending.pieces[0])) return;
    const failed = await this.#attempt(pending.ino, () => this.#log(pending, isDurable));
    if (failed !== undefined && !this.#stopped) this.#armTimer();
  }

  #armTimer(): void {
    this.#cancelTimer ??= this.#options.clock.after(this.#options.placeMs, () => {
      this.#cancelTimer = undefined;
      void this.#placeEach((ino) => this.#placeOrPush(ino, true)).then((failed) => {
        if (failed === undefined) return;
        this.#options.journal('error', `pending writes: ${failed.name}; tried again later`);
        if (!this.#stopped && this.#data.failure === undefined) this.#armTimer();
      });
    });
  }

  /** Appends all that is pending on any file; the last refusal, if any. Never rejects. */
  placeAll(): Promise<Refusal | undefined> {
    return this.#placeEach((ino) => this.place(ino));
  }

  async #placeEach(place: (ino: Ino) => Refusal | undefined): Promise<Refusal | undefined> {
    let failed: Refusal | undefined;
    const inos = [...this.#pending.keys()];
    for (const ino of inos) failed = (await this.#attempt(ino, () => place(ino))) ?? failed;
    return failed;
  }

  /** What goes wrong with one file must not keep the others' writes from the log. */
  async #attempt(ino: Ino, body: () => Refusal | undefined): Promise<Refusal | undefined> {
    try {
      return await this.#committer.mutate(body);
    } catch (error) {
      const { message } = error as Error;
      this.#options.journal('error', `inode ${ino}: pending writes: ${message}`);
      return refuse('EIO');
    }
  }

  /** No timer any more: for closing. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** Forgets the dirty blocks of an inode that is going away, and whose pieces are logged. */
  discard(ino: Ino): void {
    const pending = this.#pending.get(ino);
    if (pending === undefined) return;
    assert(pending.pieces.length === 0, `inode ${ino} goes before its pieces are logged`);
    this.#pending.delete(ino);
    pending.isShipDue = false;
    this.#shipper.dirtied(-pending.file.blocks);
    this.#promisedBlocks -= pending.file.promisedBlocks;
    this.#data.unreserve(pending.file.promisedBlocks);
    for (const run of pending.file.runs) run.release?.();
  }
}

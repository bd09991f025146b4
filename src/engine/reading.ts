/**
 * Reading contents: dirty blocks over shipped pieces over extents over holes, every block from disk
 * verified.
 *
 * A read is planned synchronously against one state: pending bytes and holes are copied then and
 * there, and the places of the rest are noted. Places are immutable, so the plan stays right while
 * the disk is waited for, as long as the reclaimer punches nothing that a plan may name: each
 * waiting read pins the position it was planned at.
 */

import type { Checksums, Place } from '../data/types.ts';
import { CHECKSUM_RUN_BLOCKS } from '../index/keys.ts';
import { isRefusal, refuse, type Refusal } from '../model/errno.ts';
import { clip, isMapped, isUnwritten } from '../model/extent.ts';
import { BLOCK_BYTES, type Ino, type SegmentNumber, type Seq } from '../model/ids.ts';
import { isDirectory, type Inode } from '../model/inode.ts';
import { bytesOfSize, compareSizes, type Size } from '../model/size.ts';
import type { Answer, OpenFile } from './api.ts';
import type { Core } from './core.ts';
import { isDamage, tellDamage } from './damage.ts';
import { shippedAt, shippedChecksum } from './shipped.ts';

/** A place to read and where in the buffer it goes. */
interface Wanted {
  readonly place: Place;
  readonly into: Buffer;
}

type Planned = () => Answer<readonly Uint8Array[]>;

const NOTHING: readonly Uint8Array[] = [];
const SCRATCH_BYTES = (1 << 20) + BLOCK_BYTES;

export class Reader {
  readonly #core: Core;
  /** Reused by every answer that is given at once (`api.ts`, `read`). */
  readonly #scratch = Buffer.alloc(SCRATCH_BYTES);
  /** Positions that waiting reads were planned at, with their number. */
  readonly #pins = new Map<Seq, number>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** The oldest position that a running read may still need. */
  oldestPin(): Seq | undefined {
    let oldest: Seq | undefined;
    for (const seq of this.#pins.keys()) if (oldest === undefined || seq < oldest) oldest = seq;
    return oldest;
  }

  /** The bytes, and a note of the access unless `file` was opened without. */
  read(file: OpenFile, offset: Size, length: number): Answer<readonly Uint8Array[]> {
    // One that has to be made again is answered later: others use the scratch buffer by then.
    let atOnce = true;
    const planned = this.#core.committer.attempt(() => this.#attempt(file, offset, length, atOnce));
    atOnce = false;
    const answer = (p: Planned | Refusal) => (isRefusal(p) ? p : p());
    return planned instanceof Promise ? planned.then(answer) : answer(planned);
  }

  /** Plans a read; the answer is a thunk, since an attempt's own value is never a promise. */
  #attempt(file: OpenFile, offset: Size, length: number, atOnce: boolean): Planned | Refusal {
    const { ino } = file;
    const inode = this.#core.index.inode(ino);
    if (inode === undefined) return refuse('ESTALE');
    if (isDirectory(inode.mode)) return refuse('EISDIR');
    const pending = this.#core.dirty.get(ino);
    if (file.noAccessTime !== true) this.#core.accesses.note(inode, pending?.time);
    const size = pending?.size ?? inode.size;
    if (compareSizes(offset, size) >= 0 || length === 0) return () => NOTHING;
    const left = bytesOfSize({ blocks: size.blocks - offset.blocks, tail: size.tail });
    const bytes = Math.min(length, left - offset.tail);
    const blocks = Math.ceil((offset.tail + bytes) / BLOCK_BYTES);
    const scratch = atOnce && blocks * BLOCK_BYTES <= SCRATCH_BYTES;
    const into = scratch ? this.#scratch : Buffer.allocUnsafeSlow(blocks * BLOCK_BYTES);
    const wanted = this.#plan(inode, offset.blocks, blocks, into);
    const part = (buffer: Buffer): readonly Uint8Array[] => [
      buffer.subarray(offset.tail, offset.tail + bytes),
    ];
    try {
      const checksums = this.checksums(ino);
      const missing = this.#readNow(wanted, checksums);
      if (missing.length === 0) return () => part(into);
      const read = this.#readLater(ino, into, scratch, blocks * BLOCK_BYTES, missing, checksums);
      return () => read.then((done) => (isRefusal(done) ? done : part(done)));
    } catch (error) {
      return this.#damaged(ino, error);
    }
  }

  /** Fills what memory and holes answer; returns the places that must be read. */
  #plan(inode: Inode, from: number, blocks: number, into: Buffer): Wanted[] {
    const { dirty } = this.#core;
    const file = dirty.get(inode.ino);
    const to = from + blocks;
    const slice = (a: number, b: number) =>
      into.subarray((a - from) * BLOCK_BYTES, (b - from) * BLOCK_BYTES);
    const wanted: Wanted[] = [];
    let at = from;
    while (at < to) {
      const run = file?.runAt(at);
      if (run !== undefined) {
        const end = Math.min(to, run.block + run.blocks);
        const start = (at - run.block) * BLOCK_BYTES;
        run.bytes.copy(slice(at, end), 0, start, start + (end - at) * BLOCK_BYTES);
        at = end;
      } else {
        const end = file === undefined ? to : file.nextDirty(at, to);
        this.#planShipped(inode, at, end, slice, wanted);
        at = end;
      }
    }
    return wanted;
  }

  #planShipped(
    inode: Inode,
    from: number,
    to: number,
    slice: (a: number, b: number) => Buffer,
    wanted: Wanted[],
  ): void {
    const { index, dirty } = this.#core;
    const pieces = dirty.shipped(inode.ino);
    for (let at = from; at < to;) {
      const { extent, end } = shippedAt(pieces, at, to);
      if (extent !== undefined) wanted.push({ place: extent, into: slice(at, end) });
      else this.#planStored(inode, at, end, index.extents(inode.ino, at, end), slice, wanted);
      at = end;
    }
  }

  #planStored(
    inode: Inode,
    from: number,
    to: number,
    extents: ReturnType<Core['index']['extents']>,
    slice: (a: number, b: number) => Buffer,
    wanted: Wanted[],
  ): void {
    const limit = Math.min(to, inode.truncateMark ?? to);
    let at = from;
    for (const extent of extents) {
      if (extent.block >= limit) break;
      const part = clip(extent, from, limit);
      if (part.block > at) slice(at, part.block).fill(0);
      at = part.block + part.count;
      const into = slice(part.block, at);
      if (!isMapped(part) || isUnwritten(part)) into.fill(0);
      else wanted.push({ place: part, into });
    }
    if (at < to) slice(at, to).fill(0);
  }

  #readNow(wanted: readonly Wanted[], checksums: Checksums): Wanted[] {
    return wanted.filter((w) => !this.#core.data.readNow(w.place, w.into, checksums));
  }

  async #readLater(
    ino: Ino,
    planned: Buffer,
    copy: boolean,
    bytes: number,
    missing: readonly Wanted[],
    checksums: Checksums,
  ): Promise<Buffer | Refusal> {
    const into = copy ? Buffer.from(planned.subarray(0, bytes)) : planned;
    try {
      return await this.pinned(async () => {
        for (const { place, into: part } of missing) {
          const start = part.byteOffset - planned.byteOffset;
          const target = into.subarray(start, start + part.length);
          await this.#core.data.read(place, target, checksums);
        }
        return into;
      });
    } catch (error) {
      return this.#damaged(ino, error);
    }
  }

  /** Runs `read` while nothing is punched that the state as it is now names. */
  async pinned<T>(read: () => Promise<T>): Promise<T> {
    const pin = this.#core.index.applied;
    this.#pins.set(pin, (this.#pins.get(pin) ?? 0) + 1);
    try {
      return await read();
    } finally {
      const count = (this.#pins.get(pin) ?? 1) - 1;
      if (count === 0) this.#pins.delete(pin);
      else this.#pins.set(pin, count);
    }
  }

  /** Present contents of one block, for completing a partial write: bytes, or the place to read. */
  block(inode: Inode, block: number): Uint8Array | Place | undefined {
    if (inode.truncateMark !== undefined && block >= inode.truncateMark) return undefined;
    const { index, dirty } = this.#core;
    const shipped = shippedAt(dirty.shipped(inode.ino), block, block + 1).extent;
    const extent = shipped ?? index.extents(inode.ino, block, block + 1)[0];
    if (extent === undefined || !isMapped(extent) || isUnwritten(extent)) return undefined;
    const place = clip(extent, block, block + 1);
    const into = Buffer.allocUnsafe(BLOCK_BYTES);
    try {
      return this.#core.data.readNow(place, into, this.checksums(inode.ino)) ? into : place;
    } catch (error) {
      // Whoever loads the place meets the damage again, where it can be told and refused.
      if (isDamage(error)) return place;
      throw error;
    }
  }

  /** Checksums of what `ino` has, logged or shipped as it is now; for one read only. */
  checksums(ino: Ino): Checksums {
    const stored = this.storedChecksums();
    const pieces = this.#core.dirty.shipped(ino).slice();
    if (pieces.length === 0) return stored;
    return (segment, block) => shippedChecksum(pieces, segment, block) ?? stored(segment, block);
  }

  /** Looks checksums up a run of 256 blocks at a time; for one read only, since it remembers. */
  storedChecksums(): Checksums {
    let segment = -1;
    let run = -1;
    let item: Buffer | undefined;
    return (wanted: SegmentNumber, block: number) => {
      const wantedRun = Math.floor(block / CHECKSUM_RUN_BLOCKS);
      if (wanted !== segment || wantedRun !== run) {
        segment = wanted;
        run = wantedRun;
        item = this.#core.index.checksumRun(wanted, wantedRun);
      }
      const at = (block % CHECKSUM_RUN_BLOCKS) * 4;
      return item === undefined || at + 4 > item.length ? undefined : item.readUInt32BE(at);
    };
  }

  /** Damage is an operating failure of one read: EIO, named in the journal, never served. */
  #damaged(ino: Ino, error: unknown): Refusal {
    if (!isDamage(error)) throw error;
    tellDamage(this.#core, ino, error);
    return refuse('EIO');
  }
}

/**
 * The log segment that commits are appended to. Owns its descriptor, its end, and the disk space
 * that is allocated ahead of the end without the file growing (no zero tail to read over).
 *
 * Birth of a segment, and what a crash after each step leaves:
 * 1. `next.avro.new` is created and space allocated for it: a file that the next open removes;
 * 2. its header is written and synced: the same;
 * 3. it is renamed to its name, 4. the directory is synced: the old segment with or without an
 *    empty
 *    new one, which the next open removes;
 * 5. only now commits are written to it: so a segment with anything behind its header has an intact
 *    header, and a name that lasts.
 */

import type { Disk, File } from '../io/disk.ts';
import { assert, must } from '../model/assert.ts';
import type { Seq } from '../model/ids.ts';
import { encodeBlockHead, encodeHeader, MAX_FRAME_BYTES, type SegmentHeader } from './container.ts';
import { MAX_SEAL_BYTES, sealBytes, sealIn } from './seal.ts';
import { segmentName, UNNAMED_SEGMENT } from './segment.ts';
import type { Batch } from './store.ts';
import { MIN_INNER_BLOCK_BYTES } from './torn-tail.ts';

/** Most that one record can add to the log besides its own bytes: a block and a seal for itself. */
const OVERHEAD_BYTES = MAX_FRAME_BYTES + MAX_SEAL_BYTES;

/** Allocation in pieces of this size at least: below, a nearly full disk is left alone. */
const SMALLEST_PIECE_BYTES = 1024 * 1024;

export const isFull = (error: unknown): boolean => {
  const { code } = error as { code?: string };
  return code === 'ENOSPC' || code === 'EDQUOT';
};

export class ActiveSegment {
  readonly firstSeq: Seq;
  readonly #file: File;
  readonly #sync: Buffer;
  /** Seal of the last commit: the next segment's header names it. */
  readonly #seal: Buffer;
  #end: number;
  /** Disk space is allocated up to this offset. */
  #allocatedEnd: number;
  /** Bytes promised to records that are not appended yet, their overhead included. */
  #promised = 0;

  /**
   * `end`: offset after its last commit; `seal`: of that commit, or the one before the segment;
   * `allocatedEnd`: up to where it has disk space.
   */
  constructor(place: {
    readonly firstSeq: Seq;
    readonly file: File;
    readonly sync: Buffer;
    readonly end: number;
    readonly seal: Buffer;
    readonly allocatedEnd?: number;
  }) {
    this.firstSeq = place.firstSeq;
    this.#file = place.file;
    this.#sync = place.sync;
    this.#seal = Buffer.from(place.seal);
    this.#end = place.end;
    this.#allocatedEnd = Math.max(place.end, place.allocatedEnd ?? 0);
  }

  /** Offset after the last durable commit. */
  get endBytes(): number {
    return this.#end;
  }

  /** Seal of the last durable commit. */
  get seal(): Buffer {
    return Buffer.from(this.#seal);
  }

  /** Allocated bytes that nobody was promised. */
  get freeBytes(): number {
    return this.#allocatedEnd - this.#end - this.#promised;
  }

  get promisedBytes(): number {
    return this.#promised;
  }

  /** Promises space for a record of `bytes` if then at least `keepBytes` remain; says whether. */
  promise(bytes: number, keepBytes: number): boolean {
    const charge = bytes + OVERHEAD_BYTES;
    if (this.freeBytes - charge < keepBytes) return false;
    this.#promised += charge;
    return true;
  }

  /** Takes over what the segment before it had promised. */
  adopt(promisedBytes: number): void {
    this.#promised += promisedBytes;
  }

  /** Allocates space so that `freeBytes` is at least `bytes`. ENOSPC, EDQUOT: there is none. */
  async allocate(bytes: number): Promise<void> {
    const missing = bytes - this.freeBytes;
    if (missing <= 0) return;
    const from = this.#allocatedEnd;
    await this.#file.reserve(from, missing);
    this.#allocatedEnd = from + missing;
  }

  /** Like `allocate`, but takes what there is. Says whether that was all that was asked for. */
  async allocateWhatFits(bytes: number): Promise<boolean> {
    for (let piece = bytes; piece >= SMALLEST_PIECE_BYTES; piece = Math.floor(piece / 2)) {
      try {
        await this.allocate(piece);
        return piece === bytes;
      } catch (error) {
        if (!isFull(error)) throw error;
      }
    }
    return false;
  }

  /** Writes `batch` behind the end and syncs it. After a failure the segment must not be used. */
  async append(batch: Batch): Promise<void> {
    const parts = this.#frame(batch);
    let length = 0;
    for (const part of parts) length += part.length;
    await this.#file.writeDurably(parts, this.#end);
    this.#end += length;
    sealIn(must(batch.records.at(-1), 'a batch has records').bytes).copy(this.#seal);
    this.#allocatedEnd = Math.max(this.#allocatedEnd, this.#end);
    this.#promised = Math.max(0, this.#promised - chargedBytes(batch));
  }

  #frame({ records }: Batch): Uint8Array[] {
    const parts: Uint8Array[] = [];
    records.forEach(({ count, bytes }, i) => {
      const inner = i < records.length - 1;
      assert(!inner || bytes.length >= MIN_INNER_BLOCK_BYTES, 'only a last block may be short');
      parts.push(encodeBlockHead(count, bytes.length), bytes, this.#sync);
    });
    return parts;
  }

  /** Gives back the space behind the end: nothing will be appended here any more. */
  async release(): Promise<void> {
    await this.#file.truncate(this.#end);
    this.#allocatedEnd = this.#end;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** What `promise` charged for a batch, whose records were not sealed then. */
function chargedBytes(batch: Batch): number {
  let bytes = batch.count * OVERHEAD_BYTES - sealBytes(batch.count);
  for (const chunk of batch.records) bytes += chunk.bytes.length;
  return bytes;
}

/** Step 1: a segment without a name. */
export async function createUnnamed(disk: Disk, dir: string): Promise<File> {
  await removeUnnamed(disk, dir);
  return disk.open(`${dir}/${UNNAMED_SEGMENT}`, 'create');
}

export async function removeUnnamed(disk: Disk, dir: string): Promise<void> {
  const path = `${dir}/${UNNAMED_SEGMENT}`;
  if ((await disk.info(path)) !== undefined) await disk.unlink(path);
}

/**
 * Steps 2 to 4: gives the unnamed segment `file`, which has disk space up to `allocatedEnd`, its
 * header and its name.
 */
export async function nameSegment(
  disk: Disk,
  dir: string,
  file: File,
  header: SegmentHeader,
  allocatedEnd: number,
): Promise<ActiveSegment> {
  const { bytes, sync } = encodeHeader(header);
  await file.write([bytes], 0);
  await file.sync();
  await disk.rename(`${dir}/${UNNAMED_SEGMENT}`, `${dir}/${segmentName(header.firstSeq)}`);
  await disk.syncDir(dir);
  return new ActiveSegment({
    firstSeq: header.firstSeq,
    file,
    sync,
    end: bytes.length,
    seal: header.seal,
    allocatedEnd,
  });
}

/**
 * The scrub: reads every block that an extent maps or the past holds, compares it with its stored
 * checksum, and compares what segments occupy on the disk with what somebody owns. Changes nothing.
 *
 * It works piece by piece on fresh snapshots, so it never holds up the index, and can go on later
 * from `ScrubReport.next`. A range that was freed and punched while it was read is not reported:
 * whatever looks bad is looked up once more.
 */

import type { Clock } from '../io/clock.ts';
import type { FreedItem, RefItem } from '../index/items.ts';
import { decodeNumber, FAMILY } from '../index/keys.ts';
import { BLOCK_BYTES, segmentNumber, type SegmentNumber } from '../model/ids.ts';
import { collect, familyEnd, refRange, withSnapshot } from './item-source.ts';
import type { ItemSnapshot, ItemSource } from './item-source.ts';
import { DamagedBlock, MissingSegment, type Checksums, type Place } from './types.ts';

/** The segment files, as `SegmentStore` offers them. */
export interface ScrubbedFiles {
  isOpen(segment: SegmentNumber): boolean;
  /** Throws DamagedBlock, MissingSegment. */
  read(place: Place, into: Buffer, checksums: Checksums): Promise<void>;
  /** Undefined if there is no file. */
  allocatedBytes(segment: SegmentNumber): Promise<number | undefined>;
}

export interface ScrubOptions {
  readonly items: ItemSource;
  readonly checksums: Checksums;
  readonly files: ScrubbedFiles;
  readonly clock: Clock;
  /** Where to go on: `next` of an earlier report; the beginning unless given. */
  readonly from?: string;
  /** Unlimited unless given. */
  readonly bytesPerSecond?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { done: number; total: number }) => void;
}

export interface BadRange extends Place {
  readonly why: 'checksum' | 'missing' | 'unreadable';
}

export interface Unowned {
  readonly segment: SegmentNumber;
  /** Bytes on the disk beyond those of blocks that somebody owns. */
  readonly bytes: number;
}

export interface ScrubReport {
  readonly verifiedBlocks: number;
  /** Owned blocks that never got a checksum: reserved by fallocate, not written. */
  readonly unverifiedBlocks: number;
  readonly bad: readonly BadRange[];
  /** Empty where the scrub was aborted. */
  readonly unowned: readonly Unowned[];
  /** Where to go on after an abort; undefined when all was verified. */
  readonly next: string | undefined;
}

/** Ranges read between two snapshots. */
const PIECE_ITEMS = 256;
/** Blocks of one read: 1 MiB. */
const READ_BLOCKS = 256;
/** What a filesystem's own bookkeeping may add to a file's allocated bytes. */
const BOOKKEEPING_BYTES = 256 * 1024;

/** Owned ranges in key order: `ref` (current owners), then `freed` (the past). */
const FAMILIES = ['freed', 'ref'] as const;

export async function scrub(options: ScrubOptions): Promise<ScrubReport> {
  const run = new Scrub(options);
  const next = await run.verifyAll();
  const unowned = next === undefined ? await findUnowned(options) : [];
  return { ...run.counts, bad: run.bad, unowned, next };
}

class Scrub {
  readonly counts = { verifiedBlocks: 0, unverifiedBlocks: 0 };
  readonly bad: BadRange[] = [];
  readonly #options: ScrubOptions;
  readonly #begun: number;
  readonly #buffer = Buffer.allocUnsafe(READ_BLOCKS * BLOCK_BYTES);
  /**
   * A stored 0 is taken for none: it stands where blocks before others of their run were allocated
   * (fallocate) and not written, whose bytes on the disk mean nothing. One written block in 2^32
   * has that checksum, and is verified by its readers only.
   */
  readonly #checksums: Checksums;

  constructor(options: ScrubOptions) {
    this.#options = options;
    this.#checksums = (segment, block) => options.checksums(segment, block) || undefined;
    this.#begun = options.clock.monotonicMs();
  }

  /** Resolves to the key to go on from, or undefined at the end. */
  async verifyAll(): Promise<string | undefined> {
    let from = this.#options.from ?? FAMILY[FAMILIES[0]];
    for (const family of FAMILIES) {
      const end = familyEnd(family);
      if (from >= end) continue;
      if (from < FAMILY[family]) from = FAMILY[family];
      for (let more = true; more;) {
        if (this.#options.signal?.aborted === true) return from;
        const items = await this.#piece(family, from);
        for (const place of items.places) await this.#verifyRange(place);
        more = items.places.length === PIECE_ITEMS;
        if (items.last !== undefined) from = `${items.last}\0`;
        this.#report();
      }
    }
    return undefined;
  }

  #piece(
    family: 'freed' | 'ref',
    from: string,
  ): Promise<{ places: readonly Place[]; last: string | undefined }> {
    return withSnapshot(this.#options.items, async (snapshot) => {
      const scan = snapshot.scan(family, from, familyEnd(family), { limit: PIECE_ITEMS });
      const items = await collect(scan);
      const places = items.map(({ key, value }) =>
        placeOf(family, key, (value as FreedItem | RefItem).count),
      );
      return { places, last: items.at(-1)?.key };
    });
  }

  async #verifyRange(range: Place): Promise<void> {
    for (let done = 0; done < range.count; done += READ_BLOCKS) {
      const count = Math.min(READ_BLOCKS, range.count - done);
      const place = { segment: range.segment, segmentBlock: range.segmentBlock + done, count };
      const why = await this.#verify(place);
      if (why !== undefined) await this.#narrow(place, why);
      this.#count(place);
      await this.#throttle();
    }
  }

  /** What is wrong with a place, or undefined. */
  async #verify(place: Place): Promise<BadRange['why'] | undefined> {
    const into = this.#buffer.subarray(0, place.count * BLOCK_BYTES);
    try {
      await this.#options.files.read(place, into, this.#checksums);
      return undefined;
    } catch (error) {
      if (error instanceof DamagedBlock) return 'checksum';
      return error instanceof MissingSegment ? 'missing' : 'unreadable';
    }
  }

  /** Reports exactly the bad blocks of a place that are still owned. */
  async #narrow(place: Place, why: BadRange['why']): Promise<void> {
    const owned = await this.#ownedBlocks(place);
    if (why === 'missing') {
      if (owned.has(place.segmentBlock)) this.#addBad({ ...place, why });
      return;
    }
    for (const segmentBlock of owned) {
      const block = { segment: place.segment, segmentBlock, count: 1 };
      const bad = await this.#verify(block);
      if (bad !== undefined) this.#addBad({ ...block, why: bad });
    }
  }

  /** The blocks of `place` that somebody owns by now, in order. */
  async #ownedBlocks(place: Place): Promise<Set<number>> {
    const owned = new Set<number>();
    await withSnapshot(this.#options.items, async (snapshot) => {
      for (const family of FAMILIES) {
        const [gte, lt] =
          family === 'ref' ? refRange(place.segment) : [FAMILY.freed, familyEnd('freed')];
        for await (const { key, value } of snapshot.scan(family, gte, lt)) {
          const at = placeOf(family, key, (value as FreedItem | RefItem).count);
          if (at.segment === place.segment) addOverlap(owned, at, place);
        }
      }
    });
    return new Set([...owned].toSorted((a, b) => a - b));
  }

  #addBad(range: BadRange): void {
    const last = this.bad.at(-1);
    const continues =
      last?.segment === range.segment &&
      last.why === range.why &&
      last.segmentBlock + last.count === range.segmentBlock;
    if (last === undefined || !continues) this.bad.push(range);
    else this.bad[this.bad.length - 1] = { ...last, count: last.count + range.count };
  }

  #count(place: Place): void {
    for (let i = 0; i < place.count; i++) {
      const stored = this.#checksums(place.segment, place.segmentBlock + i);
      if (stored === undefined) this.counts.unverifiedBlocks++;
      else this.counts.verifiedBlocks++;
    }
  }

  #report(): void {
    const volume = this.#options.items.volume();
    const total = (volume?.usedBlocks ?? 0) + (volume?.heldBlocks ?? 0);
    const done = this.counts.verifiedBlocks + this.counts.unverifiedBlocks;
    this.#options.onProgress?.({ done, total });
  }

  /** Waits until the rate is kept. */
  async #throttle(): Promise<void> {
    const { bytesPerSecond, clock } = this.#options;
    if (bytesPerSecond === undefined) return;
    const blocks = this.counts.verifiedBlocks + this.counts.unverifiedBlocks;
    const due = this.#begun + ((blocks * BLOCK_BYTES) / bytesPerSecond) * 1000;
    const ms = due - clock.monotonicMs();
    if (ms > 0) await new Promise<void>((resolve) => void clock.after(ms, resolve));
  }
}

/** Segments that occupy more than their owners have, those still being written left out. */
async function findUnowned({ items, files }: ScrubOptions): Promise<Unowned[]> {
  const segments = await withSnapshot(items, (snapshot) =>
    collect(snapshot.scan('segment', FAMILY.segment, familyEnd('segment'))),
  );
  // Before their owners are counted: what is written to an open segment may be logged after that.
  const owned = new Map<SegmentNumber, number>();
  for (const { key } of segments) {
    const segment = segmentNumber(decodeNumber(key, 1));
    if (!files.isOpen(segment)) owned.set(segment, 0);
  }
  await withSnapshot(items, (snapshot) => countOwned(snapshot, owned));
  const unowned: Unowned[] = [];
  for (const [segment, ownedBytes] of owned) {
    const bytes = ((await files.allocatedBytes(segment)) ?? 0) - ownedBytes;
    if (bytes > BOOKKEEPING_BYTES) unowned.push({ segment, bytes });
  }
  return unowned;
}

/** Adds to each segment of `owned` the bytes of its blocks that somebody owns. */
async function countOwned(
  snapshot: ItemSnapshot,
  owned: Map<SegmentNumber, number>,
): Promise<void> {
  for (const family of FAMILIES) {
    for await (const item of snapshot.scan(family, FAMILY[family], familyEnd(family))) {
      const { segment, count } = placeOf(family, item.key, (item.value as FreedItem).count);
      const before = owned.get(segment);
      if (before !== undefined) owned.set(segment, before + count * BLOCK_BYTES);
    }
  }
}

/** The range that a key of `ref` or `freed` names. */
function placeOf(family: 'freed' | 'ref', key: string, count: number): Place {
  const at = family === 'ref' ? 1 : 9;
  const segment = segmentNumber(decodeNumber(key, at));
  return { segment, segmentBlock: decodeNumber(key, at + 8), count };
}

function addOverlap(into: Set<number>, a: Place, b: Place): void {
  const to = Math.min(a.segmentBlock + a.count, b.segmentBlock + b.count);
  for (let i = Math.max(a.segmentBlock, b.segmentBlock); i < to; i++) into.add(i);
}

/**
 * Shipped pieces: what was written to a file, has its place on the disk, and is not in the log yet.
 * Pure but for `Piece.flight`, which the data layer's progress is counted in.
 *
 * A file's pieces are in the order in which they will be logged; where two hold the same block, the
 * later one counts.
 */

import type { Place } from '../data/types.ts';
import type { BlocksChecksummed } from '../model/event.ts';
import { clip, endOf, type Extent } from '../model/extent.ts';
import { BLOCK_BYTES, type SegmentNumber } from '../model/ids.ts';
import type { Size } from '../model/size.ts';
import type { Time } from '../model/time.ts';
import type { Actor } from '../model/transaction.ts';
import { CHECKSUM_BYTES, checksumInto } from '../data/checksum.ts';
import { must } from '../model/assert.ts';
import { pushMerged } from '../model/extent.ts';
import type { Flight } from './data-writes.ts';
import type { Run } from './dirty.ts';

/** Size, times and what else the last of some writes left. */
export interface Written {
  /** Size and time of the file after these writes. */
  readonly size: Size;
  readonly time: Time;
  readonly killPrivileges: boolean;
  readonly actor: Actor;
}

/** Writes that will be one transaction. The last one of a file may still grow. */
export interface Piece {
  /** Where the blocks lie, sorted by block. */
  readonly extents: Extent[];
  readonly places: Place[];
  /** One for each of what was laid into a place at a time. */
  readonly checksums: BlocksChecksummed[];
  blocks: number;
  /** Of those, the ones that the file did not have before, as far as is known without looking. */
  freshBlocks: number;
  /** Those that the data layer had promised: the others had a place in the file before. */
  promisedBlocks: number;
  written: Written;
  /** Nothing is added any more. */
  isClosed: boolean;
  readonly flight: Flight;
}

export const newPiece = (flight: Flight, written: Written): Piece => ({
  extents: [],
  places: [],
  checksums: [],
  blocks: 0,
  freshBlocks: 0,
  promisedBlocks: 0,
  written,
  isClosed: false,
  flight,
});

/** Adds runs that begin where the piece ends, or later, and that were laid into `places`. */
export function extendPiece(
  piece: Piece,
  places: readonly Place[],
  laid: readonly LaidRun[],
  written: Written,
): void {
  for (const extent of extentsLaid(laid)) pushMerged(piece.extents, extent);
  piece.places.push(...places);
  piece.checksums.push(...checksumsLaid(places, laid));
  for (const { count } of places) piece.blocks += count;
  piece.written = written;
}

/** The block after the last one that a piece holds. */
export function endOfPiece({ extents }: Piece): number {
  const last = extents.at(-1);
  return last === undefined ? 0 : endOf(last);
}

/** The checksums of a piece in as few events as there are runs of segment blocks. */
export function checksumEvents({ checksums }: Piece): BlocksChecksummed[] {
  const events: BlocksChecksummed[] = [];
  for (let i = 0; i < checksums.length;) {
    const first = checksums[i] as BlocksChecksummed;
    const joined = [first.checksums];
    let bytes = first.checksums.length;
    for (i++; i < checksums.length; i++) {
      const next = checksums[i] as BlocksChecksummed;
      const isNext = next.segmentBlock === first.segmentBlock + bytes / CHECKSUM_BYTES;
      if (next.segment !== first.segment || !isNext) break;
      joined.push(next.checksums);
      bytes += next.checksums.length;
    }
    events.push(joined.length === 1 ? first : { ...first, checksums: Buffer.concat(joined) });
  }
  return events;
}

/**
 * What the pieces hold at block `from`: the part of an extent that begins there, or undefined if
 * they do not hold it; and where that ends, at most at `to`.
 */
export function shippedAt(
  pieces: readonly Piece[],
  from: number,
  to: number,
): { readonly extent: Extent | undefined; readonly end: number } {
  let end = to;
  for (let i = pieces.length - 1; i >= 0; i--) {
    const { extents } = pieces[i] as Piece;
    const at = lastStartingUpTo(extents, from);
    const extent = extents[at];
    if (extent !== undefined && from < endOf(extent)) {
      const stop = Math.min(end, endOf(extent));
      return { extent: clip(extent, from, stop), end: stop };
    }
    end = Math.min(end, extents[at + 1]?.block ?? end);
  }
  return { extent: undefined, end };
}

/** The checksum of a block that one of the pieces placed. */
export function shippedChecksum(
  pieces: readonly Piece[],
  segment: SegmentNumber,
  block: number,
): number | undefined {
  for (let i = pieces.length - 1; i >= 0; i--) {
    for (const event of (pieces[i] as Piece).checksums) {
      const at = (block - event.segmentBlock) * CHECKSUM_BYTES;
      if (event.segment === segment && at >= 0 && at < event.checksums.length) {
        return event.checksums.readUInt32BE(at);
      }
    }
  }
  return undefined;
}

/** Position of the last extent that starts at or before `block`; -1 if there is none. */
function lastStartingUpTo(extents: readonly Extent[], block: number): number {
  let low = 0;
  let high = extents.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((extents[middle] as Extent).block <= block) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * Places for the blocks of `runs`, in their order: those that are prepared have one, the others get
 * the next of `allocated`.
 */
export function placesFor(
  runs: readonly Run[],
  prepared: readonly Extent[],
  allocated: readonly Place[],
): readonly Place[] {
  if (prepared.length === 0) return allocated;
  const places: Place[] = [];
  const rest = allocated.slice();
  let p = 0;
  for (const run of runs) {
    const end = run.block + run.blocks;
    for (let at = run.block; at < end;) {
      while (p < prepared.length && endOf(prepared[p] as Extent) <= at) p++;
      const next = prepared[p];
      const isPrepared = next !== undefined && next.block <= at;
      const stop = Math.min(end, (isPrepared ? endOf(next) : next?.block) ?? end);
      if (isPrepared) pushPlace(places, clip(next, at, stop));
      else takePlaces(rest, stop - at, places);
      at = stop;
    }
  }
  return places;
}

/** Moves places of `count` blocks from the front of `from` to the end of `to`. */
function takePlaces(from: Place[], count: number, to: Place[]): void {
  for (let left = count; left > 0;) {
    const { segment, segmentBlock, count: there } = must(from[0], 'as many as were promised');
    const taken = Math.min(left, there);
    pushPlace(to, { segment, segmentBlock, count: taken });
    const rest = { segment, segmentBlock: segmentBlock + taken, count: there - taken };
    if (rest.count > 0) from[0] = rest;
    else from.shift();
    left -= taken;
  }
}

function pushPlace(list: Place[], { segment, segmentBlock, count }: Place): void {
  const last = list.at(-1);
  if (last?.segment === segment && last.segmentBlock + last.count === segmentBlock) {
    list[list.length - 1] = { ...last, count: last.count + count };
  } else list.push({ segment, segmentBlock, count });
}

/** Part of a run, and where it lies. */
export interface LaidRun {
  readonly run: Run;
  /** First block, counted within the run. */
  readonly from: number;
  readonly at: Place;
}

/** Lays runs end to end into places; the counts of both agree. */
export function layInto(runs: readonly Run[], places: readonly Place[]): LaidRun[] {
  const laid: LaidRun[] = [];
  let p = 0;
  let used = 0;
  for (const run of runs) {
    let from = 0;
    while (from < run.blocks) {
      const into = must(places[p], 'an allocation is as large as asked for');
      const count = Math.min(run.blocks - from, into.count - used);
      const at = { segment: into.segment, segmentBlock: into.segmentBlock + used, count };
      laid.push({ run, from, at });
      from += count;
      used += count;
      if (used === into.count) {
        p++;
        used = 0;
      }
    }
  }
  return laid;
}

/** The bytes that were laid into one place. */
export const bytesLaid = ({ run, from, at }: LaidRun): Buffer =>
  run.bytes.subarray(from * BLOCK_BYTES, (from + at.count) * BLOCK_BYTES);

function extentsLaid(laid: readonly LaidRun[]): Extent[] {
  const extents: Extent[] = [];
  for (const { run, from, at } of laid) {
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

/** The checksums of what was laid into `places`, one event for each. */
function checksumsLaid(places: readonly Place[], laid: readonly LaidRun[]): BlocksChecksummed[] {
  let next = 0;
  return places.map(({ segment, segmentBlock, count }) => {
    const checksums = Buffer.allocUnsafe(count * CHECKSUM_BYTES);
    let filled = 0;
    while (filled < count) {
      const part = must(laid[next++], 'every placed block has its place');
      checksumInto(bytesLaid(part), checksums, filled * CHECKSUM_BYTES);
      filled += part.at.count;
    }
    return { type: 'BlocksChecksummed', segment, segmentBlock, checksums };
  });
}

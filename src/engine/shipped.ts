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
import { checksumInto } from '../data/checksum.ts';
import { must } from '../model/assert.ts';
import { pushMerged } from '../model/extent.ts';
import type { Flight } from './data-writes.ts';
import type { Run } from './dirty.ts';

/** Writes that will be one transaction. */
export interface Piece {
  /** Where the blocks lie, sorted by block. */
  readonly extents: readonly Extent[];
  readonly places: readonly Place[];
  /** One for each place. */
  readonly checksums: readonly BlocksChecksummed[];
  readonly blocks: number;
  /** Of those, the ones that the file did not have before, as far as is known without looking. */
  readonly freshBlocks: number;
  /** Size and time of the file after these writes. */
  readonly size: Size;
  readonly time: Time;
  readonly killPrivileges: boolean;
  readonly actor: Actor;
  readonly flight: Flight;
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
      const at = (block - event.segmentBlock) * 4;
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

export function extentsLaid(laid: readonly LaidRun[]): Extent[] {
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
export function checksumsLaid(
  places: readonly Place[],
  laid: readonly LaidRun[],
): BlocksChecksummed[] {
  let next = 0;
  return places.map(({ segment, segmentBlock, count }) => {
    const checksums = Buffer.allocUnsafe(count * 4);
    let filled = 0;
    while (filled < count) {
      const part = must(laid[next++], 'every placed block has its place');
      checksumInto(bytesLaid(part), checksums, filled * 4);
      filled += part.at.count;
    }
    return { type: 'BlocksChecksummed', segment, segmentBlock, checksums };
  });
}

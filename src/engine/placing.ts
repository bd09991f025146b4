/**
 * Blocks that a transaction places by itself, not as part of a file's pending writes: rewritten
 * blocks (truncation, the edges of a punched range) and allocated ones without bytes (fallocate).
 *
 * Order of events within one attempt: taken -> the transaction that names them is appended ->
 * `write`, or `undo` where it is not, the newest first. A crash leaves blocks that nothing names.
 */

import { checksumInto } from '../data/checksum.ts';
import type { Allocation, Place } from '../data/types.ts';
import { unwrittenExtents, type BlockRange } from '../decide/ranges.ts';
import { must } from '../model/assert.ts';
import { refuse, type Refusal } from '../model/errno.ts';
import type { Event } from '../model/event.ts';
import type { Extent } from '../model/extent.ts';
import type { Core } from './core.ts';
import { Flight } from './data-writes.ts';
import { MoreSpace } from './dirty-files.ts';
import { fitsVolume } from './size-limit.ts';

/** Blocks taken for a transaction that is still to be appended. */
export interface Placed {
  readonly places: readonly Place[];
  readonly extents: readonly Extent[];
  /** What must be said of the blocks beside the segments' creation. */
  readonly checksums: readonly Event[];
  /** Gives them back: the transaction was not appended. */
  undo(): void;
  /** It was: the bytes, or the space, go to the disk. */
  write(): void;
}

/** The new bytes of one block of a file. */
export interface RewrittenBlock {
  readonly block: number;
  readonly bytes: Buffer;
}

/** Takes a place for each of `blocks`. `privileged` is for what frees space. */
export function placeRewritten(
  core: Core,
  blocks: readonly RewrittenBlock[],
  privileged: boolean,
): Placed | Refusal | MoreSpace {
  if (blocks.length === 0) return NOTHING;
  const allocation = take(core, blocks.length, 0, privileged);
  if (!('places' in allocation)) return allocation;
  const singles = allocation.places.flatMap(({ segment, segmentBlock, count }) =>
    Array.from({ length: count }, (_, i) => ({
      segment,
      segmentBlock: segmentBlock + i,
      count: 1,
    })),
  );
  const placed = blocks.map(({ block, bytes }, i) => {
    const place = must(singles[i], 'as many as were taken');
    return { bytes, place, extent: { block, ...place, flags: 0 } };
  });
  return {
    places: allocation.places,
    extents: placed.map(({ extent }) => extent),
    checksums: placed.map(({ bytes, place: { segment, segmentBlock } }) => {
      const checksums = Buffer.alloc(4);
      checksumInto(bytes, checksums, 0);
      return { type: 'BlocksChecksummed', segment, segmentBlock, checksums };
    }),
    undo: () => giveBack(core, allocation, blocks.length),
    write: () => {
      const flight = new Flight();
      core.writes.logged(flight, allocation.places);
      for (const { place, bytes } of placed) core.writes.send(flight, place, bytes);
    },
  };
}

/** Takes unwritten blocks for `ranges` of a file. */
export function placeUnwritten(
  core: Core,
  ranges: readonly BlockRange[],
  stream: number,
): Placed | Refusal | MoreSpace {
  let count = 0;
  for (const { from, to } of ranges) count += to - from;
  if (count === 0) return NOTHING;
  const allocation = take(core, count, stream, false);
  if (!('places' in allocation)) return allocation;
  const { places } = allocation;
  return {
    places,
    extents: unwrittenExtents(ranges, places),
    checksums: [],
    undo: () => giveBack(core, allocation, count),
    write: () => {
      const flight = new Flight();
      core.writes.logged(flight, places);
      for (const place of places) core.writes.hold(flight, place);
    },
  };
}

const NOTHING: Placed = {
  places: [],
  extents: [],
  checksums: [],
  undo: () => undefined,
  write: () => undefined,
};

function take(
  core: Core,
  blocks: number,
  stream: number,
  privileged: boolean,
): Allocation | Refusal | MoreSpace {
  if (!privileged && !fitsVolume(core.index, core.dirty.promisedBlocks, blocks)) {
    return refuse('ENOSPC');
  }
  const refused = core.data.reserve(blocks, privileged);
  if (refused === 'EIO') return refuse(refused);
  if (refused === 'ENOSPC') {
    const ready = core.data.ready(blocks, privileged);
    return ready === undefined ? refuse(refused) : new MoreSpace(ready);
  }
  const allocation = core.writes.allocate(blocks, stream);
  return allocation === 'EIO' ? refuse('EIO') : allocation;
}

function giveBack(core: Core, allocation: Allocation, blocks: number): void {
  core.writes.unallocate(allocation);
  core.data.unreserve(blocks);
}

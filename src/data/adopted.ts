/**
 * Blocks that another run allocated and never wrote, and that this run may write: which of them
 * the disk was asked about, and what it said. Pure. Nothing here survives the process: the next run
 * asks again.
 */

import type { SegmentNumber } from '../model/ids.ts';
import type { Place } from './types.ts';

interface Asked extends Place {
  readonly isWritable: boolean;
}

export class AdoptedPlaces {
  readonly #bySegment = new Map<SegmentNumber, Asked[]>();

  /** Whether any place of the segment was asked about. */
  has(segment: SegmentNumber): boolean {
    return this.#bySegment.has(segment);
  }

  add(place: Place, isWritable: boolean): void {
    const { segment, segmentBlock, count } = place;
    const known = this.#bySegment.get(segment);
    const asked = { segment, segmentBlock, count, isWritable };
    if (known === undefined) this.#bySegment.set(segment, [asked]);
    else known.unshift(asked);
  }

  /** What is known of all of `place`, the newest answer first; undefined if there is none. */
  isWritable(place: Place): boolean | undefined {
    const end = place.segmentBlock + place.count;
    return this.#bySegment
      .get(place.segment)
      ?.find((at) => at.segmentBlock <= place.segmentBlock && end <= at.segmentBlock + at.count)
      ?.isWritable;
  }
}

/**
 * Writing into unwritten extents (fallocate): the first write of a block goes to the very place
 * that was allocated for it, and so needs no new space, however full the disk is by then.
 *
 * Nothing is overwritten by that, since nobody has written the place: no checksum of it exists, and
 * readers of the extent get zeros without looking. Order of events, and what a crash leaves: the
 * place is noted with the dirty block, its bytes are queued and synced, the log names them with
 * their checksum; before that commit the extent is unwritten, whatever the disk holds there, and
 * reads as zeros. The extents of a file change only after its pending writes are placed, so a noted
 * place stays the block's own until then.
 *
 * Only files with INODE_UNWRITTEN in their flags come here: others pay a test of one bit.
 */

import type { Place } from '../data/types.ts';
import { clip, isMapped, isUnwritten, type Extent } from '../model/extent.ts';
import type { Ino } from '../model/ids.ts';
import type { Core } from './core.ts';
import { shippedAt } from './shipped.ts';

/** A place of another run's segment, about which the disk has to be asked first. */
export class NeedsPlace {
  readonly place: Place;

  constructor(place: Place) {
    this.place = place;
  }
}

export const NOTHING_UNWRITTEN: readonly Extent[] = [];

/**
 * The blocks in [from, to) that are neither dirty nor shipped, and whose unwritten place can be
 * written. Within an attempt; throws `Miss`.
 */
export function unwrittenIn(
  { index, data, dirty }: Core,
  ino: Ino,
  from: number,
  to: number,
): readonly Extent[] | NeedsPlace {
  const file = dirty.get(ino);
  const pieces = dirty.shipped(ino);
  const found: Extent[] = [];
  for (const extent of index.extents(ino, from, to)) {
    if (!isMapped(extent) || !isUnwritten(extent)) continue;
    const { block, count } = clip(extent, from, to);
    for (let at = block; at < block + count;) {
      const run = file?.runAt(at);
      if (run !== undefined) {
        at = run.block + run.blocks;
        continue;
      }
      const clean = file?.nextDirty(at, block + count) ?? block + count;
      const shipped = shippedAt(pieces, at, clean);
      if (shipped.extent === undefined) {
        const part = clip(extent, at, shipped.end);
        const isWritable = data.isWritable(part);
        if (isWritable === undefined) return new NeedsPlace(extent);
        if (isWritable) found.push(part);
      }
      at = shipped.end;
    }
  }
  return found;
}

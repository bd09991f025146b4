/**
 * Where data and holes of a file begin: lseek(2) with SEEK_DATA and SEEK_HOLE.
 *
 * Looks through the same layers as reading: dirty blocks over shipped pieces over extents,
 * which end at the truncate mark. A block is data where its bytes were written, whatever they
 * are, and where they are in the archive; unwritten blocks are holes, and so is what lies
 * behind the end. A file of any number of extents is looked through in steps, each of them one
 * attempt, with others having their turns in between; the index holds a window of them at a
 * time.
 */

import { refuse, type Refusal } from '../model/errno.ts';
import { endOf, holdsData } from '../model/extent.ts';
import type { Ino } from '../model/ids.ts';
import { isDirectory, type Inode } from '../model/inode.ts';
import { blocksHolding, compareSizes, type Size } from '../model/size.ts';
import type { Answer } from './api.ts';
import type { Core } from './core.ts';
import { shippedAt } from './shipped.ts';
import { turn } from '../io/turn.ts';

export type Wanted = 'data' | 'hole';

/** Stretches of data or hole that are looked at in one attempt. */
const STEP_STRETCHES = 1024;

/** Consecutive blocks, up to `end`, that are all data or all hole. */
interface Stretch {
  readonly isData: boolean;
  readonly end: number;
}

/** Nothing was found before this block. */
class NotBefore {
  readonly block: number;

  constructor(block: number) {
    this.block = block;
  }
}

/** ENXIO at or behind the end of the file, or where no data follows; ESTALE, EISDIR. */
export function seek(core: Core, ino: Ino, offset: Size, wanted: Wanted): Answer<Size> {
  const step = (from: number) =>
    core.committer.attempt<Size | NotBefore>(() => seekAttempt(core, ino, offset, from, wanted));
  const first = step(offset.blocks);
  const isSettled = !(first instanceof Promise || first instanceof NotBefore);
  return isSettled ? first : seekOn(first, step);
}

async function seekOn(
  first: Answer<Size | NotBefore>,
  step: (from: number) => Answer<Size | NotBefore>,
): Promise<Size | Refusal> {
  let found = await first;
  while (found instanceof NotBefore) {
    await turn();
    found = await step(found.block);
  }
  return found;
}

function seekAttempt(
  core: Core,
  ino: Ino,
  offset: Size,
  from: number,
  wanted: Wanted,
): Size | NotBefore | Refusal {
  const inode = core.index.inode(ino);
  if (inode === undefined) return refuse('ESTALE');
  if (isDirectory(inode.mode)) return refuse('EISDIR');
  const size = core.dirty.get(ino)?.size ?? inode.size;
  if (compareSizes(offset, size) >= 0) return refuse('ENXIO');
  const end = blocksHolding(size);
  let at = from;
  for (let looked = 0; at < end; looked++) {
    if (looked === STEP_STRETCHES) return new NotBefore(at);
    const stretch = stretchAt(core, inode, at, end);
    if (stretch.isData === (wanted === 'data')) {
      return at === offset.blocks ? offset : { blocks: at, tail: 0 };
    }
    at = stretch.end;
  }
  return wanted === 'hole' ? size : refuse('ENXIO');
}

function stretchAt(core: Core, inode: Inode, at: number, to: number): Stretch {
  const { dirty } = core;
  const file = dirty.get(inode.ino);
  const run = file?.runAt(at);
  if (run !== undefined) return { isData: true, end: run.block + run.blocks };
  const clean = file === undefined ? to : file.nextDirty(at, to);
  const shipped = shippedAt(dirty.shipped(inode.ino), at, clean);
  if (shipped.extent !== undefined) return { isData: true, end: shipped.end };
  return storedAt(core, inode, at, shipped.end);
}

function storedAt({ index }: Core, inode: Inode, at: number, to: number): Stretch {
  const limit = Math.min(to, inode.truncateMark ?? to);
  if (at >= limit) return { isData: false, end: to };
  const [extent] = index.firstExtents(inode.ino, at, 1);
  if (extent === undefined || extent.block >= limit) return { isData: false, end: to };
  if (extent.block > at) return { isData: false, end: extent.block };
  return { isData: holdsData(extent), end: Math.min(endOf(extent), limit) };
}

/**
 * One file's pending writes: its dirty blocks and its shipped pieces. What is done with them stands
 * in `dirty-files.ts`.
 */

import { withoutSetId } from '../decide/attributes.ts';
import { endOf } from '../model/extent.ts';
import type { Ino } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import { blocksHolding } from '../model/size.ts';
import type { Time } from '../model/time.ts';
import type { Actor } from '../model/transaction.ts';
import { DirtyFile } from './dirty.ts';
import type { Piece } from './shipped.ts';

export interface Pending {
  readonly ino: Ino;
  /** What is dirty; the file's size and times with all that is pending. */
  file: DirtyFile;
  actor: Actor;
  /** Shipped and not logged, in the order of their logging. */
  readonly pieces: Piece[];
  /** Bytes of the pieces are being waited for: writers are held until then. */
  settling: Promise<void> | undefined;
  /** Others' bytes were waited for: not again before the next piece is logged. */
  hasSettled: boolean;
  /** The log refused a piece: until it takes that, no more is written. */
  isRefused: boolean;
  /** Shipping was put off until the writer has its answer. */
  isShipDue: boolean;
}

export const newPending = (inode: Inode, time: Time, actor: Actor): Pending => ({
  ino: inode.ino,
  file: new DirtyFile(inode.size, time),
  actor,
  pieces: [],
  settling: undefined,
  hasSettled: false,
  isRefused: false,
  isShipDue: false,
});

/** Bytes of the pieces that are not durable. */
export function undurableBytes({ pieces }: Pending): number {
  let bytes = 0;
  for (const { flight } of pieces) bytes += flight.undurableBytes;
  return bytes;
}

/**
 * Dirty blocks that the file did not have before, assuming that writes within its size overwrite,
 * where it had blocks at all.
 */
export function freshBlocks(file: DirtyFile, hadBlocks: boolean): number {
  if (!hadBlocks) return file.blocks;
  const end = blocksHolding(file.sizeBefore);
  let fresh = 0;
  for (const run of file.runs) {
    fresh += Math.max(0, run.block + run.blocks - Math.max(end, run.block));
  }
  // Unwritten blocks did not count before (spec 1.1).
  for (const extent of file.prepared) {
    fresh += Math.max(0, Math.min(end, endOf(extent)) - extent.block);
  }
  return fresh;
}

/** The inode as its pending writes make it: what stat(2) shows. */
export function withPending(inode: Inode, { file, pieces }: Pending): Inode {
  let fresh = freshBlocks(file, inode.extents > 0 || pieces.length > 0);
  for (const piece of pieces) fresh += piece.freshBlocks;
  return {
    ...inode,
    mode: (file.killPrivileges ? withoutSetId(inode.mode) : undefined) ?? inode.mode,
    size: file.size,
    mtime: file.time,
    ctime: file.time,
    onlineBlocks: inode.onlineBlocks + fresh,
  };
}

/**
 * The size that a volume was given (`mkfs --size`), beside that of the disk below. What is
 * overwritten counts until its successor is logged, so a volume that is full to its limit takes no
 * overwriting either, like a full disk; what frees space is never asked.
 */

import { withinLimit } from '../data/space.ts';
import type { Index } from '../index/index.ts';

/** Whether `blocks` more may be used, `promised` being on their way into the log. */
export function fitsVolume(index: Index, promised: number, blocks: number): boolean {
  const use = index.volume();
  return blocks <= 0 || use === undefined || withinLimit(use, promised, blocks);
}

/**
 * What stands behind a log's last sealed commit: a torn tail, or the ruins of durable commits?
 * Pure.
 *
 * A crash can leave one commit that was written and not yet synced, any of its pages missing, up to
 * the end of the file. So whatever shows that more than one commit was there is corruption: the
 * first of them was durable. The shape of a commit tells (the writer's rule, asserted by the
 * store): each of its blocks but the last holds at least MIN_INNER_BLOCK_BYTES. Hence
 * 1. a short block (from where one begins to a sync marker) that is not the end of the file ended a
 *    commit, and something was written after it;
 * 2. blocks that hold exactly the number of records that the seal behind them claims are a commit
 *    of
 *    their own; if they do not begin the tail, another commit stood before them.
 */

import { decodeBlock, Incomplete, Malformed, SYNC_BYTES } from './container.ts';
import { sealStart } from './seal.ts';

/** Smallest block of a commit, in bytes of records, unless it is the commit's last. */
export const MIN_INNER_BLOCK_BYTES = 256 * 1024;

/**
 * Why `tail` (all bytes from the end of the last sealed commit to the end of the file) holds more
 * than one commit; undefined if it may be what a crash left of one.
 */
export function signOfLoss(tail: Buffer, sync: Buffer): string | undefined {
  const starts = [0];
  for (let at = tail.indexOf(sync); at >= 0; at = tail.indexOf(sync, at + SYNC_BYTES)) {
    const start = starts.at(-1) ?? 0;
    const end = at + SYNC_BYTES;
    if (at - start < MIN_INNER_BLOCK_BYTES && end < tail.length) {
      return 'a damaged commit with more behind it';
    }
    starts.push(end);
  }
  // Where the first block ends by its own account, should only its sync marker be damaged.
  const framed = framedEnd(tail);
  if (framed !== undefined) starts.push(framed);
  return starts.some((start) => start > 0 && beginsCommit(tail, start, sync))
    ? 'a damaged commit with a whole one behind it'
    : undefined;
}

function framedEnd(tail: Buffer): number | undefined {
  const block = decodeBlock(tail, 0, undefined);
  return block instanceof Malformed || block instanceof Incomplete ? undefined : block.next;
}

/** Whether the blocks from `start` on are, by their seal's count, a whole commit. */
function beginsCommit(tail: Buffer, start: number, sync: Buffer): boolean {
  let count = 0;
  for (let at = start; at < tail.length;) {
    const block = decodeBlock(tail, at, sync);
    if (block instanceof Malformed || block instanceof Incomplete) return false;
    count += block.count;
    if (sealStart(tail.subarray(block.start, block.end), count) >= 0) return true;
    at = block.next;
  }
  return false;
}

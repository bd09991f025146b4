/** Checksums of segment blocks, kept in aligned runs. */

import type { BlocksChecksummed, SegmentRemoved } from '../../model/event.ts';
import { rid, type SegmentNumber } from '../../model/ids.ts';
import type { ChecksumItem } from '../items.ts';
import { CHECKSUM_RUN_BLOCKS, checksumKey, segmentKey } from '../keys.ts';
import type { Working } from './working.ts';

const SUM_BYTES = 4;

export function blocksChecksummed(work: Working, event: BlocksChecksummed): void {
  const { segment, checksums } = event;
  const end = event.segmentBlock + checksums.length / SUM_BYTES;
  for (let block = event.segmentBlock; block < end;) {
    const run = Math.floor(block / CHECKSUM_RUN_BLOCKS);
    const until = Math.min(end, (run + 1) * CHECKSUM_RUN_BLOCKS);
    const from = (block - event.segmentBlock) * SUM_BYTES;
    const sums = checksums.subarray(from, (until - event.segmentBlock) * SUM_BYTES);
    const before = current(work, segment, run);
    const offset = (block - run * CHECKSUM_RUN_BLOCKS) * SUM_BYTES;
    work.put('checksum', checksumKey(segment, run), before, {
      checksums: overlaid(before?.checksums, sums, offset),
    });
    block = until;
  }
}

/** The segment and all its checksums go; nothing refers to it (the reclaimer saw to that). */
export function segmentRemoved(work: Working, { segment, blocks }: SegmentRemoved): void {
  // The family keeps no history: only that there is an item matters.
  work.delete('segment', segmentKey(segment), { rid: rid(0) });
  for (let run = 0; run * CHECKSUM_RUN_BLOCKS < blocks; run++) {
    const before = current(work, segment, run);
    if (before !== undefined) work.delete('checksum', checksumKey(segment, run), before);
  }
}

function current(work: Working, segment: SegmentNumber, run: number): ChecksumItem | undefined {
  const edit = work.edited(checksumKey(segment, run));
  if (edit === undefined) return work.before.checksums(segment, run);
  return edit.value as ChecksumItem | undefined;
}

/** `old` with `sums` written at `offset`; the bytes between its end and there are zeros. */
function overlaid(old: Buffer | undefined, sums: Buffer, offset: number): Buffer {
  const bytes = Buffer.alloc(Math.max(old?.length ?? 0, offset + sums.length));
  old?.copy(bytes);
  sums.copy(bytes, offset);
  return bytes;
}

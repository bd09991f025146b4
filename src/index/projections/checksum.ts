/** Checksums of segment blocks, kept in aligned runs. */

import type { BlocksChecksummed } from '../../model/event.ts';
import type { SegmentNumber } from '../../model/ids.ts';
import type { ChecksumItem } from '../items.ts';
import { CHECKSUM_RUN_BLOCKS, checksumKey } from '../keys.ts';
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

/**
 * Reading data: from the queue of writes where the bytes have not reached the disk, else from the
 * segment's file straight into the caller's buffer, each block verified against its checksum.
 */

import { BLOCK_BYTES, type SegmentNumber } from '../model/ids.ts';
import { verifyBlocks } from './checksum.ts';
import type { Descriptors } from './descriptors.ts';
import type { Checksums, Place } from './types.ts';
import type { WriteQueue } from './write-queue.ts';

/** Where the bytes of segments are. */
export interface Sources {
  readonly descriptors: Descriptors;
  /** The writes of a segment that have not reached the disk; undefined where there are none. */
  queueOf(segment: SegmentNumber): WriteQueue | undefined;
}

/** See `DataStore.readNow`. */
export function readNow(from: Sources, place: Place, into: Buffer, checksums: Checksums): boolean {
  const end = place.segmentBlock + place.count;
  for (let block = place.segmentBlock; block < end;) {
    const to = copyQueued(from, place, block, into);
    if (to > block) {
      block = to;
      continue;
    }
    const piece = unqueuedPiece(from, place, block);
    const bytes = bytesOf(place, piece, into);
    const file = from.descriptors.peek(place.segment);
    if (file === undefined) return false;
    if (file.readCached(bytes, block * BLOCK_BYTES) !== bytes.length) return false;
    verifyBlocks(piece, bytes, checksums);
    block += piece.count;
  }
  return true;
}

/** See `DataStore.read`. */
export async function read(
  from: Sources,
  place: Place,
  into: Buffer,
  checksums: Checksums,
): Promise<void> {
  const end = place.segmentBlock + place.count;
  for (let block = place.segmentBlock; block < end;) {
    const to = copyQueued(from, place, block, into);
    if (to > block) {
      block = to;
      continue;
    }
    const piece = unqueuedPiece(from, place, block);
    const bytes = bytesOf(place, piece, into);
    const offset = block * BLOCK_BYTES;
    const n = await from.descriptors.use(place.segment, (file) => file.read(bytes, offset));
    // Beyond the end of the file stands what was allocated and never written.
    bytes.fill(0, n);
    verifyBlocks(piece, bytes, checksums);
    block += piece.count;
  }
}

/** Copies what one queued write holds of `place` from `block` on; returns the block after that. */
function copyQueued(from: Sources, place: Place, block: number, into: Buffer): number {
  const queue = from.queueOf(place.segment);
  const write = queue?.find(block);
  if (queue === undefined || write === undefined) return block;
  const end = Math.min(write.block + write.count, place.segmentBlock + place.count);
  const to = queue.nextQueued(block + 1, end);
  write.bytes.copy(
    into,
    (block - place.segmentBlock) * BLOCK_BYTES,
    (block - write.block) * BLOCK_BYTES,
    (to - write.block) * BLOCK_BYTES,
  );
  return to;
}

/** The part of `place` from `block` (which is not queued) up to the next queued block. */
function unqueuedPiece(from: Sources, place: Place, block: number): Place {
  const end = place.segmentBlock + place.count;
  const to = from.queueOf(place.segment)?.nextQueued(block, end) ?? end;
  if (block === place.segmentBlock && to === end) return place;
  return { segment: place.segment, segmentBlock: block, count: to - block };
}

function bytesOf(place: Place, piece: Place, into: Buffer): Buffer {
  const at = (piece.segmentBlock - place.segmentBlock) * BLOCK_BYTES;
  return into.subarray(at, at + piece.count * BLOCK_BYTES);
}

/**
 * What the tests of the segment store share: stores on simulated disks, and blocks that tell who
 * they are.
 */

import { checksumBlocks, packedChecksum } from '../../src/data/checksum.ts';
import { SegmentStore, type SegmentStoreOptions } from '../../src/data/segment-store.ts';
import type { Allocation, Checksums, Place } from '../../src/data/types.ts';
import { must } from '../../src/model/assert.ts';
import { BLOCK_BYTES, rid, segmentNumber } from '../../src/model/ids.ts';
import { SimClock } from '../sim/clock.ts';
import { SimDisk, type SimDiskOptions } from '../sim/disk.ts';
import { SimRandom } from '../sim/random.ts';

export const DATA = '/data';

export async function simDisk(
  seed: number,
  options: Partial<SimDiskOptions> = {},
): Promise<SimDisk> {
  const disk = new SimDisk({ random: new SimRandom(seed), ...options });
  await disk.mkdir(DATA);
  await disk.syncDir('/');
  return disk;
}

export const openStore = (
  disk: SegmentStoreOptions['disk'],
  options: Partial<SegmentStoreOptions> = {},
): Promise<SegmentStore> =>
  SegmentStore.open({
    disk,
    clock: new SimClock(),
    dir: DATA,
    rid: rid(1),
    nextSegment: segmentNumber(1),
    segmentRid: () => undefined,
    ...options,
  });

/** Blocks full of a number each. */
export function blocks(count: number, first: number): Buffer {
  const bytes = Buffer.alloc(count * BLOCK_BYTES);
  const number = Buffer.alloc(4);
  for (let i = 0; i < count; i++) {
    number.writeUInt32LE(first + i);
    bytes.fill(number, i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES);
  }
  return bytes;
}

/** Reserves and allocates; the store must have the room. */
export function allocate(store: SegmentStore, count: number, stream = 0): Allocation {
  const refused = store.reserve(count);
  if (refused !== undefined) throw new Error(refused);
  const allocation = store.allocate(count, stream);
  if (allocation === 'EIO') throw new Error('EIO');
  return allocation;
}

/** Allocates and writes blocks; returns where they are. */
export function put(store: SegmentStore, bytes: Buffer, stream = 0): readonly Place[] {
  const { places } = allocate(store, bytes.length / BLOCK_BYTES, stream);
  let at = 0;
  for (const place of places) {
    const to = at + place.count * BLOCK_BYTES;
    store.write(place, bytes.subarray(at, to));
    at = to;
  }
  return places;
}

export const only = <T>(list: readonly T[]): T => must(list[0], 'there is one');

export const noChecksums: Checksums = () => undefined;

/** The checksums of `bytes`, as they stand at `place`. */
export function checksumsOf(place: Place, bytes: Buffer): Checksums {
  const packed = checksumBlocks(bytes);
  return (segment, block) =>
    segment === place.segment && block >= place.segmentBlock
      ? packedChecksum(packed, block - place.segmentBlock)
      : undefined;
}

export async function readBack(store: SegmentStore, place: Place): Promise<Buffer> {
  const into = Buffer.alloc(place.count * BLOCK_BYTES, 0xaa);
  if (!store.readNow(place, into, noChecksums)) await store.read(place, into, noChecksums);
  return into;
}

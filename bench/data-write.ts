/**
 * Data writing: 1 MiB streaming writes and one-block files through the segment store, checksums and
 * the last sync included, against the floor: raw pwrites of the same bytes to a file with its space
 * reserved, synced every 8 MiB as the store does, and once at the end. Interleaved, median of five.
 *
 *   node --import tsx bench/data-write.ts [DIRECTORY]
 */

import { randomFillSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Allocator } from '../src/data/allocator.ts';
import { checksumInto } from '../src/data/checksum.ts';
import { SegmentStore } from '../src/data/segment-store.ts';
import { SHARED_SEGMENT_BLOCKS } from '../src/data/segments.ts';
import { nodeDisk } from '../src/io/node-disk.ts';
import { systemClock } from '../src/io/system-clock.ts';
import { BLOCK_BYTES, rid, segmentNumber } from '../src/model/ids.ts';

const ROUNDS = 5;
const MIB = 1024 ** 2;
const STREAM_MIB = 256;
const SMALL_FILES = 50_000;
const ALLOCATIONS = 200_000;
/** The engine's bound on bytes in memory. */
const QUEUE_BYTES = 64 * MIB;

export interface DataWriteResult {
  /** MiB per second, medians. */
  readonly streamMiBs: number;
  readonly streamFloorMiBs: number;
  /** The floor without the syncs in between. */
  readonly streamBufferedMiBs: number;
  /** One-block files per second, durable at the end. */
  readonly smallPerSecond: number;
  /** Promise and allocation of one block. */
  readonly allocateNs: number;
  readonly checksumMiBs: number;
}

const bytes = randomFillSync(Buffer.alloc(MIB));
const packed = Buffer.alloc((MIB / BLOCK_BYTES) * 4);

export async function benchDataWrite(dir: string): Promise<DataWriteResult> {
  const rounds: DataWriteResult[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const at = await mkdtemp(join(dir, 'data-write-'));
    try {
      rounds.push({
        streamMiBs: STREAM_MIB / (await withStore(at, 1, stream)),
        streamFloorMiBs: STREAM_MIB / (await raw(join(at, 'floor'), 8)),
        streamBufferedMiBs: STREAM_MIB / (await raw(join(at, 'buffered'), STREAM_MIB)),
        smallPerSecond: SMALL_FILES / (await withStore(at, 2, small)),
        allocateNs: (allocations() / ALLOCATIONS) * 1e9,
        checksumMiBs: 64 / checksums(),
      });
    } finally {
      await rm(at, { recursive: true });
    }
  }
  const median = (of: (r: DataWriteResult) => number): number =>
    rounds.map(of).toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0;
  return {
    streamMiBs: median((r) => r.streamMiBs),
    streamFloorMiBs: median((r) => r.streamFloorMiBs),
    streamBufferedMiBs: median((r) => r.streamBufferedMiBs),
    smallPerSecond: median((r) => r.smallPerSecond),
    allocateNs: median((r) => r.allocateNs),
    checksumMiBs: median((r) => r.checksumMiBs),
  };
}

/** Seconds that `task` takes on a store of its own. */
async function withStore(
  dir: string,
  run: number,
  task: (store: SegmentStore) => Promise<void>,
): Promise<number> {
  const store = await SegmentStore.open({
    disk: nodeDisk,
    clock: systemClock,
    dir,
    rid: rid(run),
    nextSegment: segmentNumber(1),
    segmentRid: () => undefined,
  });
  const begun = performance.now();
  await task(store);
  const seconds = (performance.now() - begun) / 1000;
  await store.close();
  return seconds;
}

async function stream(store: SegmentStore): Promise<void> {
  for (let i = 0; i < STREAM_MIB; i++) {
    checksumInto(bytes, packed, 0);
    await room(store, MIB / BLOCK_BYTES);
    write(store, bytes, 7);
  }
  await store.sync();
}

async function small(store: SegmentStore): Promise<void> {
  const block = bytes.subarray(0, BLOCK_BYTES);
  for (let i = 0; i < SMALL_FILES; i++) {
    checksumInto(block, packed, 0);
    if (i % 256 === 0) await room(store, 256);
    write(store, block, 0);
  }
  await store.sync();
}

/** Seconds for promising and allocating blocks one by one, where all is reserved. */
function allocations(): number {
  const allocator = new Allocator();
  for (let n = 1; n * SHARED_SEGMENT_BLOCKS <= ALLOCATIONS + SHARED_SEGMENT_BLOCKS; n++) {
    allocator.addSpare(segmentNumber(n), SHARED_SEGMENT_BLOCKS);
  }
  const begun = performance.now();
  for (let i = 0; i < ALLOCATIONS; i++) {
    if (i % 256 === 0) allocator.takeRetired();
    allocator.promise(1);
    allocator.allocate(1, 0);
  }
  return (performance.now() - begun) / 1000;
}

/** Waits until blocks can be promised and queued. */
async function room(store: SegmentStore, blocks: number): Promise<void> {
  for (;;) {
    const ready = store.ready(blocks);
    if (ready !== undefined && !(await ready)) throw new Error('the disk is full');
    if (store.queuedBytes < QUEUE_BYTES && ready === undefined) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function write(store: SegmentStore, from: Buffer, file: number): void {
  const blocks = from.length / BLOCK_BYTES;
  if (store.reserve(blocks) !== undefined) throw new Error('the disk is full');
  const allocation = store.allocate(blocks, file);
  if (allocation === 'EIO') throw store.failure ?? new Error('EIO');
  let at = 0;
  for (const place of allocation.places) {
    store.write(place, from.subarray(at, at + place.count * BLOCK_BYTES));
    at += place.count * BLOCK_BYTES;
  }
}

/** Seconds for writing the stream to one reserved file, synced every `syncMiB`. */
async function raw(path: string, syncMiB: number): Promise<number> {
  const file = await nodeDisk.open(path, 'create');
  await file.reserve(0, STREAM_MIB * MIB);
  const begun = performance.now();
  for (let i = 0; i < STREAM_MIB; i++) {
    await file.write([bytes], i * MIB);
    if ((i + 1) % syncMiB === 0) await file.datasync();
  }
  const seconds = (performance.now() - begun) / 1000;
  await file.close();
  return seconds;
}

/** Seconds for the checksums of 64 MiB. */
function checksums(): number {
  const begun = performance.now();
  for (let i = 0; i < 64; i++) checksumInto(bytes, packed, 0);
  return (performance.now() - begun) / 1000;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const r = await benchDataWrite(process.argv[2] ?? tmpdir());
  const mib = (n: number): string => `${n.toFixed(0)} MiB/s`;
  console.log(`1 MiB streaming writes, checksums and sync  ${mib(r.streamMiBs)}`);
  console.log(`  raw pwrite, synced every 8 MiB            ${mib(r.streamFloorMiBs)}`);
  console.log(`  raw pwrite, synced at the end             ${mib(r.streamBufferedMiBs)}`);
  console.log(`one-block files, durable at the end         ${r.smallPerSecond.toFixed(0)}/s`);
  console.log(`allocation of one block                     ${r.allocateNs.toFixed(0)} ns`);
  console.log(`checksums                                   ${mib(r.checksumMiBs)}`);
}

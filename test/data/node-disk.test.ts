/** The segment store on a real filesystem: what the simulated disk could be wrong about. */

import { mkdtemp, open, readdir, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Reclaimer } from '../../src/data/reclaimer.ts';
import { SegmentStore } from '../../src/data/segment-store.ts';
import { segmentFolder, segmentPath } from '../../src/data/segments.ts';
import { sweep } from '../../src/data/sweep.ts';
import { DamagedBlock } from '../../src/data/types.ts';
import type { Place } from '../../src/data/types.ts';
import { nodeDisk } from '../../src/io/node-disk.ts';
import { systemClock } from '../../src/io/system-clock.ts';
import { BLOCK_BYTES, NO_SEQ, rid, segmentNumber, seq } from '../../src/model/ids.ts';
import { FakeItems } from './fake-items.ts';
import { blocks, checksumsOf, noChecksums, only, put, readBack } from './store-kit.ts';

const test = suite<{ dir: string }>('segment store on a real disk');

test.before.each(async (context) => {
  context.dir = await mkdtemp(`${tmpdir()}/ledgerfs-data-`);
});
test.after.each(({ dir }) => rm(dir, { recursive: true }));

const openIn = (dir: string, run: number, first: number): Promise<SegmentStore> =>
  SegmentStore.open({
    disk: nodeDisk,
    clock: systemClock,
    dir,
    rid: rid(run),
    nextSegment: segmentNumber(first),
    segmentRid: () => rid(1),
  });

/** Paths of this process's open files below `dir`. */
async function openBelow(dir: string): Promise<string[]> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  );
  return links.filter((path) => path.startsWith(dir));
}

test('written, synced, closed, and read by the next run', async ({ dir }) => {
  const store = await openIn(dir, 1, 1);
  const places: Place[] = [];
  for (let i = 0; i < 40; i++) places.push(only(put(store, blocks(64, i * 64), 5)));
  for (let i = 0; i < 500; i++) places.push(only(put(store, blocks(1, 100_000 + i))));
  await store.sync();
  assert.ok(store.readNow(places[3] as Place, Buffer.alloc(64 * BLOCK_BYTES), noChecksums));
  await store.close();
  assert.equal(await openBelow(dir), []);
  const next = await openIn(dir, 2, 100);
  for (let i = 0; i < 40; i++) {
    assert.ok((await readBack(next, places[i] as Place)).equals(blocks(64, i * 64)));
  }
  const last = places.at(-1) as Place;
  assert.ok((await readBack(next, last)).equals(blocks(1, 100_499)));
  await next.close();
});

test('closing gives the reserved space back to the filesystem', async ({ dir }) => {
  const store = await openIn(dir, 1, 1);
  const place = only(put(store, blocks(10, 1)));
  await store.sync();
  const path = segmentPath(dir, rid(1), place.segment);
  assert.ok((await stat(path)).blocks * 512 >= 8 * 1024 ** 2, 'space is reserved ahead');
  await store.close();
  const after = await stat(path);
  assert.is(after.size, 10 * BLOCK_BYTES);
  assert.ok(after.blocks * 512 <= 16 * BLOCK_BYTES, `${after.blocks * 512} bytes stay`);
  assert.is((await readdir(segmentFolder(dir, rid(1)))).length, 1);
});

test('a flipped bit in the file is found, cached or not', async ({ dir }) => {
  const store = await openIn(dir, 1, 1);
  const bytes = blocks(8, 3);
  const place = only(put(store, bytes));
  await store.sync();
  const checksums = checksumsOf(place, bytes);
  const into = Buffer.alloc(bytes.length);
  await store.read(place, into, checksums);
  const file = await open(segmentPath(dir, rid(1), place.segment), 'r+');
  const at = (place.segmentBlock + 5) * BLOCK_BYTES + 100;
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  await file.write(Buffer.from([byte.readUInt8(0) ^ 0x10]), 0, 1, at);
  await file.close();
  const isIt = (error: unknown): boolean =>
    error instanceof DamagedBlock && error.segmentBlock === place.segmentBlock + 5;
  assert.throws(() => store.readNow(place, into, checksums), isIt);
  assert.ok(isIt(await store.read(place, into, checksums).catch((e: unknown) => e)));
  await store.close();
});

test('the reclaimer gives space back and removes what is empty', async ({ dir }) => {
  const store = await openIn(dir, 1, 1);
  const items = new FakeItems();
  const places = Array.from({ length: 32 }, (_, i) => only(put(store, blocks(32, i))));
  const segment = only(places).segment;
  items.addSegment(segment, 1);
  for (const place of places) items.own(place);
  await store.sync();
  const path = segmentPath(dir, rid(1), segment);
  const reclaimer = new Reclaimer({
    items,
    files: store,
    clock: systemClock,
    diskSpace: () => nodeDisk.space(dir),
    bounds: () => ({ durable: seq(100), pins: [] }),
    horizon: NO_SEQ,
    advance: () => Promise.resolve(),
    removed: () => Promise.resolve(),
  });
  const before = (await stat(path)).blocks * 512;
  for (const place of places.slice(0, 16)) items.free(1, place);
  while (await reclaimer.step());
  const punched = before - (await stat(path)).blocks * 512;
  // Holes may cost the filesystem a block or two of its own bookkeeping.
  const freed = 16 * 32 * BLOCK_BYTES;
  assert.ok(punched <= freed && punched >= freed - 4 * BLOCK_BYTES, `${punched} bytes came back`);
  assert.ok((await readBack(store, places[20] as Place)).equals(blocks(32, 20)));
  await store.close();
  const next = await openIn(dir, 2, 100);
  for (const place of places.slice(16)) items.free(2, place);
  const later = new Reclaimer({
    items,
    files: next,
    clock: systemClock,
    diskSpace: () => nodeDisk.space(dir),
    bounds: () => ({ durable: seq(100), pins: [] }),
    horizon: seq(50),
    advance: () => Promise.resolve(),
    removed: () => Promise.resolve(),
  });
  while (await later.step());
  assert.equal(await readdir(segmentFolder(dir, rid(1))), []);
  await next.close();
});

test('the sweep takes back what a killed run had reserved and written', async ({ dir }) => {
  const store = await openIn(dir, 1, 1);
  const kept = only(put(store, blocks(3, 1)));
  put(store, blocks(700, 50));
  await store.sync();
  const items = new FakeItems();
  items.addSegment(kept.segment, 1);
  items.own(kept);
  // As after a kill: the store is not closed, its files stay as they are.
  await sweep({ disk: nodeDisk, dir, items });
  assert.equal(await readdir(segmentFolder(dir, rid(1))), ['0000000000000001.seg']);
  const after = await stat(segmentPath(dir, rid(1), kept.segment));
  assert.is(after.size, 3 * BLOCK_BYTES);
  assert.ok(after.blocks * 512 <= 8 * BLOCK_BYTES);
  await store.close().catch(() => undefined);
});

test.run();

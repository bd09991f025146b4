import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checksumBlocks } from '../../src/data/checksum.ts';
import { scrub, type ScrubOptions } from '../../src/data/scrub.ts';
import type { SegmentStore } from '../../src/data/segment-store.ts';
import { segmentPath } from '../../src/data/segments.ts';
import type { Place } from '../../src/data/types.ts';
import { BLOCK_BYTES, rid, segmentNumber } from '../../src/model/ids.ts';
import { settle, SimClock } from '../sim/clock.ts';
import type { SimDisk } from '../sim/disk.ts';
import { FakeItems } from './fake-items.ts';
import { allocate, blocks, DATA, only, openStore, put, simDisk } from './store-kit.ts';

interface Volume {
  readonly disk: SimDisk;
  readonly store: SegmentStore;
  readonly items: FakeItems;
  readonly places: readonly Place[];
  readonly options: ScrubOptions;
}

/** Ten files of six blocks in one closed segment, the last one held by the past only. */
async function volume(more: Partial<ScrubOptions> = {}): Promise<Volume> {
  const disk = await simDisk(1);
  const first = await openStore(disk);
  const items = new FakeItems();
  items.addSegment(1);
  const places: Place[] = [];
  for (let i = 0; i < 10; i++) {
    const bytes = blocks(6, i * 100);
    const place = only(put(first, bytes));
    items.addChecksums(place, checksumBlocks(bytes));
    items.own(place);
    places.push(place);
  }
  await first.close();
  items.free(9, places[9] as Place);
  const store = await openStore(disk, {
    rid: rid(2),
    nextSegment: segmentNumber(50),
    segmentRid: (n) => items.segment(n)?.rid,
  });
  const options: ScrubOptions = {
    items,
    checksums: (segment, block) => items.checksum(segment, block),
    files: store,
    clock: new SimClock(),
    ...more,
  };
  return { disk, store, items, places, options };
}

const flip = (v: Volume, block: number): void =>
  v.disk.corrupt(segmentPath(DATA, rid(1), segmentNumber(1)), block * BLOCK_BYTES + 5, 1);

test('a sound volume: every owned and held block verified, nothing reported', async () => {
  const seen: number[] = [];
  const v = await volume({ onProgress: ({ done }) => seen.push(done) });
  const report = await scrub(v.options);
  assert.equal(report, {
    verifiedBlocks: 60,
    unverifiedBlocks: 0,
    bad: [],
    unowned: [],
    next: undefined,
  });
  assert.is(seen.at(-1), 60);
});

test('names the bad blocks, adjacent ones as one range, of the present and the past', async () => {
  const v = await volume();
  for (const block of [8, 9, 20, 57]) flip(v, block);
  const { bad } = await scrub(v.options);
  const found = bad.map(({ segment, segmentBlock, count, why }) => [
    segment,
    segmentBlock,
    count,
    why,
  ]);
  assert.equal(found, [
    [1, 57, 1, 'checksum'],
    [1, 8, 2, 'checksum'],
    [1, 20, 1, 'checksum'],
  ]);
});

test('a missing segment and an unreadable one are told apart', async () => {
  const v = await volume();
  v.disk.faults = (call) => (call.kind === 'read' ? { kind: 'error', code: 'EIO' } : undefined);
  const unreadable = await scrub(v.options);
  assert.equal([...new Set(unreadable.bad.map((b) => b.why))], ['unreadable']);
  v.disk.faults = () => undefined;
  const gone = await volume();
  await gone.store.remove(segmentNumber(1));
  const missing = await scrub(gone.options);
  assert.equal([...new Set(missing.bad.map((b) => b.why))], ['missing']);
  assert.is(
    missing.bad.reduce((n, b) => n + b.count, 0),
    60,
  );
});

test('what is freed and punched while it is read is not bad', async () => {
  const v = await volume();
  const place = v.places[9] as Place;
  const read = v.store.read.bind(v.store);
  let punched = false;
  const files = {
    isOpen: () => false,
    allocatedBytes: () => Promise.resolve(0),
    read: async (...args: Parameters<typeof read>) => {
      if (!punched) {
        punched = true;
        await v.store.punch(place.segment, place.segmentBlock, place.count);
        for (const key of v.items.keys('freed')) v.items.delete(key);
      }
      await read(...args);
    },
  };
  assert.equal((await scrub({ ...v.options, files })).bad, []);
});

test('goes on where it was stopped', async () => {
  const stop = new AbortController();
  const v = await volume({ signal: stop.signal, onProgress: () => stop.abort() });
  const begun = await scrub(v.options);
  assert.is(begun.verifiedBlocks, 6);
  assert.ok(begun.next !== undefined);
  flip(v, 20);
  const { signal: _signal, onProgress: _onProgress, ...rest } = v.options;
  const ended = await scrub({ ...rest, from: begun.next as string });
  assert.is(ended.verifiedBlocks, 54);
  assert.is(ended.bad.length, 1);
  assert.is(ended.next, undefined);
});

test('keeps to its rate', async () => {
  const clock = new SimClock();
  const v = await volume({ clock, bytesPerSecond: 6 * BLOCK_BYTES });
  let over = false;
  const running = scrub(v.options).then(() => (over = true));
  for (let second = 0; second < 9; second++) {
    for (let i = 0; i < 5; i++) await settle();
    assert.not.ok(over);
    clock.advance(1000);
  }
  for (let i = 0; i < 5; i++) await settle();
  clock.advance(1000);
  await running;
});

test('finds space that nobody owns, and blocks without a checksum', async () => {
  const v = await volume();
  const file = await v.disk.open(segmentPath(DATA, rid(1), segmentNumber(1)), 'write');
  await file.reserve(60 * BLOCK_BYTES, 2 ** 20);
  await file.close();
  const open = only(allocate(v.store, 4).places);
  v.items.addSegment(open.segment, 2);
  v.items.own({ ...open, count: 4 });
  const report = await scrub(v.options);
  assert.equal(report.unowned, [{ segment: segmentNumber(1), bytes: 2 ** 20 }]);
  assert.is(report.unverifiedBlocks, 4);
  assert.equal(report.bad, []);
});

test('a segment that is written until its owners are counted is not called unowned', async () => {
  const v = await volume();
  const file = await v.disk.open(segmentPath(DATA, rid(1), segmentNumber(1)), 'write');
  await file.reserve(60 * BLOCK_BYTES, 2 ** 20);
  await file.close();
  let isVerified = false;
  let isCounted = false;
  const snapshot = v.items.snapshot.bind(v.items);
  v.items.snapshot = () => {
    const taken = snapshot();
    const scan: typeof taken.scan = (family, ...range) => {
      isVerified ||= family === 'segment';
      isCounted ||= isVerified && family === 'ref';
      return taken.scan(family, ...range);
    };
    return { ...taken, scan, close: () => taken.close() };
  };
  const files = {
    isOpen: (segment: number) => segment === 1 && !isCounted,
    read: v.store.read.bind(v.store),
    allocatedBytes: v.store.allocatedBytes.bind(v.store),
  };
  assert.equal((await scrub({ ...v.options, files })).unowned, []);
  assert.ok(isCounted);
});

test('blocks that were allocated and not written are unverified, whatever the disk has', async () => {
  const v = await volume();
  const zeroed = Buffer.alloc(4 * 4);
  v.items.addChecksums({ ...(v.places[2] as Place), count: 4 }, zeroed);
  const checksums = (segment: number, block: number) =>
    block >= 12 && block < 16 ? 0 : v.items.checksum(segmentNumber(segment), block);
  for (const block of [12, 13, 16]) flip(v, block);
  const report = await scrub({ ...v.options, checksums });
  assert.is(report.unverifiedBlocks, 4);
  assert.equal(
    report.bad.map(({ segmentBlock, count }) => [segmentBlock, count]),
    [[16, 1]],
  );
});

test.run();

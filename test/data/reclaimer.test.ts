import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { array, assert as check, integer, property, tuple } from 'fast-check';
import { coalesce, Reclaimer, type ReclaimerOptions } from '../../src/data/reclaimer.ts';
import type { Place } from '../../src/data/types.ts';
import { extentKey, FAMILY, historyKey, timeMarkKey } from '../../src/index/keys.ts';
import { NO_SEQ, segmentNumber, seq, type Ino } from '../../src/model/ids.ts';
import type { SegmentNumber, Seq } from '../../src/model/ids.ts';
import { settle, SimClock } from '../sim/clock.ts';
import { FakeItems } from './fake-items.ts';

const SECOND = 1_000_000;
const at = (segment: number, segmentBlock: number, count: number): Place => ({
  segment: segmentNumber(segment),
  segmentBlock,
  count,
});

/** Segment files as sets of blocks, and a list of what was done to them. */
class FakeFiles {
  readonly live = new Map<SegmentNumber, Set<number>>();
  readonly open = new Set<SegmentNumber>();
  readonly calls: string[] = [];
  /** Dies before the call with this number. */
  killAt = Number.POSITIVE_INFINITY;

  fill(place: Place): void {
    const blocks = this.live.get(place.segment) ?? new Set<number>();
    this.live.set(place.segment, blocks);
    for (let i = 0; i < place.count; i++) blocks.add(place.segmentBlock + i);
  }

  isOpen(segment: SegmentNumber): boolean {
    return this.open.has(segment);
  }

  async punch(segment: SegmentNumber, block: number, count: number): Promise<void> {
    await this.call(`punch ${segment} ${block}+${count}`);
    for (let i = 0; i < count; i++) this.live.get(segment)?.delete(block + i);
  }

  async remove(segment: SegmentNumber): Promise<void> {
    await this.call(`remove ${segment}`);
    this.live.delete(segment);
  }

  async call(what: string): Promise<void> {
    if (this.calls.length >= this.killAt) throw new Error('killed');
    this.calls.push(what);
    await Promise.resolve();
  }
}

interface Kit {
  readonly items: FakeItems;
  readonly files: FakeFiles;
  readonly clock: SimClock;
  readonly advanced: [Seq, boolean][];
  available: number;
  durable: number;
  pins: Seq[];
  reclaimer: Reclaimer;
}

function kit(items: FakeItems, files = new FakeFiles(), more: Partial<ReclaimerOptions> = {}): Kit {
  const clock = new SimClock();
  const advanced: [Seq, boolean][] = [];
  const k = { items, files, clock, advanced, available: 2 ** 40, durable: 1000, pins: [] as Seq[] };
  const options: ReclaimerOptions = {
    items,
    files,
    clock,
    diskSpace: () =>
      Promise.resolve({ totalBytes: 2 ** 40, availableBytes: k.available, freeBytes: k.available }),
    bounds: () => ({ durable: seq(k.durable), pins: k.pins }),
    horizon: NO_SEQ,
    advance: async (horizon, forced) => {
      await files.call(`advance ${horizon}`);
      advanced.push([horizon, forced]);
    },
    removed: async (segment) => {
      await files.call(`removed ${segment}`);
      items.removeSegment(segment);
    },
    rangesPerSecond: Number.POSITIVE_INFINITY,
    ...more,
  };
  return Object.assign(k, { reclaimer: new Reclaimer(options) });
}

async function finish(reclaimer: Reclaimer): Promise<void> {
  for (let steps = 0; await reclaimer.step(); steps++) assert.ok(steps < 1000, 'comes to an end');
}

/** Two segments; one loses everything by seq 20, the other a part. */
function world(historyMicros = 0): { items: FakeItems; files: FakeFiles } {
  const items = new FakeItems({ historyMicros });
  const files = new FakeFiles();
  items.addSegment(1);
  items.addSegment(2);
  items.addChecksums(at(1, 0, 8), Buffer.alloc(32, 5));
  items.addChecksums(at(2, 0, 8), Buffer.alloc(32, 5));
  for (const place of [at(1, 0, 4), at(1, 4, 4), at(2, 0, 4), at(2, 4, 4)]) {
    files.fill(place);
    items.own(place);
  }
  items.free(10, at(1, 0, 4));
  items.free(20, at(1, 4, 4));
  items.free(30, at(2, 4, 4));
  return { items, files };
}

const test = suite('reclaimer');

test('punches what nobody owns, adjacent ranges at once, and removes empty segments', async () => {
  const { items, files } = world();
  const k = kit(items, files);
  await finish(k.reclaimer);
  assert.equal(files.calls, [
    'advance 1000',
    'punch 1 0+8',
    'punch 2 4+4',
    'remove 1',
    'removed 1',
  ]);
  assert.equal([...(files.live.get(segmentNumber(2)) ?? [])], [0, 1, 2, 3], 'owned blocks stay');
  assert.equal(items.keys('freed'), []);
  assert.is(items.volume().heldBlocks, 0);
  assert.is(items.keys('checksum').length, 1, 'its checksums go with a segment');
  assert.is(items.keys('segment').length, 1);
  assert.is(k.reclaimer.horizon, 1000);
});

test('never passes again what it has deleted', async () => {
  const items = new FakeItems();
  const k = kit(items);
  for (let i = 0; i < 3000; i++) items.free(1 + Math.floor(i / 10), at(1, 2 * i, 1));
  const keys = items.keys('freed');
  await finish(k.reclaimer);
  items.free(999, at(1, 9000, 1));
  await finish(k.reclaimer);
  assert.equal(items.keys('freed'), [], 'what is freed later is found');
  const starts = items.scans.filter(([family]) => family === 'freed').map(([, gte]) => gte);
  assert.equal(starts.slice(0, 3), [FAMILY.freed, `${keys[1023]}\0`, `${keys[2047]}\0`]);
  assert.ok(starts.slice(3).every((gte) => gte > (keys[2047] as string)));
});

test('killed before any of its calls, the next run ends in the same state', async () => {
  const goal = world();
  await finish(kit(goal.items, goal.files).reclaimer);
  const calls = goal.files.calls.length;
  for (let killAt = 0; killAt <= calls; killAt++) {
    for (const rebuilt of [false, true]) {
      const { items, files } = world();
      files.killAt = killAt;
      const error = await finish(kit(items, files).reclaimer).catch((e: unknown) => e as Error);
      assert.is(error?.message, killAt < calls ? 'killed' : undefined);
      files.killAt = Number.POSITIVE_INFINITY;
      // An index that is rebuilt shows everything freed again.
      const again = rebuilt ? world().items : items;
      await finish(kit(again, files).reclaimer);
      const what = `killed at ${killAt}, ${rebuilt ? 'rebuilt' : 'restarted'}`;
      assert.equal(files.live, goal.files.live, what);
      for (const family of ['freed', 'segment', 'checksum', 'ref'] as const) {
        assert.equal(again.keys(family), goal.items.keys(family), what);
      }
      assert.is(again.volume().heldBlocks, 0, what);
    }
  }
});

test('a segment whose removal failed is removed by a later step', async () => {
  const items = new FakeItems();
  const files = new FakeFiles();
  items.addSegment(1);
  files.fill(at(1, 0, 4));
  const { reclaimer } = kit(items, files);
  files.killAt = 1; // After `advance`, before `remove`.
  await reclaimer.step().then(
    () => assert.unreachable(),
    () => undefined,
  );
  files.killAt = Number.POSITIVE_INFINITY;
  while (await reclaimer.step());
  assert.is(files.live.size, 0);
});

test('a segment that is still written stays until it is closed', async () => {
  const { items, files } = world();
  files.open.add(segmentNumber(1));
  const k = kit(items, files);
  await finish(k.reclaimer);
  assert.ok(files.live.has(segmentNumber(1)));
  files.open.clear();
  await finish(k.reclaimer);
  assert.not.ok(files.live.has(segmentNumber(1)));
});

test('nothing beyond the durable log or a pin is touched', async () => {
  const { items, files } = world();
  const k = kit(items, files);
  k.durable = 25;
  k.pins = [seq(15)];
  await finish(k.reclaimer);
  assert.equal(files.calls, ['advance 15', 'punch 1 0+4']);
  assert.is(items.volume().heldBlocks, 8);
  k.pins = [];
  await finish(k.reclaimer);
  assert.equal(files.calls.slice(2), ['advance 25', 'punch 1 4+4', 'remove 1', 'removed 1']);
  assert.is(items.keys('freed').length, 1);
});

test('a pin that comes while a step reads holds the step off', async () => {
  const { items, files } = world();
  const k = kit(items, files);
  const snapshot = items.snapshot.bind(items);
  items.snapshot = () => {
    k.pins = [seq(5)];
    return snapshot();
  };
  await finish(k.reclaimer);
  assert.equal(
    files.calls.filter((call) => call.startsWith('punch')),
    [],
  );
});

test('a duration keeps what is younger', async () => {
  const { items, files } = world(100 * SECOND);
  const k = kit(items, files);
  const now = Math.floor(k.clock.micros() / SECOND);
  items.put(timeMarkKey(now - 300), { seq: seq(1) });
  items.put(timeMarkKey(now - 150), { seq: seq(15) });
  items.put(timeMarkKey(now - 50), { seq: seq(25) });
  await finish(k.reclaimer);
  assert.equal(files.calls, ['advance 14', 'punch 1 0+4']);
  k.clock.advance(60_000);
  await finish(k.reclaimer);
  assert.equal(files.calls.slice(2), ['advance 24', 'punch 1 4+4', 'remove 1', 'removed 1']);
});

test('forever keeps everything, until space is short; then the oldest goes first', async () => {
  const { items, files } = world(-1);
  const k = kit(items, files);
  await finish(k.reclaimer);
  assert.equal(files.calls, []);
  k.available = 2 ** 30;
  await finish(k.reclaimer);
  assert.equal(k.advanced, [[seq(30), true]]);
  assert.is(items.volume().heldBlocks, 0);
});

test('makeSpace gives history up whatever the policy, and says when there is none', async () => {
  const { items, files } = world(-1);
  const k = kit(items, files);
  assert.is(await k.reclaimer.makeSpace(4096), true);
  assert.is(await k.reclaimer.makeSpace(4096), false);
  assert.is(k.reclaimer.horizon, 30);
});

test('before-images go once their end is behind the horizon', async () => {
  const { items, files } = world(100 * SECOND);
  const k = kit(items, files);
  const now = Math.floor(k.clock.micros() / SECOND);
  items.put(timeMarkKey(now - 150), { seq: seq(15) });
  const inode = 5 as Ino;
  const image = { began: seq(1), count: 1, segment: segmentNumber(1), segmentBlock: 0, flags: 0 };
  for (let i = 0; i < 10_000; i++) items.put(historyKey(extentKey(inode, i), seq(10)), image);
  items.put(historyKey(extentKey(inode, 3), seq(14)), image);
  items.put(historyKey(extentKey(inode, 3), seq(15)), image);
  await finish(k.reclaimer);
  assert.equal(items.keys('history'), [historyKey(extentKey(inode, 3), seq(15))]);
});

test('punching keeps to its rate', async () => {
  const { items, files } = world();
  const k = kit(items, files, { rangesPerSecond: 1 });
  let over = false;
  const step = k.reclaimer.step().then(() => (over = true));
  for (let i = 0; i < 5; i++) await settle();
  assert.not.ok(over);
  assert.is(k.clock.waiting, 1);
  k.clock.advance(2000);
  await step;
  assert.ok(over);
});

test('it runs until it is stopped', async () => {
  const { items, files } = world();
  const k = kit(items, files);
  const stop = new AbortController();
  const errors: Error[] = [];
  const running = k.reclaimer.run(stop.signal, 1000, (error) => errors.push(error));
  for (let i = 0; i < 20; i++) await settle();
  assert.is(items.keys('freed').length, 0);
  k.durable = 2000;
  items.own(at(2, 0, 4));
  items.free(1500, at(2, 0, 4));
  k.clock.advance(1000);
  for (let i = 0; i < 20; i++) await settle();
  assert.equal(files.live, new Map());
  files.killAt = 0;
  items.free(1501, at(2, 9, 1));
  k.clock.advance(1000);
  for (let i = 0; i < 20; i++) await settle();
  assert.is(errors[0]?.message, 'killed');
  stop.abort();
  await running;
  assert.is(k.clock.waiting, 0);
});

test('coalescing keeps the blocks and leaves no neighbours', () => {
  const range = tuple(integer({ min: 1, max: 3 }), integer({ min: 0, max: 40 }));
  check(
    property(array(range, { maxLength: 40 }), (pairs) => {
      const unique = new Map(pairs.map(([s, b]) => [`${s}/${b}`, at(s, b, 1)]));
      const result = coalesce([...unique.values()]);
      const blocks = result.flatMap((p) =>
        Array.from({ length: p.count }, (_, i) => `${p.segment}/${p.segmentBlock + i}`),
      );
      assert.equal(blocks.toSorted(), [...unique.keys()].toSorted());
      result.forEach((p, i) => {
        const next = result[i + 1];
        if (next?.segment === p.segment) assert.ok(next.segmentBlock > p.segmentBlock + p.count);
      });
    }),
  );
});

test.run();

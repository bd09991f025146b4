import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { assert as check, constantFrom, integer, oneof, property, record, array } from 'fast-check';
import { Allocator, MAX_STREAMS, POOL_BLOCKS, STREAM_BLOCKS } from '../../src/data/allocator.ts';
import { SHARED_SEGMENT_BLOCKS, STREAM_SEGMENT_BLOCKS } from '../../src/data/segments.ts';
import type { Allocation, Place } from '../../src/data/types.ts';
import { segmentNumber, type SegmentNumber } from '../../src/model/ids.ts';

/** An allocator with a disk of unlimited size, which knows how much each segment has reserved. */
class Reserving {
  readonly allocator = new Allocator();
  readonly reserved = new Map<SegmentNumber, number>();
  readonly retired = new Set<SegmentNumber>();
  #next = 1;

  /** Reserves all that is wanted to promise `blocks`; returns the steps taken. */
  fill(blocks = 0): number {
    for (let steps = 0; ; steps++) {
      for (const { segment, reserved } of this.allocator.takeRetired()) {
        assert.is(reserved, this.reserved.get(segment), 'a span tells what is reserved');
        this.retired.add(segment);
      }
      const wanted = this.allocator.wanted(blocks);
      if (wanted === undefined) return steps;
      const segment = wanted.span?.segment ?? segmentNumber(this.#next++);
      this.reserved.set(segment, (this.reserved.get(segment) ?? 0) + wanted.blocks);
      if (wanted.span === undefined) this.allocator.addSpare(segment, wanted.blocks);
      else this.allocator.extend(segment, wanted.blocks);
    }
  }

  take(blocks: number, stream: number): Allocation {
    this.fill(blocks);
    assert.ok(this.allocator.promise(blocks), 'what is wanted suffices for the promise');
    return this.allocator.allocate(blocks, stream);
  }
}

const total = (places: readonly Place[]): number => places.reduce((n, p) => n + p.count, 0);

const test = suite('allocator');

test('small files follow each other in one segment, announced once', () => {
  const disk = new Reserving();
  const first = disk.take(1, 0);
  assert.equal(first.places, [{ segment: segmentNumber(1), segmentBlock: 0, count: 1 }]);
  assert.equal(first.created, [segmentNumber(1)]);
  const second = disk.take(3, 0);
  assert.equal(second.places, [{ segment: segmentNumber(1), segmentBlock: 1, count: 3 }]);
  assert.equal(second.created, []);
});

test('nothing is promised beyond what is reserved', () => {
  const { allocator } = new Reserving();
  assert.not.ok(allocator.promise(1));
  allocator.addSpare(segmentNumber(1), 10);
  assert.ok(allocator.promise(6));
  assert.not.ok(allocator.promise(5));
  assert.ok(allocator.promise(4));
  allocator.unpromise(2);
  assert.is(allocator.freeBlocks, 2);
  assert.throws(() => allocator.allocate(9, 0), /promised/);
});

test('a large stream gets a segment of its own and lies there in order', () => {
  const disk = new Reserving();
  const places: Place[] = [];
  for (let n = 0; n < 40 * STREAM_BLOCKS; n += 256) {
    places.push(...disk.take(256, 77).places);
    disk.take(1, 0);
  }
  const late = places.slice(STREAM_BLOCKS / 256);
  assert.is(new Set(late.map((p) => p.segment)).size, 1);
  late.forEach((p, i) => assert.is(p.segmentBlock, i * 256));
});

test('a stream that ends leaves its segment to the next one', () => {
  const disk = new Reserving();
  const big = STREAM_BLOCKS + 1;
  const [a] = disk.take(big, 5).places as [Place];
  disk.allocator.endStream(5);
  disk.fill();
  const [b] = disk.take(big, 6).places as [Place];
  assert.is(b.segment, a.segment);
  assert.is(b.segmentBlock, a.segmentBlock + a.count);
});

test('more streams than allowed evict the least recently used', () => {
  const disk = new Reserving();
  const segments = new Map<number, SegmentNumber>();
  for (let stream = 1; stream <= MAX_STREAMS + 4; stream++) {
    segments.set(stream, (disk.take(STREAM_BLOCKS + 1, stream).places[0] as Place).segment);
  }
  disk.fill();
  const open = disk.allocator.takeAll().length;
  // Shared, two spares, one idle, and those of the streams.
  assert.ok(open <= MAX_STREAMS + 4, `${open} segments are open`);
  const last = segments.get(MAX_STREAMS + 4);
  const earlier = [...segments].filter(([, segment]) => segment === last);
  assert.ok(earlier.length > 1, 'a new stream goes on in the segment of an evicted one');
});

test('a full shared segment retires, and the next one goes on', () => {
  const disk = new Reserving();
  for (let n = 0; n < SHARED_SEGMENT_BLOCKS; n += 1024) disk.take(1024, 0);
  disk.fill();
  assert.equal([...disk.retired], [segmentNumber(1)]);
  const next = disk.take(1, 0);
  assert.is(next.created.length, 1);
  assert.is.not(next.created[0], segmentNumber(1));
});

test('an idle volume holds at most 56 MiB reserved', () => {
  const disk = new Reserving();
  disk.fill();
  disk.take(1, 0);
  disk.fill();
  assert.ok(disk.allocator.aheadBlocks >= POOL_BLOCKS);
  assert.ok(disk.allocator.aheadBlocks <= 56 * 256, `${disk.allocator.aheadBlocks} blocks`);
});

test('a promise larger than any segment is kept', () => {
  const disk = new Reserving();
  const blocks = STREAM_SEGMENT_BLOCKS + 5 * SHARED_SEGMENT_BLOCKS;
  assert.is(total(disk.take(blocks, 0).places), blocks);
  assert.is(total(disk.take(blocks, 3).places), blocks);
});

test('unallocate out of order is a bug', () => {
  const disk = new Reserving();
  const a = disk.take(2, 0);
  disk.take(2, 0);
  assert.throws(() => disk.allocator.unallocate(a), /out of order/);
});

type Step =
  | { readonly act: 'promise'; readonly blocks: number }
  | { readonly act: 'allocate'; readonly blocks: number; readonly stream: number }
  | { readonly act: 'undo' | 'fill' | 'end'; readonly stream: number };

const streams = integer({ min: 0, max: 12 });
const blocks = oneof(integer({ min: 1, max: 4 }), integer({ min: 1, max: 3000 }));
const step = oneof(
  record({ act: constantFrom('promise' as const), blocks }),
  record({ act: constantFrom('allocate' as const), blocks, stream: streams }),
  record({ act: constantFrom('undo' as const, 'fill' as const, 'end' as const), stream: streams }),
);

/** Runs steps against a naive model: the set of live blocks, and the count of promised ones. */
function runModel(steps: readonly Step[]): void {
  const disk = new Reserving();
  const { allocator } = disk;
  const live = new Map<SegmentNumber, Set<number>>();
  const announced = new Set<SegmentNumber>();
  let undoable: Allocation[] = [];
  let promised = 0;
  const blocksOf = (a: Allocation): [Set<number>, number][] =>
    a.places.flatMap(({ segment, segmentBlock, count }) => {
      const set = live.get(segment) ?? new Set<number>();
      live.set(segment, set);
      return Array.from({ length: count }, (_, i): [Set<number>, number] => [
        set,
        segmentBlock + i,
      ]);
    });
  disk.fill();
  for (const s of steps) {
    if (s.act === 'promise' && allocator.promise(s.blocks)) promised += s.blocks;
    if (s.act === 'allocate' && s.blocks <= promised) {
      const a = allocator.allocate(s.blocks, s.stream);
      promised -= s.blocks;
      assert.is(total(a.places), s.blocks);
      for (const [set, block] of blocksOf(a)) {
        assert.not.ok(set.has(block), 'live allocations do not overlap');
        set.add(block);
      }
      for (const segment of a.created) {
        assert.not.ok(announced.has(segment), 'a segment is announced once');
        announced.add(segment);
      }
      for (const p of a.places) {
        assert.ok(announced.has(p.segment), 'a segment is announced with its first block');
        assert.not.ok(disk.retired.has(p.segment), 'a retired segment gets nothing');
        assert.ok(p.segmentBlock + p.count <= (disk.reserved.get(p.segment) ?? 0), 'reserved');
      }
      undoable.push(a);
    }
    if (s.act === 'undo') {
      const a = undoable.pop();
      if (a !== undefined) {
        allocator.unallocate(a);
        promised += total(a.places);
        for (const [set, block] of blocksOf(a)) set.delete(block);
        for (const segment of a.created) announced.delete(segment);
      }
    }
    if (s.act === 'end') allocator.endStream(s.stream);
    if (s.act === 'fill') {
      disk.fill();
      undoable = [];
    }
    assert.ok(allocator.freeBlocks >= 0, 'promises never exceed the room');
    assert.is(allocator.aheadBlocks - allocator.freeBlocks, promised);
  }
  // Whatever is still promised can be allocated, by a stream that never was.
  if (promised > 0) assert.is(total(allocator.allocate(promised, 99).places), promised);
}

test('no overlap, no broken promise, undo restores: against a naive model', () => {
  check(property(array(step, { maxLength: 80 }), runModel), { numRuns: 150 });
});

test('the same allocation after an undo gets the same blocks', () => {
  check(
    property(array(record({ blocks, stream: streams }), { maxLength: 12 }), (requests) => {
      const disk = new Reserving();
      for (const { blocks: n, stream } of requests) disk.take(n, stream);
      disk.fill(700);
      assert.ok(disk.allocator.promise(700));
      const before = disk.allocator.allocate(700, 0);
      disk.allocator.unallocate(before);
      assert.equal(disk.allocator.allocate(700, 0), before);
    }),
    { numRuns: 60 },
  );
});

test.run();

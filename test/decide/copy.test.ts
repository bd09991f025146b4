/** Given two files and a range, when it is copied, then these blocks are shared, those moved. */

import { array, assert as check, constantFrom, integer, property, tuple } from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { NOTHING_ATTACHED } from '../../src/decide/acl.ts';
import {
  copyRefusal,
  decideShare,
  firstPart,
  firstStep,
  withinSource,
  type SharedPart,
} from '../../src/decide/copy.ts';
import type { ContentsChanged, Event } from '../../src/model/event.ts';
import {
  EXTENT_OFFLINE,
  EXTENT_UNWRITTEN,
  endOf,
  isOffline,
  isUnwritten,
  pushMerged,
  type Extent,
} from '../../src/model/extent.ts';
import { ino, NO_SEGMENT, segmentNumber } from '../../src/model/ids.ts';
import { S_IFIFO, S_IFREG } from '../../src/model/inode.ts';
import { MAX_SIZE, sizeOf } from '../../src/model/size.ts';
import { CAPABILITY } from '../../src/model/xattr.ts';
import { directory, env, inode, NOW } from './given.ts';

const test = suite('decide copy');

const sized = (bytes: number, number: number) => inode({ ino: ino(number), size: sizeOf(bytes) });

const range = (source: number, target: number, bytes: number) => ({
  source: sizeOf(source),
  target: sizeOf(target),
  bytes,
});

const refusal = (source = inode(), target = inode({ ino: ino(3000) }), what = range(0, 0, 1)) =>
  copyRefusal(source, target, what)?.name;

test('only regular files are copied, and not beyond the largest size', () => {
  assert.is(refusal(), undefined);
  assert.is(refusal(directory()), 'EISDIR');
  assert.is(refusal(inode(), directory()), 'EISDIR');
  assert.is(refusal(inode({ mode: S_IFIFO | 0o644 })), 'EINVAL');
  assert.is(refusal(inode(), inode({ ino: ino(3000), mode: S_IFIFO | 0o644 })), 'EINVAL');
  const beyond = { source: sizeOf(0), target: MAX_SIZE, bytes: 1 };
  assert.is(refusal(undefined, undefined, beyond), 'EFBIG');
  assert.is(refusal(undefined, undefined, { ...beyond, bytes: 0 }), undefined);
});

test('a file is not copied onto itself', () => {
  const within = (source: number, target: number, bytes: number) =>
    refusal(inode(), inode(), range(source, target, bytes));
  assert.is(within(0, 0, 1), 'EINVAL');
  assert.is(within(0, 4096, 4097), 'EINVAL');
  assert.is(within(4096, 0, 4097), 'EINVAL');
  assert.is(within(0, 4096, 4096), undefined);
  assert.is(within(4096, 0, 4096), undefined);
  assert.is(refusal(inode(), inode({ ino: ino(9) }), range(0, 0, 10)), undefined);
});

test('a range ends with its source', () => {
  const source = inode({ size: sizeOf(10_000) });
  const bytes = (at: number, length: number) => withinSource(range(at, 0, length), source).bytes;
  assert.equal(
    [bytes(0, 10_001), bytes(9_999, 5), bytes(5000, 100), bytes(10_000, 5), bytes(2 ** 40, 5)],
    [10_000, 1, 100, 0, 0],
  );
  const largest = inode({ size: MAX_SIZE });
  assert.is(withinSource(range(0, 0, 2 ** 39), largest).bytes, 2 ** 39);
});

test('whole blocks that stand alike are shared, the rest is moved', () => {
  const first = (source: number, target: number, bytes: number, sizes = [1e6, 0]) =>
    firstPart(range(source, target, bytes), sized(sizes[0]!, 2000), sized(sizes[1]!, 3000));
  const shared = (sourceBlock: number, targetBlock: number, blocks: number, bytes: number) => ({
    sourceBlock,
    targetBlock,
    blocks,
    bytes,
  });
  assert.equal(first(4096, 12_288, 9000), shared(1, 3, 2, 8192));
  assert.equal(first(4100, 4, 9000), { moved: 4092 });
  assert.equal(first(4100, 4, 90), { moved: 90 });
  assert.equal(first(4100, 5, 9000), { moved: 9000 });
  assert.equal(first(4096, 0, 4095), { moved: 4095 });
  assert.equal(first(0, 4096, 4096), shared(0, 1, 1, 4096));
});

test('the last block is shared in part where it is the end of both', () => {
  const last = (bytes: number, source: number, target: number) =>
    firstPart(range(0, 0, bytes), sized(source, 2000), sized(target, 3000));
  const whole = { sourceBlock: 0, targetBlock: 0 };
  assert.equal(last(5000, 5000, 0), { ...whole, blocks: 2, bytes: 5000 });
  assert.equal(last(5000, 5000, 5000), { ...whole, blocks: 2, bytes: 5000 });
  assert.equal(last(5000, 5000, 5001), { ...whole, blocks: 1, bytes: 4096 }, 'more follows');
  assert.equal(last(5000, 5001, 0), { ...whole, blocks: 1, bytes: 4096 }, 'not the end');
  assert.equal(last(5, 5, 0), { ...whole, blocks: 1, bytes: 5 });
  assert.equal(last(5, 5, 6), { moved: 5 });
  const same = sized(5000, 2000);
  const within = firstPart(range(0, 8192, 5000), same, same);
  assert.equal(within, { sourceBlock: 0, targetBlock: 2, blocks: 1, bytes: 4096 }, 'it grows');
});

const extent = (block: number, count: number, flags = 0): Extent => ({
  block,
  count,
  segment: segmentNumber(7),
  segmentBlock: 1000 + block,
  flags,
});
const offline = (block: number, count: number): Extent => ({
  ...extent(block, count, EXTENT_OFFLINE),
  segment: NO_SEGMENT,
  segmentBlock: 0,
});
const part: SharedPart = { sourceBlock: 10, targetBlock: 20, blocks: 8, bytes: 8 * 4096 - 1 };

test('a step goes as far as the extents that were looked at', () => {
  assert.equal(firstStep(part, [], []), part);
  assert.equal(firstStep(part, [extent(5, 100)], [extent(25, 100)]), part);
  const bounded = firstStep(part, [extent(10, 1), extent(12, 2)], []);
  assert.equal(bounded, { ...part, blocks: 4, bytes: 4 * 4096 });
  assert.equal(firstStep(part, [], [extent(20, 3)]), { ...part, blocks: 3, bytes: 3 * 4096 });
});

test('offline blocks are moved, which waits for them, and what is before them is shared', () => {
  assert.equal(firstStep(part, [offline(8, 5)], []), { moved: 3 * 4096 });
  assert.equal(firstStep(part, [offline(10, 100)], []), { moved: part.bytes });
  const before = firstStep(part, [extent(10, 2), offline(12, 100)], []);
  assert.equal(before, { ...part, blocks: 2, bytes: 2 * 4096 });
  assert.equal(firstStep(part, [offline(18, 1)], []), part);
});

const bare = { attached: NOTHING_ATTACHED };
const contents = (events: readonly Event[]): ContentsChanged => events.at(-1) as ContentsChanged;
const decide = (held: readonly Extent[], replaced: readonly Extent[], set = {}, kill = false) =>
  decideShare({ ...bare, target: inode(set), held, replaced }, part, kill, env());

test('the target gets the source’s blocks, a size, times and a version', () => {
  const events = decide([extent(8, 4), extent(14, 100)], [], { dataVersion: 4n });
  assert.is(events.length, 2);
  const mapped = [
    { ...extent(10, 2), block: 20 },
    { ...extent(14, 4), block: 24 },
  ];
  assert.equal(events[0], { type: 'ExtentsMapped', ino: 2000, extents: mapped });
  const { size, mtime, ctime, dataVersion, mode } = contents(events);
  assert.equal([size, mtime, ctime], [sizeOf(20 * 4096 + part.bytes), NOW, NOW]);
  assert.equal([dataVersion, mode], [5n, undefined]);
  const large = { size: sizeOf(1e6), mode: S_IFREG | 0o6755 };
  assert.equal(contents(decide([], [], large)).size, sizeOf(1e6));
  assert.is(contents(decide([], [], large)).mode, undefined, 'root keeps set-id bits');
  assert.is(contents(decide([], [], large, true)).mode, S_IFREG | 0o755);
});

test('a copy into a program takes its capabilities away', () => {
  const attached = { acl: undefined, capability: true };
  const facts = { target: inode(), attached, held: [extent(10, 8)], replaced: [] };
  const [first] = decideShare(facts, part, false, env());
  assert.equal(first, { type: 'XattrRemoved', ino: 2000, name: CAPABILITY, ctime: NOW });
});

test('holes and unwritten blocks are copied as holes, over what was there', () => {
  const events = decide(
    [extent(10, 1), extent(11, 3, EXTENT_UNWRITTEN), extent(16, 1)],
    [extent(18, 3), extent(22, 1), extent(23, 2), extent(26, 50)],
  );
  assert.equal(events.slice(0, -1), [
    { type: 'ExtentsRemoved', ino: 2000, block: 22, count: 3 },
    { type: 'ExtentsRemoved', ino: 2000, block: 27, count: 1 },
    {
      type: 'ExtentsMapped',
      ino: 2000,
      extents: [
        { ...extent(10, 1), block: 20 },
        { ...extent(16, 1), block: 26 },
      ],
    },
  ]);
});

test('a hole leaves the target’s unwritten blocks, whose space was promised', () => {
  const staging = extent(24, 1, EXTENT_UNWRITTEN | EXTENT_OFFLINE);
  const events = decide([], [extent(20, 4, EXTENT_UNWRITTEN), staging]);
  assert.equal(events.slice(0, -1), [{ type: 'ExtentsRemoved', ino: 2000, block: 24, count: 1 }]);
});

/** Extents of a file, from lengths and kinds of consecutive stretches. */
const fileArbitrary = array(
  tuple(integer({ min: 1, max: 4 }), constantFrom('hole', 'data', 'un')),
  {
    maxLength: 12,
  },
).map((stretches) => {
  const extents: Extent[] = [];
  let at = 0;
  for (const [count, kind] of stretches) {
    const flags = kind === 'un' ? EXTENT_UNWRITTEN : 0;
    if (kind !== 'hole') pushMerged(extents, extent(at, count, flags));
    at += count;
  }
  return extents;
});

/** What block `at` holds: a segment block, or undefined for zeros. */
function blockAt(extents: readonly Extent[], at: number): number | undefined {
  const found = extents.find((e) => e.block <= at && at < endOf(e));
  if (found === undefined || isUnwritten(found) || isOffline(found)) return undefined;
  return found.segmentBlock + at - found.block;
}

test('property: after a step each block of it reads as the source’s, all others as before', () => {
  check(
    property(
      tuple(
        fileArbitrary,
        fileArbitrary,
        integer({ max: 20, min: 0 }),
        integer({ max: 20, min: 0 }),
      ),
      integer({ min: 1, max: 30 }),
      ([source, target, sourceBlock, targetBlock], blocks) => {
        const other = target.map((e) => ({ ...e, segment: segmentNumber(8) }));
        const behind = (list: readonly Extent[], from: number) =>
          list.filter((e) => endOf(e) > from).slice(0, 3);
        const [held, replaced] = [behind(source, sourceBlock), behind(other, targetBlock)];
        const whole = { sourceBlock, targetBlock, blocks, bytes: blocks * 4096 };
        const step = firstStep(whole, held, replaced) as SharedPart;
        assert.ok(step.blocks >= 1 && step.blocks <= blocks);
        const events = decideShare(
          { ...bare, target: inode(), held, replaced },
          step,
          false,
          env(),
        );
        const shown = new Map<number, number | undefined>();
        for (let at = 0; at < 80; at++) shown.set(at, blockAt(other, at));
        for (const event of events) {
          if (event.type === 'ExtentsRemoved') {
            for (let i = 0; i < event.count; i++) shown.set(event.block + i, undefined);
          } else if (event.type === 'ExtentsMapped') {
            for (const e of event.extents) {
              assert.is(e.segment, 7);
              for (let i = 0; i < e.count; i++) shown.set(e.block + i, e.segmentBlock + i);
            }
          }
        }
        for (let at = 0; at < 80; at++) {
          const isCopied = at >= targetBlock && at < targetBlock + step.blocks;
          const expected = isCopied
            ? blockAt(source, at - targetBlock + sourceBlock)
            : blockAt(other, at);
          assert.is(shown.get(at), expected, `block ${at}`);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test.run();

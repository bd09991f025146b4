/** Ranges on blocks: against bytes one by one, and steps against blocks one by one. */

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { NOTHING_ATTACHED } from '../../src/decide/acl.ts';
import {
  ALLOCATE_STEP_BLOCKS,
  decideRangeStep,
  FALLOC_KEEP_SIZE,
  FALLOC_PUNCH_HOLE,
  FALLOC_ZERO_RANGE,
  planRange,
  rangeChange,
  rangeStep,
  unwrittenExtents,
  workOf,
  type RangeChange,
  type RangeStep,
} from '../../src/decide/ranges.ts';
import { isRefusal } from '../../src/model/errno.ts';
import { endOf, EXTENT_UNWRITTEN, type Extent } from '../../src/model/extent.ts';
import { BLOCK_BYTES, NO_SEGMENT, segmentNumber } from '../../src/model/ids.ts';
import { S_IFDIR, S_IFIFO, S_IFREG } from '../../src/model/inode.ts';
import { bytesOfSize, MAX_SIZE, sizeOf } from '../../src/model/size.ts';
import { inode, NOW } from './given.ts';

const test = suite('decide: ranges');
const SEVEN = segmentNumber(7);

const changed = (mode: number, from: number, length: number): RangeChange => {
  const change = rangeChange(mode, sizeOf(from), sizeOf(length));
  if (isRefusal(change)) throw new Error(change.name);
  return change;
};

const MODES = [
  FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE,
  FALLOC_ZERO_RANGE,
  FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE,
];
/** Bytes near the edges of blocks, and others. */
const byte = (most: number) =>
  fc.oneof(
    fc.integer({ min: 0, max: most }),
    fc
      .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: -2, max: 2 }))
      .map(([block, off]) => Math.min(most, Math.max(0, block * BLOCK_BYTES + off))),
  );

test('only modes that are offered, and ranges that can be', () => {
  const refusal = (mode: number, length = 1, start = sizeOf(0)) => {
    const change = rangeChange(mode, start, sizeOf(length));
    return isRefusal(change) ? change.name : change.kind;
  };
  assert.equal(
    [0, 1, 3, 16, 17].map((mode) => refusal(mode)),
    ['allocate', 'allocate', 'punch', 'zero', 'zero'],
  );
  for (const mode of [2, 4, 8, 9, 18, 19, 32, 33, 64, 65, 128, 2 ** 31]) {
    assert.is(refusal(mode), 'EOPNOTSUPP', `mode ${mode}`);
  }
  assert.is(refusal(0, 0), 'EINVAL');
  assert.is(refusal(0, 1, MAX_SIZE), 'EFBIG');
  assert.is(refusal(0, 1, { ...MAX_SIZE, tail: MAX_SIZE.tail - 1 }), 'allocate');
});

test('the whole blocks and the edges of a range are its bytes, and no others of the file', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...MODES),
      byte(24_000),
      byte(24_000),
      fc.integer({ min: 1, max: 20_000 }),
      (mode, size, from, length) => {
        const plan = planRange(changed(mode, from, length), sizeOf(size));
        const bytes = Buffer.alloc(16 * BLOCK_BYTES).fill('x', 0, size);
        const expected = Buffer.from(bytes);
        expected.subarray(from, from + length).fill(0);
        const { edges, inner, outer } = plan;
        bytes.subarray(inner.from * BLOCK_BYTES, inner.to * BLOCK_BYTES).fill(0);
        for (const edge of edges) {
          assert.ok(edge.from < edge.to && edge.to <= BLOCK_BYTES, 'an edge has bytes');
          assert.ok(edge.block < inner.from || edge.block >= inner.to, 'an edge is not whole');
          assert.ok(edge.block >= outer.from && edge.block < outer.to);
          const at = edge.block * BLOCK_BYTES;
          bytes.subarray(at + edge.from, at + edge.to).fill(0);
        }
        assert.ok(edges.length <= 2 && edges[0]?.block !== (edges[1]?.block ?? -1));
        assert.ok(bytes.equals(expected));
      },
    ),
    { numRuns: 2000 },
  );
});

/** Extents of a file, from what each block is: a hole, written, or unwritten. */
function extentsOf(blocks: readonly number[]): Extent[] {
  const extents: Extent[] = [];
  for (const [block, state] of blocks.entries()) {
    const last = extents.at(-1);
    const flags = state === 2 ? EXTENT_UNWRITTEN : 0;
    if (state === 0) continue;
    if (last !== undefined && endOf(last) === block && last.flags === flags) {
      extents[extents.length - 1] = { ...last, count: last.count + 1 };
    } else extents.push({ block, count: 1, segment: SEVEN, segmentBlock: block, flags });
  }
  return extents;
}

test('the steps of a range do to each block what is to be done, once', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(0, ...MODES),
      fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 30 }),
      byte(100_000),
      fc.integer({ min: 1, max: 60_000 }),
      fc.integer({ min: 1, max: 4 }),
      (mode, blocks, from, length, most) => {
        const size = sizeOf(blocks.length * BLOCK_BYTES);
        const plan = planRange(changed(mode, from, length), size);
        const extents = extentsOf(blocks);
        const done = new Map<number, number>();
        let at = workOf(plan).from;
        for (let isLast = false; !isLast;) {
          const some = extents.filter((e) => endOf(e) > at && e.block < workOf(plan).to);
          const seen = some.slice(0, most);
          const known = some.length > seen.length ? endOf(seen.at(-1)!) : workOf(plan).to;
          const step = rangeStep(plan, at, seen, known);
          for (const range of step.lacking) {
            for (let b = range.from; b < range.to; b++) done.set(b, (done.get(b) ?? 0) + 1);
          }
          const { removed } = step;
          for (let b = removed?.from ?? 0; b < (removed?.to ?? 0); b++) done.set(b, 1);
          assert.ok(step.next > at || step.isLast, 'it goes on');
          at = step.next;
          isLast = step.isLast;
        }
        for (let b = 0; b < 60; b++) {
          const state = blocks[b] ?? 0;
          const isInner = b >= plan.inner.from && b < plan.inner.to;
          const isOuter = b >= plan.outer.from && b < plan.outer.to;
          if (plan.kind === 'punch') {
            assert.ok(done.has(b) ? isInner : !isInner || state === 0, `block ${b}`);
          } else {
            const isZeroed = plan.kind === 'zero' && isInner && state === 1;
            const expected = isOuter && (state === 0 || isZeroed) ? 1 : 0;
            assert.is(done.get(b) ?? 0, expected, `block ${b}`);
          }
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test('a step allocates no more than it may, and the largest file has an end', () => {
  const huge = rangeChange(1, sizeOf(0), MAX_SIZE);
  if (isRefusal(huge)) throw new Error(huge.name);
  const plan = planRange(huge, sizeOf(0));
  assert.equal(plan.outer, { from: 0, to: 2 ** 51 });
  const step = rangeStep(plan, 5, [], 2 ** 51);
  assert.equal(step.lacking, [{ from: 5, to: 5 + ALLOCATE_STEP_BLOCKS }]);
  assert.equal([step.next, step.isLast], [5 + ALLOCATE_STEP_BLOCKS, false]);
  const end = rangeStep(plan, 2 ** 51 - 3, [], 2 ** 51);
  assert.equal([end.next, end.isLast], [2 ** 51, true]);
});

test('ranges are laid end to end into places', () => {
  const places = [
    { segment: SEVEN, segmentBlock: 10, count: 3 },
    { segment: segmentNumber(8), segmentBlock: 0, count: 2 },
  ];
  const flags = EXTENT_UNWRITTEN;
  assert.equal(
    unwrittenExtents(
      [
        { from: 4, to: 6 },
        { from: 9, to: 12 },
      ],
      places,
    ),
    [
      { block: 4, count: 2, segment: SEVEN, segmentBlock: 10, flags },
      { block: 9, count: 1, segment: SEVEN, segmentBlock: 12, flags },
      { block: 10, count: 2, segment: segmentNumber(8), segmentBlock: 0, flags },
    ],
  );
});

test('what a step says: contents where bytes or the size change, else ctime alone', () => {
  const file = inode({ mode: S_IFREG | 0o4755, size: sizeOf(5000), dataVersion: 4n });
  const none: RangeStep = { lacking: [], removed: undefined, next: 1, isLast: true };
  const events = (change: RangeChange, step: RangeStep, isFirst = true) => {
    const parts = { dataEvents: [], edges: [], allocated: [], killPrivileges: true };
    const answer = decideRangeStep(file, NOTHING_ATTACHED, {
      change,
      step,
      isFirst,
      time: NOW,
      ...parts,
    });
    if (isRefusal(answer)) throw new Error(answer.name);
    return answer;
  };
  const kept = events(changed(FALLOC_KEEP_SIZE, 0, 9000), none);
  assert.equal(
    kept.map(({ type }) => type),
    ['AttributesChanged'],
  );
  assert.equal((kept[0] as { ctime: unknown; mtime: unknown }).ctime, NOW);
  assert.is((kept[0] as { mtime: unknown }).mtime, undefined);
  const within = events(changed(0, 0, 5000), none);
  assert.equal(
    within.map(({ type }) => type),
    ['AttributesChanged'],
  );
  const [grown] = events(changed(0, 0, 9000), none);
  assert.equal(grown, {
    type: 'ContentsChanged',
    ino: file.ino,
    size: sizeOf(9000),
    mtime: NOW,
    ctime: NOW,
    dataVersion: 5n,
    mode: S_IFREG | 0o755,
    truncateMark: undefined,
  });
  const early = events(changed(0, 0, 9000), { ...none, isLast: false });
  assert.equal(
    early.map(({ type }) => type),
    ['AttributesChanged'],
    'it grows at the end',
  );
  assert.equal(events(changed(FALLOC_KEEP_SIZE, 0, 9000), none, false), [], 'nothing more to say');
  const punched = events(changed(3, 0, 4096), { ...none, removed: { from: 0, to: 1 } });
  assert.equal(punched[0], { type: 'ExtentsRemoved', ino: file.ino, block: 0, count: 1 });
  assert.is((punched[1] as { size: object }).size, file.size);
  const empty = changed(3, 8192, 4096);
  assert.is(events(empty, none)[0]?.type, 'ContentsChanged', 'also where there was a hole');
});

test('only regular files have ranges', () => {
  const step: RangeStep = { lacking: [], removed: undefined, next: 1, isLast: true };
  for (const [mode, name] of [
    [S_IFDIR, 'EISDIR'],
    [S_IFIFO, 'ENODEV'],
  ] as const) {
    const answer = decideRangeStep(inode({ mode: mode | 0o644 }), NOTHING_ATTACHED, {
      change: changed(0, 0, 1),
      step,
      isFirst: true,
      time: NOW,
      killPrivileges: false,
      dataEvents: [],
      edges: [],
      allocated: [],
    });
    assert.is(isRefusal(answer) ? answer.name : 'granted', name);
  }
});

test('an offline extent is not a hole, and is zeroed like what is written', () => {
  const offline = { block: 0, count: 4, segment: NO_SEGMENT, segmentBlock: 0, flags: 1 };
  const size = sizeOf(4 * BLOCK_BYTES);
  const lacking = (mode: number) =>
    rangeStep(planRange(changed(mode, 0, bytesOfSize(size)), size), 0, [offline], 4).lacking;
  assert.equal(lacking(0), []);
  assert.equal(lacking(FALLOC_ZERO_RANGE), [{ from: 0, to: 4 }]);
});

test.run();

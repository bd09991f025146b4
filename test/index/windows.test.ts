/** Range windows show exactly the current items, or miss: against a naive list. */

import { assert as check, asyncProperty, integer } from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Miss } from '../../src/index/items.ts';
import { overlapping, placedEnd, type Placed } from '../../src/index/placed.ts';
import { NO_END, Windows, type LoadedRange } from '../../src/index/windows.ts';
import { seeded } from './generate.ts';

const test = suite('index windows');
const GROUP = 7;

interface Item extends Placed {
  readonly mark: number;
}

/** The current items of one group, sorted; what LevelDB and the overlay would hold. */
class Naive {
  items: Item[] = [];

  /** A read that starts now and answers when `release` is called. */
  read(from: number, to: number, margin: number): LoadedRange<Item> {
    const items = this.items.filter((i) => placedEnd(i) > from - margin && i.block < to + margin);
    const first = items[0];
    const next = this.items.find((i) => i.block >= to + margin);
    return {
      from: first === undefined ? from : Math.min(from, first.block),
      to: next === undefined ? NO_END : Math.max(to, next.block),
      items,
    };
  }

  /** Replaces [from, to) by an item that may swallow neighbours it touches, or by nothing. */
  replace(windows: Windows<Item>, from: number, to: number, mark: number | undefined): void {
    const touched = this.items.filter((i) => placedEnd(i) >= from && i.block <= to);
    let [low, high] = [from, to];
    const result: Item[] = [];
    for (const old of touched) {
      if (
        mark !== undefined &&
        old.mark === mark &&
        (placedEnd(old) === from || old.block === to)
      ) {
        low = Math.min(low, old.block);
        high = Math.max(high, placedEnd(old));
        continue;
      }
      if (old.block < from)
        result.push({ ...old, count: Math.min(placedEnd(old), from) - old.block });
      if (placedEnd(old) > to) {
        const block = Math.max(old.block, to);
        result.push({ ...old, block, count: placedEnd(old) - block });
      }
    }
    if (mark !== undefined) result.push({ block: low, count: high - low, mark });
    for (const old of touched) windows.remove(GROUP, old.block);
    for (const item of result) windows.put(GROUP, item.block, item);
    windows.settle();
    this.items = this.items.filter((i) => !touched.includes(i)).concat(result);
    this.items.sort((a, b) => a.block - b.block);
  }
}

function assertTrue(windows: Windows<Item>, naive: Naive, from: number, to: number): boolean {
  try {
    assert.equal(windows.find(GROUP, from, to), overlapping(naive.items, from, to));
    return true;
  } catch (error) {
    if (!(error instanceof Miss)) throw error;
    return false;
  }
}

function assertFirst(windows: Windows<Item>, naive: Naive, from: number): void {
  const expected = naive.items.filter((i) => placedEnd(i) > from);
  try {
    const first = windows.findFirst(GROUP, from, 3);
    assert.equal(first, expected.slice(0, first.length));
    assert.ok(first.length > 0 || expected.length === 0);
  } catch (error) {
    if (!(error instanceof Miss)) throw error;
  }
}

test('random maps, removals, loads and evictions', async () => {
  const property = asyncProperty(integer(), async (seed) => {
    const random = seeded(seed);
    const below = (n: number): number => Math.floor(random() * n);
    const naive = new Naive();
    const windows = new Windows<Item>('extent', 60);
    const loads: Promise<void>[] = [];
    const releases: (() => void)[] = [];
    for (let step = 0; step < 400; step++) {
      const from = below(300);
      const to = from + 1 + below(12);
      const dice = below(10);
      if (dice < 5) {
        // A mutation is projected against what it touches, so that is in memory.
        const low = Math.max(0, from - 1);
        while (!assertTrue(windows, naive, low, to + 1)) {
          // It may share a load under way.
          for (const release of releases.splice(0)) release();
          await windows.load(GROUP, low, to + 1, () =>
            Promise.resolve(naive.read(low, to + 1, below(30))),
          );
        }
        naive.replace(windows, from, to, below(4) === 0 ? undefined : below(2));
      } else if (dice < 7) {
        // A load that is overtaken by what is applied before it ends.
        const range = naive.read(from, to, below(30));
        const ready = new Promise<void>((resolve) => releases.push(resolve));
        loads.push(windows.load(GROUP, from, to, () => ready.then(() => range)));
      } else if (dice === 7) {
        releases.shift()?.();
        await new Promise<void>((resolve) => void setImmediate(resolve));
      } else if (dice === 8 && below(10) === 0) {
        windows.forget(GROUP);
      } else if (assertTrue(windows, naive, from, to)) {
        assertFirst(windows, naive, from);
      }
      assert.ok(
        windows.weight <= Math.max(60, naive.items.length + 40),
        `weight ${windows.weight}`,
      );
    }
    for (const release of releases) release();
    await Promise.all(loads);
    for (let from = 0; from < 300; from += 7) assertTrue(windows, naive, from, from + 9);
  });
  await check(property, { numRuns: 60, includeErrorInReport: true });
});

test('a group known to be empty misses nothing, and grows beyond one window', () => {
  const windows = new Windows<Item>('extent', 1_000_000);
  windows.knowEmpty(GROUP);
  assert.equal(windows.find(GROUP, 0, NO_END), []);
  const items = Array.from({ length: 5000 }, (_, i) => ({ block: i * 2, count: 1, mark: i }));
  for (const item of items) {
    windows.put(GROUP, item.block, item);
    windows.settle();
  }
  assert.equal(windows.find(GROUP, 0, NO_END), items);
  assert.equal(windows.find(GROUP, 4001, 4007), items.slice(2001, 2004));
  assert.equal(windows.findFirst(GROUP, 3, 2000), items.slice(2, 2002));
});

test('a reader goes on from what is known, or begins at the beginning, or jumps', async () => {
  const windows = new Windows<Item>('extent', 1000);
  const item = { block: 10, count: 5, mark: 1 };
  await windows.load(GROUP, 10, 15, () => Promise.resolve({ from: 10, to: 20, items: [item] }));
  const wanted = [0, 1, 10, 11, 15, 20, 21];
  const inOrder = wanted.filter((from) => windows.continuesAt(GROUP, from));
  assert.equal(inOrder, [0, 11, 15, 20]);
  assert.is(windows.continuesAt(GROUP + 1, 20), false);
});

test('windows are bounded: the least recently used go first, and are missed', () => {
  const windows = new Windows<Item>('ref', 50);
  for (let group = 1; group <= 20; group++) {
    windows.knowWhole(group, [{ block: 0, count: 1, mark: group }]);
    windows.find(1, 0, 1);
  }
  assert.ok(windows.weight <= 50);
  assert.equal(windows.find(1, 0, 1), [{ block: 0, count: 1, mark: 1 }]);
  try {
    windows.find(2, 5, 9);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, Miss);
    const { family, group, from, to } = error as Miss;
    assert.equal({ family, group, from, to }, { family: 'ref', group: 2, from: 5, to: 9 });
  }
});

test('a load that fails leaves nothing behind and can be tried again', async () => {
  const windows = new Windows<Item>('extent', 50);
  const failing = windows.load(GROUP, 0, 5, () => Promise.reject(new Error('unreadable')));
  await failing.then(
    () => assert.unreachable(),
    (error: Error) => assert.match(error.message, 'unreadable'),
  );
  await windows.load(GROUP, 0, 5, () => Promise.resolve({ from: 0, to: 5, items: [] }));
  assert.equal(windows.find(GROUP, 0, 5), []);
});

test.run();

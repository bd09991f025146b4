/**
 * Properties of the whole index over random operations: it shows what a naive model shows; it is
 * the same however it came about; and its past is the past that was.
 */

import { assert as check, asyncProperty, integer } from 'fast-check';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { differences } from '../../src/index/compare.ts';
import { listCheckpoints, readCheckpoint, writeCheckpoint } from '../../src/index/checkpoint.ts';
import { digestOf } from '../../src/index/digest.ts';
import { itemAt, scanAt, type HistoryFamily } from '../../src/index/history.ts';
import { Index } from '../../src/index/index.ts';
import { decodeNumber, FAMILY, HISTORY_FAMILIES } from '../../src/index/keys.ts';
import { afterPrefix } from '../../src/index/layer.ts';
import { buildIndex, rebuildIndex, replay } from '../../src/index/rebuild.ts';
import { backrefs, listXattrs, orphans, readDirectory } from '../../src/index/views.ts';
import { nodeDisk as disk } from '../../src/io/node-disk.ts';
import { isOffline, isOnline, isMapped } from '../../src/model/extent.ts';
import type { Event } from '../../src/model/event.ts';
import { FIRST_POSITION, ino, rid, segmentNumber, seq, type Seq } from '../../src/model/ids.ts';
import {
  batches,
  commit,
  dump,
  inFolder,
  loaded,
  rowsOf,
  withIndex,
  withoutAccess,
} from './fixture.ts';
import { Workload } from './generate.ts';

const test = suite('index state');
const seeds = integer({ min: 0, max: 2 ** 32 - 1 });
const RUNS = 12;

/** Applies with commits, writes, reads and tiny caches thrown in at random. */
async function applyRoughly(index: Index, work: Workload, count: number): Promise<void> {
  let persisting: Promise<void> = Promise.resolve();
  for (let i = 0; i < count; i++) {
    await commit(index, work.next());
    const dice = work.below(12);
    if (dice === 0) index.freezeLayer();
    if (dice === 1) persisting = index.persist(index.applied);
    if (dice === 2) await persisting;
    if (dice === 3) index.snapshot().close();
  }
  await persisting;
}

const TINY = { cacheItems: 4, windowItems: 40 };

test('the index shows what a naive model of the volume shows', async () => {
  const property = asyncProperty(seeds, async (seed) => {
    await withIndex(async (index) => {
      const work = new Workload({ seed });
      await applyRoughly(index, work, 150);
      await assertShows(index, work);
    }, TINY);
  });
  await check(property, { numRuns: RUNS });
});

async function assertShows(index: Index, work: Workload): Promise<void> {
  const volume = index.volume();
  assert.is(volume?.inodes, work.files.size + work.directories.size);
  const snapshot = index.snapshot();
  const owners = new Map<string, number>();
  for (const file of work.files.values()) {
    const inode = index.inode(file.ino);
    assert.is(inode?.nlink, file.nlink);
    assert.is(index.isOrphan(file.ino), file.nlink === 0);
    assert.is(inode?.dataVersion, file.dataVersion);
    assert.is(inode?.xattrs, file.xattrs.size);
    assert.equal(await listXattrs(snapshot, file.ino), [...file.xattrs.keys()].sort());
    for (const [name, value] of file.xattrs) {
      assert.is(index.xattr(file.ino, name as never)?.value.toString(), value);
    }
    const extents = await loaded(index, () => index.extents(file.ino, 0, 1_000_000));
    const blocks = new Map();
    for (const e of extents) {
      for (let i = 0; i < e.count; i++) {
        const segmentBlock = isMapped(e) ? e.segmentBlock + i : 0;
        blocks.set(e.block + i, { segment: e.segment, segmentBlock, flags: e.flags });
      }
    }
    const expected = [...file.blocks].sort(([a], [b]) => a - b);
    assert.equal([...blocks], expected);
    const sum = (of: typeof isOnline) => extents.filter(of).reduce((n, e) => n + e.count, 0);
    assert.is(inode?.onlineBlocks, sum(isOnline));
    assert.is(inode?.offlineBlocks, sum(isOffline));
    assert.is(inode?.extents, extents.length);
    for (const block of file.blocks.values()) {
      if (block.segment === 0) continue;
      const name = `${block.segment}:${block.segmentBlock}`;
      owners.set(name, (owners.get(name) ?? 0) + 1);
    }
  }
  for (const dir of work.directories.values()) {
    const listed = await readDirectory(snapshot, dir.ino, FIRST_POSITION, 1000);
    const entries = [...dir.entries].map(([name, entry]) => ({ name, ...entry }));
    assert.equal(
      listed.map((e) => ({ ...e })),
      entries.map(({ name, ino, kind, position }) => ({
        name: name as never,
        ino,
        kind,
        position,
        inode: undefined,
      })),
    );
    for (const { name, ino, position } of entries) {
      assert.is(index.dirent(dir.ino, name as never)?.ino, ino);
      const refs = await backrefs(snapshot, ino);
      assert.ok(refs.some((ref) => ref.dir === dir.ino && ref.position === position));
    }
    assert.is(index.dirent(dir.ino, 'never' as never), undefined);
  }
  const orphaned = [];
  for await (const ino of orphans(snapshot)) orphaned.push(ino);
  assert.equal(
    orphaned,
    [...work.files.values()]
      .filter((f) => f.nlink === 0)
      .map((f) => f.ino)
      .sort((a, b) => a - b),
  );
  await assertReferences(index, owners);
  for (const [place, sum] of work.checksums) {
    const [segment, block] = place.split(':').map(Number);
    assert.is(index.checksum(segment as never, block as number), sum);
  }
  const all = await dump(index);
  const metaSeqs = (all['inode'] ?? []).map(({ value }) => (value as { metaSeq: Seq }).metaSeq);
  assert.is(all['metaSeq']?.length, metaSeqs.length);
  assert.is(all['dataSeq']?.length, work.files.size);
  assert.is(all['position']?.length, all['dirent']?.length);
  snapshot.close();
}

async function assertReferences(index: Index, owners: ReadonlyMap<string, number>): Promise<void> {
  const { ref = [], freed = [] } = await dump(index, ['ref', 'freed']);
  const found = new Map<string, number>();
  for (const { key, value } of ref as { key: string; value: { count: number; owners: number } }[]) {
    const segment = decodeNumber(key, 1);
    const block = decodeNumber(key, 9);
    for (let i = 0; i < value.count; i++) found.set(`${segment}:${block + i}`, value.owners);
  }
  assert.equal(found, owners);
  assert.is(index.volume()?.usedBlocks, owners.size);
  let held = 0;
  for (const { key, value } of freed as { key: string; value: { count: number } }[]) {
    for (let i = 0; i < value.count; i++) {
      assert.not(
        owners.has(`${decodeNumber(key, 9)}:${decodeNumber(key, 17) + i}`),
        'freed, yet owned',
      );
    }
    held += value.count;
  }
  assert.is(index.volume()?.heldBlocks, held);
}

test('an index built at once equals the one that grew, item by item', async () => {
  const property = asyncProperty(seeds, async (seed) => {
    await withIndex(async (grown) => {
      await applyRoughly(grown, new Workload({ seed }), 150);
      await withIndex(async (built) => {
        await replay(built, batches(sameAs(seed, 150)));
        const [left, right] = [grown.snapshot(), built.snapshot()];
        for await (const difference of differences(left, right)) {
          assert.unreachable(
            `seed ${seed}: ${difference.family} ${JSON.stringify(difference.key)}`,
          );
        }
        assert.is(await digestOf(left), await digestOf(right));
        assert.equal(await dump(grown), await dump(built));
        left.close();
        right.close();
      });
    }, TINY);
  });
  await check(property, { numRuns: RUNS });
});

/** The transactions that `applyRoughly` makes of a seed: its dice come from the same generator. */
function sameAs(seed: number, count: number) {
  const work = new Workload({ seed });
  return Array.from({ length: count }, () => {
    const tx = work.next();
    work.below(12);
    return tx;
  });
}

test('the state at S equals a replay up to S', async () => {
  const property = asyncProperty(seeds, integer({ min: 1, max: 119 }), async (seed, upTo) => {
    const transactions = new Workload({ seed, maxFiles: 4, maxBlock: 25 }).take(120);
    const at = transactions[upTo - 1]?.seq as Seq;
    await withIndex(async (whole) => {
      await replay(whole, batches(transactions, 7));
      await withIndex(async (past) => {
        await replay(past, batches(transactions.slice(0, upTo), 7));
        const [now, then] = [whole.snapshot(), past.snapshot()];
        for (const family of HISTORY_FAMILIES as ReadonlySet<HistoryFamily>) {
          const prefix = FAMILY[family];
          const rows = [];
          for await (const row of scanAt(now, family, prefix, afterPrefix(prefix), at))
            rows.push(row);
          const expected = await rowsOf(then, family);
          assert.equal(
            rows.map(withoutAccess),
            expected.map(withoutAccess),
            `seed ${seed}, seq ${at}, ${family}`,
          );
          for (const row of expected) {
            const value = await itemAt(now, family, row.key, at);
            assert.equal(withoutAccess({ ...row, value }), withoutAccess(row));
          }
          for (const { key } of await rowsOf(now, family)) {
            if (expected.some((row) => row.key === key)) continue;
            assert.is(await itemAt(now, family, key, at), undefined);
          }
        }
        now.close();
        then.close();
      });
    });
  });
  await check(property, { numRuns: RUNS });
});

test('without history no before-image is kept', async () => {
  await withIndex(async (index) => {
    await replay(index, batches(new Workload({ seed: 5, historyMicros: 0 }).take(200)));
    assert.equal((await dump(index, ['history']))['history'], []);
  });
});

test('a checkpoint and the log behind it give what the whole log gives', async () => {
  const property = asyncProperty(seeds, integer({ min: 1, max: 119 }), async (seed, upTo) => {
    await inFolder(async (dir) => {
      const transactions = new Workload({ seed }).take(120);
      const whole = await buildIndex(join(dir, 'whole'), {
        transactions: () => batches(transactions),
      });
      const part = await buildIndex(join(dir, 'part'), {
        transactions: () => batches(transactions.slice(0, upTo)),
      });
      const snapshot = part.snapshot();
      const path = await writeCheckpoint(disk, dir, snapshot, Buffer.alloc(32));
      assert.equal(await listCheckpoints(disk, dir), [snapshot.seq]);
      const checkpoint = { seq: snapshot.seq, records: readCheckpoint(disk, path) };
      const target = join(dir, 'part2');
      await rebuildIndex({
        dir: target,
        disk,
        checkpoint,
        transactions: (after) => batches(transactions.filter((tx) => tx.seq > after)),
      });
      const again = await Index.open({ dir: target });
      assert.is(again.applied, whole.applied);
      const [left, right] = [whole.snapshot(), again.snapshot()];
      assert.is(await digestOf(left), await digestOf(right));
      for await (const difference of differences(left, right)) {
        const isOlder =
          difference.family === 'history' &&
          decodeNumber(difference.key, difference.key.length - 8) <= snapshot.seq;
        assert.ok(isOlder, `seed ${seed}: ${difference.family} ${JSON.stringify(difference.key)}`);
      }
      for (const index of [whole, part, again]) await index.close();
    });
  });
  await check(property, { numRuns: 6 });
});

test('a file of very many extents is read in parts, whatever is in memory', async () => {
  const count = 5000;
  const options = { windowItems: 1500, cacheItems: 100 };
  await withIndex(async (index) => {
    const format = new Workload({ seed: 1 }).next();
    await commit(index, format);
    const [, root] = format.events;
    const created = { ...root, ino: ino(1024), mode: 0o100600 } as Event;
    const segment = segmentNumber(1);
    const step = 500;
    for (let i = 0; i < count; i += step) {
      const extents = Array.from({ length: step }, (_, n) => {
        const block = (i + n) * 2;
        return { block, count: 1, segment, segmentBlock: block, flags: 0 };
      });
      const mapped: Event = { type: 'ExtentsMapped', ino: ino(1024), extents };
      const events: Event[] = i === 0 ? [created, mapped] : [mapped];
      if (i === 0) events.unshift({ type: 'SegmentCreated', segment, rid: rid(1) });
      await commit(index, { ...format, seq: seq(i + 2), events });
      index.freezeLayer();
      if (i % 1000 === 0) await index.persist(index.applied);
    }
    const blocksOf = (extents: readonly { block: number }[]) => extents.map((e) => e.block);
    for (let at = 0; at < count; at += 331) {
      const from = ((at * 7) % count) * 2;
      const wide = await loaded(index, () => index.extents(ino(1024), from + 1, from + 40));
      const expected = Array.from({ length: 19 }, (_, n) => from + 2 * (n + 1));
      assert.equal(
        blocksOf(wide),
        expected.filter((block) => block < count * 2),
      );
      const first = await loaded(index, () => index.firstExtents(ino(1024), from, 3));
      assert.ok(first.length > 0 && first.length <= 3);
      assert.equal(blocksOf(first), [from, from + 2, from + 4].slice(0, first.length));
    }
    assert.equal(await loaded(index, () => index.firstExtents(ino(1024), count * 2, 3)), []);
    assert.is(index.inode(ino(1024))?.extents, count);
    assert.is(index.volume()?.usedBlocks, count);
  }, options);
});

test('an index reopened goes on where it was persisted', async () => {
  await inFolder(async (dir) => {
    const transactions = new Workload({ seed: 9 }).take(100);
    const first = await Index.open({ dir });
    for (const tx of transactions.slice(0, 60)) await commit(first, tx);
    first.freezeLayer();
    const durable = first.applied;
    for (const tx of transactions.slice(60, 80)) await commit(first, tx);
    await first.persist(durable);
    assert.is(first.persisted, durable);
    await first.close();

    const second = await Index.open({ dir });
    assert.is(second.applied, durable);
    await replay(second, batches(transactions.filter((tx) => tx.seq > durable)));
    await withIndex(async (fresh) => {
      await replay(fresh, batches(transactions));
      assert.equal(await dump(second), await dump(fresh));
    });
    await second.close();
  });
});

test.run();

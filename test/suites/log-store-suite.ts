/** What every `LogStore` does, as a suite that takes a maker of empty stores. */

import * as assert from 'uvu/assert';
import type { Test } from 'uvu';
import { decodeTransactions } from '../../src/log/codec.ts';
import type { LogEnd } from '../../src/log/recovery.ts';
import type { LogStore, RecordChunk } from '../../src/log/store.ts';
import { seq, type Seq } from '../../src/model/ids.ts';
import type { Transaction } from '../../src/model/transaction.ts';
import { appendCommits, bulky, sample, unsealed } from '../log/samples.ts';

export interface LogUnderTest {
  readonly store: LogStore;
  readonly last: LogEnd;
  /** Closes the store and removes what it left. */
  readonly discard: () => Promise<void>;
}

async function readAll(chunks: AsyncIterable<RecordChunk>): Promise<Transaction[]> {
  const all: Transaction[] = [];
  for await (const chunk of chunks) all.push(...decodeTransactions(chunk).map(unsealed));
  return all;
}

/** The first `count` transactions of an endless iterable. */
async function take(chunks: AsyncIterable<RecordChunk>, count: number): Promise<Transaction[]> {
  const all: Transaction[] = [];
  for await (const chunk of chunks) {
    all.push(...decodeTransactions(chunk).map(unsealed));
    if (all.length >= count) break;
  }
  return all;
}

/** Adds the suite's tests to `test`. */
export function logStoreSuite(test: Test, make: () => Promise<LogUnderTest>): void {
  const on = (name: string, body: (log: LogUnderTest) => Promise<void>): void => {
    test(name, async () => {
      const log = await make();
      try {
        await body(log);
      } finally {
        await log.discard();
      }
    });
  };

  on('a new log is empty', async ({ store }) => {
    assert.is(store.durable, 0);
    assert.is(store.oldest, 1);
    assert.is(store.failure, undefined);
    assert.equal(await readAll(store.read(seq(1))), []);
  });

  on('what was appended is read in order', async ({ store, last }) => {
    const written = await appendCommits(store, last, [1, 3, 1, 20]);
    assert.is(store.durable, 25);
    assert.equal(await readAll(store.read(seq(1))), written);
    assert.equal(await readAll(store.read(seq(0))), written);
  });

  on('reading begins at any seq', async ({ store, last }) => {
    const written = await appendCommits(store, last, [2, 5, 1, 4]);
    for (let from = 1; from <= 13; from++) {
      assert.equal(await readAll(store.read(seq(from))), written.slice(from - 1));
    }
  });

  on('a commit of many blocks is one commit', async ({ store, last }) => {
    const make = (n: number): Transaction => bulky(n, 400_000);
    const written = await appendCommits(store, last, [9, 2], make);
    assert.equal(await readAll(store.read(seq(1))), written);
    assert.equal(await readAll(store.read(seq(6))), written.slice(5));
  });

  on('a read sees what was durable at its call, and no more', async ({ store, last }) => {
    const written = await appendCommits(store, last, [3]);
    const reading = store.read(seq(1))[Symbol.asyncIterator]();
    const first = await reading.next();
    await appendMore(store, last, written, 2);
    const seen = decodeTransactions(first.value as RecordChunk).map(unsealed);
    for (let next = await reading.next(); next.done !== true; next = await reading.next()) {
      seen.push(...decodeTransactions(next.value).map(unsealed));
    }
    assert.equal(seen, written);
    assert.is((await readAll(store.read(seq(1)))).length, 5);
  });

  on('followers get what is there and then what comes', async ({ store, last }) => {
    const written = await appendCommits(store, last, [3]);
    const stop = new AbortController();
    const early = take(store.follow(seq(2), stop.signal), 4);
    const late = take(store.follow(seq(5), stop.signal), 1);
    const more = await appendMore(store, last, written, 2);
    assert.equal(await early, [...written, ...more].slice(1));
    assert.equal(await late, more.slice(1));
    stop.abort();
  });

  on('an aborted follower ends, also one that waits', async ({ store, last }) => {
    await appendCommits(store, last, [1]);
    const stop = new AbortController();
    const following = readAll(store.follow(seq(1), stop.signal));
    const nothing = readAll(store.follow(seq(99), stop.signal));
    await new Promise((resolve) => setTimeout(resolve, 5));
    stop.abort();
    assert.is((await following).length, 1);
    assert.equal(await nothing, []);
    assert.equal(await readAll(store.follow(seq(1), stop.signal)), []);
  });

  on('two appends at once are a bug', async ({ store }) => {
    const batch = {
      firstSeq: seq(1),
      lastSeq: seq(1),
      count: 1,
      records: [{ count: 1, bytes: Buffer.alloc(64) }],
    };
    const first = store.append(batch);
    let refused: unknown;
    await store.append(batch).catch((error: unknown) => (refused = error));
    assert.match(String(refused), /one writer/);
    await first;
  });

  on('space that is reserved is there; without an end, none is refused', async ({ store }) => {
    for (let i = 0; i < 100; i++) assert.is(store.reserve(1000, i % 2 === 0), true);
  });
}

/** Appends `count` more samples in one commit behind `written`, on a second writer. */
async function appendMore(
  store: LogStore,
  last: LogEnd,
  written: readonly Transaction[],
  count: number,
): Promise<Transaction[]> {
  // The seal of the commits before is the last one's, as the store gives it back.
  let end: LogEnd = last;
  for await (const chunk of store.read((written.at(-1)?.seq ?? 1) as Seq)) {
    const tx = decodeTransactions(chunk).at(-1);
    if (tx?.seal !== undefined) end = { seq: tx.seq, time: tx.time, seal: tx.seal.hash };
  }
  return appendCommits(store, end, [count], sample);
}

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LogTrimmed } from '../../src/log/corruption.ts';
import { MemoryLogStore } from '../../src/log/memory-store.ts';
import { followTransactions, readTransactionRuns, readTransactions } from '../../src/log/reader.ts';
import { emptyEnd } from '../../src/log/recovery.ts';
import { seq, type Seq } from '../../src/model/ids.ts';
import { appendCommits, FSID, sample, unsealed } from './samples.ts';
import { failureOf } from './volumes.ts';

const test = suite('log/reader');

async function filled(): Promise<MemoryLogStore> {
  const store = new MemoryLogStore();
  await appendCommits(store, emptyEnd(FSID), [2, 3, 1, 4]);
  return store;
}

async function seqsOf(transactions: AsyncIterable<{ seq: Seq }>): Promise<number[]> {
  const seqs: number[] = [];
  for await (const tx of transactions) seqs.push(tx.seq);
  return seqs;
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);

test('any range, one by one and in runs', async () => {
  const store = await filled();
  for (let from = 1; from <= 11; from++) {
    assert.equal(await seqsOf(readTransactions(store, { from: seq(from) })), range(from, 10));
    for (let to = 0; to <= 11; to++) {
      const wanted = { from: seq(from), to: seq(to) };
      const expected = range(from, Math.min(to, 10));
      assert.equal(await seqsOf(readTransactions(store, wanted)), expected);
      const runs: number[] = [];
      for await (const run of readTransactionRuns(store, wanted)) {
        assert.ok(run.length > 0);
        runs.push(...run.map((tx) => tx.seq));
      }
      assert.equal(runs, expected);
    }
  }
});

test('following ends when aborted', async () => {
  const store = await filled();
  const stop = new AbortController();
  const seen: number[] = [];
  for await (const tx of followTransactions(store, seq(4), stop.signal)) {
    assert.equal(unsealed(tx), sample(tx.seq));
    seen.push(tx.seq);
    if (tx.seq === 10) stop.abort();
  }
  assert.equal(seen, range(4, 10));
});

test('what was trimmed is an error that names what is left', async () => {
  const store = await filled();
  const error = await failureOf(readTransactions(store, { from: seq(0) }).next());
  assert.instance(error, LogTrimmed);
  assert.is((error as LogTrimmed).oldest, 1);
  assert.is((error as LogTrimmed).code, 'TRIMMED');
});

test.run();

import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { assert as check, asyncProperty, integer } from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LogCorruption, LogUnusable } from '../../src/log/corruption.ts';
import type { Seq } from '../../src/model/ids.ts';
import { verifyLog, type LogReport } from '../../src/log/verify.ts';
import { appendCommits } from './samples.ts';
import {
  bytesIn,
  failureOf,
  makeLog,
  openAndRead,
  openLog,
  optionsFor,
  replaceBytes,
  segmentsIn,
  withDir,
} from './volumes.ts';

const test = suite('log/verify');

/** A log of two segments and its transactions. */
async function twoSegments(dir: string): Promise<void> {
  await makeLog(dir, [2, 1, 3]);
  const { store, last } = await openLog(dir);
  await appendCommits(store, last, [1, 2]);
  await store.close();
}

test('a whole log: what it holds, its end, every seal and the progress', () =>
  withDir(async (dir) => {
    await twoSegments(dir);
    const seals: [Seq, string][] = [];
    const progress: number[] = [];
    const report = await verifyLog(optionsFor(dir), {
      onSeal: (seq, seal) => seals.push([seq, seal.toString('hex')]),
      onProgress: (done, total) => progress.push(done / total),
    });
    const { damage, segments, commits, transactions, first, tailBytes, last } = report;
    assert.equal(
      { damage, segments, commits, transactions, first, tailBytes },
      { damage: undefined, segments: 2, commits: 5, transactions: 9, first: 1, tailBytes: 0 },
    );
    assert.equal(
      seals.map(([seq]) => seq),
      [2, 3, 6, 7, 9],
    );
    assert.is(new Set(seals.map(([, seal]) => seal)).size, 5);
    assert.is(last.seq, 9);
    assert.is(last.seal.toString('hex'), seals.at(-1)?.[1]);
    assert.is(progress.at(-1), 1);
  }));

test('a log cut at any byte: a prefix of commits, never a wrong record, never a crash', () =>
  withDir(async (dir) => {
    await makeLog(dir, [1, 2, 1]);
    const [name = ''] = await segmentsIn(dir);
    const whole = await bytesIn(dir, name);
    const ends = new Set<number>();
    for (let length = 0; length <= whole.length; length++) {
      await replaceBytes(dir, name, whole.subarray(0, length));
      const report = await verifyLog(optionsFor(dir));
      assert.ok([0, 1, 3, 4].includes(report.last.seq), `cut at ${length}`);
      assert.is(report.transactions, report.last.seq);
      ends.add(report.last.seq);
      const complete = report.damage === undefined && report.tailBytes === 0;
      if (complete) assert.ok(report.bytes === length);
    }
    assert.is(ends.size, 4);
  }));

test('any flipped bit is found, in whichever segment, and nothing wrong is read', () =>
  withDir(async (dir) => {
    await twoSegments(dir);
    const names = await segmentsIn(dir);
    const { transactions } = await openAndRead(dir, { readOnly: true });
    await check(
      asyncProperty(
        integer({ min: 0, max: names.length - 1 }),
        integer({ min: 0, max: 2 ** 30 }),
        integer({ min: 0, max: 7 }),
        async (which, place, bit) => {
          const name = names[which] ?? '';
          const whole = await bytesIn(dir, name);
          const flipped = Buffer.from(whole);
          const at = place % whole.length;
          flipped[at] = (whole[at] ?? 0) ^ (1 << bit);
          await replaceBytes(dir, name, flipped);
          try {
            assert.ok(await isFound(dir));
            await readsOnly(dir, transactions.length);
          } finally {
            await replaceBytes(dir, name, whole);
          }
        },
      ),
      { numRuns: 300 },
    );
  }));

/** Damage is either reported as such, or as an unsealed tail of the newest segment. */
async function isFound(dir: string): Promise<boolean> {
  const report: LogReport = await verifyLog(optionsFor(dir));
  return report.damage instanceof LogCorruption || report.tailBytes > 0;
}

/** What can be read of a damaged log is a prefix of what was written. */
async function readsOnly(dir: string, count: number): Promise<void> {
  try {
    const { transactions } = await openAndRead(dir, { readOnly: true });
    assert.ok(transactions.length < count);
    assert.equal(
      transactions.map((tx) => tx.seq),
      transactions.map((_, i) => i + 1),
    );
  } catch (error) {
    assert.instance(error, LogCorruption);
  }
}

test('a segment that was exchanged for one of another history is found', () =>
  withDir((dir) =>
    withDir(async (other) => {
      await twoSegments(dir);
      await makeLog(other, [3, 3]);
      const [first = ''] = await segmentsIn(dir);
      // As many transactions with the same seqs, in other commits: only the chain tells.
      await replaceBytes(dir, first, await bytesIn(other, first));
      const { damage } = await verifyLog(optionsFor(dir));
      assert.match(String(damage), /does not follow the one before it/);
    }),
  ));

test('a segment that is missing is found', () =>
  withDir(async (dir) => {
    await twoSegments(dir);
    const third = await openLog(dir);
    await appendCommits(third.store, third.last, [1]);
    await third.store.close();
    const [, second = ''] = await segmentsIn(dir);
    await unlink(join(dir, second));
    const { damage, last } = await verifyLog(optionsFor(dir));
    assert.match(String(damage), /does not follow/);
    assert.is(last.seq, 6);
  }));

test("another volume's log is not verified", () =>
  withDir(async (dir) => {
    await makeLog(dir, [1]);
    const place = { ...optionsFor(dir), fsid: 'a'.repeat(32) };
    assert.instance(await failureOf(verifyLog(place)), LogUnusable);
  }));

test.run();

import { join } from 'node:path';
import { rename } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { LogCorruption, LogUnusable } from '../../src/log/corruption.ts';
import { decodeHeader, Malformed, type ReadHeader } from '../../src/log/container.ts';
import type { OpenFileLogOptions } from '../../src/log/file-store.ts';
import { verifyLog } from '../../src/log/verify.ts';
import { seq } from '../../src/model/ids.ts';
import type { Transaction } from '../../src/model/transaction.ts';
import { appendCommits, bulky } from './samples.ts';
import {
  bytesIn,
  cleanAt,
  failureOf,
  makeLog,
  openAndRead,
  openLog,
  optionsFor,
  replaceBytes,
  segmentsIn,
  UNKNOWN,
  withDir,
} from './volumes.ts';

const test = suite('log/recovery');

const FIRST = '00000000000000000001.avro';

/** Offsets after the header and after each commit of the only segment of a log. */
async function commitEnds(dir: string): Promise<{ header: ReadHeader; ends: number[] }> {
  const bytes = await bytesIn(dir, FIRST);
  const header = decodeHeader(bytes);
  if (header instanceof Malformed) throw new Error(header.reason);
  // Commits of these tests are one block each, so each sync marker ends one.
  const ends: number[] = [];
  for (let at = bytes.indexOf(header.sync, header.bytes); at >= 0;) {
    ends.push(at + 16);
    at = bytes.indexOf(header.sync, at + 16);
  }
  return { header, ends };
}

async function refusal(
  dir: string,
  options: Partial<OpenFileLogOptions> = {},
): Promise<LogCorruption> {
  const before = await segmentsIn(dir);
  const contentsBefore = await Promise.all(before.map((name) => bytesIn(dir, name)));
  const error = await failureOf(openLog(dir, options));
  assert.instance(error, LogCorruption, String(error));
  assert.match(error.message, /ledgerfs fsck .* --rebuild --accept-loss/);
  assert.equal(await segmentsIn(dir), before, 'a refusal changes nothing');
  for (const [i, name] of before.entries()) {
    assert.equal(await bytesIn(dir, name), contentsBefore[i], 'a refusal changes nothing');
  }
  return error as LogCorruption;
}

test('a tail torn at any byte recovers to the commit before', () =>
  withDir(async (dir) => {
    const written = await makeLog(dir, [2, 1, 2]);
    const whole = await bytesIn(dir, FIRST);
    const { ends } = await commitEnds(dir);
    const [, second = 0, third = 0] = ends;
    assert.is(third, whole.length);
    for (let length = second; length < third; length++) {
      await replaceBytes(dir, FIRST, whole.subarray(0, length));
      const { opened, transactions } = await openAndRead(dir);
      assert.equal(transactions, written.slice(0, 3));
      assert.is(opened.last.seq, 3);
      assert.is(opened.recovered.tornBytes, length - second);
      assert.is((await bytesIn(dir, FIRST)).length, second, 'the tail is cut');
      await removeFrom(dir, 1);
    }
  }));

/** Removes the segments behind the first `keep`: as if they had never been. */
async function removeFrom(dir: string, keep: number): Promise<void> {
  for (const name of (await segmentsIn(dir)).slice(keep)) {
    await rename(join(dir, name), join(dir, `${name}.away`));
  }
}

test('a last commit with any piece of it zeroed or old is torn', () =>
  withDir(async (dir) => {
    const written = await makeLog(dir, [2, 40]);
    const whole = await bytesIn(dir, FIRST);
    const [first = 0, end = 0] = (await commitEnds(dir)).ends;
    for (let at = first; at < end; at += 61) {
      const torn = Buffer.from(whole);
      torn.fill(0, at, Math.min(at + 200, end));
      if (torn.equals(whole)) continue;
      await replaceBytes(dir, FIRST, torn);
      const { transactions } = await openAndRead(dir);
      assert.equal(transactions, written.slice(0, 2));
      await removeFrom(dir, 1);
    }
  }));

test('a torn commit of many blocks, whole blocks missing or kept, is torn', () =>
  withDir(async (dir) => {
    const make = (n: number): Transaction => bulky(n, 400_000);
    const written = await makeLog(dir, [1, 9], {}, make);
    const whole = await bytesIn(dir, FIRST);
    const { ends } = await commitEnds(dir);
    assert.ok(ends.length >= 5, 'a commit of several blocks');
    for (let i = 1; i < ends.length; i++) {
      const torn = Buffer.from(whole);
      torn.fill(0, ends[i - 1], (ends[i - 1] ?? 0) + 4096);
      for (const length of [whole.length, ends[i] ?? 0, (ends[i] ?? 0) - 5000]) {
        await replaceBytes(dir, FIRST, torn.subarray(0, length));
        const { transactions } = await openAndRead(dir);
        assert.equal(transactions, written.slice(0, 1));
        await removeFrom(dir, 1);
      }
    }
  }));

test('any flipped bit before the last commit is corruption, named with its place', () =>
  withDir(async (dir) => {
    await makeLog(dir, [1, 1, 1, 1]);
    const whole = await bytesIn(dir, FIRST);
    const [first = 0, second = 0, third = 0] = (await commitEnds(dir)).ends;
    for (let at = first; at < third; at++) {
      const flipped = Buffer.from(whole);
      flipped[at] = (whole[at] ?? 0) ^ (1 << (at % 8));
      await replaceBytes(dir, FIRST, flipped);
      const error = await refusal(dir);
      assert.is(error.place.segment, 1);
      assert.is(error.place.offset, at < second ? first : second);
      assert.is(error.from, at < second ? 2 : 3);
      await removeFrom(dir, 1);
    }
  }));

test('a flipped bit in the last commit is corruption if anything proves it was durable', () =>
  withDir(async (dir) => {
    await makeLog(dir, [1, 1]);
    const whole = await bytesIn(dir, FIRST);
    const flipped = Buffer.from(whole);
    const at = whole.length - 60;
    flipped[at] = (whole[at] ?? 0) ^ 1;
    await replaceBytes(dir, FIRST, flipped);
    const proofs = [
      cleanAt(2),
      { ...UNKNOWN, appliedSeq: seq(2) },
      { ...UNKNOWN, acknowledgedSeq: seq(2) },
    ];
    for (const proof of proofs) {
      const error = await refusal(dir, { proof });
      assert.is(error.from, 2);
      assert.is(error.to, 2);
    }
    const { opened } = await openAndRead(dir, { proof: { ...UNKNOWN, appliedSeq: seq(1) } });
    assert.is(opened.last.seq, 1);
    assert.ok(opened.recovered.tornBytes > 0);
  }));

test('an index or subscription beyond the log means that transactions were lost', () =>
  withDir(async (dir) => {
    await makeLog(dir, [2]);
    const error = await refusal(dir, { proof: { ...UNKNOWN, appliedSeq: seq(7) } });
    assert.match(error.message, /ends too early; transactions 3 to 7/);
  }));

test('a damaged sealed segment is found when it is read, after all before it', () =>
  withDir(async (dir) => {
    await makeLog(dir, [1, 1]);
    const second = await openLog(dir);
    await appendCommits(second.store, second.last, [1]);
    await second.store.close();
    const bytes = await bytesIn(dir, FIRST);
    const [first = 0] = (await commitEnds(dir)).ends;
    bytes[first + 20] = (bytes[first + 20] ?? 0) ^ 4;
    await replaceBytes(dir, FIRST, bytes);
    const { store } = await openLog(dir, { proof: cleanAt(3) });
    const reading = store.read(seq(1))[Symbol.asyncIterator]();
    assert.is((await reading.next()).done, false);
    const error = (await failureOf(reading.next())) as LogCorruption;
    assert.instance(error, LogCorruption);
    assert.is(error.place.offset, first);
    assert.is(error.from, 2);
    await store.close();
  }));

test('a newest segment with any part of its header is an empty tail', () =>
  withDir(async (dir) => {
    const written = await makeLog(dir, [2]);
    const { store } = await openLog(dir);
    await store.close();
    const [, newest = ''] = await segmentsIn(dir);
    assert.is(newest, '00000000000000000003.avro');
    const header = await bytesIn(dir, newest);
    for (const length of [0, 1, 4, 100, 4096, header.length - 1, header.length]) {
      const torn = Buffer.from(header.subarray(0, length));
      if (length > 200) torn.fill(0, 100, 200);
      await replaceBytes(dir, newest, torn);
      const { opened, transactions } = await openAndRead(dir);
      assert.equal(transactions, written);
      assert.is(opened.last.seq, 2);
    }
  }));

test('a damaged header with commits behind it is corruption', () =>
  withDir(async (dir) => {
    await makeLog(dir, [1]);
    const second = await openLog(dir);
    await appendCommits(second.store, second.last, [1]);
    await second.store.close();
    const name = '00000000000000000002.avro';
    const bytes = await bytesIn(dir, name);
    bytes[200] = (bytes[200] ?? 0) ^ 1;
    await replaceBytes(dir, name, bytes);
    assert.match((await refusal(dir)).message, /damaged header/);
    // Also in the first segment, where there is nothing to fall back to.
    await replaceBytes(dir, name, Buffer.alloc(10));
    await replaceBytes(dir, FIRST, Buffer.alloc(10));
    await refusal(dir);
  }));

test('segments that do not follow one another are corruption', () =>
  withDir(async (dir) => {
    await makeLog(dir, [1, 1]);
    const second = await openLog(dir);
    await appendCommits(second.store, second.last, [1]);
    await second.store.close();
    const bytes = await bytesIn(dir, FIRST);
    const [first = 0] = (await commitEnds(dir)).ends;
    // The first segment loses its last commit: every block that is left is valid.
    await replaceBytes(dir, FIRST, bytes.subarray(0, first));
    assert.match((await refusal(dir)).message, /does not follow the one before it/);
  }));

test('a foreign container is refused as what it is', () =>
  withDir(async (dir) => {
    await makeLog(dir, [1]);
    await replaceBytes(dir, FIRST, Buffer.from('#!/bin/sh\necho hello\n'.repeat(1000)));
    assert.match((await refusal(dir)).message, /no Avro container/);
  }));

test('accepted loss: cut before the damage, the rest set aside, seqs not given again', () =>
  withDir(async (dir) => {
    const written = await makeLog(dir, [1, 1, 1]);
    const second = await openLog(dir);
    await appendCommits(second.store, second.last, [2]);
    await second.store.close();
    const bytes = await bytesIn(dir, FIRST);
    const [first = 0] = (await commitEnds(dir)).ends;
    bytes[first + 20] = (bytes[first + 20] ?? 0) ^ 4;
    await replaceBytes(dir, FIRST, bytes);

    const { store, last, lost } = await openLog(dir, { acceptLoss: true, proof: cleanAt(5) });
    assert.equal(lost, { from: 2, to: 5 });
    assert.is(last.seq, 5);
    assert.is(store.durable, 5);
    const more = await appendCommits(store, last, [1]);
    assert.is(more[0]?.seq, 6);
    await store.close();
    const report = await verifyLog(optionsFor(dir));
    assert.is(report.damage, undefined);
    const { transactions, opened } = await openAndRead(dir, { proof: cleanAt(6) });
    assert.equal(transactions, [...written.slice(0, 1), ...more]);
    assert.is(opened.lost, undefined);
    // What was cut off and what stood behind it is still there to be looked at.
    assert.equal(await bytesIn(dir, `${FIRST}.lost`), bytes.subarray(first));
    assert.ok((await bytesIn(dir, '00000000000000000004.avro.lost')).length > 0);
  }));

test('accepted loss of a damaged last commit, which looks like a torn tail: it is set aside', () =>
  withDir(async (dir) => {
    const written = await makeLog(dir, [1, 1]);
    const bytes = await bytesIn(dir, FIRST);
    const [first = 0] = (await commitEnds(dir)).ends;
    bytes[first + 20] = (bytes[first + 20] ?? 0) ^ 4;
    await replaceBytes(dir, FIRST, bytes);
    const { store, lost } = await openLog(dir, { acceptLoss: true, proof: cleanAt(2) });
    assert.equal(lost, { from: 2, to: 2 });
    await store.close();
    assert.equal((await openAndRead(dir)).transactions, written.slice(0, 1));
    const kept = await bytesIn(dir, `${FIRST}.lost`);
    assert.equal(kept.subarray(kept.length - (bytes.length - first)), bytes.subarray(first));
  }));

test('accepted loss of what is only known from others: the gap is kept over a crash', () =>
  withDir(async (dir) => {
    await makeLog(dir, [2]);
    const proof = { ...UNKNOWN, appliedSeq: seq(9) };
    const first = await openLog(dir, { acceptLoss: true, proof });
    assert.equal(first.lost, { from: 3, to: 9 });
    await first.store.close();
    const second = await openLog(dir);
    assert.is(second.last.seq, 9);
    assert.is(second.store.durable, 9);
    await second.store.close();
  }));

test('accepting loss where nothing is lost loses nothing', () =>
  withDir(async (dir) => {
    const written = await makeLog(dir, [2]);
    const { opened, transactions } = await openAndRead(dir, {
      acceptLoss: true,
      proof: cleanAt(2),
    });
    assert.is(opened.lost, undefined);
    assert.equal(transactions, written);
    const whole = await bytesIn(dir, FIRST);
    await replaceBytes(dir, FIRST, whole.subarray(0, 30));
    assert.instance(await failureOf(openLog(dir, { acceptLoss: true })), LogCorruption);
  }));

test('a log without its directory, or with nothing in it, is unusable', () =>
  withDir(async (dir) => {
    assert.instance(await failureOf(openLog(dir)), LogUnusable);
    assert.match(String(await failureOf(openLog(join(dir, 'none')))), /ENOENT/);
  }));

test.run();

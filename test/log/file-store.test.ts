import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Disk, File } from '../../src/io/disk.ts';
import { nodeDisk } from '../../src/io/node-disk.ts';
import { systemClock } from '../../src/io/system-clock.ts';
import { FileLogStore } from '../../src/log/file-store.ts';
import { readTransactions } from '../../src/log/reader.ts';
import { verifyLog } from '../../src/log/verify.ts';
import { NO_SEQ, seq } from '../../src/model/ids.ts';
import { logStoreSuite } from '../suites/log-store-suite.ts';
import { appendCommits, bulky, openWriter, sample } from './samples.ts';
import {
  cleanAt,
  contents,
  failureOf,
  makeLog,
  openAndRead,
  openLog,
  optionsFor,
  segmentsIn,
  withDir,
} from './volumes.ts';

const test = suite('log/file-store');

logStoreSuite(test, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'ledgerfs-log-'));
  const { store, last } = await FileLogStore.create(optionsFor(dir));
  const discard = async (): Promise<void> => {
    await store.close();
    await rm(dir, { recursive: true });
  };
  return { store, last, discard };
});

test('after a clean close the same segment is appended to', () =>
  withDir(async (dir) => {
    const written = await makeLog(dir, [3, 2]);
    const { store, last, recovered, lost } = await openLog(dir, { proof: cleanAt(5) });
    assert.equal(recovered, { clean: true, tornBytes: 0, rewrittenBytes: 0 });
    assert.is(lost, undefined);
    assert.is(last.seq, 5);
    assert.is(last.time, written.at(-1)?.time);
    const more = await appendCommits(store, last, [4]);
    assert.equal(await contents(store), [...written, ...more]);
    await store.close();
    assert.is((await segmentsIn(dir)).length, 1);
    const { transactions } = await openAndRead(dir, { proof: cleanAt(9) });
    assert.equal(transactions, [...written, ...more]);
  }));

test('after an unclean stop a new segment is begun, and the chain goes on', () =>
  withDir(async (dir) => {
    const written = await makeLog(dir, [3, 2]);
    const { store, last, recovered } = await openLog(dir);
    assert.is(recovered.clean, false);
    assert.ok(recovered.rewrittenBytes > 0);
    const more = await appendCommits(store, last, [1]);
    await store.close();
    assert.equal(await segmentsIn(dir), ['00000000000000000001.avro', '00000000000000000006.avro']);
    const report = await verifyLog(optionsFor(dir));
    assert.is(report.damage, undefined);
    assert.is(report.transactions, 6);
    const { transactions } = await openAndRead(dir, { proof: cleanAt(6) });
    assert.equal(transactions, [...written, ...more]);
  }));

test('only commits behind the applied position are written again', () =>
  withDir(async (dir) => {
    await makeLog(dir, [1, 1, 1, 1]);
    const all = (await openLogOnce(dir, 0)).rewrittenBytes;
    const some = (await openLogOnce(dir, 3)).rewrittenBytes;
    assert.ok(some > 0 && some < all, `${some} of ${all}`);
  }));

async function openLogOnce(dir: string, applied: number): Promise<{ rewrittenBytes: number }> {
  const proof = { cleanSeq: undefined, appliedSeq: seq(applied), acknowledgedSeq: NO_SEQ };
  const { store, recovered } = await openLog(dir, { proof });
  await store.close();
  return recovered;
}

test('opening again and again without a commit changes nothing', () =>
  withDir(async (dir) => {
    const written = await makeLog(dir, [2]);
    for (let i = 0; i < 4; i++) {
      const proof = i % 2 === 0 ? undefined : cleanAt(2);
      const { transactions } = await openAndRead(dir, proof === undefined ? {} : { proof });
      assert.equal(transactions, written);
    }
    assert.ok((await segmentsIn(dir)).length <= 2);
  }));

test('segments follow one another at their size, and are read across', () =>
  withDir(async (dir) => {
    const options = { segmentBytes: 200_000 };
    const make = (n: number): ReturnType<typeof bulky> => bulky(n, 50_000);
    const { store, last } = await FileLogStore.create({ ...optionsFor(dir), ...options });
    const writer = openWriter(store, last);
    const written = [];
    for (let i = 0; i < 30; i++) {
      const tx = make(writer.nextSeq);
      assert.is(writer.append(tx, false), true);
      written.push(tx);
      await writer.commit();
      // The next segment is prepared in the background: give it a chance.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await writer.close();
    assert.equal(await contents(store), written);
    for (const from of [1, 5, 6, 17, 30]) {
      assert.equal(await contents(store, from), written.slice(from - 1));
    }
    await store.close();
    assert.ok((await segmentsIn(dir)).length >= 4, 'several segments');
    const report = await verifyLog(optionsFor(dir));
    assert.is(report.damage, undefined);
    assert.is(report.transactions, 30);
    const { transactions } = await openAndRead(dir, { ...options, proof: cleanAt(30) });
    assert.equal(transactions, written);
  }));

test('trim removes whole segments below a seq, never the newest', () =>
  withDir(async (dir) => {
    await makeLog(dir, [3]);
    for (const _ of [1, 2]) {
      const { store, last } = await openLog(dir);
      await appendCommits(store, last, [3]);
      await store.close();
    }
    const { store, last } = await openLog(dir, { proof: cleanAt(9) });
    assert.is(await store.trim(seq(3)), 1);
    assert.is(await store.trim(seq(4)), 4);
    assert.is(await store.trim(seq(6)), 4);
    assert.is(await store.trim(seq(100)), 7);
    assert.equal(
      (await contents(store)).map((tx) => tx.seq),
      [7, 8, 9],
    );
    const trimmed = readTransactions(store, { from: seq(5) });
    assert.match(String(await failureOf(trimmed.next())), /was trimmed.*oldest one left is 7/);
    await appendCommits(store, last, [1]);
    await store.close();
    assert.equal(await segmentsIn(dir), ['00000000000000000007.avro']);
    const reopened = await openLog(dir, { proof: cleanAt(10) });
    assert.is(reopened.store.oldest, 7);
    assert.is(reopened.last.seq, 10);
    await reopened.store.close();
  }));

test('trim keeps the last commit when the newest segment is still empty', () =>
  withDir(async (dir) => {
    await makeLog(dir, [3]);
    const { store } = await openLog(dir);
    assert.is(await store.trim(seq(100)), 1);
    await store.close();
    const { transactions } = await openAndRead(dir);
    assert.is(transactions.length, 3);
  }));

test('read only: nothing is changed, an unsealed tail is not read', () =>
  withDir(async (dir) => {
    const written = await makeLog(dir, [2, 1]);
    const name = '00000000000000000001.avro';
    const path = join(dir, name);
    const { size } = await stat(path);
    const file = await nodeDisk.open(path, 'write');
    await file.write([Buffer.alloc(50, 1)], size);
    await file.close();
    const before = await stat(path);
    const { opened, transactions } = await openAndRead(dir, { readOnly: true });
    assert.equal(transactions, written);
    assert.is(opened.recovered.tornBytes, 50);
    const after = await stat(path);
    assert.is(after.mtimeMs, before.mtimeMs);
    assert.is(after.size, before.size);
    assert.equal(await segmentsIn(dir), [name]);
  }));

test('no log, another volume, a newer format: one clear line', () =>
  withDir(async (dir) => {
    assert.match(String(await failureOf(openLog(dir))), /holds no log segment/);
    await makeLog(dir, [1]);
    const other = 'f'.repeat(32);
    assert.match(String(await failureOf(openLog(dir, { fsid: other }))), /belongs to volume/);
  }));

test('disk space is allocated ahead without the file growing', () =>
  withDir(async (dir) => {
    const { store, last } = await FileLogStore.create(optionsFor(dir));
    await appendCommits(store, last, [1]);
    const info = await nodeDisk.info(join(dir, '00000000000000000001.avro'));
    assert.ok((info?.sizeBytes ?? 0) < 20_000);
    assert.ok((info?.allocatedBytes ?? 0) > 8 * 1024 * 1024);
    await store.close();
  }));

/** A disk on which `File.reserve` grants `bytes` in all, and whose durable writes may fail. */
function limited(limits: { bytes: number; failSync: boolean }): Disk {
  const wrap = (file: File): File =>
    new Proxy(file, {
      get(target, key) {
        if (key === 'reserve') {
          return async (offset: number, length: number): Promise<void> => {
            if (length > limits.bytes) {
              throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
            }
            limits.bytes -= length;
            await target.reserve(offset, length);
          };
        }
        if (key === 'writeDurably' && limits.failSync) {
          return async (...write: Parameters<File['write']>): Promise<void> => {
            await target.write(...write);
            throw Object.assign(new Error('i/o error'), { code: 'EIO' });
          };
        }
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
      },
    });
  return new Proxy(nodeDisk, {
    get(target, key) {
      if (key === 'open') {
        return async (...args: Parameters<Disk['open']>): Promise<File> =>
          wrap(await target.open(...args));
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  });
}

test('a full disk refuses, keeps the reserve for what frees space, and recovers', () =>
  withDir(async (dir) => {
    const MIB = 1024 * 1024;
    const limits = { bytes: 6 * MIB, failSync: false };
    let now = 0;
    const clock = { ...systemClock, monotonicMs: () => now };
    const options = { ...optionsFor(dir), disk: limited(limits), clock, reserveBytes: 2 * MIB };
    const { store, last } = await FileLogStore.create(options);
    const fill = (privileged: boolean): number => {
      let granted = 0;
      while (store.reserve(10_000, privileged)) granted += 10_000;
      return granted;
    };
    const ordinary = fill(false);
    assert.ok(ordinary > 1 * MIB, `${ordinary} granted`);
    assert.is(store.reserve(10_000, false), false);
    const privileged = fill(true);
    assert.ok(privileged >= 2 * MIB - 20_000, `${privileged} of the reserve granted`);
    // Space comes back: the next request asks the disk again, and later ones are granted.
    limits.bytes = 1000 * MIB;
    now += 1000;
    store.reserve(10_000, false);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.is(store.reserve(10_000, false), true);
    await appendCommits(store, last, [1]);
    await store.close();
  }));

test('a failed sync breaks the store for ever; opening again finds what was durable', () =>
  withDir(async (dir) => {
    const limits = { bytes: 2 ** 40, failSync: false };
    const { store, last } = await FileLogStore.create({
      ...optionsFor(dir),
      disk: limited(limits),
    });
    const written = await appendCommits(store, last, [2]);
    limits.failSync = true;
    const end = (await verifyLog(optionsFor(dir))).last;
    const failed = await failureOf(appendCommits(store, end, [1]));
    assert.match(String(failed), /i\/o error/);
    limits.failSync = false;
    assert.is(await failureOf(appendCommits(store, end, [1])), failed);
    assert.is(store.failure, failed);
    assert.is(store.durable, 2);
    assert.equal(await contents(store), written);
    await store.close();
    const { transactions } = await openAndRead(dir);
    assert.equal(transactions.slice(0, 2), written);
    assert.equal(transactions.slice(2), [sample(3)].slice(0, transactions.length - 2));
  }));

test.run();

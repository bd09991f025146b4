/**
 * Logs of every released format, kept in test/fixtures/log for ever, still mean what they meant.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeTransactions } from '../../src/log/codec.ts';
import { FORMAT_VERSION } from '../../src/log/schema.ts';
import { verifyLog } from '../../src/log/verify.ts';
import { seq } from '../../src/model/ids.ts';
import type { Transaction } from '../../src/model/transaction.ts';
import { parseTransactions } from '../fixtures/log/json.ts';
import { makeGoldenLog } from '../fixtures/log/make.ts';
import { openWriter, unsealed } from './samples.ts';
import { bytesIn, cleanAt, openLog, optionsFor, segmentsIn, withDir } from './volumes.ts';

const test = suite('log/golden');

const FIXTURES = fileURLToPath(new URL('../fixtures/log', import.meta.url));

const formats = readdirSync(FIXTURES).filter((name) => /^v\d+$/.test(name));

const expectedOf = (format: string): Transaction[] =>
  parseTransactions(readFileSync(join(FIXTURES, format, 'transactions.jsonl'), 'utf8'));

test('there is a fixture of every format', () => {
  const expected = Array.from({ length: FORMAT_VERSION }, (_, i) => `v${i + 1}`);
  assert.equal(formats, expected);
});

for (const format of formats) {
  test(`${format}: every record reads as it was written, seals included`, async () => {
    const dir = join(FIXTURES, format);
    const expected = expectedOf(format);
    const report = await verifyLog(optionsFor(dir));
    assert.is(report.damage, undefined);
    assert.is(report.transactions, expected.length);
    const { store } = await openLog(dir, { readOnly: true });
    const read: Transaction[] = [];
    for await (const chunk of store.read(seq(1))) read.push(...decodeTransactions(chunk));
    await store.close();
    assert.equal(read, expected);
  });

  test(`${format}: is opened and appended to`, () =>
    withDir(async (dir) => {
      for (const name of await segmentsIn(join(FIXTURES, format))) {
        await copyFile(join(FIXTURES, format, name), join(dir, name));
      }
      const { length } = expectedOf(format);
      const { store, last } = await openLog(dir, { proof: cleanAt(length) });
      const writer = openWriter(store, last);
      const [first] = expectedOf(format) as [Transaction];
      writer.append({ ...unsealed(first), seq: writer.nextSeq, time: last.time }, false);
      await writer.close();
      await store.close();
      assert.is((await verifyLog(optionsFor(dir))).transactions, length + 1);
    }));
}

test('the current format writes the golden bytes', () =>
  withDir(async (dir) => {
    await makeGoldenLog(dir);
    const golden = join(FIXTURES, `v${FORMAT_VERSION}`);
    const names = await segmentsIn(dir);
    assert.equal(names, await segmentsIn(golden));
    for (const name of [...names, 'transactions.jsonl']) {
      assert.equal(await bytesIn(dir, name), await bytesIn(golden, name));
    }
  }));

test.run();

/** The log is an ordinary Avro container: other implementations read all of it. */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sample as generate } from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeTransactions } from '../../src/log/codec.ts';
import { FileLogStore } from '../../src/log/file-store.ts';
import { seq, type ByteString } from '../../src/model/ids.ts';
import type { Transaction } from '../../src/model/transaction.ts';
import { anyTransaction, appendCommits, MAX, ONE_OF_EACH, sample } from './samples.ts';
import { optionsFor, segmentsIn, withDir } from './volumes.ts';

const test = suite('log/interop');

const PYTHON = '/usr/bin/python3';

function hasPythonAvro(): boolean {
  try {
    execFileSync(PYTHON, ['-c', 'import avro.datafile'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A log of two segments with every event type, extremes, and generated transactions. */
async function writeLog(dir: string): Promise<Transaction[]> {
  const generated = generate(anyTransaction, { numRuns: 60, seed: 20261122 });
  const make = (n: number): Transaction => {
    if (n === 1) return { ...sample(1), events: Object.values(ONE_OF_EACH), time: MAX - 1 };
    const shape = generated[n - 2];
    // Python's clock has microseconds in a datetime, which ends with the year 9999.
    return shape === undefined ? sample(n) : { ...shape, seq: seq(n), time: MAX, seal: undefined };
  };
  const first = await FileLogStore.create(optionsFor(dir));
  const written = await appendCommits(first.store, first.last, [1, 2, 30], make);
  await first.store.close();
  const second = await FileLogStore.open(optionsFor(dir));
  written.push(...(await appendCommits(second.store, second.last, [1, 40], make)));
  const sealed: Transaction[] = [];
  for await (const chunk of second.store.read(seq(1))) sealed.push(...decodeTransactions(chunk));
  await second.store.close();
  assert.is(sealed.length, written.length);
  assert.is((await segmentsIn(dir)).length, 2);
  return sealed;
}

/** Fields that are byte strings in the model and bytes in Avro. */
const NAMES = new Set(['name', 'path', 'target']);

/** A transaction as the Python reader prints it. */
function plain(value: unknown, key = ''): unknown {
  if (value === undefined) return null;
  if (typeof value === 'bigint') return { $u64: value.toString() };
  if (Buffer.isBuffer(value)) return { $bytes: value.toString('hex') };
  if (typeof value === 'string') {
    if (key === 'fsid') return { $bytes: value };
    if (!NAMES.has(key)) return value;
    return { $bytes: Buffer.from(value as ByteString, 'latin1').toString('hex') };
  }
  if (Array.isArray(value)) return value.map((item) => plain(item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v, k)]));
}

test("Debian's python3-avro reads every record and every field", () =>
  withDir(async (dir) => {
    if (!hasPythonAvro()) {
      assert.not.ok(process.env['CI'], 'python3-avro is missing: apt-get install python3-avro');
      process.stdout.write('skipped: python3-avro is not installed\n');
      return;
    }
    const written = await writeLog(dir);
    const paths = (await segmentsIn(dir)).map((name) => join(dir, name));
    const script = fileURLToPath(new URL('read_log.py', import.meta.url));
    const output = execFileSync(PYTHON, [script, ...paths], { maxBuffer: 1 << 28 });
    const read = output
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    assert.is(read.length, written.length);
    for (const [i, tx] of written.entries()) assert.equal(read[i], plain(tx), `record ${i}`);
  }));

test.run();

/** Log directories for tests: made in a temporary folder, damaged byte by byte, opened again. */

import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeDisk } from '../../src/io/node-disk.ts';
import { systemClock } from '../../src/io/system-clock.ts';
import { decodeTransactions } from '../../src/log/codec.ts';
import { FileLogStore, type OpenedLog, type OpenFileLogOptions } from '../../src/log/file-store.ts';
import type { Proof } from '../../src/log/recovery.ts';
import type { LogStore } from '../../src/log/store.ts';
import { NO_SEQ, seq } from '../../src/model/ids.ts';
import type { Transaction } from '../../src/model/transaction.ts';
import { appendCommits, FSID, sample, unsealed } from './samples.ts';

/** An unclean stop of which nothing is known. */
export const UNKNOWN: Proof = { cleanSeq: undefined, appliedSeq: NO_SEQ, acknowledgedSeq: NO_SEQ };

/** A clean stop at `n`. */
export const cleanAt = (n: number): Proof => ({ ...UNKNOWN, cleanSeq: seq(n) });

export const RESERVE_BYTES = 64 * 1024;

export const optionsFor = (dir: string): OpenFileLogOptions => ({
  disk: nodeDisk,
  dir,
  fsid: FSID,
  clock: systemClock,
  reserveBytes: RESERVE_BYTES,
  proof: UNKNOWN,
});

/** Runs `body` with an empty directory that is removed afterwards. */
export async function withDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'ledgerfs-log-'));
  try {
    await body(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Makes a log with commits of `sizes` transactions, closed; returns the transactions. */
export async function makeLog(
  dir: string,
  sizes: readonly number[],
  options: Partial<OpenFileLogOptions> = {},
  make: (n: number) => Transaction = sample,
): Promise<Transaction[]> {
  const { store, last } = await FileLogStore.create({ ...optionsFor(dir), ...options });
  const written = await appendCommits(store, last, sizes, make);
  await store.close();
  return written;
}

export const openLog = (
  dir: string,
  options: Partial<OpenFileLogOptions> = {},
): Promise<OpenedLog> => FileLogStore.open({ ...optionsFor(dir), ...options });

/** All transactions of a store, without their seals. */
export async function contents(store: LogStore, from = 1): Promise<Transaction[]> {
  const all: Transaction[] = [];
  for await (const chunk of store.read(seq(from))) {
    all.push(...decodeTransactions(chunk).map(unsealed));
  }
  return all;
}

/** Opens the log, reads it whole, and closes it. */
export async function openAndRead(
  dir: string,
  options: Partial<OpenFileLogOptions> = {},
): Promise<{ opened: Omit<OpenedLog, 'store'>; transactions: Transaction[] }> {
  const { store, ...opened } = await openLog(dir, options);
  try {
    return { opened, transactions: await contents(store) };
  } finally {
    await store.close();
  }
}

/** Names of the directory's segments, ascending. */
export const segmentsIn = async (dir: string): Promise<string[]> =>
  (await readdir(dir)).filter((name) => name.endsWith('.avro')).sort();

export const bytesIn = (dir: string, name: string): Promise<Buffer> => readFile(join(dir, name));

export const replaceBytes = (dir: string, name: string, bytes: Buffer): Promise<void> =>
  writeFile(join(dir, name), bytes);

/** The rejection of a promise that must reject. */
export async function failureOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected a rejection');
}

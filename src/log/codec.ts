/**
 * Transactions to Avro bytes and back. Pure; the only state is what is derived from schemas once.
 *
 * Bytes are what the container's blocks hold: records back to back, without lengths. Only decoding
 * tells where a record ends. Bytes that come from the log have passed their seal before they come
 * here; bytes that have not make `decodeTransactions` throw `UndecodableRecord`, in bounded time and
 * memory.
 */

import type avro from 'avsc';
import { must } from '../model/assert.ts';
import type { Seq } from '../model/ids.ts';
import type { Transaction } from '../model/transaction.ts';
import { modelType, plainType } from './avro-types.ts';
import { TRANSACTION_SCHEMA, TRANSACTION_SCHEMA_JSON } from './schema.ts';
import type { RecordChunk } from './store.ts';

/** Bytes that are no transaction of this program's or an older format. Corruption, or a newer one. */
export class UndecodableRecord extends Error {
  override readonly name = 'UndecodableRecord';
}

const transactionType = modelType(TRANSACTION_SCHEMA);

/**
 * Encodes `tx` into `into` from `at` on. Returns the offset after its last byte; or, if it does not
 * fit, a negative number: how many bytes were missing. Asserts that numbers are in range.
 */
export function encodeTransaction(tx: Transaction, into: Buffer, at: number): number {
  return transactionType.encode(tx, into, at);
}

const NOTHING = Buffer.alloc(0);

/** The number of bytes that `tx` encodes to. */
export const encodedBytes = (tx: Transaction): number => -encodeTransaction(tx, NOTHING, 0);

/**
 * Throws `UndecodableRecord` if this program cannot read what was written with `schema`: it is no
 * Avro schema, or it knows events that this program does not (it is newer).
 */
export function assertReadable(schema: string): void {
  resolverFor(schema);
}

type Resolver = ReturnType<avro.Type['createResolver']>;

/** Resolvers by the writer's schema (JSON); a log holds few different ones. */
const resolvers = new Map<string, Resolver>();

function resolverFor(schema: string | undefined): Resolver | undefined {
  if (schema === undefined || schema === TRANSACTION_SCHEMA_JSON) return undefined;
  const known = resolvers.get(schema);
  if (known !== undefined) return known;
  try {
    const resolver = transactionType.createResolver(plainType(JSON.parse(schema)));
    resolvers.set(schema, resolver);
    return resolver;
  } catch (cause) {
    throw new UndecodableRecord(unknownSchema(cause as Error), { cause });
  }
}

const unknownSchema = (cause: Error): string =>
  `written with a schema that this program does not know (${firstLine(cause.message)}): ` +
  'a newer ledgerfs wrote it, or its header is damaged';

const firstLine = (text: string): string => (text.split('\n')[0] ?? '').slice(0, 200);

/** Calls `each` with every transaction of `chunk` and its place in the bytes. */
function forEachRecord(
  chunk: RecordChunk,
  each: (tx: Transaction, start: number, end: number) => boolean,
): void {
  const resolver = resolverFor(chunk.schema);
  let at = 0;
  for (let i = 0; i < chunk.count; i++) {
    const { value, offset } = decodeAt(chunk.bytes, at, resolver);
    if (!each(value, at, offset)) return;
    at = offset;
  }
  assertWhole(chunk, at);
}

function assertWhole(chunk: RecordChunk, end: number): void {
  if (end === chunk.bytes.length) return;
  throw new UndecodableRecord(`${chunk.bytes.length - end} bytes after ${chunk.count} records`);
}

function decodeAt(
  bytes: Buffer,
  at: number,
  resolver: Resolver | undefined,
): { value: Transaction; offset: number } {
  let decoded: { value: Transaction; offset: number };
  try {
    decoded = transactionType.decode(bytes, at, resolver);
  } catch (cause) {
    throw new UndecodableRecord(`record at byte ${at}: ${(cause as Error).message}`, { cause });
  }
  if (decoded.offset < 0) throw new UndecodableRecord(`record at byte ${at} is cut off`);
  return decoded;
}

/** The transactions of a chunk. Throws `UndecodableRecord`. */
export function decodeTransactions(chunk: RecordChunk): Transaction[] {
  const transactions: Transaction[] = [];
  forEachRecord(chunk, (tx) => transactions.push(tx) > 0);
  return transactions;
}

/**
 * The transactions of a chunk, up to `length` at a time: each run is decoded when it is asked for,
 * so that a replay has few of them in memory. Throws `UndecodableRecord`.
 */
export function* decodeRuns(chunk: RecordChunk, length: number): Generator<readonly Transaction[]> {
  const resolver = resolverFor(chunk.schema);
  let at = 0;
  for (let left = chunk.count; left > 0;) {
    const run: Transaction[] = [];
    for (; left > 0 && run.length < length; left--) {
      const { value, offset } = decodeAt(chunk.bytes, at, resolver);
      run.push(value);
      at = offset;
    }
    yield run;
  }
  assertWhole(chunk, at);
}

/** The first transaction of a chunk, which is not empty. */
export function firstTransaction(chunk: RecordChunk): Transaction {
  return decodeAt(chunk.bytes, 0, resolverFor(chunk.schema)).value;
}

/** The last transaction of a chunk, which is not empty. */
export function lastTransaction(chunk: RecordChunk): Transaction {
  return must(decodeTransactions(chunk).at(-1), 'a chunk holds records');
}

/** The records of `chunk` with seq >= `from`; undefined if there are none. Shares its bytes. */
export function chunkFrom(chunk: RecordChunk, from: Seq): RecordChunk | undefined {
  if (firstTransaction(chunk).seq >= from) return chunk;
  let skipped = 0;
  let start = chunk.bytes.length;
  forEachRecord(chunk, (tx, recordStart) => {
    if (tx.seq < from) skipped++;
    else start = recordStart;
    return tx.seq < from;
  });
  if (skipped === chunk.count) return undefined;
  return { ...chunk, count: chunk.count - skipped, bytes: chunk.bytes.subarray(start) };
}

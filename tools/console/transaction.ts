/** Transactions for people and for programs: `log show` and `log tail` print what this makes. */

import type { Event } from '../../src/model/event.ts';
import type { Extent } from '../../src/model/extent.ts';
import { isMapped, isOffline, isUnwritten } from '../../src/model/extent.ts';
import type { ByteString } from '../../src/model/ids.ts';
import { BLOCK_BYTES } from '../../src/model/ids.ts';
import type { Size } from '../../src/model/size.ts';
import { bigintOfSize } from '../../src/model/size.ts';
import type { Time } from '../../src/model/time.ts';
import type { Transaction } from '../../src/model/transaction.ts';
import { jsonName, quotedName } from './names.ts';
import { formatMicros } from './units.ts';

/** `17 2026-11-22T20:49:36.123456Z create uid 0 gid 0 pid 7 "a/b"`, then a line for each event. */
export function transactionLines(tx: Transaction): string[] {
  const { uid, gid, pid } = tx.actor;
  const paths = tx.paths.map(({ path }) => ` ${quotedName(path)}`).join('');
  const seal = tx.seal === undefined ? '' : ` [sealed, ${tx.seal.count} in the commit]`;
  const time = formatMicros(tx.time);
  return [
    `${tx.seq} ${time} ${tx.cause} uid ${uid} gid ${gid} pid ${pid}${paths}${seal}`,
    ...tx.events.map((event) => `  ${eventLine(event)}`),
  ];
}

/** `ContentsChanged ino 1024 size 5 ...`: every field that has a value. */
function eventLine(event: Event): string {
  const fields = Object.entries(event)
    .filter(([name, value]) => name !== 'type' && value !== undefined)
    .map(([name, value]) => `${name} ${fieldText(name, value)}`);
  return [event.type, ...fields].join(' ');
}

/** Fields that hold byte strings; all other strings are ASCII of our own. */
const NAMES: ReadonlySet<string> = new Set(['name', 'target', 'path']);
const MODES: ReadonlySet<string> = new Set(['mode', 'kind']);
const SHOWN_BYTES = 32;

function fieldText(name: string, value: unknown): string {
  if (typeof value === 'string') return NAMES.has(name) ? quotedName(value as ByteString) : value;
  if (typeof value === 'number') return MODES.has(name) ? `0${value.toString(8)}` : String(value);
  if (typeof value === 'bigint') return String(value);
  if (Buffer.isBuffer(value)) return bytesText(value);
  if (Array.isArray(value)) return (value as Extent[]).map(extentText).join(', ');
  if (isSize(value)) return String(bigintOfSize(value));
  if (isTime(value)) return `${value.sec}.${String(value.nsec).padStart(9, '0')}`;
  return JSON.stringify(value);
}

function bytesText(bytes: Buffer): string {
  const shown = bytes.subarray(0, SHOWN_BYTES).toString('hex');
  return bytes.length <= SHOWN_BYTES ? `${bytes.length}:${shown}` : `${bytes.length}:${shown}...`;
}

/** `[12+3 at 7:100]`: 3 blocks from file block 12 on, at block 100 of segment 7. */
function extentText(extent: Extent): string {
  const flags = `${isOffline(extent) ? ' offline' : ''}${isUnwritten(extent) ? ' unwritten' : ''}`;
  const place = !isMapped(extent) ? '' : ` at ${extent.segment}:${extent.segmentBlock}`;
  return `[${extent.block}+${extent.count}${place}${flags}]`;
}

const isSize = (value: unknown): value is Size =>
  typeof value === 'object' && value !== null && 'blocks' in value && 'tail' in value;

const isTime = (value: unknown): value is Time =>
  typeof value === 'object' && value !== null && 'sec' in value && 'nsec' in value;

/**
 * A transaction as a JSON value: names as in `names.ts`, times of the transaction in ISO 8601,
 * sizes in bytes (a number, or a string where a double cannot hold it), 64-bit values of users as
 * strings, bytes as `{ base64 }`.
 */
export function transactionJson(tx: Transaction): object {
  return {
    seq: tx.seq,
    time: formatMicros(tx.time),
    node: tx.node,
    cause: tx.cause,
    actor: tx.actor,
    paths: tx.paths.map(({ ino, path }) => ({ ino, path: jsonName(path) })),
    events: tx.events.map((event) => jsonFields(event)),
    seal: tx.seal === undefined ? undefined : jsonFields(tx.seal),
  };
}

const jsonFields = (record: object): object =>
  Object.fromEntries(
    Object.entries(record).map(([name, value]) => [name, jsonField(name, value)] as const),
  );

function jsonField(name: string, value: unknown): unknown {
  if (typeof value === 'string' && NAMES.has(name)) return jsonName(value as ByteString);
  if (typeof value === 'bigint') return String(value);
  if (Buffer.isBuffer(value)) return { base64: value.toString('base64') };
  if (Array.isArray(value)) return value.map((item) => jsonFields(item as object));
  if (isSize(value)) return jsonSize(value);
  return value;
}

const SAFE_BLOCKS = Math.floor(Number.MAX_SAFE_INTEGER / BLOCK_BYTES);

const jsonSize = (size: Size): number | string =>
  size.blocks < SAFE_BLOCKS ? size.blocks * BLOCK_BYTES + size.tail : String(bigintOfSize(size));

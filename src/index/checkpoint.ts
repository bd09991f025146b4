/**
 * Checkpoints: the whole state at one seq, as an Avro container file (`checkpoints/<seq>.avro`).
 *
 * It owns the folder's files. Order of events: the state is read from one snapshot while work goes
 * on; it is written to `<seq>.avro.new`, closed by a record that holds the number of records and the
 * SHA-256 over all of their bytes, synced, and only then renamed to its name; the folder is synced.
 * A crash before the rename leaves a `.new` file that the next writing takes away; a file under its
 * own name is whole. Reading believes nothing before the closing record has proved it:
 * whoever loads a checkpoint loads into an index that is not in use yet.
 */

import { createHash } from 'node:crypto';
import type { Disk, File } from '../io/disk.ts';
import { turn } from '../io/turn.ts';
import {
  decodeBlock,
  decodeHeader,
  encodeBlockHead,
  encodeHeader,
  Incomplete,
  Malformed,
  MAX_BLOCK_BYTES,
  MAX_FRAME_BYTES,
  MAX_HEADER_BYTES,
  SEQ_DIGITS,
  seqDigits,
  type ReadHeader,
} from '../log/container.ts';
import { encodeVarint } from '../log/varint.ts';
import { must } from '../model/assert.ts';
import { seq, type Seq } from '../model/ids.ts';
import { FAMILY, volumeKey } from './keys.ts';
import { afterPrefix } from './layer.ts';
import {
  decodeRecord,
  DIGEST_BYTES,
  encodeRecord,
  END_BRANCH,
  numberAt,
  recordBytes,
  recordSchema,
  RECORDED_FAMILIES,
  type RecordedFamily,
  type StoredRecord,
} from './records.ts';
import type { IndexSnapshot } from './snapshot.ts';
import { encodeValue } from './values.ts';

const EXTENSION = '.avro';
/** Records are collected to blocks of about this size. */
const BLOCK_BYTES = 1024 * 1024;
/** Ends the name of a file that is being written. */
const UNFINISHED = '.new';
/** Rows of one step: about two milliseconds of the event loop. */
const STEP_ROWS = 256;
/** The closing record: branch, count, digest. */
const MAX_END_BYTES = 64;

/** A checkpoint that cannot be used; there may be an older one. */
export class CheckpointDamaged extends Error {
  override readonly name = 'CheckpointDamaged';
}

/** Seqs of the checkpoints in `dir`, newest first. */
export async function listCheckpoints(disk: Disk, dir: string): Promise<Seq[]> {
  const names = await disk.list(dir);
  const pattern = new RegExp(`^\\d{${SEQ_DIGITS}}\\${EXTENSION}$`);
  const seqs = names
    .filter((name) => pattern.test(name))
    .map((name) => seq(Number.parseInt(name, 10)));
  return seqs.sort((a, b) => b - a);
}

/**
 * Writes the state of `snapshot` into `dir`; only one at a time may. `seal` (32 bytes) is the log's
 * seal at or before the snapshot's seq, so that a log trimmed to here can still be verified. `pause`
 * is awaited between steps of a few milliseconds; where it rejects, nothing is left of the writing.
 * Returns the file's path.
 */
export async function writeCheckpoint(
  disk: Disk,
  dir: string,
  snapshot: IndexSnapshot,
  seal: Buffer,
  pause: () => Promise<void> = turn,
): Promise<string> {
  const volume = must(snapshot.get('meta', volumeKey), 'a checkpoint of an empty index');
  const path = `${dir}/${seqDigits(snapshot.seq)}${EXTENSION}`;
  const temporary = `${path}${UNFINISHED}`;
  await removeUnfinished(disk, dir);
  const file = await disk.open(temporary, 'create');
  try {
    const { fsid, format } = volume;
    const schema = recordSchema();
    const header = encodeHeader({ fsid, format, firstSeq: snapshot.seq, seal, schema });
    const writer = new RecordWriter(file, header.bytes, header.sync);
    for (const family of RECORDED_FAMILIES) await writeFamily(writer, snapshot, family, pause);
    await writer.finish();
    await file.sync();
    await file.close();
  } catch (error) {
    await file.close().catch(() => undefined);
    await disk.unlink(temporary).catch(() => undefined);
    throw error;
  }
  await disk.rename(temporary, path);
  await disk.syncDir(dir);
  return path;
}

async function removeUnfinished(disk: Disk, dir: string): Promise<void> {
  for (const name of await disk.list(dir)) {
    if (name.endsWith(`${EXTENSION}${UNFINISHED}`)) await disk.unlink(`${dir}/${name}`);
  }
}

async function writeFamily(
  writer: RecordWriter,
  snapshot: IndexSnapshot,
  family: RecordedFamily,
  pause: () => Promise<void>,
): Promise<void> {
  const prefix = family === 'meta' ? volumeKey : FAMILY[family];
  const rows = snapshot.cursor(family, prefix, afterPrefix(prefix));
  try {
    for (;;) {
      const step = await rows.next(STEP_ROWS);
      if (step.length === 0) return;
      for (const { key, value } of step) {
        if (writer.isFull) await writer.flush();
        writer.add(family, key, encodeValue(key, value));
      }
      await pause();
    }
  } finally {
    await rows.close();
  }
}

/** Collects records to blocks, and hashes them. */
class RecordWriter {
  readonly #file: File;
  readonly #sync: Buffer;
  readonly #hash = createHash('sha256');
  #block = Buffer.alloc(MAX_BLOCK_BYTES);
  #used = 0;
  #inBlock = 0;
  #records = 0;
  #pending: Buffer[];
  #offset = 0;

  constructor(file: File, header: Buffer, sync: Buffer) {
    this.#file = file;
    this.#pending = [header];
    this.#sync = sync;
  }

  get isFull(): boolean {
    return this.#used >= BLOCK_BYTES;
  }

  add(family: RecordedFamily, key: string, value: Buffer): void {
    const room = this.#block.length - this.#used;
    must(recordBytes(family, key, value) <= room || undefined, 'a record beyond the block');
    this.#used = encodeRecord(family, key, value, this.#block, this.#used);
    this.#inBlock++;
    this.#records++;
  }

  async flush(): Promise<void> {
    if (this.#inBlock > 0) {
      const records = this.#block.subarray(0, this.#used);
      this.#hash.update(records);
      this.#pending.push(encodeBlockHead(this.#inBlock, this.#used), records, this.#sync);
    }
    await this.#file.write(this.#pending, this.#offset);
    for (const chunk of this.#pending) this.#offset += chunk.length;
    this.#pending = [];
    this.#used = 0;
    this.#inBlock = 0;
  }

  /** Writes what is left, and the closing record in a block of its own. */
  async finish(): Promise<void> {
    await this.flush();
    const end = Buffer.alloc(MAX_END_BYTES);
    let used = encodeVarint(this.#records, end, encodeVarint(END_BRANCH, end, 0));
    used += this.#hash.digest().copy(end, used);
    this.#pending = [encodeBlockHead(1, used), end.subarray(0, used), this.#sync];
    await this.flush();
  }
}

/**
 * The items of a checkpoint in the order of its records, a batch at a time. Throws
 * `CheckpointDamaged`, at the latest at the end: only then is the whole of it proved.
 */
export async function* readCheckpoint(disk: Disk, path: string): AsyncIterable<StoredRecord[]> {
  const file = await disk.open(path, 'read');
  try {
    yield* readRecords(file);
  } finally {
    await file.close();
  }
}

async function* readRecords(file: File): AsyncIterable<StoredRecord[]> {
  const header = await readHeader(file);
  const hash = createHash('sha256');
  let records = 0;
  let ended = false;
  for await (const { bytes, count } of readBlocks(file, header)) {
    if (ended) throw damaged(file, 'goes on after its end');
    const batch = decodeRecords(file, bytes, count);
    if (batch === 'end') {
      checkEnd(file, bytes, records, hash.digest());
      ended = true;
      continue;
    }
    hash.update(bytes);
    records += batch.length;
    yield batch;
  }
  if (!ended) throw damaged(file, 'has no end');
}

function decodeRecords(file: File, bytes: Buffer, count: number): StoredRecord[] | 'end' {
  try {
    const batch: StoredRecord[] = [];
    for (let at = 0; at < bytes.length; at = (batch.at(-1) as StoredRecord).end) {
      const record = decodeRecord(bytes, at);
      if (record === 'end') return 'end';
      batch.push(record);
    }
    if (batch.length !== count) throw new Error(`${batch.length} records, not ${count}`);
    return batch;
  } catch (cause) {
    throw damaged(file, 'holds records that cannot be read', cause);
  }
}

function checkEnd(file: File, bytes: Buffer, records: number, digest: Buffer): void {
  const count = numberAt(bytes, numberAt(bytes, 0).end);
  const stored = bytes.subarray(count.end, count.end + DIGEST_BYTES);
  if (count.value !== records || !stored.equals(digest)) throw damaged(file, 'fails its digest');
}

async function readHeader(file: File): Promise<ReadHeader> {
  const { sizeBytes } = await file.info();
  const bytes = Buffer.alloc(Math.min(MAX_HEADER_BYTES, sizeBytes));
  const header = decodeHeader(bytes.subarray(0, await file.read(bytes, 0)));
  if (header instanceof Malformed) throw damaged(file, `has ${header.reason}`);
  if (header.schema !== recordSchema()) throw damaged(file, 'has another schema');
  return header;
}

async function* readBlocks(
  file: File,
  header: ReadHeader,
): AsyncIterable<{ bytes: Buffer; count: number }> {
  const { sizeBytes } = await file.info();
  let want = MAX_FRAME_BYTES;
  for (let offset = header.bytes; offset < sizeBytes;) {
    const bytes = Buffer.allocUnsafe(Math.min(want, sizeBytes - offset));
    const window = bytes.subarray(0, await file.read(bytes, offset));
    const block = decodeBlock(window, 0, header.sync);
    if (block instanceof Malformed) throw damaged(file, `has ${block.reason} at ${offset}`);
    if (block instanceof Incomplete) {
      if (block.needBytes <= want || offset + want >= sizeBytes) throw damaged(file, 'is cut off');
      want = block.needBytes;
      continue;
    }
    yield { bytes: window.subarray(block.start, block.end), count: block.count };
    offset += block.next;
    want = BLOCK_BYTES + MAX_FRAME_BYTES;
  }
}

const damaged = (file: File, what: string, cause?: unknown): CheckpointDamaged =>
  new CheckpointDamaged(`${file.path}: the checkpoint ${what}`, { cause });

/**
 * The log in files: `LogStore` on a directory of segments (architecture 3).
 *
 * Owns the list of segments and, where it may append, the supply of log space with the active one.
 * Order of events of an append, and what a crash after each step leaves:
 *
 * 1. if the active segment has its size and the next one is ready, that is born
 *    (`active-segment.ts`): the log without the commit;
 * 2. the batch's blocks are written behind the end: the log without the commit (a torn tail, which
 *    opening cuts) or with all of it;
 * 3. fdatasync: the log with it. Only now `durable` moves.
 *
 * After a failure in any of them nothing is known about what is on the disk: the store is broken
 * until it is opened anew.
 */

import type { Clock } from '../io/clock.ts';
import type { Disk } from '../io/disk.ts';
import { assert, must } from '../model/assert.ts';
import { NO_SEQ, seq, type Seq } from '../model/ids.ts';
import { ActiveSegment } from './active-segment.ts';
import type { SegmentHeader } from './container.ts';
import { LogCursor, type ReadBound } from './cursor.ts';
import { acceptLoss, type Loss } from './loss.ts';
import {
  emptyEnd,
  recoverLog,
  type LogEnd,
  type Proof,
  type Recovered,
  type RecoveredLog,
} from './recovery.ts';
import { FORMAT_VERSION, TRANSACTION_SCHEMA_JSON } from './schema.ts';
import { openSegment, segmentPath, type LogPlace } from './segment-file.ts';
import type { Batch, LogStore, RecordChunk } from './store.ts';
import { bearSegment, defaultReserve, SegmentSupply } from './supply.ts';

/** A segment is followed by another once it is this long. */
const SEGMENT_BYTES = 64 * 1024 * 1024;

export interface FileLogOptions {
  readonly disk: Disk;
  /** Directory of the segments, VOLUME/log; it exists. */
  readonly dir: string;
  /** 32 hexadecimal digits. */
  readonly fsid: string;
  readonly clock: Clock;
  /** Space kept for operations that free space; default 64 MiB (`supply.ts`). */
  readonly reserveBytes?: number;
  /** Default 64 MiB. */
  readonly segmentBytes?: number;
}

export interface OpenFileLogOptions extends FileLogOptions {
  readonly proof: Proof;
  /** Go on past damage; what is lost is told in `lost`. */
  readonly acceptLoss?: boolean;
  /** Change nothing, append nothing; a daemon may own the log. */
  readonly readOnly?: boolean;
}

export interface OpenedLog {
  readonly store: FileLogStore;
  /** What the next transaction and seal follow. Above a loss: seqs are never given twice. */
  readonly last: LogEnd;
  readonly lost: Loss | undefined;
  readonly recovered: Recovered;
}

const NO_PROOF: Proof = { cleanSeq: undefined, appliedSeq: NO_SEQ, acknowledgedSeq: NO_SEQ };
const NEW: Recovered = { clean: true, tornBytes: 0, rewrittenBytes: 0 };

/** What a store begins with. */
interface Beginning {
  readonly segments: readonly Seq[];
  readonly durable: Seq;
  /** Undefined: read only, up to `endBytes` of the newest segment. */
  readonly supply: SegmentSupply | undefined;
  readonly endBytes: number;
}

export class FileLogStore implements LogStore {
  readonly #place: LogPlace;
  readonly #segments: Seq[];
  readonly #supply: SegmentSupply | undefined;
  readonly #endBytes: number;
  #durable: Seq;
  #failure: Error | undefined;
  #appending = false;
  /** Called whenever `durable` moved. */
  readonly #followers = new Set<() => void>();

  private constructor(place: LogPlace, { segments, durable, supply, endBytes }: Beginning) {
    this.#place = place;
    this.#segments = [...segments];
    this.#durable = durable;
    this.#supply = supply;
    this.#endBytes = endBytes;
  }

  /** Makes the log of a new volume, in an empty directory. Throws what the disk throws. */
  static async create(options: FileLogOptions): Promise<OpenedLog> {
    const last = emptyEnd(options.fsid);
    const active = await bearSegment(options, headerFor(options.fsid, seq(1), last.seal));
    const supply = await supplyOf(options, active);
    const beginning = { segments: [active.firstSeq], durable: last.seq, supply, endBytes: 0 };
    const store = new FileLogStore(options, beginning);
    return { store, last, lost: undefined, recovered: NEW };
  }

  /**
   * Opens a log, recovering it where needed (`recovery.ts`). Throws `LogCorruption`, `LogUnusable`,
   * and then nothing was changed.
   */
  static async open(options: OpenFileLogOptions): Promise<OpenedLog> {
    const readOnly = options.readOnly === true;
    const accepts = options.acceptLoss === true && !readOnly;
    const lost = accepts ? await acceptLoss(options, options.proof) : undefined;
    const proof = lost === undefined ? options.proof : NO_PROOF;
    const log = await recoverLog(options, proof, readOnly);
    // Lost seqs are never given again: somebody may have seen them.
    const last = { ...log.last, seq: seq(Math.max(log.last.seq, lost?.to ?? 0)) };
    const { recovered, endBytes } = log;
    const active = readOnly ? undefined : await activeAfter(options, log, last);
    const supply = active === undefined ? undefined : await supplyOf(options, active);
    const segments = active === undefined ? log.segments : withLast(log.segments, active.firstSeq);
    const beginning = { segments, durable: last.seq, supply, endBytes };
    return { store: new FileLogStore(options, beginning), last, lost, recovered };
  }

  get durable(): Seq {
    return this.#durable;
  }

  get oldest(): Seq {
    return this.#segments[0] ?? seq(NO_SEQ + 1);
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  reserve(bytes: number, privileged: boolean): boolean {
    return this.#writable().reserve(bytes, privileged);
  }

  async append(batch: Batch): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    assert(!this.#appending, 'the log has one writer');
    assert(batch.firstSeq > this.#durable && batch.lastSeq >= batch.firstSeq, 'seqs rise');
    const supply = this.#writable();
    this.#appending = true;
    try {
      if (supply.isDue) await this.#advance(supply, batch.firstSeq);
      await supply.active.append(batch);
    } catch (error) {
      this.#failure = error as Error;
      throw error;
    } finally {
      this.#appending = false;
    }
    this.#durable = batch.lastSeq;
    supply.prepare();
    for (const wake of this.#followers) wake();
  }

  async *read(from: Seq): AsyncIterable<RecordChunk> {
    const bound = this.#bound();
    const cursor = new LogCursor(this.#place, from);
    try {
      for (;;) {
        const chunks = await cursor.read(bound);
        if (chunks.length === 0) return;
        yield* chunks;
      }
    } finally {
      await cursor.close();
    }
  }

  async *follow(from: Seq, signal: AbortSignal): AsyncIterable<RecordChunk> {
    const cursor = new LogCursor(this.#place, from);
    try {
      while (!signal.aborted) {
        const bound = this.#bound();
        const chunks = await cursor.read(bound);
        if (chunks.length === 0) await this.#moreThan(bound.durable, signal);
        for (const chunk of chunks) {
          if (signal.aborted) return;
          yield chunk;
        }
      }
    } finally {
      await cursor.close();
    }
  }

  /**
   * Removes whole segments that hold only records below `before`, never the newest one. Resolves to
   * the oldest seq that is left.
   */
  async trim(before: Seq): Promise<Seq> {
    const { disk, dir } = this.#place;
    // The newest segment may hold no commit yet: then the one before it holds the end of the log.
    const newest = this.#segments.at(-1) ?? NO_SEQ;
    const keep = this.#durable >= newest ? 1 : 2;
    let removed = false;
    while (this.#segments.length > keep && (this.#segments[1] ?? before) <= before) {
      const firstSeq = must(this.#segments.shift(), 'there are segments');
      await disk.unlink(segmentPath(this.#place, firstSeq));
      removed = true;
    }
    if (removed) await disk.syncDir(dir);
    return this.oldest;
  }

  async close(): Promise<void> {
    assert(!this.#appending, 'the log is closed by its writer');
    await this.#supply?.close();
  }

  #writable(): SegmentSupply {
    return must(this.#supply, 'a log that was opened read only is not written');
  }

  async #advance(supply: SegmentSupply, firstSeq: Seq): Promise<void> {
    await supply.advance(headerFor(this.#place.fsid, firstSeq, supply.active.seal));
    this.#segments.push(firstSeq);
  }

  #bound(): ReadBound {
    const endBytes = this.#supply?.active.endBytes ?? this.#endBytes;
    return { segments: [...this.#segments], endBytes, durable: this.#durable };
  }

  /** Resolves when something after `durable` is durable, or `signal` aborts. */
  #moreThan(durable: Seq, signal: AbortSignal): Promise<void> {
    if (this.#durable > durable || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#followers.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#followers.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}

const headerFor = (fsid: string, firstSeq: Seq, seal: Buffer): SegmentHeader => ({
  fsid,
  format: FORMAT_VERSION,
  firstSeq,
  seal,
  schema: TRANSACTION_SCHEMA_JSON,
});

/**
 * The segment to append to: after a clean stop the newest one, if it is of this program's format;
 * else a new one, which takes the place of an empty one of the same name.
 */
async function activeAfter(
  options: OpenFileLogOptions,
  { recovered, segments, empty, header, endBytes }: RecoveredLog,
  last: LogEnd,
): Promise<ActiveSegment> {
  const newest = segments.at(-1);
  const isOurs = header?.schema === TRANSACTION_SCHEMA_JSON && header.format === FORMAT_VERSION;
  if (!recovered.clean || empty.length > 0 || newest === undefined || !isOurs) {
    const born = await bearSegment(options, headerFor(options.fsid, seq(last.seq + 1), last.seal));
    await removeSegments(
      options,
      empty.filter((firstSeq) => firstSeq !== born.firstSeq),
    );
    return born;
  }
  const { file } = await openSegment(options, newest, 'write');
  const { sync } = header;
  return new ActiveSegment({ firstSeq: newest, file, sync, end: endBytes, seal: last.seal });
}

async function removeSegments(place: LogPlace, segments: readonly Seq[]): Promise<void> {
  if (segments.length === 0) return;
  for (const firstSeq of segments) await place.disk.unlink(segmentPath(place, firstSeq));
  await place.disk.syncDir(place.dir);
}

const withLast = (segments: readonly Seq[], last: Seq): Seq[] =>
  segments.at(-1) === last ? [...segments] : [...segments, last];

async function supplyOf(options: FileLogOptions, active: ActiveSegment): Promise<SegmentSupply> {
  const { disk, dir, clock } = options;
  const segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
  const reserveBytes = options.reserveBytes ?? (await defaultReserve(disk, dir));
  return SegmentSupply.open({ disk, dir, clock, segmentBytes, reserveBytes }, active);
}

/**
 * A reader's place in the segments of a log: gives verified records in order, across segments, up
 * to a bound that may move. Owns one descriptor at a time. It never sees a byte beyond the bound,
 * so it can read a segment that is being appended to.
 */

import type { File } from '../io/disk.ts';
import type { Seq } from '../model/ids.ts';
import { chunkFrom, lastTransaction } from './codec.ts';
import { CommitScan, firstSeqOf } from './commit-scan.ts';
import type { Malformed, ReadHeader } from './container.ts';
import { LogTrimmed } from './corruption.ts';
import {
  checkedHeader,
  corruptionAt,
  NOT_FOLLOWING,
  openSegment,
  seqBefore,
  type LogPlace,
} from './segment-file.ts';
import { segmentHolding } from './segment.ts';
import type { RecordChunk } from './store.ts';

/** How far a log may be read. */
export interface ReadBound {
  /** First seqs of the segments, ascending; the last one is read up to `endBytes`. */
  readonly segments: readonly Seq[];
  readonly endBytes: number;
  /** Last durable seq. */
  readonly durable: Seq;
}

interface OpenSegment {
  readonly firstSeq: Seq;
  readonly file: File;
  readonly scan: CommitScan;
}

export class LogCursor {
  readonly #place: LogPlace;
  /** Records below are skipped. */
  readonly #from: Seq;
  #open: OpenSegment | undefined;
  /** The segment read before, and the seal of its last commit. */
  #left: { readonly firstSeq: Seq; readonly seal: Buffer } | undefined;
  /** The last chunk that was seen of the open segment: tells where damage begins. */
  #lastChunk: RecordChunk | undefined;

  constructor(place: LogPlace, from: Seq) {
    this.#place = place;
    this.#from = from;
  }

  /** The next records, at least one chunk; none once the bound is reached. */
  async read(bound: ReadBound): Promise<readonly RecordChunk[]> {
    if (bound.durable < this.#from) return [];
    for (;;) {
      const segment = this.#open ?? (await this.#openNext(bound));
      if (segment === undefined) return [];
      const isLast = segment.firstSeq === bound.segments.at(-1);
      const limit = isLast ? bound.endBytes : (await segment.file.info()).sizeBytes;
      const commits = await segment.scan.read(limit);
      if (commits.length === 0) {
        this.#assertIntact(segment, bound);
        if (isLast) return [];
        await this.#leave(segment);
        continue;
      }
      const chunks = commits.flatMap((commit) => commit.chunks);
      this.#lastChunk = chunks.at(-1);
      const wanted = this.#wanted(chunks);
      if (wanted.length > 0) return wanted;
    }
  }

  async close(): Promise<void> {
    const segment = this.#open;
    this.#open = undefined;
    await segment?.file.close();
  }

  /** Opens the segment that holds `from`, or the one after the segment that was left. */
  async #openNext(bound: ReadBound): Promise<OpenSegment | undefined> {
    const { segments } = bound;
    const left = this.#left;
    const firstSeq =
      left === undefined
        ? segments[segmentHolding(segments, this.#from)]
        : segments.find((first) => first > left.firstSeq);
    if (firstSeq === undefined) return undefined;
    const { file, header } = await this.#openFile(firstSeq, bound);
    try {
      this.#open = { firstSeq, file, scan: new CommitScan(file, this.#checked(firstSeq, header)) };
      return this.#open;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async #openFile(firstSeq: Seq, bound: ReadBound): ReturnType<typeof openSegment> {
    try {
      return await openSegment(this.#place, firstSeq);
    } catch (error) {
      // Between the caller's look at the segments and now, it was trimmed.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      const next = bound.segments.find((first) => first > firstSeq);
      throw new LogTrimmed(this.#from, next ?? bound.durable);
    }
  }

  #checked(firstSeq: Seq, header: ReadHeader | Malformed): ReadHeader {
    const checked = checkedHeader(this.#place, firstSeq, header);
    if (this.#left !== undefined && !checked.seal.equals(this.#left.seal)) {
      throw corruptionAt(this.#place, firstSeq, 0, NOT_FOLLOWING, seqBefore(firstSeq));
    }
    return checked;
  }

  async #leave({ firstSeq, scan }: OpenSegment): Promise<void> {
    this.#left = { firstSeq, seal: scan.seal };
    this.#lastChunk = undefined;
    await this.close();
  }

  /** A bound ends with a sealed commit: anything unsealed below it is damage. */
  #assertIntact({ firstSeq, scan }: OpenSegment, bound: ReadBound): void {
    if (scan.damage === undefined) return;
    const last = this.#lastChunk;
    const lastGood = last === undefined ? seqBefore(firstSeq) : lastTransaction(last).seq;
    throw corruptionAt(this.#place, firstSeq, scan.end, scan.damage, lastGood, bound.durable);
  }

  /** What of `chunks` is not below `from`. */
  #wanted(chunks: readonly RecordChunk[]): readonly RecordChunk[] {
    const first = chunks[0];
    if (first === undefined || firstSeqOf(first) >= this.#from) return chunks;
    const wanted: RecordChunk[] = [];
    chunks.forEach((chunk, i) => {
      const next = chunks[i + 1];
      if (next !== undefined && firstSeqOf(next) <= this.#from) return;
      const rest = chunkFrom(chunk, this.#from);
      if (rest !== undefined) wanted.push(rest);
    });
    return wanted;
  }
}

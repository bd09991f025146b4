/**
 * Verifies a whole log, streaming: every header, every block, every seal, the chain from the volume's
 * beginning (or the oldest segment left) to its end, that every record can be read, and that seqs
 * rise and times do not fall. Reads only; a daemon may be appending meanwhile.
 */

import { NO_SEQ, type Seq } from '../model/ids.ts';
import { decodeTransactions } from './codec.ts';
import { CommitScan, type SealedCommit } from './commit-scan.ts';
import { LogCorruption } from './corruption.ts';
import { emptyEnd, type LogEnd } from './recovery.ts';
import {
  checkedHeader,
  corruptionAt,
  listSegments,
  NOT_FOLLOWING,
  openSegment,
  sealBefore,
  segmentPath,
  type LogPlace,
} from './segment-file.ts';
import { signOfLoss } from './torn-tail.ts';

export interface VerifyOptions {
  /** Told after every stretch. `totalBytes` is the size that the log had at the start. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /** Shown each commit's last seq and its seal, to compare with one that was noted down. */
  readonly onSeal?: (seq: Seq, seal: Buffer) => void;
}

export interface LogReport {
  readonly segments: number;
  readonly commits: number;
  readonly transactions: number;
  /** Bytes verified, headers included. */
  readonly bytes: number;
  /** First seq that was read; NO_SEQ in an empty log. */
  readonly first: Seq;
  readonly last: LogEnd;
  /** Bytes of the newest segment behind its last commit: a torn tail, or one being written. */
  readonly tailBytes: number;
  /** The first damage, if any. Nothing behind it was looked at. */
  readonly damage: LogCorruption | undefined;
}

/** Verifies the log of `place`. Throws `LogUnusable` if it is not for us, and what the disk throws. */
export async function verifyLog(place: LogPlace, options: VerifyOptions = {}): Promise<LogReport> {
  const segments = await listSegments(place);
  const verification = new Verification(place, segments, options);
  let damage: LogCorruption | undefined;
  try {
    await verification.run();
  } catch (error) {
    if (!(error instanceof LogCorruption)) throw error;
    damage = error;
  }
  return { ...verification.report(), damage };
}

class Verification {
  readonly #place: LogPlace;
  readonly #segments: readonly Seq[];
  readonly #options: VerifyOptions;
  #totalBytes = 0;
  #bytes = 0;
  #done = 0;
  #commits = 0;
  #transactions = 0;
  #first: Seq = NO_SEQ;
  #last: LogEnd;
  #tailBytes = 0;

  constructor(place: LogPlace, segments: readonly Seq[], options: VerifyOptions) {
    this.#place = place;
    this.#segments = segments;
    this.#options = options;
    this.#last = emptyEnd(place.fsid);
  }

  report(): Omit<LogReport, 'damage'> {
    return {
      segments: this.#done,
      commits: this.#commits,
      transactions: this.#transactions,
      bytes: this.#bytes,
      first: this.#first,
      last: this.#last,
      tailBytes: this.#tailBytes,
    };
  }

  async run(): Promise<void> {
    for (const firstSeq of this.#segments) {
      const info = await this.#place.disk.info(segmentPath(this.#place, firstSeq));
      this.#totalBytes += info?.sizeBytes ?? 0;
    }
    for (const [i, firstSeq] of this.#segments.entries()) await this.#segment(i, firstSeq);
  }

  async #segment(i: number, firstSeq: Seq): Promise<void> {
    const place = this.#place;
    const { file, header: found, sizeBytes } = await openSegment(place, firstSeq);
    try {
      const header = checkedHeader(place, firstSeq, found);
      const before =
        i > 0 ? this.#last.seal : await sealBefore(place, firstSeq, this.#segments[i - 1]);
      if (before !== undefined && !before.equals(header.seal)) {
        throw corruptionAt(place, firstSeq, 0, NOT_FOLLOWING, this.#last.seq);
      }
      if (i === 0) this.#last = { ...this.#last, seal: header.seal };
      const base = this.#bytes;
      const scan = new CommitScan(file, header);
      this.#bytes = base + scan.end;
      for (;;) {
        const commits = await scan.read(sizeBytes);
        if (commits.length === 0) break;
        for (const commit of commits) this.#commit(firstSeq, commit);
        this.#bytes = base + scan.end;
        this.#options.onProgress?.(this.#bytes, this.#totalBytes);
      }
      const tail = Buffer.allocUnsafe(sizeBytes - scan.end);
      await file.read(tail, scan.end);
      this.#assertTail(i, firstSeq, scan, signOfLoss(tail, header.sync));
      this.#tailBytes = tail.length;
      this.#done++;
    } finally {
      await file.close();
    }
  }

  /** Only the newest segment may end with something unsealed, and only with one commit of it. */
  #assertTail(i: number, firstSeq: Seq, scan: CommitScan, sign: string | undefined): void {
    const isNewest = i === this.#segments.length - 1;
    const reason = sign ?? (isNewest ? undefined : scan.damage);
    if (reason !== undefined) {
      throw corruptionAt(this.#place, firstSeq, scan.end, reason, this.#last.seq);
    }
  }

  #commit(segment: Seq, commit: SealedCommit): void {
    let { seq, time } = this.#last;
    const at = (reason: string): LogCorruption =>
      corruptionAt(this.#place, segment, commit.start, reason, seq);
    for (const chunk of commit.chunks) {
      for (const tx of decodable(() => decodeTransactions(chunk), at)) {
        if (tx.seq <= seq) throw at(`transaction ${tx.seq} after ${seq}`);
        if (tx.time < time) throw at(`transaction ${tx.seq} is older than the one before it`);
        if (this.#first === NO_SEQ) this.#first = tx.seq;
        ({ seq, time } = tx);
      }
    }
    this.#commits++;
    this.#transactions += commit.count;
    this.#last = { seq, time, seal: commit.seal };
    this.#options.onSeal?.(seq, commit.seal);
  }
}

/** What sealed bytes decode to; sealed but undecodable is corruption too (of the writer). */
function decodable<T>(decode: () => T, at: (reason: string) => LogCorruption): T {
  try {
    return decode();
  } catch (error) {
    throw at((error as Error).message);
  }
}

/**
 * Opening a log: finds its last sealed commit, tells a torn tail from corruption, and makes what is
 * kept fit to build on. Order of events, and what a crash after each step leaves:
 *
 * 1. Newest segments without any commit are passed over (an empty tail: their birth or first commit
 *    was torn); the segment that is begun next takes their name, and so their place, at once.
 * 2. The chain of the newest segment is verified up to its last sealed commit, `last`.
 * 3. Bytes behind `last` are a torn tail, unless something proves that they, or more, were durable:
 *    then nothing is changed and `LogCorruption` is thrown (or, if the loss is accepted, all behind
 *    the first damage of the whole log is set aside, `loss.ts`).
 * 4. After an unclean stop, commits behind the index's applied position are written again in place
 *    and synced: a failed fsync may have left them in memory only. A crash: the same bytes.
 * 5. The torn tail is cut off and that is synced. A crash: with or without the tail; both are as
 *    before. After an unclean stop the segment is never appended to again.
 */

import type { File } from '../io/disk.ts';
import { NO_SEQ, type Seq } from '../model/ids.ts';
import type { Transaction } from '../model/transaction.ts';
import { lastTransaction } from './codec.ts';
import { CommitScan, firstSeqOfCommit, type SealedCommit } from './commit-scan.ts';
import { encodeHeader, Malformed, type ReadHeader } from './container.ts';
import { laterSeq, LogUnusable } from './corruption.ts';
import { firstSeal } from './seal.ts';
import {
  checkedHeader,
  corruptionAt,
  listSegments,
  NOT_FOLLOWING,
  openSegment,
  sealBefore,
  seqBefore,
  type LogPlace,
  type SegmentFile,
} from './segment-file.ts';
import { FORMAT_VERSION, TRANSACTION_SCHEMA_JSON } from './schema.ts';
import { signOfLoss } from './torn-tail.ts';

/** What others know to have been durable. */
export interface Proof {
  /** The log's end at a clean close; undefined if the last stop was not clean. */
  readonly cleanSeq: Seq | undefined;
  /** The index's applied position. */
  readonly appliedSeq: Seq;
  /** The highest position that a subscription acknowledged. */
  readonly acknowledgedSeq: Seq;
}

/** The end of a log: what the next transaction and the next seal follow. */
export interface LogEnd {
  readonly seq: Seq;
  /** Microseconds since 1970. */
  readonly time: number;
  readonly seal: Buffer;
}

export interface Recovered {
  /** The log ended where the last clean close left it. */
  readonly clean: boolean;
  /** Bytes of a commit that never became durable, cut off. */
  readonly tornBytes: number;
  /** Bytes written again because they may not have reached the disk. */
  readonly rewrittenBytes: number;
}

export interface RecoveredLog {
  /** First seqs of the segments that are left, ascending. */
  readonly segments: readonly Seq[];
  readonly last: LogEnd;
  /** Offset after the last commit in the newest segment; 0 without segments. */
  readonly endBytes: number;
  /** Header of the newest segment. */
  readonly header: ReadHeader | undefined;
  /** Segments behind it, which hold nothing. */
  readonly empty: readonly Seq[];
  readonly recovered: Recovered;
}

/** The end of a log that holds nothing yet. */
export const emptyEnd = (fsid: string): LogEnd => ({ seq: NO_SEQ, time: 0, seal: firstSeal(fsid) });

/** The last seq that `proof` shows to have been durable. */
export const provenSeq = (proof: Proof): Seq =>
  laterSeq(laterSeq(proof.appliedSeq, proof.cleanSeq), proof.acknowledgedSeq);

/**
 * Recovers the log of `place`. With `readOnly` nothing is written, and an unsealed tail is merely
 * not read: a running daemon may be writing it. Throws `LogCorruption`, `LogUnusable`.
 */
export async function recoverLog(
  place: LogPlace,
  proof: Proof,
  readOnly: boolean,
): Promise<RecoveredLog> {
  const found = await findEnd(place, await listSegments(place), proof);
  const proven = provenSeq(proof);
  if (found.last.seq < proven) throw lostBehind(place, found, proven);
  const clean = proof.cleanSeq === found.last.seq && found.tornBytes === 0;
  let rewrittenBytes = 0;
  if (!readOnly && !clean) rewrittenBytes = await secure(place, found);
  const { tornBytes, ...log } = found;
  return { ...log, recovered: { clean, tornBytes, rewrittenBytes } };
}

/** Where a log ends, before anything was changed. */
interface Found {
  readonly segments: readonly Seq[];
  /** Newest segments without a commit. */
  readonly empty: readonly Seq[];
  readonly header: ReadHeader | undefined;
  readonly last: LogEnd;
  readonly endBytes: number;
  /** Offset of the commit that holds the index's applied position, or of the first after it. */
  readonly unappliedFrom: number;
  readonly tornBytes: number;
}

async function findEnd(place: LogPlace, segments: readonly Seq[], proof: Proof): Promise<Found> {
  if (segments.length === 0) throw new LogUnusable(`${place.dir} holds no log segment`);
  const empty: Seq[] = [];
  // An empty segment's name tells up to where seqs were given away (or given up, after a loss).
  let given = NO_SEQ;
  for (let i = segments.length - 1; i >= 0; i--) {
    const firstSeq = segments[i] as Seq;
    const opened = await openSegment(place, firstSeq);
    try {
      const end = await endOf(place, firstSeq, segments[i - 1], opened, proof, empty.length > 0);
      if (end !== undefined) {
        const last = { ...end.last, seq: laterSeq(end.last.seq, given) };
        return { ...end, last, segments: segments.slice(0, i + 1), empty };
      }
      if (!(opened.header instanceof Malformed)) given = laterSeq(given, seqBefore(firstSeq));
    } finally {
      await opened.file.close();
    }
    empty.unshift(firstSeq);
  }
  const nothing = { header: undefined, endBytes: 0, unappliedFrom: 0, tornBytes: 0 };
  const last = { ...emptyEnd(place.fsid), seq: given };
  return { ...nothing, segments: [], empty, last };
}

type SegmentEnd = Omit<Found, 'segments' | 'empty'>;

/** The end of one segment, undefined if it holds no commit. */
async function endOf(
  place: LogPlace,
  firstSeq: Seq,
  predecessor: Seq | undefined,
  opened: SegmentFile,
  proof: Proof,
  hasSuccessor: boolean,
): Promise<SegmentEnd | undefined> {
  const mayBeUnborn = !hasSuccessor && predecessor !== undefined;
  if (mayBeUnborn && isUnborn(place, firstSeq, opened)) return undefined;
  const header = checkedHeader(place, firstSeq, opened.header);
  const before = await sealBefore(place, firstSeq, predecessor);
  if (before !== undefined && !before.equals(header.seal)) {
    throw corruptionAt(place, firstSeq, 0, NOT_FOLLOWING, seqBefore(firstSeq), provenSeq(proof));
  }
  const scanned = await scanSegment(opened, header, proof.appliedSeq);
  const lastSeq = scanned.last?.seq ?? seqBefore(firstSeq);
  const tornBytes = opened.sizeBytes - scanned.end;
  const sign = await signBehind(opened.file, header, scanned.end, tornBytes);
  const known = laterSeq(lastSeq, provenSeq(proof));
  const reason = sign ?? (hasSuccessor && tornBytes > 0 ? scanned.damage : undefined);
  if (reason !== undefined) {
    throw corruptionAt(place, firstSeq, scanned.end, reason, lastSeq, known);
  }
  if (scanned.last === undefined) return undefined;
  return {
    header,
    last: { seq: scanned.last.seq, time: scanned.last.time, seal: scanned.seal },
    endBytes: scanned.end,
    unappliedFrom: scanned.unappliedFrom,
    tornBytes,
  };
}

/**
 * Whether a newest segment with a bad header may be one whose birth was torn: commits are written
 * only once the header is durable, so such a file ends with the header at the latest.
 */
function isUnborn(place: LogPlace, firstSeq: Seq, { header, sizeBytes }: SegmentFile): boolean {
  if (!(header instanceof Malformed)) return false;
  const ours = { format: FORMAT_VERSION, firstSeq, schema: TRANSACTION_SCHEMA_JSON };
  const whole = encodeHeader({ ...ours, fsid: place.fsid, seal: firstSeal(place.fsid) });
  return sizeBytes <= whole.bytes.length;
}

interface Scanned {
  readonly end: number;
  readonly seal: Buffer;
  readonly damage: string;
  readonly last: Transaction | undefined;
  readonly unappliedFrom: number;
}

async function scanSegment(
  { file, sizeBytes }: SegmentFile,
  header: ReadHeader,
  appliedSeq: Seq,
): Promise<Scanned> {
  const scan = new CommitScan(file, header);
  let last: SealedCommit | undefined;
  let unappliedFrom = header.bytes;
  for (;;) {
    const commits = await scan.read(sizeBytes);
    if (commits.length === 0) break;
    for (const commit of commits) {
      if (firstSeqOfCommit(commit) <= appliedSeq) unappliedFrom = commit.start;
    }
    last = commits.at(-1);
  }
  const chunk = last?.chunks.at(-1);
  const tx = chunk === undefined ? undefined : lastTransaction(chunk);
  const damage = scan.damage ?? 'unsealed bytes';
  return { end: scan.end, seal: scan.seal, damage, last: tx, unappliedFrom };
}

async function signBehind(
  file: File,
  header: ReadHeader,
  end: number,
  length: number,
): Promise<string | undefined> {
  if (length <= 0) return undefined;
  const tail = Buffer.allocUnsafe(length);
  const read = await file.read(tail, end);
  return signOfLoss(tail.subarray(0, read), header.sync);
}

function lostBehind(place: LogPlace, found: Found, proven: Seq): Error {
  const [unreadable] = found.empty;
  if (unreadable !== undefined) {
    const reason = 'a commit known to be durable is damaged, the first one here';
    return corruptionAt(place, unreadable, 0, reason, found.last.seq, proven);
  }
  const segment = found.segments.at(-1) ?? ((NO_SEQ + 1) as Seq);
  const reason =
    found.tornBytes > 0 ? 'a commit known to be durable is damaged' : 'the log ends too early';
  return corruptionAt(place, segment, found.endBytes, reason, found.last.seq, proven);
}

const COPY_BYTES = 1024 * 1024;

/** Steps 4 and 5. Returns the bytes written again. */
async function secure(place: LogPlace, found: Found): Promise<number> {
  const newest = found.segments.at(-1);
  if (newest === undefined) return 0;
  const { file } = await openSegment(place, newest, 'write');
  try {
    const { unappliedFrom, endBytes } = found;
    for (let at = unappliedFrom; at < endBytes; at += COPY_BYTES) {
      const piece = Buffer.allocUnsafe(Math.min(COPY_BYTES, endBytes - at));
      const read = await file.read(piece, at);
      await file.write([piece.subarray(0, read)], at);
    }
    await file.truncate(endBytes);
    await file.sync();
    return endBytes - unappliedFrom;
  } finally {
    await file.close();
  }
}

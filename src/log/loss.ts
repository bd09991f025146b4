/**
 * Going on past a damaged log (`fsck --rebuild --accept-loss`): the log is cut before its first
 * damage, and all that stood behind is set aside beside it, never deleted. Order of events, and
 * what a crash after each step leaves:
 *
 * 1. segments behind the damaged one are renamed to NAME.lost, newest first: a log that still ends
 *    with the damage, so that opening still refuses and accepting the loss goes on from here;
 * 2. the damaged segment's bytes from the damage on are copied to NAME.lost and synced: the same;
 * 3. the damaged segment is cut and synced: a log that is whole, shorter by what is set aside.
 */

import type { File } from '../io/disk.ts';
import { NO_SEQ, type Seq } from '../model/ids.ts';
import { lastTransaction } from './codec.ts';
import { CommitScan } from './commit-scan.ts';
import { Malformed } from './container.ts';
import { laterSeq, type LogCorruption } from './corruption.ts';
import { provenSeq, type Proof } from './recovery.ts';
import {
  listSegments,
  openSegment,
  segmentPath,
  seqBefore,
  type LogPlace,
} from './segment-file.ts';
import { LOST_SUFFIX } from './segment.ts';
import { verifyLog } from './verify.ts';

/** Transactions that are gone, first and last. `to` is the last one that is known to have been. */
export interface Loss {
  readonly from: Seq;
  readonly to: Seq;
}

/**
 * Cuts the log of `place` before its first damage, if it has any. Returns what is lost, by that or
 * because `proof` knows of more than there is; undefined if nothing is. Throws the `LogCorruption`
 * itself where nothing would be left.
 */
export async function acceptLoss(place: LogPlace, proof: Proof): Promise<Loss | undefined> {
  const { last, damage } = await verifyLog(place);
  const proven = provenSeq(proof);
  const from = ((last.seq as number) + 1) as Seq;
  if (damage === undefined) {
    if (proven <= last.seq) return undefined;
    await copyTail(place, last.seq);
    return { from, to: proven };
  }
  if (last.seq === NO_SEQ) throw damage;
  const behind = (await listSegments(place)).filter((first) => first > damage.place.segment);
  const to = laterSeq(laterSeq(proven, await lastKnown(place, behind)), last.seq);
  await setAside(place, behind, damage);
  return { from, to: laterSeq(from, to) };
}

/** The last seq that the segments behind the damage tell of, as far as they can be read. */
async function lastKnown(place: LogPlace, behind: readonly Seq[]): Promise<Seq> {
  let known: Seq = NO_SEQ;
  for (const firstSeq of behind) {
    known = laterSeq(known, seqBefore(firstSeq));
    const { file, header, sizeBytes } = await openSegment(place, firstSeq);
    try {
      if (header instanceof Malformed) continue;
      const scan = new CommitScan(file, header);
      for (let commits = await scan.read(sizeBytes); commits.length > 0;) {
        const chunk = commits.at(-1)?.chunks.at(-1);
        if (chunk !== undefined) known = laterSeq(known, lastTransaction(chunk).seq);
        commits = await scan.read(sizeBytes);
      }
    } finally {
      await file.close();
    }
  }
  return known;
}

async function setAside(
  place: LogPlace,
  behind: readonly Seq[],
  { place: damaged }: LogCorruption,
): Promise<void> {
  const { disk, dir } = place;
  const whole = damaged.offset === 0 ? [damaged.segment] : [];
  for (const firstSeq of [...whole, ...behind].toReversed()) {
    const path = segmentPath(place, firstSeq);
    await disk.rename(path, path + LOST_SUFFIX);
    await disk.syncDir(dir);
  }
  if (damaged.offset > 0) await cut(place, damaged.segment, damaged.offset);
}

/**
 * A log that ends too early without a sign of damage: recovery will cut what stands behind its last
 * commit as a torn tail, so the segments that it may cut are copied aside first.
 */
async function copyTail(place: LogPlace, last: Seq): Promise<void> {
  const all = await listSegments(place);
  const first = all.findLastIndex((firstSeq) => firstSeq <= last);
  for (const segment of all.slice(Math.max(first, 0))) {
    const { file, sizeBytes } = await openSegment(place, segment);
    try {
      await copyAside(place, segment, file, 0, sizeBytes);
    } finally {
      await file.close();
    }
  }
}

const COPY_BYTES = 1024 * 1024;

/** Copies the bytes of a segment from `offset` on to NAME.lost, durably. */
async function copyAside(
  place: LogPlace,
  segment: Seq,
  file: File,
  offset: number,
  sizeBytes: number,
): Promise<void> {
  const { disk, dir } = place;
  const lostPath = segmentPath(place, segment) + LOST_SUFFIX;
  if ((await disk.info(lostPath)) !== undefined) await disk.unlink(lostPath);
  const lost = await disk.open(lostPath, 'create');
  try {
    for (let at = offset; at < sizeBytes; at += COPY_BYTES) {
      const piece = Buffer.allocUnsafe(Math.min(COPY_BYTES, sizeBytes - at));
      const read = await file.read(piece, at);
      await lost.write([piece.subarray(0, read)], at - offset);
    }
    await lost.sync();
  } finally {
    await lost.close();
  }
  await disk.syncDir(dir);
}

async function cut(place: LogPlace, segment: Seq, offset: number): Promise<void> {
  const { file, sizeBytes } = await openSegment(place, segment, 'write');
  try {
    await copyAside(place, segment, file, offset, sizeBytes);
    await file.truncate(offset);
    await file.sync();
  } finally {
    await file.close();
  }
}

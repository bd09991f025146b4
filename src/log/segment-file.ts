/** Opens log segments for reading, and reads the little that is asked of one before a scan. */

import type { Disk, File } from '../io/disk.ts';
import { NO_SEQ, seq, type Seq } from '../model/ids.ts';
import {
  decodeHeader,
  Malformed,
  MAX_HEADER_BYTES,
  SYNC_BYTES,
  type ReadHeader,
} from './container.ts';
import { assertReadable } from './codec.ts';
import { LogCorruption, LogUnusable } from './corruption.ts';
import { FORMAT_VERSION } from './schema.ts';
import { firstSeal, SEAL_HASH_BYTES } from './seal.ts';
import { segmentName, segmentSeqs } from './segment.ts';

/** Where segments are, and whose. */
export interface LogPlace {
  readonly disk: Disk;
  /** Directory of the segments, VOLUME/log. */
  readonly dir: string;
  /** 32 hexadecimal digits. */
  readonly fsid: string;
}

export interface SegmentFile {
  readonly file: File;
  readonly header: ReadHeader | Malformed;
  readonly sizeBytes: number;
}

/** The seq before `n`, which may name none: seqs are not gapless. */
export const seqBefore = (n: Seq): Seq => seq(n - 1);

export const NOT_FOLLOWING = 'this segment does not follow the one before it';

/** First seqs of the log's segments, ascending. */
export const listSegments = async (place: LogPlace): Promise<Seq[]> =>
  segmentSeqs(await place.disk.list(place.dir));

export const segmentPath = (place: LogPlace, firstSeq: Seq): string =>
  `${place.dir}/${segmentName(firstSeq)}`;

/** Opens a segment and reads its header, believed or not. The caller closes `file`. */
export async function openSegment(
  place: LogPlace,
  firstSeq: Seq,
  mode: 'read' | 'write' = 'read',
): Promise<SegmentFile> {
  const file = await place.disk.open(segmentPath(place, firstSeq), mode);
  try {
    const { sizeBytes } = await file.info();
    return { file, sizeBytes, header: await readHeader(file, sizeBytes, firstSeq) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** What headers usually fit in; the rest is read for those that do not. */
const USUAL_HEADER_BYTES = 16 * 1024;

async function readHeader(
  file: File,
  sizeBytes: number,
  firstSeq: Seq,
): Promise<ReadHeader | Malformed> {
  for (const length of [USUAL_HEADER_BYTES, MAX_HEADER_BYTES]) {
    const bytes = Buffer.alloc(Math.min(sizeBytes, length));
    const read = await file.read(bytes, 0);
    const header = decodeHeader(bytes.subarray(0, read));
    if (header instanceof Malformed) {
      if (sizeBytes > length && length < MAX_HEADER_BYTES) continue;
      return header;
    }
    return header.firstSeq === firstSeq ? header : new Malformed('a header of another segment');
  }
  return new Malformed('no header');
}

/** A segment's header; throws `LogCorruption` if it is damaged, `LogUnusable` if it is not for us. */
export function checkedHeader(
  place: LogPlace,
  firstSeq: Seq,
  header: ReadHeader | Malformed,
): ReadHeader {
  if (header instanceof Malformed) {
    throw corruptionAt(place, firstSeq, 0, header.reason, seqBefore(firstSeq));
  }
  const name = segmentName(firstSeq);
  if (header.fsid !== place.fsid) {
    throw new LogUnusable(
      `log segment ${name} belongs to volume ${header.fsid}, this is ${place.fsid}`,
    );
  }
  if (header.format > FORMAT_VERSION) {
    throw new LogUnusable(
      `log segment ${name} has format ${header.format}; ` +
        `this ledgerfs knows formats up to ${FORMAT_VERSION}: use a newer one`,
    );
  }
  try {
    assertReadable(header.schema);
  } catch (cause) {
    throw new LogUnusable(`log segment ${name} was ${(cause as Error).message}`, { cause });
  }
  return header;
}

export const corruptionAt = (
  place: LogPlace,
  segment: Seq,
  offset: number,
  reason: string,
  lastGood: Seq,
  lastKnown?: Seq,
): LogCorruption =>
  new LogCorruption({ dir: place.dir, segment, offset, reason, lastGood, lastKnown });

/**
 * The seal that the segment after `firstSeq` must name: the last 32 bytes of records in the file
 * (a segment with a successor ends with a sealed commit). Not verified: it is to be compared.
 */
export async function closingSeal(place: LogPlace, firstSeq: Seq): Promise<Buffer> {
  const file = await place.disk.open(segmentPath(place, firstSeq), 'read');
  try {
    const { sizeBytes } = await file.info();
    const seal = Buffer.alloc(SEAL_HASH_BYTES);
    await file.read(seal, Math.max(sizeBytes - SYNC_BYTES - SEAL_HASH_BYTES, 0));
    return seal;
  } finally {
    await file.close();
  }
}

/**
 * The seal before a segment as its predecessor tells, undefined where nothing does any more (the
 * oldest segment of a trimmed log).
 */
export async function sealBefore(
  place: LogPlace,
  firstSeq: Seq,
  predecessor: Seq | undefined,
): Promise<Buffer | undefined> {
  if (predecessor !== undefined) return closingSeal(place, predecessor);
  return firstSeq === NO_SEQ + 1 ? firstSeal(place.fsid) : undefined;
}

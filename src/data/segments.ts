/**
 * The layout of data segments below a volume's data directory: `<rid>/<number>.seg`, the writer's
 * rid in 14 hex digits, the segment number in 16 decimal ones. Block b of a segment is its bytes
 * from b * 4096 on; a segment has no header. Pure.
 */

import { segmentNumber, rid as ridOf, type Rid, type SegmentNumber } from '../model/ids.ts';

/** Size of a segment that small files share, in blocks: 64 MiB. */
export const SHARED_SEGMENT_BLOCKS = 16_384;
/** Largest size of a segment that one sequential stream fills, in blocks: 1 GiB. */
export const STREAM_SEGMENT_BLOCKS = 262_144;

const RID_DIGITS = 14;
const NUMBER_DIGITS = 16;

const FOLDER = /^[0-9a-f]{14}$/;
const NAME = /^([0-9]{16})\.seg$/;

/** The folder of a writer's segments, in the data directory `dir`. */
export const segmentFolder = (dir: string, rid: Rid): string =>
  `${dir}/${rid.toString(16).padStart(RID_DIGITS, '0')}`;

/** The path of a segment, in the data directory `dir`. */
export const segmentPath = (dir: string, rid: Rid, segment: SegmentNumber): string =>
  `${segmentFolder(dir, rid)}/${segment.toString().padStart(NUMBER_DIGITS, '0')}.seg`;

/** The writer whose folder has this name; undefined if it is not a folder of ours. */
export function parseFolder(name: string): Rid | undefined {
  if (!FOLDER.test(name)) return undefined;
  const n = Number.parseInt(name, 16);
  return Number.isSafeInteger(n) ? ridOf(n) : undefined;
}

/** The segment whose file has this name; undefined if it is not a file of ours. */
export function parseSegmentName(name: string): SegmentNumber | undefined {
  const n = Number(NAME.exec(name)?.[1] ?? Number.NaN);
  return Number.isSafeInteger(n) ? segmentNumber(n) : undefined;
}

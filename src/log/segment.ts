/**
 * Log segments by name: `00000000000000000001.avro` is the one whose first record has seq 1. Pure.
 * The name is all that says which segment holds a seq; headers repeat it.
 */

import { seq, type Seq } from '../model/ids.ts';
import { seqDigits } from './container.ts';

const NAME = /^(\d{20})\.avro$/;

/** A segment while it is written and before it has its name. */
export const UNNAMED_SEGMENT = 'next.avro.new';

/** What is set aside of a log when its loss is accepted. */
export const LOST_SUFFIX = '.lost';

export const segmentName = (firstSeq: Seq): string => `${seqDigits(firstSeq)}.avro`;

/** The first seq of the segment of that name; undefined for other files. */
export function parseSegmentName(name: string): Seq | undefined {
  const digits = NAME.exec(name)?.[1];
  const n = Number(digits);
  return digits !== undefined && Number.isSafeInteger(n) && n > 0 ? seq(n) : undefined;
}

/** First seqs of the segments among a directory's `names`, ascending. */
export function segmentSeqs(names: readonly string[]): Seq[] {
  const seqs: Seq[] = [];
  for (const name of names) {
    const first = parseSegmentName(name);
    if (first !== undefined) seqs.push(first);
  }
  return seqs.sort((a, b) => a - b);
}

/**
 * Position in `segments` (ascending by first seq) of the one that holds the first record with a seq
 * >= `from`, as far as names tell: the last one that begins at or before it, else the first.
 */
export function segmentHolding(segments: readonly Seq[], from: Seq): number {
  let i = segments.length - 1;
  while (i > 0 && (segments[i] ?? 0) > from) i--;
  return Math.max(i, 0);
}

/** Why a log cannot be used: two kinds of operating failure, each one clear line. */

import { NO_SEQ, type Seq } from '../model/ids.ts';
import { segmentName } from './segment.ts';

/** Where a log is damaged, and what is beyond trust because of it. */
export interface DamagePlace {
  /** The log's directory, VOLUME/log. */
  readonly dir: string;
  /** First seq of the damaged segment (its name). */
  readonly segment: Seq;
  /** Byte offset in it of the first thing that does not check. */
  readonly offset: number;
  /** One phrase. */
  readonly reason: string;
  /** Last seq before the damage; NO_SEQ for none. */
  readonly lastGood: Seq;
  /** The last seq known to have existed; undefined where nothing tells. */
  readonly lastKnown: Seq | undefined;
}

/** The volume that a log directory belongs to, as far as its name tells. */
const volumeOf = (dir: string): string => dir.replace(/\/log\/?$/, '') || 'VOLUME';

/** "transaction 7", "transactions 7 to 9" or "transactions from 7 on". */
export function seqRange(from: Seq, to: Seq | undefined): string {
  if (to === undefined || to < from) return `transactions from ${from} on`;
  return from === to ? `transaction ${from}` : `transactions ${from} to ${to}`;
}

/** Durable transactions are damaged or missing. Nothing was changed. */
export class LogCorruption extends Error {
  override readonly name = 'LogCorruption';
  readonly place: DamagePlace;
  /** First transaction that is damaged or lost. */
  readonly from: Seq;
  readonly to: Seq | undefined;

  constructor(place: DamagePlace) {
    const from = ((place.lastGood as number) + 1) as Seq;
    super(
      `log segment ${segmentName(place.segment)}, byte ${place.offset}: ${place.reason}; ` +
        `${seqRange(from, place.lastKnown)} cannot be read; ` +
        `to go on without: ledgerfs fsck ${volumeOf(place.dir)} --rebuild --accept-loss`,
    );
    this.place = place;
    this.from = from;
    this.to = place.lastKnown;
  }
}

/** The log is not damaged, but not for us: missing, another volume's, or a newer format. */
export class LogUnusable extends Error {
  override readonly name = 'LogUnusable';
}

/** A reader asked for transactions that were trimmed. */
export class LogTrimmed extends Error {
  override readonly name = 'LogTrimmed';
  readonly code = 'TRIMMED';
  /** The first seq that can still be read. */
  readonly oldest: Seq;

  constructor(wanted: Seq, oldest: Seq) {
    super(`transaction ${wanted} was trimmed from the log; the oldest one left is ${oldest}`);
    this.oldest = oldest;
  }
}

/** The larger of two seqs. */
export const laterSeq = (a: Seq, b: Seq | undefined): Seq => ((b ?? NO_SEQ) > a ? (b as Seq) : a);

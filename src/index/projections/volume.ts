/** The volume as a whole: its formatting, its segments, and the marks that map time to seq. */

import { assert } from '../../model/assert.ts';
import type { FormatRaised, SegmentCreated, VolumeFormatted } from '../../model/event.ts';
import { FIRST_USER_INO, segmentNumber } from '../../model/ids.ts';
import { segmentKey, timeMarkKey } from '../keys.ts';
import type { Working } from './working.ts';

const SECOND_MICROS = 1_000_000;
const BEFORE_ANY_TIME = -1;

export function volumeFormatted(work: Working, event: VolumeFormatted): void {
  work.format({
    fsid: event.fsid,
    format: event.format,
    historyMicros: event.historyMicros,
    sizeLimitBlocks: event.sizeLimitBlocks,
    nextIno: FIRST_USER_INO,
    nextSegment: segmentNumber(1),
    inodes: 0,
    usedBlocks: 0,
    heldBlocks: 0,
    lastTime: BEFORE_ANY_TIME,
  });
}

export function formatRaised(work: Working, event: FormatRaised): void {
  work.volume.format = event.format;
}

export function segmentCreated(work: Working, event: SegmentCreated): void {
  const { segment, rid } = event;
  work.put('segment', segmentKey(segment), undefined, { rid });
  const volume = work.volume;
  if (segment >= volume.nextSegment) volume.nextSegment = segmentNumber(segment + 1);
}

/** Notes the transaction's time, and marks the first transaction of each second. */
export function timePassed(work: Working): void {
  const { volume, time } = work;
  assert(time >= volume.lastTime, () => `seq ${work.seq}: time fell to ${time}`);
  const second = Math.floor(time / SECOND_MICROS);
  if (volume.lastTime < 0 || second !== Math.floor(volume.lastTime / SECOND_MICROS)) {
    work.put('timeMark', timeMarkKey(second), undefined, { seq: work.seq });
  }
  volume.lastTime = time;
}

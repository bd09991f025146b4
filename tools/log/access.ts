/**
 * Reading a volume's log without its lock: what is durable, and nothing behind it. With a daemon,
 * its word bounds the reading (asked before the files are opened, so that they hold at least that);
 * with none, the last sealed commit does.
 */

import { connect } from '../../src/control/client.ts';
import { readDescription, readState, volumePaths } from '../../src/engine/volume-files.ts';
import { nodeDisk } from '../../src/io/node-disk.ts';
import { systemClock } from '../../src/io/system-clock.ts';
import { decodeTransactions } from '../../src/log/codec.ts';
import { LogCorruption } from '../../src/log/corruption.ts';
import { FileLogStore } from '../../src/log/file-store.ts';
import type { LogPlace } from '../../src/log/segment-file.ts';
import { listSegments, segmentPath } from '../../src/log/segment-file.ts';
import { NO_SEQ, seq, type Seq } from '../../src/model/ids.ts';
import type { Transaction } from '../../src/model/transaction.ts';
import { CommandFailure } from '../console/failure.ts';
import type { Moment } from '../console/units.ts';
import { formatMicros } from '../console/units.ts';
import { volumeDirectory } from '../volumes.ts';

/** Nothing is known but what the files say. */
const NO_PROOF = { cleanSeq: undefined, appliedSeq: NO_SEQ, acknowledgedSeq: NO_SEQ };

/** A log, and the directory of its volume. */
export interface VolumeLog extends LogPlace {
  readonly volume: string;
}

/** The log of the volume that `path` names. Throws `VolumeError` if it is none. */
export async function logPlace(path: string): Promise<VolumeLog> {
  const volume = await volumeDirectory(path);
  const { fsid } = await readDescription(nodeDisk, volume);
  return { volume, disk: nodeDisk, dir: volumePaths(volume).log, fsid };
}

/** Durable transactions with `from` <= seq <= `to`, in order. */
export async function* transactions(
  place: VolumeLog,
  from: Seq,
  to: Seq | undefined,
): AsyncGenerator<Transaction> {
  const bound = Math.min(to ?? Infinity, (await daemonDurable(place)) ?? Infinity);
  const options = { ...place, clock: systemClock, proof: NO_PROOF, readOnly: true };
  const { store } = await FileLogStore.open(options);
  try {
    for await (const chunk of store.read(from)) {
      for (const tx of decodeTransactions(chunk)) {
        if (tx.seq > bound) return;
        if (tx.seq >= from) yield tx;
      }
    }
  } finally {
    await store.close();
  }
}

/**
 * What is wrong with the log's end, if anything: bytes behind the last sealed commit are a torn tail,
 * unless the volume was closed cleanly after what they held.
 */
export async function endDamage(place: VolumeLog): Promise<LogCorruption | undefined> {
  const state = await readState(place.disk, place.volume);
  const proof = { ...NO_PROOF, cleanSeq: state?.cleanSeq };
  try {
    const { store } = await FileLogStore.open({
      ...place,
      clock: systemClock,
      proof,
      readOnly: true,
    });
    await store.close();
    return undefined;
  } catch (error) {
    if (error instanceof LogCorruption) return error;
    throw error;
  }
}

/** What the daemon says is durable; undefined where none runs, and the files alone say it. */
export async function daemonDurable(place: VolumeLog): Promise<Seq | undefined> {
  const daemon = await connect(place.volume);
  return daemon === undefined ? undefined : seq((await daemon.status()).log.durable);
}

/** The last durable position; NO_SEQ for an empty log. */
export async function lastPosition(place: VolumeLog): Promise<Seq> {
  const told = await daemonDurable(place);
  if (told !== undefined) return told;
  const options = { ...place, clock: systemClock, proof: NO_PROOF, readOnly: true };
  const { store } = await FileLogStore.open(options);
  const { durable } = store;
  await store.close();
  return durable;
}

export interface SegmentInfo {
  readonly file: string;
  readonly firstSeq: number;
  readonly bytes: number;
}

export async function segments(place: LogPlace): Promise<SegmentInfo[]> {
  const found: SegmentInfo[] = [];
  for (const firstSeq of await listSegments(place)) {
    const file = segmentPath(place, firstSeq);
    // Trimmed between the listing and now: no segment of the log any more.
    const info = await place.disk.info(file);
    if (info !== undefined) found.push({ file, firstSeq, bytes: info.sizeBytes });
  }
  return found;
}

/**
 * The position that `moment` names: itself, or the last one whose transaction's time is not above
 * it. Throws ENODATA where the log begins later.
 */
export async function positionOf(place: VolumeLog, moment: Moment): Promise<Seq> {
  if ('seq' in moment) return seq(moment.seq);
  let found: Seq | undefined;
  for await (const tx of transactions(place, seq(1), undefined)) {
    if (tx.time > moment.micros) break;
    found = tx.seq;
  }
  if (found !== undefined) return found;
  throw new CommandFailure(
    `${formatMicros(moment.micros)}: is before the oldest transaction in the log`,
    'ENODATA',
  );
}

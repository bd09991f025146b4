/**
 * Checking a volume: every block of its log, and its index against the log, item by item. Changes
 * nothing; works beside a running filesystem, on a snapshot of its index.
 */

import { listCheckpoints, readCheckpoint } from '../index/checkpoint.ts';
import { differences } from '../index/compare.ts';
import type { IndexSnapshot } from '../index/index.ts';
import { buildIndex, type CheckpointSource } from '../index/rebuild.ts';
import type { Disk } from '../io/disk.ts';
import { seqDigits } from '../log/container.ts';
import { readTransactionRuns } from '../log/reader.ts';
import type { LogPlace } from '../log/segment-file.ts';
import type { LogStore } from '../log/store.ts';
import { verifyLog } from '../log/verify.ts';
import { NO_SEQ, seq, type Seq } from '../model/ids.ts';
import type { VolumePorts } from './ports.ts';
import type { Progress } from './volume.ts';

export type OnProgress = (progress: Progress) => void;

export interface FsckReport {
  readonly clean: boolean;
  /** What was looked at and found, a line each. */
  readonly lines: readonly string[];
  /** One phrase: what is wrong. */
  readonly summary: string;
  /** Seqs lost to damage that was accepted, first and last; undefined for none. */
  readonly lost: { readonly from: Seq; readonly to: Seq } | undefined;
}

/** Differences that are listed; the rest is counted. */
const SHOWN_DIFFERENCES = 20;

/**
 * Families that equal those of a replay at every moment. The past (`history`, `freed`) and the
 * counters that go with it depend on how far this machine has given it up, and a checkpoint holds
 * no `timeMark`.
 */
const COMPARED = [
  'inode',
  'dirent',
  'position',
  'backref',
  'extent',
  'xattr',
  'metaSeq',
  'dataSeq',
  'orphan',
  'truncating',
  'segment',
  'checksum',
  'ref',
] as const;

/** Verifies the log; says what was found in `lines`. False if it is damaged. */
export async function checkLog(
  place: LogPlace,
  lines: string[],
  onProgress: OnProgress,
): Promise<boolean> {
  const report = await verifyLog(place, {
    onProgress: (done, total) => onProgress({ phase: 'verify', done, total }),
  });
  lines.push(
    `log: ${report.segments} segments, ${report.commits} commits, ` +
      `${report.transactions} transactions verified, last ${report.last.seq}`,
  );
  if (report.tailBytes > 0) lines.push(`log: ${report.tailBytes} bytes of a torn tail`);
  if (report.damage !== undefined) lines.push(`log: ${report.damage.message}`);
  return report.damage === undefined;
}

export const damagedLog = (lines: readonly string[]): FsckReport => ({
  clean: false,
  lines,
  summary: 'the log is damaged',
  lost: undefined,
});

export interface CompareOptions {
  readonly ports: VolumePorts;
  /** Where the volume's checkpoints are. */
  readonly checkpoints: string;
  /** A directory for the replayed index; made anew, and removed at the end. */
  readonly scratch: string;
  readonly store: LogStore;
  readonly onProgress: OnProgress;
}

/** Compares an index with the log replayed to its position. */
export async function checkIndex(
  snapshot: IndexSnapshot,
  lines: string[],
  options: CompareOptions,
): Promise<FsckReport> {
  try {
    const found = await differencesFromReplay(snapshot, options);
    lines.push(`index: at ${snapshot.seq}, ${found.length} differences from the log`);
    lines.push(...found.slice(0, SHOWN_DIFFERENCES).map((key) => `index: differs at ${key}`));
    const summary = 'the index differs from the log; fsck --rebuild replaces it';
    return { clean: found.length === 0, lines, summary, lost: undefined };
  } finally {
    await options.ports.removeTree(options.scratch);
  }
}

async function differencesFromReplay(
  snapshot: IndexSnapshot,
  options: CompareOptions,
): Promise<string[]> {
  const { onProgress, ports, scratch, store } = options;
  await ports.removeTree(scratch);
  const to = snapshot.seq;
  const replayed = await buildIndex(scratch, {
    checkpoint: await startOf(options, to),
    transactions: (after) => readTransactionRuns(store, { from: seq(after + 1), to }),
    onProgress: (done) => onProgress({ phase: 'replay', done, total: to }),
  });
  const right = replayed.snapshot();
  try {
    const found: string[] = [];
    for await (const { family, key } of differences(snapshot, right, COMPARED)) {
      found.push(`${family} ${Buffer.from(key, 'latin1').toString('hex')}`);
    }
    return found;
  } finally {
    right.close();
    await replayed.close();
  }
}

/** A log that was trimmed is replayed from the newest checkpoint that helps; a whole one is not. */
async function startOf(
  { checkpoints, ports, store }: CompareOptions,
  to: Seq,
): Promise<CheckpointSource | undefined> {
  if (store.oldest <= NO_SEQ + 1) return undefined;
  const at = (await listCheckpoints(ports.disk, checkpoints)).find((s) => s <= to);
  return at === undefined ? undefined : checkpointAt(ports.disk, checkpoints, at);
}

export const checkpointAt = (disk: Disk, dir: string, at: Seq): CheckpointSource => ({
  seq: at,
  records: readCheckpoint(disk, `${dir}/${seqDigits(at)}.avro`),
});

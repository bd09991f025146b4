/**
 * Work on a volume that is not open: replaying it elsewhere, checking it, repairing its index,
 * raising its format. Only `checkVolume` with `rebuild`, and `upgradeVolume`, change anything.
 */

import { differences } from '../index/compare.ts';
import { digestOf } from '../index/digest.ts';
import type { Index } from '../index/index.ts';
import { buildIndex } from '../index/rebuild.ts';
import { silent } from '../io/logger.ts';
import { LogCorruption } from '../log/corruption.ts';
import { FileLogStore, type OpenedLog } from '../log/file-store.ts';
import { readTransactionRuns } from '../log/reader.ts';
import { FORMAT_VERSION } from '../log/schema.ts';
import { verifyLog } from '../log/verify.ts';
import type { LogStore } from '../log/store.ts';
import { LogWriter } from '../log/writer.ts';
import { NO_SEQ, rid, seq, type Seq } from '../model/ids.ts';
import { DAEMON } from '../model/transaction.ts';
import { systemPorts, type VolumePorts } from './ports.ts';
import { openTrustedIndex, recoverIndex } from './recover-index.ts';
import { VolumeError } from './volume-error.ts';
import type { Progress } from './volume.ts';
import {
  readDescription,
  readState,
  volumePaths,
  writeDescription,
  writeState,
  type VolumePaths,
} from './volume-files.ts';

type OnProgress = (progress: Progress) => void;

const NO_PROOF = { cleanSeq: undefined, appliedSeq: NO_SEQ, acknowledgedSeq: NO_SEQ };

/**
 * Builds the indexes from the whole log into `into` (new or empty), up to `to`. Changes nothing of
 * the volume and needs no lock; give `to` where a daemon is writing. Throws `LogTrimmed` where the
 * log no longer begins at its beginning.
 */
export async function replayInto(
  dir: string,
  into: string,
  to: Seq | undefined,
  onProgress: OnProgress,
): Promise<{ readonly digest: string; readonly seq: Seq }> {
  const { disk } = systemPorts;
  const info = await disk.info(into);
  if (info !== undefined && (!info.isDirectory || (await disk.list(into)).length > 0)) {
    throw new VolumeError(`${into}: exists and is not an empty directory`, 'ENOTEMPTY');
  }
  const { store } = await openReadOnly(systemPorts, dir);
  try {
    const index = await buildIndex(into, {
      transactions: (after) =>
        readTransactionRuns(store, {
          from: seq(after + 1),
          ...(to === undefined ? {} : { to }),
        }),
      onProgress: (done) =>
        onProgress({ phase: 'replay', done, total: Math.min(to ?? Infinity, store.durable) }),
    });
    return await closing(index, async () => ({
      digest: await digestOfIndex(index),
      seq: index.applied,
    }));
  } finally {
    await store.close();
  }
}

async function digestOfIndex(index: Index): Promise<string> {
  const snapshot = index.snapshot();
  try {
    return await digestOf(snapshot);
  } finally {
    snapshot.close();
  }
}

async function closing<T>(index: Index, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await index.close();
  }
}

async function openReadOnly(ports: VolumePorts, dir: string): Promise<OpenedLog> {
  const { fsid } = await readDescription(ports.disk, dir);
  const place = { disk: ports.disk, dir: volumePaths(dir).log, fsid };
  return FileLogStore.open({ ...place, clock: ports.clock, proof: NO_PROOF, readOnly: true });
}

export interface FsckReport {
  readonly clean: boolean;
  /** What was looked at and found, a line each. */
  readonly lines: readonly string[];
  /** One phrase: what is wrong. */
  readonly summary: string;
  /** Seqs lost to damage that was accepted, first and last; undefined for none. */
  readonly lost: { readonly from: Seq; readonly to: Seq } | undefined;
}

export interface FsckOptions {
  /** Replace the index by one made from the log. */
  readonly rebuild: boolean;
  /** With `rebuild`: go on past a damaged log. */
  readonly acceptLoss: boolean;
  readonly onProgress: OnProgress;
}

/** Differences that are listed; the rest is counted. */
const SHOWN_DIFFERENCES = 20;

/**
 * Verifies every block of the log, then compares the index, item by item, with one replayed from
 * it. With `rebuild` the index is replaced instead. Holds the volume's lock.
 */
export async function checkVolume(dir: string, options: FsckOptions): Promise<FsckReport> {
  const ports = systemPorts;
  const paths = volumePaths(dir);
  const { fsid } = await readDescription(ports.disk, dir);
  const lock = ports.takeLock(paths.lock);
  try {
    const place = { disk: ports.disk, dir: paths.log, fsid };
    const report = await verifyLog(place, {
      onProgress: (done, total) => options.onProgress({ phase: 'verify', done, total }),
    });
    const lines = [
      `log: ${report.segments} segments, ${report.commits} commits, ` +
        `${report.transactions} transactions verified, last ${report.last.seq}`,
    ];
    if (report.tailBytes > 0) lines.push(`log: ${report.tailBytes} bytes of a torn tail`);
    if (report.damage !== undefined && !options.acceptLoss) {
      lines.push(`log: ${report.damage.message}`);
      return { clean: false, lines, summary: 'the log is damaged', lost: undefined };
    }
    return options.rebuild
      ? await rebuild(ports, paths, fsid, options, lines)
      : await compare(ports, paths, fsid, options, lines);
  } finally {
    lock.release();
  }
}

async function rebuild(
  ports: VolumePorts,
  paths: VolumePaths,
  fsid: string,
  options: FsckOptions,
  lines: string[],
): Promise<FsckReport> {
  const state = await readState(ports.disk, paths.dir);
  const log = await FileLogStore.open({
    disk: ports.disk,
    dir: paths.log,
    fsid,
    clock: ports.clock,
    proof: { ...NO_PROOF, cleanSeq: options.acceptLoss ? undefined : state?.cleanSeq },
    acceptLoss: options.acceptLoss,
  });
  try {
    const index = await recoverIndex(undefined, {
      ports,
      dir: paths.index,
      checkpoints: paths.checkpoints,
      store: log.store,
      horizon: state?.horizon ?? NO_SEQ,
      log: silent,
      onReplay: (done, total) => options.onProgress({ phase: 'replay', done, total }),
    });
    lines.push(`index: rebuilt up to ${index.applied}`);
    await index.close();
  } finally {
    await log.store.close();
  }
  // Not marked clean: the next open sweeps what the old index knew and the new one does not.
  await writeState(ports.disk, paths.dir, {
    bootId: ports.bootId,
    cleanSeq: undefined,
    horizon: state?.horizon ?? NO_SEQ,
  });
  const { lost } = log;
  if (lost !== undefined) lines.push(`log: transactions ${lost.from} to ${lost.to} are lost`);
  return { clean: true, lines, summary: 'rebuilt', lost };
}

async function compare(
  ports: VolumePorts,
  paths: VolumePaths,
  fsid: string,
  options: FsckOptions,
  lines: string[],
): Promise<FsckReport> {
  const state = await readState(ports.disk, paths.dir);
  const place = { disk: ports.disk, dir: paths.log, fsid };
  const { store } = await FileLogStore.open({
    ...place,
    clock: ports.clock,
    proof: { ...NO_PROOF, cleanSeq: state?.cleanSeq },
    readOnly: true,
  });
  const scratch = `${paths.dir}/index.check`;
  try {
    const stored = await openTrustedIndex(ports, paths.index, state, (_level, message) =>
      lines.push(`index: ${message}`),
    );
    if (stored === undefined) {
      return {
        clean: true,
        lines: [...lines, 'index: to be rebuilt'],
        summary: '',
        lost: undefined,
      };
    }
    const found = await closing(stored, () => compareWithReplay(stored, store, scratch, options));
    lines.push(`index: at ${stored.applied}, ${found.length} differences from the log`);
    lines.push(...found.slice(0, SHOWN_DIFFERENCES).map((key) => `index: differs at ${key}`));
    const summary = 'the index differs from the log; fsck --rebuild replaces it';
    return { clean: found.length === 0, lines, summary, lost: undefined };
  } catch (error) {
    if (!(error instanceof LogCorruption)) throw error;
    lines.push(`log: ${error.message}`);
    return { clean: false, lines, summary: 'the log is damaged', lost: undefined };
  } finally {
    await store.close();
    await ports.removeTree(scratch);
  }
}

/**
 * Families that equal those of a replay at every moment. The past (`history`, `freed`) and the
 * counters that go with it depend on how far this machine has given it up.
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
  'timeMark',
] as const;

/** Keys at which `stored` differs from the log replayed to the same position. */
async function compareWithReplay(
  stored: Index,
  store: LogStore,
  scratch: string,
  options: FsckOptions,
): Promise<string[]> {
  await systemPorts.removeTree(scratch);
  const to = stored.applied;
  const replayed = await buildIndex(scratch, {
    transactions: (after) => readTransactionRuns(store, { from: seq(after + 1), to }),
    onProgress: (done) => options.onProgress({ phase: 'replay', done, total: to }),
  });
  return closing(replayed, async () => {
    const [left, right] = [stored.snapshot(), replayed.snapshot()];
    const found: string[] = [];
    for await (const { family, key } of differences(left, right, COMPARED)) {
      found.push(`${family} ${Buffer.from(key, 'latin1').toString('hex')}`);
    }
    left.close();
    right.close();
    return found;
  });
}

/**
 * Raises the volume's format to this program's, as a logged event. `volume.json` follows the log: a
 * crash between the two leaves the older number there, and the next upgrade only corrects that.
 */
export async function upgradeVolume(
  dir: string,
): Promise<{ readonly from: number; readonly to: number }> {
  const ports = systemPorts;
  const paths = volumePaths(dir);
  const { fsid, format } = await readDescription(ports.disk, dir);
  const to = FORMAT_VERSION;
  if (format === to) return { from: format, to };
  const lock = ports.takeLock(paths.lock);
  try {
    await logUpgrade(ports, paths, fsid, to);
    await writeDescription(ports.disk, dir, { fsid, format: to });
    return { from: format, to };
  } finally {
    lock.release();
  }
}

async function logUpgrade(
  ports: VolumePorts,
  paths: VolumePaths,
  fsid: string,
  format: number,
): Promise<void> {
  const state = await readState(ports.disk, paths.dir);
  const proof = { ...NO_PROOF, cleanSeq: state?.cleanSeq };
  const place = { disk: ports.disk, dir: paths.log, fsid };
  const { store, last } = await FileLogStore.open({ ...place, clock: ports.clock, proof });
  const writer = new LogWriter({
    store,
    clock: ports.clock,
    node: rid(1 + ports.random.integer(2 ** 40)),
    last,
    beforeCommit: () => Promise.resolve(),
    onDurable: () => {},
    onFailure: () => {},
  });
  const events = [{ type: 'FormatRaised' as const, format }];
  const tx = writer.stamp({ cause: 'upgrade', actor: DAEMON, paths: [], events });
  if (!writer.append(tx, true)) throw new VolumeError(`${paths.dir}: disk full`, 'ENOSPC');
  await writer.close();
  await store.close();
  const horizon = state?.horizon ?? NO_SEQ;
  await writeState(ports.disk, paths.dir, {
    bootId: ports.bootId,
    cleanSeq: state?.cleanSeq === undefined ? undefined : tx.seq,
    horizon,
  });
}

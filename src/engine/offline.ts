/**
 * Work on a volume that is not open: replaying it elsewhere, checking it, repairing its index,
 * raising its format. Only `checkVolume` with `rebuild`, and `upgradeVolume`, change anything.
 */

import { digestOf } from '../index/digest.ts';
import type { Index } from '../index/index.ts';
import { buildIndex } from '../index/rebuild.ts';
import { silent } from '../io/logger.ts';
import { LogCorruption } from '../log/corruption.ts';
import { FileLogStore, type OpenedLog } from '../log/file-store.ts';
import { readTransactionRuns } from '../log/reader.ts';
import { FORMAT_VERSION } from '../log/schema.ts';
import { LogWriter } from '../log/writer.ts';
import { NO_SEQ, rid, seq, type Seq } from '../model/ids.ts';
import { DAEMON } from '../model/transaction.ts';
import { checkIndex, checkLog, damagedLog, type FsckReport, type OnProgress } from './check.ts';
import { systemPorts, type VolumePorts } from './ports.ts';
import { openTrustedIndex, recoverIndex } from './recover-index.ts';
import { VolumeError } from './volume-error.ts';
import {
  readDescription,
  readState,
  volumePaths,
  writeDescription,
  writeState,
  type VolumePaths,
} from './volume-files.ts';

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

export interface FsckOptions {
  /** Replace the index by one made from the log. */
  readonly rebuild: boolean;
  /** With `rebuild`: go on past a damaged log. */
  readonly acceptLoss: boolean;
  readonly onProgress: OnProgress;
}

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
    const lines: string[] = [];
    const place = { disk: ports.disk, dir: paths.log, fsid };
    const sound = await checkLog(place, lines, options.onProgress);
    if (!sound && !options.acceptLoss) return damagedLog(lines);
    return await rebuildOrCompare(ports, paths, fsid, options, lines);
  } finally {
    lock.release();
  }
}

/** A log that is whole as far as it goes may still end before what is known to be durable. */
async function rebuildOrCompare(
  ports: VolumePorts,
  paths: VolumePaths,
  fsid: string,
  options: FsckOptions,
  lines: string[],
): Promise<FsckReport> {
  try {
    return options.rebuild
      ? await rebuild(ports, paths, fsid, options, lines)
      : await compare(ports, paths, fsid, options, lines);
  } catch (error) {
    if (!(error instanceof LogCorruption)) throw error;
    return damagedLog([...lines, `log: ${error.message}`]);
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
    proof: { ...NO_PROOF, cleanSeq: state?.cleanSeq },
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
  try {
    const stored = await openTrustedIndex(ports, paths.index, state, (_level, message) =>
      lines.push(`index: ${message}`),
    );
    if (stored === undefined) return toBeRebuilt(lines);
    return await closing(stored, async () => {
      const snapshot = stored.snapshot();
      const { onProgress } = options;
      const scratch = `${paths.dir}/index.check`;
      const { checkpoints } = paths;
      const check = { ports, checkpoints, scratch, store, onProgress };
      return checkIndex(snapshot, lines, check).finally(() => snapshot.close());
    });
  } finally {
    await store.close();
  }
}

const toBeRebuilt = (lines: readonly string[]): FsckReport => ({
  clean: true,
  lines: [...lines, 'index: to be rebuilt'],
  summary: '',
  lost: undefined,
});

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

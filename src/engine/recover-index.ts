/**
 * Bringing the index to the end of the log: caught up where it can be trusted, made anew where it
 * cannot.
 *
 * The index is derived: whatever is wrong with it costs time, never data. It is made anew when it
 * is missing, of another schema, unreadable, or suspect: LevelDB can lose blocks of its own
 * unsynced log when the kernel stops, and still show a newer applied seq. So after an unclean stop
 * it is trusted only if the kernel has not restarted since.
 *
 * A new index begins with the newest checkpoint that leaves all of the kept past to the log: one at
 * or before the history horizon.
 */

import { CheckpointDamaged, listCheckpoints } from '../index/checkpoint.ts';
import { Index, IndexCorrupt, IndexUnusable } from '../index/index.ts';
import { rebuildIndex, replay, type CheckpointSource } from '../index/rebuild.ts';
import type { Disk } from '../io/disk.ts';
import type { LogFunction } from '../io/logger.ts';
import { nodeDisk } from '../io/node-disk.ts';
import { readTransactionRuns } from '../log/reader.ts';
import type { LogStore } from '../log/store.ts';
import { seq, type Seq } from '../model/ids.ts';
import { checkpointAt } from './check.ts';
import type { VolumePorts } from './ports.ts';
import type { RunState } from './volume-files.ts';

export type OnReplay = (applied: Seq, head: Seq) => void;

/** The index as the last run left it; undefined if it must be made anew, with the reason logged. */
export async function openTrustedIndex(
  ports: VolumePorts,
  dir: string,
  state: RunState | undefined,
  log: LogFunction,
): Promise<Index | undefined> {
  const clean = state?.cleanSeq !== undefined;
  if (!clean && state?.bootId !== ports.bootId) {
    log('info', 'the kernel restarted since an unclean stop: the index is rebuilt from the log');
    return undefined;
  }
  try {
    return await Index.open(indexOptions(ports, dir));
  } catch (error) {
    if (!(error instanceof IndexUnusable || error instanceof IndexCorrupt)) throw error;
    log('info', `the index is rebuilt from the log: ${error.message}`);
    return undefined;
  }
}

const indexOptions = (ports: VolumePorts, dir: string) => ({
  dir,
  // A directory of its own is a real one, since LevelDB wants that.
  availableBytes: async () =>
    (await (ports.indexDir === undefined ? ports.disk : nodeDisk).space(dir)).availableBytes,
});

export interface RecoverOptions {
  readonly ports: VolumePorts;
  readonly dir: string;
  readonly checkpoints: string;
  readonly store: LogStore;
  readonly horizon: Seq;
  readonly log: LogFunction;
  readonly onReplay: OnReplay;
}

/** `index` (or a new one) with all of the log applied. */
export async function recoverIndex(
  index: Index | undefined,
  options: RecoverOptions,
): Promise<Index> {
  if (index === undefined) return rebuilt(options);
  if (index.applied + 1 < options.store.oldest) {
    await index.close();
    options.log('info', 'the index is older than the log is kept: it is rebuilt from a checkpoint');
    return rebuilt(options);
  }
  try {
    await replay(index, transactionsAfter(options, index.applied), {
      onProgress: (applied) => options.onReplay(applied, options.store.durable),
    });
    return index;
  } catch (error) {
    await index.close().catch(() => undefined);
    if (!(error instanceof IndexCorrupt)) throw error;
    options.log('warn', `the index is damaged and rebuilt from the log: ${error.message}`);
    return rebuilt(options);
  }
}

async function rebuilt(options: RecoverOptions): Promise<Index> {
  const { dir, ports, store } = options;
  const build = (checkpoint: CheckpointSource | undefined) =>
    rebuildIndex({
      dir,
      // LevelDB keeps real files, whatever disk the volume is simulated on.
      disk: nodeDisk,
      checkpoint,
      transactions: (after) => transactionsAfter(options, after),
      onProgress: (applied) => options.onReplay(applied, store.durable),
    });
  for (const checkpoint of await usableCheckpoints(options)) {
    try {
      await build(checkpoint);
      return await Index.open(indexOptions(ports, dir));
    } catch (error) {
      if (!(error instanceof CheckpointDamaged)) throw error;
      options.log('error', `checkpoint ${checkpoint.seq} is damaged and passed over`);
    }
  }
  await build(undefined);
  return Index.open(indexOptions(ports, dir));
}

const transactionsAfter = ({ store }: RecoverOptions, after: Seq) =>
  readTransactionRuns(store, { from: seq(after + 1) });

/** Checkpoints that an index may begin with, the best one first. */
async function usableCheckpoints(options: RecoverOptions): Promise<CheckpointSource[]> {
  const { checkpoints, horizon, ports, store } = options;
  const seqs = await listCheckpointSeqs(ports.disk, checkpoints);
  return seqs
    .filter((at) => at <= horizon && at <= store.durable && at + 1 >= store.oldest)
    .map((at) => checkpointAt(ports.disk, checkpoints, at));
}

const listCheckpointSeqs = async (disk: Disk, dir: string): Promise<Seq[]> =>
  (await disk.info(dir)) === undefined ? [] : listCheckpoints(disk, dir);

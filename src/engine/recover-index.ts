/**
 * Bringing the index to the end of the log: opened and caught up where it can be trusted, made anew
 * where it cannot.
 *
 * The index is derived: whatever is wrong with it costs time, never data. It is thrown away when it
 * is missing, of another schema, unreadable, or suspect: LevelDB can lose blocks of its own unsynced
 * log when the kernel stops, and still show a newer applied seq. So after an unclean stop it is
 * trusted only if the kernel has not restarted since.
 */

import { Miss } from '../index/items.ts';
import { Index, IndexUnusable } from '../index/index.ts';
import type { LogFunction } from '../io/logger.ts';
import { decodeTransactions } from '../log/codec.ts';
import type { LogStore } from '../log/store.ts';
import { seq, type Seq } from '../model/ids.ts';
import type { Transaction } from '../model/transaction.ts';
import type { VolumePorts } from './ports.ts';
import type { RunState } from './volume-files.ts';

/** Layers of a replay are written out at this size. */
const REPLAY_LAYER_BYTES = 8 << 20;
/** Progress is told every so many transactions. */
const PROGRESS_EVERY = 8192;

export type OnReplay = (done: number, total: number) => void;

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
    return await Index.open({ dir });
  } catch (error) {
    if (!(error instanceof IndexUnusable)) throw error;
    log('info', `the index is rebuilt from the log: ${error.message}`);
    return undefined;
  }
}

/** An empty index in the place of whatever is there. */
export async function openEmptyIndex(ports: VolumePorts, dir: string): Promise<Index> {
  await ports.removeTree(dir);
  return Index.open({ dir });
}

/** Applies every transaction of the log that `index` does not hold yet, up to `to`. */
export async function catchUp(
  index: Index,
  store: LogStore,
  to: Seq,
  onReplay: OnReplay,
): Promise<void> {
  const from = index.applied;
  let done = 0;
  for await (const chunk of store.read(seq(from + 1))) {
    for (const tx of decodeTransactions(chunk)) {
      if (tx.seq > to) break;
      const missed = applyNow(index, tx);
      if (missed !== undefined) await applyAfter(index, tx, missed);
      if (++done % PROGRESS_EVERY === 0) onReplay(tx.seq - from, to - from);
    }
    if (index.overlayBytes > REPLAY_LAYER_BYTES) await writeOut(index);
  }
  await writeOut(index);
  onReplay(to - from, to - from);
}

async function writeOut(index: Index): Promise<void> {
  index.freezeLayer();
  await index.persist(index.applied);
}

function applyNow(index: Index, tx: Transaction): Miss | undefined {
  try {
    index.apply(tx, index.prepare(tx));
    return undefined;
  } catch (error) {
    if (error instanceof Miss) return error;
    throw error;
  }
}

async function applyAfter(index: Index, tx: Transaction, first: Miss): Promise<void> {
  let missed: Miss | undefined = first;
  while (missed !== undefined) {
    await index.load(missed);
    missed = applyNow(index, tx);
  }
}

/**
 * Rebuilding an index from a checkpoint and the log, beside the one in use.
 *
 * It owns `<dir>.new` and `<dir>.old`. Order of events: what is left of an earlier attempt is
 * erased; the new index is built in `<dir>.new`; it is closed and synced, since a clean mark may
 * stand beside it; the old index is renamed to `<dir>.old`, the new one to `<dir>`; the old one is
 * erased. A crash while building leaves the old index as it was; one between the two renames leaves
 * none, and the next start builds again.
 */

import { turn } from '../io/turn.ts';
import type { Disk } from '../io/disk.ts';
import { asByteString, type Ino, type Position, type Seq } from '../model/ids.ts';
import { isRegular, type Inode } from '../model/inode.ts';
import type { Transaction } from '../model/transaction.ts';
import { Index } from './index.ts';
import { Miss, type DirentItem, type Item } from './items.ts';
import { dataSeqKey, decodeNumber, metaSeqKey, positionKey, truncatingKey } from './keys.ts';
import type { StoredRecord } from './records.ts';
import { Store, type StoreBatch } from './store.ts';
import { decodeValue, encodeValue } from './values.ts';

/** The overlay is written out at this size while replaying. */
const PERSIST_BYTES = 2 * 1024 * 1024;
/** Replay waits for LevelDB beyond this size. */
const MAX_OVERLAY_BYTES = 16 * 1024 * 1024;
/** Transactions replayed before others get their turn. */
const SLICE = 256;
/** Records of a checkpoint that go into one LevelDB batch. */
const LOAD_ROWS = 20_000;

/** A checkpoint to start from. */
export interface CheckpointSource {
  readonly seq: Seq;
  readonly records: AsyncIterable<readonly StoredRecord[]>;
}

export interface ReplayOptions {
  /** Called now and then with the last seq applied. */
  readonly onProgress?: ((applied: Seq) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RebuildOptions extends ReplayOptions {
  /** Where the index is to stand. */
  readonly dir: string;
  readonly disk: Disk;
  readonly checkpoint?: CheckpointSource | undefined;
  /** The durable transactions above `after`, in order. */
  transactions(after: Seq): AsyncIterable<readonly Transaction[]>;
}

/** Builds the index anew and puts it in the place of the one in `dir`, which must be closed. */
export async function rebuildIndex(options: RebuildOptions): Promise<void> {
  const { dir, disk } = options;
  const [fresh, old] = [`${dir}.new`, `${dir}.old`];
  for (const path of [fresh, old]) await Store.erase(path);
  const index = await buildIndex(fresh, options);
  await index.close();
  await Store.sync(disk, fresh);
  if ((await disk.info(dir)) !== undefined) await disk.rename(dir, old);
  await disk.rename(fresh, dir);
  await Store.erase(old);
}

/** Builds an index in `dir`, which must be empty or absent, and leaves it open. */
export async function buildIndex(
  dir: string,
  options: Omit<RebuildOptions, 'dir' | 'disk'>,
): Promise<Index> {
  if (options.checkpoint !== undefined) await loadCheckpoint(dir, options.checkpoint);
  const index = await Index.open({ dir });
  try {
    await replay(index, options.transactions(index.applied), options);
    return index;
  } catch (error) {
    await index.close();
    throw error;
  }
}

/**
 * Applies durable transactions to `index` and persists them; for catching up at open, too. Memory
 * stays bounded. Rejects with the reason of `signal`, with what was applied so far kept.
 */
export async function replay(
  index: Index,
  transactions: AsyncIterable<readonly Transaction[]>,
  options: ReplayOptions = {},
): Promise<void> {
  let persisting: Promise<void> | undefined;
  let failure: unknown;
  const persist = (): void => {
    index.freezeLayer();
    persisting ??= index.persist(index.applied).then(
      () => void (persisting = undefined),
      (error: unknown) => void (failure = error),
    );
  };
  let done = 0;
  for await (const batch of transactions) {
    for (const tx of batch) {
      const loading = applyOne(index, tx);
      if (loading !== undefined) await loading;
      if (++done % SLICE !== 0) continue;
      options.signal?.throwIfAborted();
      if (index.overlayBytes > PERSIST_BYTES) persist();
      if (index.overlayBytes > MAX_OVERLAY_BYTES) await persisting;
      if (failure !== undefined) throw failure;
      if (persisting !== undefined) await turn();
    }
    options.onProgress?.(index.applied);
  }
  await persisting;
  index.freezeLayer();
  await index.persist(index.applied);
}

/** One transaction; only one that misses a range has to wait. */
function applyOne(index: Index, tx: Transaction): Promise<void> | undefined {
  try {
    index.apply(tx, index.prepare(tx));
    return undefined;
  } catch (error) {
    if (!(error instanceof Miss)) throw error;
    return index.load(error).then(() => applyOne(index, tx));
  }
}

/** Fills an empty database with a checkpoint's state. It has an applied seq only when all is in. */
async function loadCheckpoint(dir: string, checkpoint: CheckpointSource): Promise<void> {
  const store = await Store.open(dir, () => Promise.resolve(Infinity));
  try {
    let batch = await store.batch();
    let rows = 0;
    for await (const records of checkpoint.records) {
      for (const record of records) putRecord(batch, record);
      rows += records.length;
      if (rows < LOAD_ROWS) continue;
      await batch.write(store.applied);
      batch = await store.batch();
      rows = 0;
    }
    await batch.write(checkpoint.seq);
  } finally {
    await store.close();
  }
}

/** Puts an item, and those that derive from it. */
function putRecord(batch: StoreBatch, { family, key, value }: StoredRecord): void {
  batch.put(key, value);
  if (family === 'dirent') putPosition(batch, key, decodeValue(key, value) as DirentItem);
  if (family === 'inode') putSeqs(batch, decodeValue(key, value) as Inode);
}

function putPosition(batch: StoreBatch, direntKey: string, item: DirentItem): void {
  const dir = decodeNumber(direntKey, 1) as Ino;
  const { began, ino, kind, position } = item;
  const name = asByteString(direntKey.slice(9));
  put(batch, positionKey(dir, position as Position), { began, name, ino, kind });
}

function putSeqs(batch: StoreBatch, inode: Inode): void {
  put(batch, metaSeqKey(inode.metaSeq, inode.ino), true);
  if (isRegular(inode.mode)) put(batch, dataSeqKey(inode.dataSeq, inode.ino), true);
  if (inode.truncateMark !== undefined) put(batch, truncatingKey(inode.ino), true);
}

const put = (batch: StoreBatch, key: string, value: Item): void =>
  batch.put(key, encodeValue(key, value));

/**
 * The index: what a create costs to project and apply, to persist, and to replay, against the
 * floor: the items of the same creates put straight into LevelDB in batches, with nothing computed.
 * Rounds are interleaved, medians of five. CPU time is that of the whole process, so a machine that
 * is busy with other things changes it less than the clock's time.
 *
 *   node --import tsx bench/index-apply.ts [DIRECTORY]
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Index } from '../src/index/index.ts';
import {
  backrefKey,
  dataSeqKey,
  direntKey,
  inodeKey,
  metaSeqKey,
  positionKey,
} from '../src/index/keys.ts';
import { buildIndex } from '../src/index/rebuild.ts';
import { Store } from '../src/index/store.ts';
import { readDirectory } from '../src/index/views.ts';
import {
  asByteString,
  FIRST_POSITION,
  generation,
  ino,
  position,
  rid,
  ROOT_INO,
  seq,
  type Position,
} from '../src/model/ids.ts';
import { DAEMON, type Transaction } from '../src/model/transaction.ts';

const ROUNDS = 5;
const CREATES = 100_000;
/** A commit of a busy volume: one layer. */
const LAYER = 5_000;
const TIME = { sec: 1_790_000_000, nsec: 123_456_789 };
const START_MICROS = 1_790_000_000_000_000;
/** Bytes of an inode's, a dirent's, a position's and a backref's value. */
const VALUE_BYTES = [75, 12, 20, 15, 0, 0] as const;

export interface IndexApplyResult {
  /** CPU microseconds a create: project and apply. */
  readonly applyMicros: number;
  /** CPU microseconds a create, LevelDB's own threads included: encode and write. */
  readonly persistMicros: number;
  /** Creates replayed a second into an empty index, until all is in LevelDB. */
  readonly replayPerSecond: number;
  readonly replayWithHistoryPerSecond: number;
  /** The floor of replay: the same items put into LevelDB, creates a second. */
  readonly floorPerSecond: number;
  /** Directory entries listed a second, from LevelDB. */
  readonly listPerSecond: number;
  /** Synchronous inode reads, microseconds: in the cache, and in LevelDB. */
  readonly cachedReadMicros: number;
  readonly storedReadMicros: number;
}

function format(historyMicros: number): Transaction {
  return transaction(1, [
    {
      type: 'VolumeFormatted',
      fsid: '00'.repeat(16),
      format: 1,
      historyMicros,
      sizeLimitBlocks: 0,
    },
    created(1, 0o40755, 1),
  ]);
}

const transaction = (n: number, events: Transaction['events']): Transaction => ({
  seq: seq(n),
  time: START_MICROS + n * 20,
  node: rid(1),
  cause: 'create',
  actor: DAEMON,
  paths: [],
  events,
  seal: undefined,
});

const created = (n: number, mode: number, parent: number): Transaction['events'][number] => ({
  type: 'InodeCreated',
  ino: ino(n),
  generation: generation(7),
  mode,
  nlink: 1,
  uid: 1000,
  gid: 1000,
  rdev: 0,
  time: TIME,
  projectId: 0n,
  parent: ino(parent),
  target: undefined,
});

function create(i: number): Transaction {
  const at = position(i + 2);
  const name = asByteString(`file-${i}`);
  return transaction(i + 2, [
    created(1024 + i, 0o100644, 0),
    { type: 'DirentAdded', dir: ROOT_INO, name, ino: ino(1024 + i), kind: 8, position: at },
    {
      type: 'DirectoryChanged',
      ino: ROOT_INO,
      nlink: 2,
      entries: i + 1,
      nameBytes: i * 10,
      nextPosition: position(i + 3),
      mtime: TIME,
    },
  ]);
}

async function* creates(historyMicros: number): AsyncIterable<readonly Transaction[]> {
  yield [format(historyMicros)];
  for (let i = 0; i < CREATES; i += 1000) {
    yield Array.from({ length: 1000 }, (_, at) => create(i + at));
  }
}

const cpuMicros = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/** Project and apply, then persist, a layer at a time; CPU microseconds a create of each. */
async function applyAndPersist(dir: string): Promise<[number, number]> {
  const index = await Index.open({ dir });
  let [applying, persisting] = [0, 0];
  const first = format(0);
  index.apply(first, index.prepare(first));
  for (let i = 0; i < CREATES; i += LAYER) {
    const layer = Array.from({ length: LAYER }, (_, at) => create(i + at));
    const start = cpuMicros();
    for (const tx of layer) index.apply(tx, index.prepare(tx));
    index.freezeLayer();
    const middle = cpuMicros();
    await index.persist(index.applied);
    applying += middle - start;
    persisting += cpuMicros() - middle;
  }
  await index.close();
  return [applying / CREATES, persisting / CREATES];
}

async function replayRate(dir: string, historyMicros: number): Promise<number> {
  const start = performance.now();
  const index = await buildIndex(dir, { transactions: () => creates(historyMicros) });
  const seconds = (performance.now() - start) / 1000;
  await index.close();
  return CREATES / seconds;
}

async function floorRate(dir: string): Promise<number> {
  const store = await Store.open(dir, () => Promise.resolve(Infinity));
  const values = VALUE_BYTES.map((bytes) => Buffer.alloc(bytes, 7));
  const start = performance.now();
  for (let i = 0; i < CREATES; i += LAYER) {
    const batch = await store.batch();
    for (let n = i; n < i + LAYER; n++) {
      const [of, at] = [ino(1024 + n), position(n + 2)];
      const keys = [
        inodeKey(of),
        direntKey(ROOT_INO, asByteString(`file-${n}`)),
        positionKey(ROOT_INO, at),
        backrefKey(of, ROOT_INO, at),
        metaSeqKey(seq(n + 2), of),
        dataSeqKey(seq(n + 2), of),
      ];
      for (const [k, key] of keys.entries()) batch.put(key, values[k] as Buffer);
    }
    await batch.write(seq(i + LAYER));
  }
  const seconds = (performance.now() - start) / 1000;
  await store.close();
  return CREATES / seconds;
}

async function listRate(index: Index): Promise<number> {
  const snapshot = index.snapshot();
  const start = performance.now();
  let count = 0;
  for (let from: Position = FIRST_POSITION; ;) {
    const entries = await readDirectory(snapshot, ROOT_INO, from, 1000);
    const last = entries.at(-1);
    if (last === undefined) break;
    count += entries.length;
    from = position(last.position + 1);
  }
  snapshot.close();
  return (count / (performance.now() - start)) * 1000;
}

/** Reads inodes far apart, so that none is cached; then one again and again. */
function readMicros(index: Index): [number, number] {
  const reads = 20_000;
  let start = performance.now();
  for (let i = 0; i < reads; i++) index.inode(ino(1024 + ((i * 7919) % CREATES)));
  const stored = (performance.now() - start) / reads;
  start = performance.now();
  for (let i = 0; i < reads * 10; i++) index.inode(ino(1024));
  return [((performance.now() - start) / reads / 10) * 1000, stored * 1000];
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >>> 1] as number;

export async function benchIndexApply(dir: string): Promise<IndexApplyResult> {
  const rounds: IndexApplyResult[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const at = await mkdtemp(join(dir, 'index-apply-'));
    try {
      const [applyMicros, persistMicros] = await applyAndPersist(join(at, 'apply'));
      const replayPerSecond = await replayRate(join(at, 'replay'), 0);
      const replayWithHistoryPerSecond = await replayRate(join(at, 'history'), -1);
      const floorPerSecond = await floorRate(join(at, 'floor'));
      const index = await Index.open({ dir: join(at, 'apply') });
      const listPerSecond = await listRate(index);
      const [cachedReadMicros, storedReadMicros] = readMicros(index);
      await index.close();
      rounds.push({
        applyMicros,
        persistMicros,
        replayPerSecond,
        replayWithHistoryPerSecond,
        floorPerSecond,
        listPerSecond,
        cachedReadMicros,
        storedReadMicros,
      });
    } finally {
      await rm(at, { recursive: true });
    }
  }
  const result: Partial<Record<keyof IndexApplyResult, number>> = {};
  for (const name of Object.keys(rounds[0] ?? {}) as (keyof IndexApplyResult)[]) {
    result[name] = median(rounds.map((round) => round[name]));
  }
  return result as unknown as IndexApplyResult;
}

function print(result: IndexApplyResult): void {
  const perSecond = (n: number): string => `${Math.round(n).toLocaleString('en')}/s`;
  const lines = [
    ['create: project and apply', `${result.applyMicros.toFixed(1)} us CPU`],
    ['create: encode and write', `${result.persistMicros.toFixed(1)} us CPU`],
    ['replay of creates', perSecond(result.replayPerSecond)],
    ['  keeping history', perSecond(result.replayWithHistoryPerSecond)],
    ['  floor: LevelDB alone', perSecond(result.floorPerSecond)],
    ['directory listing', perSecond(result.listPerSecond)],
    ['inode read, cached', `${result.cachedReadMicros.toFixed(2)} us`],
    ['inode read, LevelDB', `${result.storedReadMicros.toFixed(2)} us`],
  ];
  for (const [name, value] of lines) console.log(`${name?.padEnd(28)}${value?.padStart(14)}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  print(await benchIndexApply(process.argv[2] ?? tmpdir()));
}

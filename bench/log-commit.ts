/**
 * Log commit: transactions made durable by 1 and by 32 callers through the log writer and the file
 * store, against the floor: the same bytes appended to a file and fdatasynced, one write and one
 * sync a round, on the same disk. Interleaved, median of five.
 *
 *   node --import tsx bench/log-commit.ts [DIRECTORY]
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { nodeDisk } from '../src/io/node-disk.ts';
import { systemClock } from '../src/io/system-clock.ts';
import { FileLogStore } from '../src/log/file-store.ts';
import { LogWriter, type Draft } from '../src/log/writer.ts';
import { asByteString, generation, ino, position, rid, ROOT_INO } from '../src/model/ids.ts';

const ROUNDS = 5;
const MEASURE_MS = 1000;
const FSID = '000102030405060708090a0b0c0d0e0f';

export interface LogCommitResult {
  readonly callers: number;
  /** Durable transactions per second, median. */
  readonly perSecond: number;
  /** The floor: rounds of (write what all callers have, fdatasync) times callers, per second. */
  readonly floorPerSecond: number;
  /** Syncs per transaction of ours. */
  readonly syncsPerTransaction: number;
}

const createDraft = (i: number): Draft => {
  const time = { sec: 1_790_000_000, nsec: 123_456_789 };
  const name = asByteString(`file-${i}`);
  return {
    cause: 'create',
    actor: { uid: 1000, gid: 1000, pid: 4321 },
    paths: [{ ino: ino(1024 + i), path: name }],
    events: [
      {
        type: 'InodeCreated',
        ino: ino(1024 + i),
        generation: generation(0xdeadbeef),
        mode: 0o100644,
        nlink: 1,
        uid: 1000,
        gid: 1000,
        rdev: 0,
        time,
        projectId: 0n,
        parent: ino(0),
        target: undefined,
      },
      {
        type: 'DirentAdded',
        dir: ROOT_INO,
        name,
        ino: ino(1024 + i),
        kind: 8,
        position: position(i),
      },
      {
        type: 'DirectoryChanged',
        ino: ROOT_INO,
        nlink: 2,
        entries: i,
        nameBytes: 8 * i,
        nextPosition: position(i + 1),
        mtime: time,
      },
    ],
  };
};

/** Bytes that one transaction of `createDraft` takes in a block. */
const RECORD_BYTES = 120;

async function measureOurs(dir: string, callers: number): Promise<{ rate: number; syncs: number }> {
  const { store, last } = await FileLogStore.create({
    disk: nodeDisk,
    dir,
    fsid: FSID,
    clock: systemClock,
    reserveBytes: 1024 * 1024,
  });
  let syncs = 0;
  const writer = new LogWriter({
    store,
    clock: systemClock,
    node: rid(1),
    last,
    beforeCommit: async () => {},
    onDurable: () => void syncs++,
    onFailure: (error) => {
      throw error;
    },
  });
  let done = 0;
  const end = performance.now() + MEASURE_MS;
  const caller = async (): Promise<void> => {
    while (performance.now() < end) {
      writer.append(writer.stamp(createDraft(writer.nextSeq)), false);
      await writer.commit();
      done++;
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: callers }, caller));
  const seconds = (performance.now() - start) / 1000;
  await writer.close();
  await store.close();
  return { rate: done / seconds, syncs: syncs / done };
}

async function measureFloor(dir: string, callers: number): Promise<number> {
  const file = await nodeDisk.open(join(dir, 'floor'), 'create');
  const bytes = Buffer.alloc(RECORD_BYTES * callers, 1);
  let at = 0;
  let done = 0;
  await file.reserve(0, 32 * 1024 * 1024);
  const start = performance.now();
  while (performance.now() < start + MEASURE_MS) {
    await file.write([bytes], at);
    await file.datasync();
    at += bytes.length;
    done += callers;
  }
  const rate = (done / (performance.now() - start)) * 1000;
  await file.close();
  return rate;
}

async function inTemporary<T>(parent: string, body: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(parent, 'ledgerfs-bench-'));
  try {
    return await body(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

const median = (values: number[]): number =>
  values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Measures commits with 1 and 32 callers in a directory of `parent`. Takes about 20 seconds. */
export async function benchLogCommit(parent: string): Promise<LogCommitResult[]> {
  const results: LogCommitResult[] = [];
  for (const callers of [1, 32]) {
    const ours: number[] = [];
    const floors: number[] = [];
    const syncs: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      floors.push(await inTemporary(parent, (dir) => measureFloor(dir, callers)));
      const measured = await inTemporary(parent, (dir) => measureOurs(dir, callers));
      ours.push(measured.rate);
      syncs.push(measured.syncs);
    }
    results.push({
      callers,
      perSecond: Math.round(median(ours)),
      floorPerSecond: Math.round(median(floors)),
      syncsPerTransaction: Number(median(syncs).toFixed(3)),
    });
  }
  return results;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const result of await benchLogCommit(process.argv[2] ?? tmpdir())) {
    const { callers, perSecond, floorPerSecond, syncsPerTransaction } = result;
    const share = ((100 * perSecond) / floorPerSecond).toFixed(0);
    process.stdout.write(
      `${callers} callers: ${perSecond}/s durable, floor ${floorPerSecond}/s (${share} %), ` +
        `${syncsPerTransaction} syncs per transaction\n`,
    );
  }
}

/**
 * A program: `commit-log DIRECTORY CALLERS ROUNDS MEASURE_MS` makes transactions durable through the
 * log writer and the file store, for so many callers, each waiting for its own; and, in turns, the
 * floor: the same bytes appended to a file and fdatasynced, one write and one sync for what all
 * callers have. Prints a line of JSON with the rates of all rounds.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeDisk } from '../../src/io/node-disk.ts';
import { systemClock } from '../../src/io/system-clock.ts';
import { FileLogStore } from '../../src/log/file-store.ts';
import { LogWriter, type Draft } from '../../src/log/writer.ts';
import { asByteString, generation, ino, position, rid, ROOT_INO } from '../../src/model/ids.ts';

const FSID = '000102030405060708090a0b0c0d0e0f';

const parent = process.argv[2] ?? '.';
const [callers = 1, rounds = 1, measureMs = 1000] = process.argv.slice(3).map(Number);

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

async function measureOurs(dir: string): Promise<{ rate: number; syncs: number }> {
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
  const end = performance.now() + measureMs;
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

async function measureFloor(dir: string): Promise<number> {
  const file = await nodeDisk.open(join(dir, 'floor'), 'create');
  const bytes = Buffer.alloc(RECORD_BYTES * callers, 1);
  let at = 0;
  let done = 0;
  await file.reserve(0, 32 * 1024 * 1024);
  const start = performance.now();
  while (performance.now() < start + measureMs) {
    await file.write([bytes], at);
    await file.datasync();
    at += bytes.length;
    done += callers;
  }
  const rate = (done / (performance.now() - start)) * 1000;
  await file.close();
  return rate;
}

async function inTemporary<T>(body: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(parent, 'ledgerfs-bench-'));
  try {
    return await body(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

const ours: number[] = [];
const floor: number[] = [];
const syncs: number[] = [];
for (let round = 0; round < rounds; round++) {
  floor.push(await inTemporary(measureFloor));
  const measured = await inTemporary(measureOurs);
  ours.push(measured.rate);
  syncs.push(measured.syncs);
}
process.stdout.write(`${JSON.stringify({ ours, floor, syncs })}\n`);

/**
 * Transactions to test the log with: generated ones of every shape, and a fixed one of each event.
 */

import {
  array,
  bigInt,
  constant,
  constantFrom,
  integer,
  oneof,
  option,
  record as anyRecord,
  tuple,
  uint8Array,
} from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { systemClock } from '../../src/io/system-clock.ts';
import type { LogEnd } from '../../src/log/recovery.ts';
import type { LogStore } from '../../src/log/store.ts';
import { LogWriter } from '../../src/log/writer.ts';
import type { Event, EventType } from '../../src/model/event.ts';
import type { Extent } from '../../src/model/extent.ts';
import {
  asByteString,
  byteString,
  generation,
  ino,
  position,
  rid,
  segmentNumber,
  seq,
  type ByteString,
} from '../../src/model/ids.ts';
import type { Time } from '../../src/model/time.ts';
import type { Cause, Transaction } from '../../src/model/transaction.ts';

export const FSID = '00112233445566778899aabbccddeeff';
export const MAX = Number.MAX_SAFE_INTEGER;
export const U64_MAX = 2n ** 64n - 1n;

/** Every byte value but NUL and "/", in a name of 254 bytes. */
export const EVERY_BYTE: ByteString = byteString(
  Buffer.from(Array.from({ length: 256 }, (_, i) => i).filter((b) => b !== 0 && b !== 47)),
);
const LONGEST: ByteString = asByteString('\xff'.repeat(255));

/** Records as programs make them: plain objects. */
const record = <T>(model: { [K in keyof T]: Arbitrary<T[K]> }): Arbitrary<T> =>
  anyRecord(model, { noNullPrototype: true }) as Arbitrary<T>;

const natural: Arbitrary<number> = oneof(
  constantFrom(0, 1, 63, 64, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 2, MAX),
  integer({ min: 0, max: MAX }),
);
const int: Arbitrary<number> = oneof(
  constantFrom(0, 0o177777, 2 ** 31 - 1),
  integer({ min: 0, max: 2 ** 31 - 1 }),
);
const u32 = oneof(constantFrom(0, 2 ** 32 - 1), integer({ min: 0, max: 2 ** 32 - 1 }));
const u64 = oneof(
  constantFrom(0n, 1n, 2n ** 53n, 2n ** 63n, U64_MAX),
  bigInt({ min: 0n, max: U64_MAX }),
);
const name = oneof(
  constantFrom(asByteString(''), EVERY_BYTE, LONGEST),
  uint8Array({ maxLength: 255 }).map(byteString),
);
const value = oneof(
  constant(Buffer.alloc(0)),
  uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
);
const time: Arbitrary<Time> = record({
  sec: oneof(constantFrom(0, -1, -(2 ** 40), 2 ** 52), integer({ min: -(2 ** 40), max: 2 ** 52 })),
  nsec: integer({ min: 0, max: 999_999_999 }),
});
const size = record({
  blocks: oneof(constant(2 ** 51 - 1), integer({ min: 0, max: 2 ** 51 - 1 })),
  tail: integer({ min: 0, max: 4095 }),
});
const fsid = uint8Array({ minLength: 16, maxLength: 16 }).map((b) =>
  Buffer.from(b).toString('hex'),
);
const anIno = natural.map(ino);
const aPosition = natural.map(position);
const aSegment = natural.map(segmentNumber);
const maybe = <T>(arbitrary: Arbitrary<T>): Arbitrary<T | undefined> =>
  option(arbitrary, { nil: undefined });
const extent: Arbitrary<Extent> = record({
  block: natural,
  count: natural,
  segment: aSegment,
  segmentBlock: natural,
  flags: integer({ min: 0, max: 3 }),
});
const dirent = {
  dir: anIno,
  name,
  ino: anIno,
  kind: integer({ min: 0, max: 15 }),
  position: aPosition,
};

type EventOf<T extends EventType> = Extract<Event, { type: T }>;

/** Generators of every event type; the type checker holds them complete. */
export const EVENT_ARBITRARIES: { readonly [T in EventType]: Arbitrary<EventOf<T>> } = {
  VolumeFormatted: record({
    type: constant('VolumeFormatted'),
    fsid,
    format: int,
    historyMicros: oneof(constant(-1), natural),
    sizeLimitBlocks: natural,
  }),
  FormatRaised: record({ type: constant('FormatRaised'), format: int }),
  InodeCreated: record({
    type: constant('InodeCreated'),
    ino: anIno,
    generation: u32.map(generation),
    mode: int,
    nlink: int,
    uid: u32,
    gid: u32,
    rdev: u32,
    time,
    projectId: u64,
    parent: anIno,
    target: maybe(uint8Array({ maxLength: 4095 }).map(byteString)),
  }),
  AttributesChanged: record({
    type: constant('AttributesChanged'),
    ino: anIno,
    mode: maybe(int),
    uid: maybe(u32),
    gid: maybe(u32),
    atime: maybe(time),
    mtime: maybe(time),
    ctime: maybe(time),
    crtime: maybe(time),
    projectId: maybe(u64),
    flags: maybe(u32),
  }),
  LinksChanged: record({
    type: constant('LinksChanged'),
    ino: anIno,
    nlink: int,
    ctime: time,
    parent: maybe(anIno),
  }),
  DirectoryChanged: record({
    type: constant('DirectoryChanged'),
    ino: anIno,
    nlink: int,
    entries: natural,
    nameBytes: natural,
    nextPosition: aPosition,
    mtime: time,
  }),
  DirentAdded: record({ type: constant('DirentAdded'), ...dirent }),
  DirentRemoved: record({ type: constant('DirentRemoved'), ...dirent }),
  OrphanAdded: record({ type: constant('OrphanAdded'), ino: anIno }),
  OrphanRemoved: record({ type: constant('OrphanRemoved'), ino: anIno }),
  InodeDeleted: record({ type: constant('InodeDeleted'), ino: anIno }),
  ContentsChanged: record({
    type: constant('ContentsChanged'),
    ino: anIno,
    size,
    mtime: time,
    ctime: time,
    dataVersion: u64,
    mode: maybe(int),
    truncateMark: maybe(natural),
  }),
  TruncateFinished: record({ type: constant('TruncateFinished'), ino: anIno }),
  ExtentsMapped: record({
    type: constant('ExtentsMapped'),
    ino: anIno,
    extents: array(extent, { maxLength: 40 }),
  }),
  ExtentsRemoved: record({
    type: constant('ExtentsRemoved'),
    ino: anIno,
    block: natural,
    count: natural,
  }),
  SegmentCreated: record({
    type: constant('SegmentCreated'),
    segment: aSegment,
    rid: natural.map(rid),
  }),
  SegmentRemoved: record({
    type: constant('SegmentRemoved'),
    segment: aSegment,
    blocks: natural,
  }),
  BlocksChecksummed: record({
    type: constant('BlocksChecksummed'),
    segment: aSegment,
    segmentBlock: natural,
    checksums: value,
  }),
  XattrSet: record({
    type: constant('XattrSet'),
    ino: anIno,
    name,
    value,
    ctime: time,
    mode: maybe(int),
  }),
  XattrRemoved: record({ type: constant('XattrRemoved'), ino: anIno, name, ctime: time }),
  AccessTimeChanged: record({ type: constant('AccessTimeChanged'), ino: anIno, atime: time }),
};

export const anyEvent: Arbitrary<Event> = oneof(...Object.values(EVENT_ARBITRARIES));

export const CAUSES: readonly Cause[] = ['mkfs', 'create', 'write', 'removexattr', 'stage'];

/** Transactions of any shape; seq and time anything. */
export const anyTransaction: Arbitrary<Transaction> = record({
  seq: natural.map(seq),
  time: natural,
  node: natural.map(rid),
  cause: constantFrom(...CAUSES),
  actor: record({ uid: u32, gid: u32, pid: u32 }),
  paths: array(record({ ino: anIno, path: name }), { maxLength: 3 }),
  events: array(anyEvent, { minLength: 1, maxLength: 6 }),
  seal: option(
    tuple(natural, uint8Array({ minLength: 32, maxLength: 32 })).map(([count, hash]) => ({
      count,
      hash: Buffer.from(hash),
    })),
    { nil: undefined },
  ),
});

const AT: Time = { sec: -2, nsec: 999_999_999 };

/** One event of each type, with extremes in it. What the golden bytes hold: never changed. */
export const ONE_OF_EACH: { readonly [T in EventType]: EventOf<T> } = {
  VolumeFormatted: {
    type: 'VolumeFormatted',
    fsid: FSID,
    format: 1,
    historyMicros: -1,
    sizeLimitBlocks: MAX,
  },
  FormatRaised: { type: 'FormatRaised', format: 2 ** 31 - 1 },
  InodeCreated: {
    type: 'InodeCreated',
    ino: ino(MAX),
    generation: generation(2 ** 32 - 1),
    mode: 0o120777,
    nlink: 1,
    uid: 2 ** 32 - 1,
    gid: 0,
    rdev: 2 ** 32 - 1,
    time: AT,
    projectId: U64_MAX,
    parent: ino(0),
    target: EVERY_BYTE,
  },
  AttributesChanged: {
    type: 'AttributesChanged',
    ino: ino(1024),
    mode: undefined,
    uid: 0,
    gid: undefined,
    atime: AT,
    mtime: undefined,
    ctime: { sec: 2 ** 40, nsec: 0 },
    crtime: undefined,
    projectId: 0n,
    flags: 1,
  },
  LinksChanged: {
    type: 'LinksChanged',
    ino: ino(5),
    nlink: 2 ** 31 - 1,
    ctime: AT,
    parent: ino(1),
  },
  DirectoryChanged: {
    type: 'DirectoryChanged',
    ino: ino(1),
    nlink: 3,
    entries: 4,
    nameBytes: 1020,
    nextPosition: position(6),
    mtime: AT,
  },
  DirentAdded: {
    type: 'DirentAdded',
    dir: ino(1),
    name: LONGEST,
    ino: ino(1024),
    kind: 8,
    position: position(2),
  },
  DirentRemoved: {
    type: 'DirentRemoved',
    dir: ino(1),
    name: EVERY_BYTE,
    ino: ino(1024),
    kind: 4,
    position: position(MAX),
  },
  OrphanAdded: { type: 'OrphanAdded', ino: ino(1024) },
  OrphanRemoved: { type: 'OrphanRemoved', ino: ino(1025) },
  InodeDeleted: { type: 'InodeDeleted', ino: ino(1026) },
  ContentsChanged: {
    type: 'ContentsChanged',
    ino: ino(1024),
    size: { blocks: 2 ** 51 - 1, tail: 4095 },
    mtime: AT,
    ctime: AT,
    dataVersion: U64_MAX,
    mode: 0o100755,
    truncateMark: 0,
  },
  TruncateFinished: { type: 'TruncateFinished', ino: ino(1024) },
  ExtentsMapped: {
    type: 'ExtentsMapped',
    ino: ino(1024),
    extents: [
      { block: 0, count: 1, segment: segmentNumber(7), segmentBlock: MAX, flags: 0 },
      { block: 2, count: MAX - 2, segment: segmentNumber(0), segmentBlock: 0, flags: 1 },
    ],
  },
  ExtentsRemoved: { type: 'ExtentsRemoved', ino: ino(1024), block: 3, count: MAX },
  SegmentCreated: { type: 'SegmentCreated', segment: segmentNumber(MAX), rid: rid(MAX) },
  SegmentRemoved: { type: 'SegmentRemoved', segment: segmentNumber(MAX), blocks: MAX },
  BlocksChecksummed: {
    type: 'BlocksChecksummed',
    segment: segmentNumber(7),
    segmentBlock: 9,
    checksums: Buffer.from('00000000ffffffff', 'hex'),
  },
  XattrSet: {
    type: 'XattrSet',
    ino: ino(1024),
    name: asByteString('user.\xe9'),
    value: Buffer.from([0, 255, 128]),
    ctime: AT,
    mode: undefined,
  },
  XattrRemoved: { type: 'XattrRemoved', ino: ino(1024), name: asByteString(''), ctime: AT },
  AccessTimeChanged: { type: 'AccessTimeChanged', ino: ino(MAX), atime: AT },
};

/** The n-th transaction of a made-up log: seq n, small, with a name of `nameBytes` bytes. */
export function sample(n: number, nameBytes = 8): Transaction {
  const number = ino(Math.min(1024 + n, MAX));
  const text = String(n).padStart(nameBytes, 'x').slice(-255);
  return {
    seq: seq(n),
    time: Math.min(1_790_000_000_000_000 + n, MAX),
    node: rid(77),
    cause: 'create',
    actor: { uid: 1000, gid: 1000, pid: 42 },
    paths: [{ ino: number, path: asByteString(text) }],
    events: [{ ...ONE_OF_EACH.DirentAdded, name: asByteString(text), ino: number }],
    seal: undefined,
  };
}

/** A transaction of about `bytes` bytes. */
export function bulky(n: number, bytes: number): Transaction {
  const { XattrSet } = ONE_OF_EACH;
  const events: Event[] = [];
  for (let rest = bytes; rest > 0; rest -= 60_000) {
    events.push({ ...XattrSet, value: Buffer.alloc(Math.min(rest, 60_000), n) });
  }
  return { ...sample(n), events };
}

/** A transaction without its seal: what was appended, of what was read. */
export const unsealed = (tx: Transaction): Transaction => ({ ...tx, seal: undefined });

/** A writer on `store` that never commits by itself. */
export const openWriter = (store: LogStore, last: LogEnd): LogWriter =>
  new LogWriter({
    store,
    clock: systemClock,
    node: rid(77),
    last,
    beforeCommit: async () => {},
    onDurable: () => {},
    onFailure: () => {},
    commitMs: 2 ** 30,
  });

/** Appends samples in commits of `sizes` transactions each; returns them and the log's new end. */
export async function appendCommits(
  store: LogStore,
  last: LogEnd,
  sizes: readonly number[],
  make: (n: number) => Transaction = sample,
): Promise<Transaction[]> {
  const writer = openWriter(store, last);
  const written: Transaction[] = [];
  for (const size of sizes) {
    for (let i = 0; i < size; i++) {
      const tx = make(writer.nextSeq);
      if (!writer.append(tx, false)) throw new Error('no space in the log');
      written.push(tx);
    }
    await writer.commit();
  }
  await writer.close();
  return written;
}

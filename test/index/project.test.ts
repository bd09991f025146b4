/** Golden mutations: what each event type does to the index, written out. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Mutation } from '../../src/index/items.ts';
import * as keys from '../../src/index/keys.ts';
import { project } from '../../src/index/project.ts';
import type { Before } from '../../src/index/projections/before.ts';
import type { PlacedExtent, PlacedRef } from '../../src/index/placed.ts';
import { overlapping } from '../../src/index/placed.ts';
import { MAX_RUN_BLOCKS } from '../../src/index/projections/reference.ts';
import { AssertionError, must } from '../../src/model/assert.ts';
import type { Event, EventType } from '../../src/model/event.ts';
import { EXTENT_OFFLINE, EXTENT_UNWRITTEN, type Extent } from '../../src/model/extent.ts';
import {
  asByteString,
  generation,
  ino,
  position,
  rid,
  segmentNumber,
  seq,
} from '../../src/model/ids.ts';
import { INODE_UNWRITTEN, type Inode } from '../../src/model/inode.ts';
import { sizeOf } from '../../src/model/size.ts';
import { DAEMON, type Transaction } from '../../src/model/transaction.ts';

const test = suite('index projection');

const T1 = { sec: 1, nsec: 10 };
const T2 = { sec: 2, nsec: 20 };
const FILE = ino(1024);
const DIR = ino(1);
const SEG = segmentNumber(3);
const NAME = asByteString('name');
const NOW = seq(50);

const volume = {
  fsid: 'ab'.repeat(16),
  format: 1,
  historyMicros: -1,
  sizeLimitBlocks: 0,
  nextIno: ino(2000),
  nextSegment: segmentNumber(4),
  inodes: 5,
  usedBlocks: 100,
  heldBlocks: 7,
  lastTime: 90_000_000,
};

const file: Inode = {
  ino: FILE,
  generation: generation(9),
  mode: 0o100644,
  nlink: 1,
  uid: 1,
  gid: 2,
  rdev: 0,
  size: sizeOf(0),
  atime: T1,
  mtime: T1,
  ctime: T1,
  crtime: T1,
  metaSeq: seq(40),
  dataSeq: seq(30),
  dataVersion: 1n,
  projectId: 0n,
  flags: 0,
  entries: 0,
  nextPosition: position(0),
  parent: ino(0),
  target: undefined,
  truncateMark: undefined,
  onlineBlocks: 0,
  offlineBlocks: 0,
  extents: 0,
  xattrs: 0,
};
const dir: Inode = {
  ...file,
  ino: DIR,
  mode: 0o40755,
  nlink: 2,
  nextPosition: position(2),
  parent: DIR,
  dataSeq: seq(0),
};

interface State {
  readonly inodes?: readonly Inode[];
  readonly extents?: readonly PlacedExtent[];
  readonly refs?: readonly PlacedRef[];
  readonly dirent?: ReturnType<Before['dirent']>;
  readonly xattr?: ReturnType<Before['xattr']>;
  readonly checksums?: ReturnType<Before['checksums']>;
  readonly historyMicros?: number;
}

const before = (state: State): Before => ({
  volume: () => ({ ...volume, historyMicros: state.historyMicros ?? 0 }),
  inode: (of) => (state.inodes ?? [file, dir]).find((inode) => inode.ino === of),
  dirent: () => state.dirent,
  xattr: () => state.xattr,
  checksums: () => state.checksums,
  extents: (_ino, from, to) => overlapping(state.extents ?? [], from, to),
  refs: (_segment, from, to) => overlapping(state.refs ?? [], from, to),
});

const transaction = (events: readonly Event[]): Transaction => ({
  seq: NOW,
  time: 90_500_000,
  node: rid(1),
  cause: 'repair',
  actor: DAEMON,
  paths: [],
  events,
  seal: undefined,
});

/** The mutations, as [key, value], without the volume's unless it is asked for. */
function mutationsOf(events: readonly Event[], state: State = {}): [string, Mutation['value']][] {
  const all = project(transaction(events), before(state));
  assert.is(new Set(all.map(({ key }) => key)).size, all.length, 'one mutation a key');
  const inodes = before(state).inode;
  for (const { family, key, before: old } of all) {
    if (family === 'inode') assert.is(old, inodes(ino(keys.decodeNumber(key, 1))), 'what it was');
  }
  return all.filter(({ family }) => family !== 'meta').map(({ key, value }) => [key, value]);
}

const inodeIn = (rows: readonly [string, Mutation['value']][], at: number): Inode =>
  must(rows[at], `row ${at}`)[1] as Inode;

function volumeAfter(events: readonly Event[], state: State = {}) {
  const all = project(transaction(events), before(state));
  const found = must(
    all.find(({ family }) => family === 'meta'),
    'the volume',
  );
  const { lastTime, ...rest } = found.value as typeof volume;
  assert.is(lastTime, 90_500_000);
  return rest;
}

const changed = (of: Inode, change: Partial<Inode>): [string, Mutation['value']][] => [
  [keys.inodeKey(of.ino), { ...of, metaSeq: NOW, ...change }],
];

const extent = (block: number, count: number, segmentBlock: number, flags = 0): Extent => ({
  block,
  count,
  segment: SEG,
  segmentBlock,
  flags,
});
const stored = (e: Extent, began: number): PlacedExtent => ({ ...e, began: seq(began) });
const item = ({ block: _block, ...rest }: Extent, began = 50) => ({ ...rest, began: seq(began) });

const created: Event = {
  type: 'InodeCreated',
  ino: ino(3000),
  generation: generation(4),
  mode: 0o100600,
  nlink: 1,
  uid: 7,
  gid: 8,
  rdev: 0,
  time: T2,
  projectId: 2n ** 64n - 1n,
  parent: ino(0),
  target: undefined,
};
const contents: Event = {
  type: 'ContentsChanged',
  ino: FILE,
  size: sizeOf(5000),
  mtime: T2,
  ctime: T2,
  dataVersion: 2n,
  mode: undefined,
  truncateMark: undefined,
};
const entry = { dir: DIR, name: NAME, ino: FILE, kind: 8, position: position(2) };
const direntItem = { began: seq(33), ino: FILE, kind: 8, position: position(2) };

/** One golden test an event type; the compiler demands that none is missing. */
const golden: { readonly [T in EventType]: () => void } = {
  VolumeFormatted() {
    const event = {
      type: 'VolumeFormatted',
      fsid: 'cd'.repeat(16),
      format: 2,
      historyMicros: 5,
      sizeLimitBlocks: 6,
    } as const;
    const empty: Before = { ...before({}), volume: () => undefined };
    const { type: _type, ...facts } = event;
    const zeros = { inodes: 0, usedBlocks: 0, heldBlocks: 0 };
    const numbers = { nextIno: ino(1024), nextSegment: segmentNumber(1), lastTime: 90_500_000 };
    assert.equal(plain(project(transaction([event]), empty)), [
      [keys.timeMarkKey(90), { seq: NOW }],
      [keys.volumeKey, { ...facts, ...numbers, ...zeros }],
    ]);
    assert.throws(() => project(transaction([event]), before({})), /formatted already/);
  },
  FormatRaised() {
    const { lastTime: _lastTime, ...rest } = volume;
    const after = volumeAfter([{ type: 'FormatRaised', format: 9 }]);
    assert.equal(after, { ...rest, historyMicros: 0, format: 9 });
  },
  InodeCreated() {
    const { type: _type, time: _time, ...given } = created;
    const times = { atime: T2, mtime: T2, ctime: T2, crtime: T2 };
    const fresh = { ...file, ...given, ...times, metaSeq: NOW, dataSeq: NOW, dataVersion: 0n };
    assert.equal(mutationsOf([created]), [[keys.inodeKey(ino(3000)), fresh]]);
    const after = volumeAfter([created]);
    assert.is(after.inodes, 6);
    assert.is(after.nextIno, 3001);
    const target = asByteString('to/there');
    const link = { ...created, mode: 0o120777, target };
    const rows = mutationsOf([link]);
    assert.is(rows.length, 1);
    const { size, dataSeq } = inodeIn(rows, 0);
    assert.equal({ size, dataSeq }, { size: sizeOf(8), dataSeq: 0 });
    const directory = { ...created, mode: 0o40700, parent: DIR };
    const made = inodeIn(mutationsOf([directory]), 0);
    assert.equal([made.nextPosition, made.parent], [2, 1]);
  },
  AttributesChanged() {
    const none = {
      mode: undefined,
      uid: undefined,
      gid: undefined,
      atime: undefined,
      mtime: undefined,
      ctime: undefined,
      crtime: undefined,
      projectId: undefined,
      flags: undefined,
    };
    const type = 'AttributesChanged';
    assert.equal(mutationsOf([{ type, ino: FILE, ...none }]), changed(file, {}));
    const some = { mode: 0o100000, uid: 0, gid: 5, atime: T2, projectId: 3n, flags: 1 };
    assert.equal(mutationsOf([{ type, ino: FILE, ...none, ...some }]), changed(file, some));
    const times = { mtime: T2, ctime: T2, crtime: T2 };
    assert.equal(mutationsOf([{ type, ino: FILE, ...none, ...times }]), changed(file, times));
  },
  AccessTimeChanged() {
    const event = { type: 'AccessTimeChanged', ino: FILE, atime: T2 } as const;
    const read = [keys.inodeKey(FILE), { ...file, atime: T2 }];
    assert.equal(mutationsOf([event], { historyMicros: -1 }), [read], 'no change, no before-image');
    const links = {
      type: 'LinksChanged',
      ino: FILE,
      nlink: 2,
      ctime: T2,
      parent: undefined,
    } as const;
    const both = [
      ...changed(file, { atime: T2, nlink: 2, ctime: T2 }),
      [keys.historyKey(keys.inodeKey(FILE), NOW), file],
    ];
    assert.equal(mutationsOf([event, links], { historyMicros: -1 }), both);
    assert.equal(mutationsOf([links, event], { historyMicros: -1 }), both);
  },
  LinksChanged() {
    const event = {
      type: 'LinksChanged',
      ino: FILE,
      nlink: 2,
      ctime: T2,
      parent: undefined,
    } as const;
    assert.equal(mutationsOf([event]), changed(file, { nlink: 2, ctime: T2 }));
    const moved = { ...event, ino: DIR, parent: ino(0) };
    assert.equal(mutationsOf([moved]), changed(dir, { nlink: 2, ctime: T2, parent: ino(0) }));
  },
  DirectoryChanged() {
    const counts = { nlink: 3, entries: 4, nextPosition: position(9) };
    const event = {
      type: 'DirectoryChanged',
      ino: DIR,
      ...counts,
      nameBytes: 5000,
      mtime: T2,
    } as const;
    const times = { mtime: T2, ctime: T2 };
    assert.equal(mutationsOf([event]), changed(dir, { ...counts, ...times, size: sizeOf(5000) }));
  },
  DirentAdded() {
    assert.equal(mutationsOf([{ type: 'DirentAdded', ...entry }]), [
      [keys.direntKey(DIR, NAME), { ...direntItem, began: NOW }],
      [keys.positionKey(DIR, position(2)), { began: NOW, name: NAME, ino: FILE, kind: 8 }],
      [keys.backrefKey(FILE, DIR, position(2)), { began: NOW, name: NAME }],
    ]);
  },
  DirentRemoved() {
    const event = { type: 'DirentRemoved', ...entry } as const;
    const rows = mutationsOf([event], { dirent: direntItem, historyMicros: -1 });
    const images = {
      dirent: direntItem,
      position: { began: seq(33), name: NAME, ino: FILE, kind: 8 },
      backref: { began: seq(33), name: NAME },
    };
    assert.equal(rows, [
      [keys.direntKey(DIR, NAME), undefined],
      [keys.historyKey(keys.direntKey(DIR, NAME), NOW), images.dirent],
      [keys.positionKey(DIR, position(2)), undefined],
      [keys.historyKey(keys.positionKey(DIR, position(2)), NOW), images.position],
      [keys.backrefKey(FILE, DIR, position(2)), undefined],
      [keys.historyKey(keys.backrefKey(FILE, DIR, position(2)), NOW), images.backref],
    ]);
    assert.throws(
      () => mutationsOf([event]),
      (error: unknown) => error instanceof AssertionError,
    );
  },
  OrphanAdded() {
    assert.equal(mutationsOf([{ type: 'OrphanAdded', ino: FILE }]), [
      [keys.orphanKey(FILE), true],
      ...changed(file, {}),
    ]);
  },
  OrphanRemoved() {
    assert.equal(mutationsOf([{ type: 'OrphanRemoved', ino: FILE }]), [
      [keys.orphanKey(FILE), undefined],
      ...changed(file, {}),
    ]);
  },
  InodeDeleted() {
    const event = { type: 'InodeDeleted', ino: FILE } as const;
    const orphan = { ...file, nlink: 0 };
    assert.equal(mutationsOf([event], { inodes: [orphan] }), [
      [keys.orphanKey(FILE), undefined],
      [keys.inodeKey(FILE), undefined],
    ]);
    assert.is(volumeAfter([event]).inodes, 4);
    for (const left of [{ extents: 1 }, { xattrs: 1 }]) {
      assert.throws(() => mutationsOf([event], { inodes: [{ ...orphan, ...left }] }), /left/);
    }
  },
  ContentsChanged() {
    const change = { size: sizeOf(5000), mtime: T2, ctime: T2, dataVersion: 2n, dataSeq: NOW };
    assert.equal(mutationsOf([contents]), changed(file, change));
    const cut = { ...contents, mode: 0o100600, truncateMark: 2 };
    assert.equal(mutationsOf([cut]), [
      ...changed(file, { ...change, mode: 0o100600, truncateMark: 2 }),
      [keys.truncatingKey(FILE), true],
    ]);
  },
  TruncateFinished() {
    const marked = { ...file, truncateMark: 2 };
    const event = { type: 'TruncateFinished', ino: FILE } as const;
    assert.equal(mutationsOf([event], { inodes: [marked] }), [
      ...changed(file, {}),
      [keys.truncatingKey(FILE), undefined],
    ]);
    assert.equal(mutationsOf([{ ...contents, truncateMark: 2 }, event]).length, 1, 'no mark left');
  },
  ExtentsMapped() {
    const old = stored(extent(0, 4, 10), 20);
    const state = {
      inodes: [{ ...file, extents: 1, onlineBlocks: 4 }],
      extents: [old],
      refs: [{ block: 10, count: 4, owners: 1 }],
      historyMicros: -1,
    };
    const middle = extent(1, 2, 30);
    const rows = mutationsOf([{ type: 'ExtentsMapped', ino: FILE, extents: [middle] }], state);
    const after = { ...state.inodes[0], metaSeq: NOW, extents: 3, onlineBlocks: 4 } as Inode;
    const key = keys.extentKey(FILE, 0);
    assert.equal(rows, [
      [key, item(extent(0, 1, 10))],
      [keys.historyKey(key, NOW), item(old, 20)],
      [keys.extentKey(FILE, 1), item(middle)],
      [keys.extentKey(FILE, 3), item(extent(3, 1, 13))],
      [keys.refKey(SEG, 10), { count: 1, owners: 1 }],
      [keys.refKey(SEG, 13), { count: 1, owners: 1 }],
      [keys.refKey(SEG, 30), { count: 2, owners: 1 }],
      [keys.freedKey(NOW, SEG, 11), { count: 2 }],
      [keys.inodeKey(FILE), after],
      [keys.historyKey(keys.inodeKey(FILE), NOW), state.inodes[0] as Inode],
    ]);
    const { usedBlocks, heldBlocks } = volumeAfter(
      [{ type: 'ExtentsMapped', ino: FILE, extents: [middle] }],
      state,
    );
    assert.equal([usedBlocks, heldBlocks], [100, 9]);
  },
  ExtentsRemoved() {
    const state = {
      inodes: [{ ...file, extents: 1, offlineBlocks: 3 }],
      extents: [stored({ ...extent(5, 3, 0, EXTENT_OFFLINE), segment: segmentNumber(0) }, 20)],
    };
    const event = { type: 'ExtentsRemoved', ino: FILE, block: 0, count: 7 } as const;
    const rest = { block: 7, count: 1, segment: segmentNumber(0), segmentBlock: 0, flags: 1 };
    assert.equal(mutationsOf([event], state), [
      [keys.extentKey(FILE, 7), item(rest)],
      [keys.extentKey(FILE, 5), undefined],
      ...changed(file, { extents: 1, offlineBlocks: 1 }),
    ]);
  },
  SegmentCreated() {
    const event = { type: 'SegmentCreated', segment: segmentNumber(8), rid: rid(6) } as const;
    assert.equal(mutationsOf([event]), [[keys.segmentKey(segmentNumber(8)), { rid: 6 }]]);
    assert.is(volumeAfter([event]).nextSegment, 9);
    assert.is(volumeAfter([{ ...event, segment: SEG }]).nextSegment, 4);
  },
  SegmentRemoved() {
    const event = { type: 'SegmentRemoved', segment: SEG, blocks: 300 } as const;
    assert.equal(mutationsOf([event], { checksums: { checksums: Buffer.from('zzzz') } }), [
      [keys.segmentKey(SEG), undefined],
      [keys.checksumKey(SEG, 0), undefined],
      [keys.checksumKey(SEG, 1), undefined],
    ]);
  },
  BlocksChecksummed() {
    const sums = Buffer.from('aaaabbbbcccc');
    const event = {
      type: 'BlocksChecksummed',
      segment: SEG,
      segmentBlock: 254,
      checksums: sums,
    } as const;
    const known = { checksums: Buffer.from('zzzz') };
    const rows = mutationsOf([event], { checksums: known });
    const first = Buffer.alloc(1024);
    first.write('zzzz');
    first.write('aaaabbbb', 254 * 4);
    assert.equal(rows, [
      [keys.checksumKey(SEG, 0), { checksums: first }],
      [keys.checksumKey(SEG, 1), { checksums: Buffer.from('cccc') }],
    ]);
  },
  XattrSet() {
    const value = Buffer.from('v');
    const event = {
      type: 'XattrSet',
      ino: FILE,
      name: NAME,
      value,
      ctime: T2,
      mode: 0o100755,
    } as const;
    const change = { ctime: T2, mode: 0o100755, xattrs: 1 };
    assert.equal(mutationsOf([event]), [
      [keys.xattrKey(FILE, NAME), { began: NOW, value }],
      ...changed(file, change),
    ]);
    const known = { began: seq(12), value: Buffer.from('old') };
    const state = { inodes: [{ ...file, xattrs: 1 }], xattr: known, historyMicros: -1 };
    const rows = mutationsOf([event], state);
    assert.equal(rows[1], [keys.historyKey(keys.xattrKey(FILE, NAME), NOW), known]);
    assert.is(inodeIn(rows, 2).xattrs, 1);
  },
  XattrRemoved() {
    const event = { type: 'XattrRemoved', ino: FILE, name: NAME, ctime: T2 } as const;
    const known = { began: seq(12), value: Buffer.from('old') };
    const state = { inodes: [{ ...file, xattrs: 1 }], xattr: known };
    assert.equal(mutationsOf([event], state), [
      [keys.xattrKey(FILE, NAME), undefined],
      ...changed(file, { ctime: T2 }),
    ]);
    assert.throws(() => mutationsOf([event]), /lacks/);
  },
};

const plain = (all: readonly Mutation[]) => all.map(({ key, value }) => [key, value]);

for (const [type, body] of Object.entries(golden)) test(type, body);

test('an event about an inode that does not exist is a bug', () => {
  assert.throws(() => mutationsOf([contents], { inodes: [] }), /does not exist/);
});

test('later events see earlier ones, and what came and went leaves nothing', () => {
  const temporary = { ...created, nlink: 0 };
  const rows = mutationsOf([
    temporary,
    { type: 'OrphanAdded', ino: created.ino },
    {
      type: 'XattrSet',
      ino: created.ino,
      name: NAME,
      value: Buffer.from('v'),
      ctime: T2,
      mode: undefined,
    },
    { type: 'DirentAdded', ...entry, ino: created.ino },
    { type: 'ExtentsMapped', ino: created.ino, extents: [extent(0, 2, 0)] },
    { type: 'ExtentsRemoved', ino: created.ino, block: 0, count: 2 },
    { type: 'DirentRemoved', ...entry, ino: created.ino },
    { type: 'XattrRemoved', ino: created.ino, name: NAME, ctime: T2 },
    { type: 'InodeDeleted', ino: created.ino },
  ]);
  assert.equal(rows, []);
});

test('a name replaced within a transaction keeps one before-image', () => {
  const rows = mutationsOf(
    [
      { type: 'DirentRemoved', ...entry },
      { type: 'DirentAdded', ...entry, ino: ino(1500), position: position(7) },
    ],
    { dirent: direntItem, historyMicros: -1 },
  );
  const key = keys.direntKey(DIR, NAME);
  assert.equal(
    rows.filter(([k]) => k.includes(key)),
    [
      [key, { began: NOW, ino: 1500, kind: 8, position: 7 }],
      [keys.historyKey(key, NOW), direntItem],
    ],
  );
});

test('neighbours merge, and a mapping that changes its flags keeps its owners', () => {
  const state = {
    inodes: [{ ...file, extents: 2, onlineBlocks: 4 }],
    extents: [stored(extent(0, 4, 0), 20), stored(extent(4, 4, 4, EXTENT_UNWRITTEN), 21)],
    refs: [{ block: 0, count: 8, owners: 1 }],
  };
  const event = { type: 'ExtentsMapped', ino: FILE, extents: [extent(4, 4, 4)] } as const;
  assert.equal(mutationsOf([event], state), [
    [keys.extentKey(FILE, 0), item(extent(0, 8, 0))],
    [keys.extentKey(FILE, 4), undefined],
    ...changed(file, { extents: 1, onlineBlocks: 8 }),
  ]);
});

test('reference runs split where owners differ, join where they are equal, and are bounded', () => {
  const refs = [{ block: 0, count: 10, owners: 1 }];
  const shared = { type: 'ExtentsMapped', ino: FILE, extents: [extent(0, 4, 3)] } as const;
  const isRef = ([key]: [string, unknown]) => key.startsWith('r');
  assert.equal(mutationsOf([shared], { refs }).filter(isRef), [
    [keys.refKey(SEG, 0), { count: 3, owners: 1 }],
    [keys.refKey(SEG, 3), { count: 4, owners: 2 }],
    [keys.refKey(SEG, 7), { count: 3, owners: 1 }],
  ]);
  const appended = { ...shared, extents: [extent(0, 1, 10)] };
  assert.equal(mutationsOf([appended], { refs }).filter(isRef), [
    [keys.refKey(SEG, 0), { count: 11, owners: 1 }],
  ]);
  const full = [{ block: 0, count: MAX_RUN_BLOCKS, owners: 1 }];
  const behind = { ...shared, extents: [extent(0, 1, MAX_RUN_BLOCKS)] };
  assert.equal(mutationsOf([behind], { refs: full }).filter(isRef), [
    [keys.refKey(SEG, MAX_RUN_BLOCKS), { count: 1, owners: 1 }],
  ]);
});

test('a block that nobody owned cannot lose an owner', () => {
  const state = { inodes: [{ ...file, extents: 1 }], extents: [stored(extent(0, 4, 0), 20)] };
  const event = { type: 'ExtentsRemoved', ino: FILE, block: 0, count: 4 } as const;
  assert.throws(() => mutationsOf([event], state), /fewer owners/);
});

test('the first transaction of a second is marked, later ones are not', () => {
  const state = before({});
  const at = (micros: number) => {
    const tx = { ...transaction([contents]), time: micros };
    return plain(project(tx, state)).filter(([key]) => (key as string).startsWith('t'));
  };
  assert.equal(at(90_000_000), []);
  assert.equal(at(90_999_999), []);
  assert.equal(at(91_000_000), [[keys.timeMarkKey(91), { seq: NOW }]]);
  assert.throws(() => at(89_999_999), /time fell/);
});

test('a file with unwritten extents is marked until it has no extent, whatever its flags', () => {
  const flags = (events: readonly Event[], inode: Inode, extents: readonly Extent[] = []) => {
    const state = {
      inodes: [inode],
      extents: extents.map((e) => stored(e, 20)),
      refs: extents.map(({ segmentBlock, count }) => ({ block: segmentBlock, count, owners: 1 })),
    };
    const rows = mutationsOf(events, state);
    const after = rows.find(([key]) => key === keys.inodeKey(FILE)) as [string, Inode];
    return after[1].flags;
  };
  const unwritten = extent(0, 4, 0, EXTENT_UNWRITTEN);
  const mapped = (e: Extent): Event => ({ type: 'ExtentsMapped', ino: FILE, extents: [e] });
  const plainFile = { ...file, flags: 16 };
  assert.is(flags([mapped(extent(0, 4, 0))], plainFile), 16);
  assert.is(flags([mapped(unwritten)], plainFile), 16 | INODE_UNWRITTEN);
  const marked = { ...file, flags: INODE_UNWRITTEN, extents: 1 };
  assert.is(flags([mapped(extent(0, 4, 0))], marked, [unwritten]), INODE_UNWRITTEN, 'it stays');
  const set: Event = {
    type: 'AttributesChanged',
    ino: FILE,
    mode: undefined,
    uid: undefined,
    gid: undefined,
    atime: undefined,
    mtime: undefined,
    ctime: undefined,
    crtime: undefined,
    projectId: undefined,
    flags: 32,
  };
  assert.is(flags([set], marked), 32 | INODE_UNWRITTEN);
  assert.is(flags([{ ...set, flags: 32 | INODE_UNWRITTEN }], plainFile), 32);
  const gone: Event = { type: 'ExtentsRemoved', ino: FILE, block: 0, count: 4 };
  assert.is(flags([gone], { ...marked, flags: INODE_UNWRITTEN | 1 }, [unwritten]), 1);
});

test.run();

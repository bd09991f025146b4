/**
 * Random well-formed transactions, made against a naive model of a volume that keeps one record a
 * block and knows nothing of runs, windows or merging. Tests compare the index with it.
 */

import type { Event } from '../../src/model/event.ts';
import { EXTENT_OFFLINE, EXTENT_UNWRITTEN, type Extent } from '../../src/model/extent.ts';
import {
  asByteString,
  generation,
  ino,
  position,
  rid,
  segmentNumber,
  seq,
  type ByteString,
  type Ino,
  type Position,
  type SegmentNumber,
} from '../../src/model/ids.ts';
import { sizeOf } from '../../src/model/size.ts';
import { DAEMON, type Transaction } from '../../src/model/transaction.ts';

export interface NaiveBlock {
  readonly segment: number;
  readonly segmentBlock: number;
  readonly flags: number;
}

export interface NaiveFile {
  readonly ino: Ino;
  readonly mode: number;
  nlink: number;
  dataVersion: bigint;
  readonly blocks: Map<number, NaiveBlock>;
  readonly xattrs: Map<string, string>;
}

export interface NaiveDirectory {
  readonly ino: Ino;
  readonly parent: Ino;
  readonly entries: Map<string, { ino: Ino; kind: number; position: Position }>;
  nextPosition: number;
}

export interface WorkloadOptions {
  readonly seed: number;
  readonly historyMicros?: number;
  /** File blocks that are written lie below it. */
  readonly maxBlock?: number;
  /** Few files make long histories of each. */
  readonly maxFiles?: number;
}

const REGULAR = 8;
const DIRECTORY = 4;
const SEGMENT_BLOCKS = 400;
const NAMES = ['a', 'b', 'c', 'aa', 'a\x01', 'b\xff', 'long-name-of-a-file', 'd', 'e', 'f', 'g'];

/** A small, fast, seeded generator (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Workload {
  readonly files = new Map<Ino, NaiveFile>();
  readonly directories = new Map<Ino, NaiveDirectory>();
  readonly checksums = new Map<string, number>();
  readonly #random: () => number;
  readonly #options: Required<WorkloadOptions>;
  #seq = 0;
  #micros = 1_700_000_000_000_000;
  #nextIno = 1024;
  #segment = 0;
  #segmentBlock = SEGMENT_BLOCKS;

  constructor(options: WorkloadOptions) {
    this.#options = { historyMicros: -1, maxBlock: 60, maxFiles: 12, ...options };
    this.#random = seeded(options.seed);
  }

  /** Uniform integer below `n`. */
  below(n: number): number {
    return Math.floor(this.#random() * n);
  }

  /** The next transaction; the first one formats the volume. */
  next(): Transaction {
    const events = this.#seq === 0 ? this.#format() : this.#anything();
    this.#seq += 1 + (this.below(10) === 0 ? this.below(5) : 0);
    this.#micros += this.below(700_000);
    return {
      seq: seq(this.#seq),
      time: this.#micros,
      node: rid(77),
      cause: 'repair',
      actor: DAEMON,
      paths: [],
      events,
      seal: undefined,
    };
  }

  take(count: number): Transaction[] {
    return Array.from({ length: count }, () => this.next());
  }

  #format(): Event[] {
    const root = ino(1);
    this.directories.set(root, { ino: root, parent: root, entries: new Map(), nextPosition: 2 });
    const { historyMicros } = this.#options;
    const fsid = '00112233445566778899aabbccddeeff';
    return [
      { type: 'VolumeFormatted', fsid, format: 1, historyMicros, sizeLimitBlocks: 0 },
      this.#created(root, 0o40755, 2, root),
    ];
  }

  #anything(): Event[] {
    const operations = [
      () => this.#create(REGULAR),
      () => this.#create(REGULAR),
      () => this.#create(DIRECTORY),
      () => this.#unlink(),
      () => this.#rename(),
      () => this.#link(),
      () => this.#write(),
      () => this.#write(),
      () => this.#write(),
      () => this.#punch(),
      () => this.#copy(),
      () => this.#release(),
      () => this.#truncate(),
      () => this.#setXattr(),
      () => this.#removeXattr(),
      () => this.#attributes(),
      () => this.#accesses(),
      () => this.#reap(),
      () => this.#temporary(),
      () => this.#upgrade(),
    ];
    for (;;) {
      const events = operations[this.below(operations.length)]?.();
      if (events !== undefined && events.length > 0) return events;
    }
  }

  #time() {
    return { sec: 1000 + this.#seq, nsec: this.below(1_000_000_000) };
  }

  #pick<T>(from: Iterable<T>): T | undefined {
    const all = [...from];
    return all[this.below(all.length)];
  }

  #created(of: Ino, mode: number, nlink: number, parent: number): Event {
    return {
      type: 'InodeCreated',
      ino: of,
      generation: generation(5),
      mode,
      nlink,
      uid: this.below(3),
      gid: 0,
      rdev: 0,
      time: this.#time(),
      projectId: BigInt(this.below(2)) << 63n,
      parent: ino(parent),
      target: undefined,
    };
  }

  #changed(dir: NaiveDirectory): Event {
    let nameBytes = 0;
    let nlink = 2;
    for (const [name, { kind }] of dir.entries) {
      nameBytes += name.length;
      if (kind === DIRECTORY) nlink++;
    }
    return {
      type: 'DirectoryChanged',
      ino: dir.ino,
      nlink,
      entries: dir.entries.size,
      nameBytes,
      nextPosition: position(dir.nextPosition),
      mtime: this.#time(),
    };
  }

  #add(dir: NaiveDirectory, name: string, of: Ino, kind: number): Event {
    const at = position(dir.nextPosition++);
    dir.entries.set(name, { ino: of, kind, position: at });
    return {
      type: 'DirentAdded',
      dir: dir.ino,
      name: name as ByteString,
      ino: of,
      kind,
      position: at,
    };
  }

  #remove(dir: NaiveDirectory, name: string): Event {
    const entry = dir.entries.get(name);
    if (entry === undefined) throw new Error(`no ${name}`);
    dir.entries.delete(name);
    return { type: 'DirentRemoved', dir: dir.ino, name: name as ByteString, ...entry };
  }

  #links(file: NaiveFile, by: number): Event[] {
    file.nlink += by;
    const { ino: of, nlink } = file;
    const events: Event[] = [
      { type: 'LinksChanged', ino: of, nlink, ctime: this.#time(), parent: undefined },
    ];
    if (nlink === 0) events.push({ type: 'OrphanAdded', ino: of });
    return events;
  }

  #create(kind: number): Event[] | undefined {
    const dir = this.#pick(this.directories.values());
    const name = this.#pick(NAMES);
    const isFull = this.files.size + this.directories.size > this.#options.maxFiles;
    if (dir === undefined || name === undefined || dir.entries.has(name) || isFull)
      return undefined;
    const of = ino(this.#nextIno++);
    if (kind === DIRECTORY) {
      const fresh = { ino: of, parent: dir.ino, entries: new Map(), nextPosition: 2 };
      this.directories.set(of, fresh);
      return [
        this.#created(of, 0o40700, 2, dir.ino),
        this.#add(dir, name, of, kind),
        this.#changed(dir),
      ];
    }
    this.#newFile(of, 1);
    return [this.#created(of, 0o100600, 1, 0), this.#add(dir, name, of, kind), this.#changed(dir)];
  }

  #newFile(of: Ino, nlink: number): NaiveFile {
    const file: NaiveFile = {
      ino: of,
      mode: 0o100600,
      nlink,
      dataVersion: 0n,
      blocks: new Map(),
      xattrs: new Map(),
    };
    this.files.set(of, file);
    return file;
  }

  /** O_TMPFILE, later linked by `#link` or reaped. */
  #temporary(): Event[] | undefined {
    if (this.files.size > this.#options.maxFiles) return undefined;
    const of = ino(this.#nextIno++);
    this.#newFile(of, 0);
    return [this.#created(of, 0o100600, 0, 0), { type: 'OrphanAdded', ino: of }];
  }

  #unlink(): Event[] | undefined {
    const dir = this.#pick(this.directories.values());
    const name = dir === undefined ? undefined : this.#pick(dir.entries.keys());
    if (dir === undefined || name === undefined) return undefined;
    return this.#unlinkName(dir, name)?.concat(this.#changed(dir));
  }

  #unlinkName(dir: NaiveDirectory, name: string): Event[] | undefined {
    const entry = dir.entries.get(name);
    if (entry === undefined) return [];
    if (entry.kind === DIRECTORY) {
      if ((this.directories.get(entry.ino)?.entries.size ?? 0) > 0) return undefined;
      this.directories.delete(entry.ino);
      return [
        this.#remove(dir, name),
        { type: 'LinksChanged', ino: entry.ino, nlink: 0, ctime: this.#time(), parent: ino(0) },
        { type: 'OrphanAdded', ino: entry.ino },
        { type: 'InodeDeleted', ino: entry.ino },
      ];
    }
    const file = this.files.get(entry.ino) as NaiveFile;
    return [this.#remove(dir, name), ...this.#links(file, -1)];
  }

  /** Files only, over whatever has the new name: several changes of one key in a transaction. */
  #rename(): Event[] | undefined {
    const from = this.#pick(this.directories.values());
    const to = this.#pick(this.directories.values());
    const name = from === undefined ? undefined : this.#pick(from.entries.keys());
    const newName = this.#pick(NAMES);
    if (from === undefined || to === undefined || name === undefined || newName === undefined)
      return;
    const entry = from.entries.get(name);
    if (entry === undefined || entry.kind !== REGULAR) return undefined;
    if (from === to && name === newName) return undefined;
    const target = to.entries.get(newName);
    if (target !== undefined && (target.kind === DIRECTORY || target.ino === entry.ino)) return;
    const replaced = this.#unlinkName(to, newName);
    if (replaced === undefined) return undefined;
    const file = this.files.get(entry.ino) as NaiveFile;
    const events = [
      ...replaced,
      this.#remove(from, name),
      this.#add(to, newName, entry.ino, entry.kind),
      ...this.#links(file, 0),
      this.#changed(from),
    ];
    if (to !== from) events.push(this.#changed(to));
    return events;
  }

  #link(): Event[] | undefined {
    const file = this.#pick(this.files.values());
    const dir = this.#pick(this.directories.values());
    const name = this.#pick(NAMES);
    if (file === undefined || dir === undefined || name === undefined) return undefined;
    if (dir.entries.has(name)) return undefined;
    const orphan: Event[] = file.nlink === 0 ? [{ type: 'OrphanRemoved', ino: file.ino }] : [];
    const added = this.#add(dir, name, file.ino, REGULAR);
    return [...orphan, added, ...this.#links(file, 1), this.#changed(dir)];
  }

  #contents(file: NaiveFile, truncateMark?: number): Event {
    file.dataVersion++;
    const blocks = Math.max(0, ...[...file.blocks.keys()].map((block) => block + 1));
    const time = this.#time();
    return {
      type: 'ContentsChanged',
      ino: file.ino,
      size: sizeOf(blocks * 4096),
      mtime: time,
      ctime: time,
      dataVersion: file.dataVersion,
      mode: undefined,
      truncateMark,
    };
  }

  /** Writes new blocks in one or several runs, now and then with preallocated (unwritten) ones. */
  #write(): Event[] | undefined {
    const file = this.#pick(this.files.values());
    if (file === undefined) return undefined;
    const events: Event[] = [];
    const extents: Extent[] = [];
    let block = this.below(this.#options.maxBlock);
    for (let runs = 1 + this.below(4); runs > 0; runs--) {
      const count = 1 + this.below(6);
      const place = this.#allocate(count, events);
      const flags = this.below(5) === 0 ? EXTENT_UNWRITTEN : 0;
      extents.push({ block, count, ...place, flags });
      if (flags === 0) events.push(this.#sums(place.segment, place.segmentBlock, count));
      block += count + this.below(3);
    }
    return [...events, this.#map(file, extents), this.#contents(file)];
  }

  #allocate(count: number, events: Event[]): { segment: SegmentNumber; segmentBlock: number } {
    if (this.#segmentBlock + count > SEGMENT_BLOCKS) {
      this.#segment++;
      this.#segmentBlock = 0;
      const segment = segmentNumber(this.#segment);
      events.push({ type: 'SegmentCreated', segment, rid: rid(77) });
    }
    const segmentBlock = this.#segmentBlock;
    this.#segmentBlock += count;
    return { segment: segmentNumber(this.#segment), segmentBlock };
  }

  #sums(segment: SegmentNumber, segmentBlock: number, count: number): Event {
    const checksums = Buffer.alloc(count * 4);
    for (let i = 0; i < count; i++) {
      const sum = this.below(2 ** 32 - 1) + 1;
      checksums.writeUInt32BE(sum, i * 4);
      this.checksums.set(`${segment}:${segmentBlock + i}`, sum);
    }
    return { type: 'BlocksChecksummed', segment, segmentBlock, checksums };
  }

  #map(file: NaiveFile, extents: readonly Extent[]): Event {
    for (const { block, count, segment, segmentBlock, flags } of extents) {
      for (let i = 0; i < count; i++) {
        const at = segment === 0 ? 0 : segmentBlock + i;
        file.blocks.set(block + i, { segment, segmentBlock: at, flags });
      }
    }
    return { type: 'ExtentsMapped', ino: file.ino, extents };
  }

  #punch(): Event[] | undefined {
    const file = this.#pick(this.files.values());
    if (file === undefined) return undefined;
    const block = this.below(this.#options.maxBlock);
    const count = 1 + this.below(20);
    for (let i = 0; i < count; i++) file.blocks.delete(block + i);
    return [{ type: 'ExtentsRemoved', ino: file.ino, block, count }, this.#contents(file)];
  }

  /** copy_file_range: another file maps the same segment blocks, block by block. */
  #copy(): Event[] | undefined {
    const from = this.#pick(this.files.values());
    const to = this.#pick(this.files.values());
    if (from === undefined || to === undefined || from === to || from.blocks.size === 0) return;
    const start = this.#pick(from.blocks.keys()) ?? 0;
    const extents: Extent[] = [];
    for (let block = start; block < start + 10; block++) {
      const source = from.blocks.get(block);
      if (source === undefined || source.flags !== 0) continue;
      const { segmentBlock, flags } = source;
      extents.push({
        block,
        count: 1,
        segment: segmentNumber(source.segment),
        segmentBlock,
        flags,
      });
    }
    return extents.length === 0 ? undefined : [this.#map(to, extents), this.#contents(to)];
  }

  /** The contents go to the archive: offline, unmapped. */
  #release(): Event[] | undefined {
    const file = this.#pick(this.files.values());
    if (file === undefined) return undefined;
    const block = this.below(this.#options.maxBlock);
    const count = 1 + this.below(30);
    const segment = segmentNumber(0);
    const extent = { block, count, segment, segmentBlock: 0, flags: EXTENT_OFFLINE };
    return [this.#map(file, [extent]), this.#contents(file)];
  }

  #truncate(): Event[] | undefined {
    const file = this.#pick(this.files.values());
    if (file === undefined) return undefined;
    const mark = this.below(this.#options.maxBlock);
    const count = this.#options.maxBlock + 1000;
    for (const block of file.blocks.keys()) if (block >= mark) file.blocks.delete(block);
    const removed: Event = { type: 'ExtentsRemoved', ino: file.ino, block: mark, count };
    const finished: Event = { type: 'TruncateFinished', ino: file.ino };
    const contents = this.#contents(file, mark);
    return this.below(2) === 0 ? [contents, removed] : [contents, removed, finished];
  }

  #setXattr(): Event[] | undefined {
    const file = this.#pick(this.files.values());
    if (file === undefined) return undefined;
    const name = `user.${this.#pick(NAMES) ?? 'x'}`;
    const value = 'v'.repeat(this.below(40));
    file.xattrs.set(name, value);
    const bytes = Buffer.from(value);
    const mode = undefined;
    const ctime = this.#time();
    return [
      { type: 'XattrSet', ino: file.ino, name: asByteString(name), value: bytes, ctime, mode },
    ];
  }

  #removeXattr(): Event[] | undefined {
    const file = this.#pick(this.files.values());
    const name = file === undefined ? undefined : this.#pick(file.xattrs.keys());
    if (file === undefined || name === undefined) return undefined;
    file.xattrs.delete(name);
    const ctime = this.#time();
    return [{ type: 'XattrRemoved', ino: file.ino, name: asByteString(name), ctime }];
  }

  #attributes(): Event[] | undefined {
    const of = this.#pick([...this.files.keys(), ...this.directories.keys()]);
    if (of === undefined) return undefined;
    return [
      {
        type: 'AttributesChanged',
        ino: of,
        mode: undefined,
        uid: this.below(2) === 0 ? this.below(5) : undefined,
        gid: undefined,
        atime: this.#time(),
        mtime: undefined,
        ctime: this.#time(),
        crtime: undefined,
        projectId: undefined,
        flags: undefined,
      },
    ];
  }

  /** Reads that are logged later: some inodes' access times, one of them twice. */
  #accesses(): Event[] | undefined {
    const inos = [...this.files.keys(), ...this.directories.keys()];
    const first = this.#pick(inos);
    if (first === undefined) return undefined;
    const read = [first, ...inos.filter(() => this.below(4) === 0)];
    return read.map((ino) => ({ type: 'AccessTimeChanged', ino, atime: this.#time() }));
  }

  /** The end of an orphan, all in one transaction. */
  #reap(): Event[] | undefined {
    const orphans = [...this.files.values()].filter((file) => file.nlink === 0);
    const file = this.#pick(orphans);
    if (file === undefined) return undefined;
    this.files.delete(file.ino);
    const ctime = this.#time();
    const events: Event[] = [{ type: 'ExtentsRemoved', ino: file.ino, block: 0, count: 10_000 }];
    for (const name of file.xattrs.keys()) {
      events.push({ type: 'XattrRemoved', ino: file.ino, name: asByteString(name), ctime });
    }
    return [...events, { type: 'InodeDeleted', ino: file.ino }];
  }

  #upgrade(): Event[] | undefined {
    return this.below(20) === 0 ? [{ type: 'FormatRaised', format: this.#seq }] : undefined;
  }
}

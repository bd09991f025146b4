/**
 * What a worker of the kill test does: operations as data, and the seeded stream of them. Pure.
 *
 * Each operation is one system call. Names come from a small pool, without a look at what exists,
 * so many operations are refused and many meet what others made; nothing depends on what a crash
 * left. Paths are relative to the lane's directory ('' is that directory itself).
 */

import type { SimRandom } from '../sim/random.ts';

/** Works on an open file of the worker; slots are the worker's own, over all its lanes. */
export type SlotOperation =
  | {
      readonly type: 'write';
      readonly slot: number;
      readonly offset: number;
      readonly bytes: number;
      readonly fill: number;
    }
  | { readonly type: 'ftruncate'; readonly slot: number; readonly size: number }
  | {
      readonly type: 'fallocate';
      readonly slot: number;
      readonly mode: number;
      readonly offset: number;
      readonly bytes: number;
    }
  | { readonly type: 'fsync'; readonly slot: number }
  | { readonly type: 'close'; readonly slot: number };

export interface OpenOperation {
  readonly type: 'open';
  readonly slot: number;
  readonly path: string;
  readonly create: boolean;
  readonly exclusive: boolean;
  readonly truncate: boolean;
  readonly append: boolean;
  /** O_SYNC. */
  readonly synchronous: boolean;
}

export type RenameKind = 'replace' | 'noreplace' | 'exchange';

export type PathOperation =
  | OpenOperation
  | { readonly type: 'mkdir'; readonly path: string; readonly mode: number }
  | { readonly type: 'rmdir'; readonly path: string }
  | { readonly type: 'unlink'; readonly path: string }
  | { readonly type: 'link'; readonly from: string; readonly path: string }
  | { readonly type: 'symlink'; readonly target: string; readonly path: string }
  | {
      readonly type: 'rename';
      readonly from: string;
      readonly path: string;
      readonly kind: RenameKind;
    }
  | { readonly type: 'truncate'; readonly path: string; readonly size: number }
  | { readonly type: 'chmod'; readonly path: string; readonly mode: number }
  | { readonly type: 'utimes'; readonly path: string; readonly mtime: number }
  | {
      readonly type: 'setxattr';
      readonly path: string;
      readonly name: string;
      readonly bytes: number;
      readonly fill: number;
    }
  | { readonly type: 'removexattr'; readonly path: string; readonly name: string }
  | { readonly type: 'fsyncdir'; readonly path: string };

export type Operation = SlotOperation | PathOperation;

/** The bytes that a write or an xattr of this `fill` holds: two fills differ in every word. */
export function pattern(fill: number, bytes: number): Buffer {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  const start = Math.imul(fill + 1, 0x9e3779b1);
  for (let i = 0; i < words.length; i++) words[i] = start ^ Math.imul(i, 0x85ebca6b);
  return Buffer.from(words.buffer, 0, bytes);
}

const DIRECTORIES = ['', 'd0', 'd1', 'd2', 'd0/d1', 'd1/d0', 'd2/d2'];
const FILES = ['f0', 'f1', 'f2', 'f3', 'f4', 'f5', 'f6', 'f7'];
const SYMLINKS = ['s0', 's1'];
const XATTRS = ['user.a', 'user.b', 'user.longer-name'];

/** Largest write: no more than what the kernel sends as one request, once it is aligned. */
const MAX_WRITE_BYTES = 512 * 1024;
/** A burst of sequential writes goes beyond the 8 MiB at which pending writes are logged. */
const BURST_WRITES = 24;
/** Farthest offset of a write: leaves holes, and keeps what a round reads back small. */
const MAX_OFFSET = 2 * 1024 * 1024;

const inDirectory = (directory: string, name: string): string =>
  directory === '' ? name : `${directory}/${name}`;

/** Share of paths that are those under which a file was opened that still is. */
const OPEN_PATHS = 0.3;

/** The operations of one worker in one lane. */
export class OperationStream {
  readonly #random: SimRandom;
  readonly #slots: readonly number[];
  readonly #weight: { readonly sync: number };
  /** By slot, the path that was last opened there, whatever became of it. */
  readonly #paths = new Map<number, string>();
  #fill: number;
  #burst: { readonly slot: number; offset: number; left: number } | undefined;

  /** `slots`: those that this stream may use. `firstFill`: different for each stream. */
  constructor(random: SimRandom, slots: readonly number[], firstFill: number) {
    this.#random = random;
    this.#slots = slots;
    this.#fill = firstFill;
    // Some streams sync often, some hardly ever: both the promise and its absence are of interest.
    this.#weight = { sync: random.pick([0.2, 1, 6]) };
  }

  /** `isOpen` tells which slots have a file. */
  next(isOpen: (slot: number) => boolean): Operation {
    const open = this.#slots.filter(isOpen);
    for (const slot of this.#paths.keys()) if (!open.includes(slot)) this.#paths.delete(slot);
    if (this.#burst !== undefined && !open.includes(this.#burst.slot)) this.#burst = undefined;
    if (this.#burst !== undefined && this.#random.chance(0.8)) return this.#burstWrite(this.#burst);
    const closed = this.#slots.filter((slot) => !isOpen(slot));
    const random = this.#random;
    if (closed.length > 0 && random.chance(0.25)) return this.#open(random.pick(closed));
    if (open.length > 0 && random.chance(0.5)) return this.#onSlot(random.pick(open));
    return this.#onPath();
  }

  #burstWrite(burst: { readonly slot: number; offset: number; left: number }): Operation {
    const { slot, offset } = burst;
    const bytes = MAX_WRITE_BYTES;
    burst.offset += bytes;
    burst.left--;
    if (burst.left === 0) this.#burst = undefined;
    return { type: 'write', slot, offset, bytes, fill: this.#fill++ };
  }

  #open(slot: number): Operation {
    const random = this.#random;
    const create = random.chance(0.8);
    const path = this.#file();
    this.#paths.set(slot, path);
    return {
      type: 'open',
      slot,
      path,
      create,
      exclusive: create && random.chance(0.2),
      truncate: random.chance(0.25),
      append: random.chance(0.2),
      synchronous: random.chance(0.05),
    };
  }

  #onSlot(slot: number): Operation {
    const random = this.#random;
    const type = random.weighted([
      [10, 'write'],
      [1, 'ftruncate'],
      [1, 'fallocate'],
      [this.#weight.sync, 'fsync'],
      [3, 'close'],
    ] as const);
    if (type === 'ftruncate') return { type, slot, size: this.#size() };
    if (type === 'fallocate') {
      const mode = random.pick([0, 0, 1, 3, 3, 16, 17]);
      return { type, slot, mode, offset: this.#offset(), bytes: random.between(1, 50_000) };
    }
    if (type !== 'write') return { type, slot };
    if (random.chance(0.003)) this.#burst = { slot, offset: 0, left: BURST_WRITES };
    const bytes = random.weighted([
      [6, random.between(1, 300)],
      [4, random.between(1, 20_000)],
      [2, 4096 * random.between(1, 4)],
      [0.3, random.between(60_000, MAX_WRITE_BYTES)],
    ]);
    return { type, slot, offset: this.#offset(), bytes, fill: this.#fill++ };
  }

  #onPath(): Operation {
    const random = this.#random;
    const type = random.weighted([
      [3, 'mkdir'],
      [1, 'rmdir'],
      [5, 'unlink'],
      [4, 'link'],
      [1, 'symlink'],
      [8, 'rename'],
      [2, 'truncate'],
      [2, 'chmod'],
      [2, 'utimes'],
      [3, 'setxattr'],
      [1, 'removexattr'],
      [this.#weight.sync / 2, 'fsyncdir'],
    ] as const);
    switch (type) {
      case 'mkdir':
        return { type, path: this.#directory(), mode: random.pick([0o755, 0o700, 0o775]) };
      case 'rmdir':
        return { type, path: this.#directory() };
      case 'unlink':
        return { type, path: random.chance(0.1) ? this.#any() : this.#file() };
      case 'link':
        return { type, from: random.chance(0.9) ? this.#file() : this.#any(), path: this.#file() };
      case 'symlink':
        return { type, target: `/nowhere/${random.integer(1000)}`, path: this.#symlink() };
      case 'rename':
        return this.#rename();
      case 'truncate':
        return { type, path: this.#file(), size: this.#size() };
      case 'chmod':
        return { type, path: this.#any(), mode: random.pick([0o600, 0o644, 0o755, 0o4755]) };
      case 'utimes':
        return { type, path: this.#any(), mtime: random.integer(2_000_000_000) };
      case 'setxattr':
        return { type, path: this.#any(), name: random.pick(XATTRS), ...this.#xattrValue() };
      case 'removexattr':
        return { type, path: this.#any(), name: random.pick(XATTRS) };
      case 'fsyncdir':
        return { type, path: random.pick(DIRECTORIES) };
    }
  }

  #rename(): Operation {
    const random = this.#random;
    const kind: RenameKind = random.weighted([
      [8, 'replace'],
      [1, 'noreplace'],
      [2, 'exchange'],
    ]);
    const what = random.weighted([
      [8, () => this.#file()],
      [2, () => this.#directory()],
      [0.5, () => this.#any()],
    ]);
    return { type: 'rename', from: what(), path: what(), kind };
  }

  #xattrValue(): { readonly bytes: number; readonly fill: number } {
    const bytes = this.#random.chance(0.05) ? 20_000 : this.#random.integer(200);
    return { bytes, fill: this.#fill++ };
  }

  #file(): string {
    if (this.#paths.size > 0 && this.#random.chance(OPEN_PATHS)) {
      return this.#random.pick([...this.#paths.values()]);
    }
    return inDirectory(this.#random.pick(DIRECTORIES), this.#random.pick(FILES));
  }

  #symlink(): string {
    return inDirectory(this.#random.pick(DIRECTORIES), this.#random.pick(SYMLINKS));
  }

  #directory(): string {
    return this.#random.pick(DIRECTORIES.slice(1));
  }

  #any(): string {
    const kind = this.#random.integer(10);
    return kind < 6 ? this.#file() : kind < 9 ? this.#directory() : this.#symlink();
  }

  #offset(): number {
    const random = this.#random;
    return random.weighted([
      [4, random.integer(30_000)],
      [3, 4096 * random.integer(16)],
      [2, 0],
      [0.5, random.integer(MAX_OFFSET)],
    ]);
  }

  #size(): number {
    const random = this.#random;
    return random.weighted([
      [2, 0],
      [5, random.integer(40_000)],
      [2, 4096 * random.integer(12)],
      [0.5, random.integer(MAX_OFFSET)],
    ]);
  }
}

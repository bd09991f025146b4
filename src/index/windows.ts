/**
 * A cache of ranges of sorted, non-overlapping items (extents of an inode, reference runs of a
 * segment), which LevelDB cannot read synchronously.
 *
 * It owns windows: a window [from, to) of a group holds every current item that starts in it, and
 * no item crosses its edges. Windows of a group are disjoint; neighbours may touch.
 *
 * Order of events. `find` answers from windows or throws `Miss`. `load` reads a range in the
 * background; mutations that are applied meanwhile are journaled and laid over what was read, so a
 * window always shows the current state. `put` and `remove` follow each applied mutation, then
 * `settle` restores the rule about edges. The least recently used windows are dropped beyond the
 * bound. A crash loses nothing: all of it is derived.
 */

import { Miss } from './items.ts';
import { firstEndingAfter, overlapping, placedEnd, type Placed } from './placed.ts';

/** The end of a window that knows its group to the last block. */
export const NO_END = Number.MAX_SAFE_INTEGER;
/** A window with more items is split, which bounds what one insertion moves. */
const MAX_ITEMS = 1024;
/** What a window costs besides its items, in items, against the bound. */
const WINDOW_WEIGHT = 4;

/** What was read of a group: all items that start in [from, to), none crossing the edges. */
export interface LoadedRange<T> {
  readonly from: number;
  readonly to: number;
  readonly items: T[];
}

interface Window<T> {
  readonly group: number;
  from: number;
  to: number;
  items: T[];
}

interface Load<T> {
  readonly from: number;
  readonly to: number;
  readonly journal: Map<number, T | undefined>;
  readonly done: Promise<void>;
}

export class Windows<T extends Placed> {
  readonly #family: 'extent' | 'ref';
  readonly #bound: number;
  readonly #groups = new Map<number, Window<T>[]>();
  /** Least recently used first. */
  readonly #recency = new Set<Window<T>>();
  readonly #loads = new Map<number, Load<T>[]>();
  /** Groups with mutations since they were settled. */
  readonly #touched = new Set<number>();
  #latest: Window<T> | undefined;
  #weight = 0;

  /** `bound` is the number of items kept in memory, approximately. */
  constructor(family: 'extent' | 'ref', bound: number) {
    this.#family = family;
    this.#bound = bound;
  }

  /** Items and windows in memory, in the unit of the bound. */
  get weight(): number {
    return this.#weight;
  }

  /** Whether anything is known of the group. */
  has(group: number): boolean {
    return this.#groups.has(group);
  }

  /** Whether a reader that wants `from` goes on from what is known, or begins at the beginning. */
  continuesAt(group: number, from: number): boolean {
    if (from === 0) return true;
    const list = this.#groups.get(group);
    return list !== undefined && windowAt(list, from - 1) >= 0;
  }

  /** The items that overlap [from, to), sorted. Throws `Miss` where some of them are not here. */
  find(group: number, from: number, to: number): readonly T[] {
    const list = this.#groups.get(group);
    let at = list === undefined ? -1 : windowAt(list, from);
    if (list === undefined || at < 0) throw new Miss(this.#family, group, from, to);
    let window = list[at] as Window<T>;
    this.#use(window);
    const found = overlapping(window.items, from, to);
    while (window.to < to) {
      const next = list[++at];
      if (next === undefined || next.from !== window.to) {
        throw new Miss(this.#family, group, from, to);
      }
      window = next;
      this.#use(window);
      for (const item of overlapping(window.items, from, to)) found.push(item);
    }
    return found;
  }

  /**
   * The first items that end behind `from`, at least one unless there is none, at most `limit`.
   * Throws `Miss` where the first is not here.
   */
  findFirst(group: number, from: number, limit: number): readonly T[] {
    const list = this.#groups.get(group);
    const found: T[] = [];
    let at = list === undefined ? -1 : windowAt(list, from);
    let wanted = from;
    while (found.length < limit) {
      const window = list === undefined || at < 0 ? undefined : list[at];
      if (window === undefined || window.from > wanted) {
        if (found.length > 0) break;
        throw new Miss(this.#family, group, wanted, wanted + 1);
      }
      this.#use(window);
      const first = firstEndingAfter(window.items, from);
      for (const item of window.items.slice(first, first + limit - found.length)) found.push(item);
      if (window.to === NO_END) break;
      wanted = window.to;
      at++;
    }
    return found;
  }

  /** Declares that the group has no item at all. */
  knowEmpty(group: number): void {
    this.forget(group);
    this.#add({ group, from: 0, to: NO_END, items: [] });
  }

  /** Declares that the group has exactly these items (sorted). */
  knowWhole(group: number, items: T[]): void {
    this.forget(group);
    this.#add({ group, from: 0, to: NO_END, items });
  }

  /** Drops what is known of the group. */
  forget(group: number): void {
    for (const window of this.#groups.get(group) ?? []) this.#retire(window);
    this.#groups.delete(group);
  }

  /** Follows an applied mutation: the item that starts at `block` is this one now. */
  put(group: number, block: number, item: T): void {
    this.#journal(group, block, item);
    const list = this.#groups.get(group);
    if (list === undefined) return;
    const window = list[windowAt(list, block)];
    if (window === undefined) return this.#forgetRange(group, block, placedEnd(item));
    const at = startingAt(window.items, block);
    const replaces = window.items[at]?.block === block;
    window.items.splice(at, replaces ? 1 : 0, item);
    this.#touched.add(group);
    if (!replaces) this.#weight++;
  }

  /** Follows an applied mutation: no item starts at `block` any more. */
  remove(group: number, block: number): void {
    this.#journal(group, block, undefined);
    const list = this.#groups.get(group);
    const window = list === undefined ? undefined : list[windowAt(list, block)];
    if (window === undefined) return;
    const at = startingAt(window.items, block);
    if (window.items[at]?.block !== block) return;
    window.items.splice(at, 1);
    this.#weight--;
  }

  /** After the last mutation of a transaction: edges, sizes and the bound again. */
  settle(): void {
    if (this.#touched.size === 0) return;
    for (const group of this.#touched) this.#settleGroup(group);
    this.#touched.clear();
  }

  #settleGroup(group: number): void {
    const list = this.#groups.get(group);
    if (list === undefined) return;
    for (let i = 0; i < list.length; i++) {
      const window = list[i] as Window<T>;
      const last = window.items.at(-1);
      while (last !== undefined && placedEnd(last) > window.to) this.#absorbNext(list, i, last);
      if (window.items.length > MAX_ITEMS) this.#split(list, i);
    }
    this.#evict();
  }

  /**
   * Brings [from, to) of the group into memory. `read` must fix the state that it reads from before
   * it first waits; it may read more than asked. A load that is under way already is shared.
   */
  load(
    group: number,
    from: number,
    to: number,
    read: () => Promise<LoadedRange<T>>,
  ): Promise<void> {
    const loads = this.#loads.get(group) ?? [];
    const shared = loads.find((load) => load.from <= from && to <= load.to);
    if (shared !== undefined) return shared.done;
    const journal = new Map<number, T | undefined>();
    const done = this.#read(group, journal, read());
    loads.push({ from, to, journal, done });
    this.#loads.set(group, loads);
    return done;
  }

  async #read(
    group: number,
    journal: Map<number, T | undefined>,
    reading: Promise<LoadedRange<T>>,
  ): Promise<void> {
    try {
      const range = await reading;
      this.#insert(withJournal(group, range, journal));
    } finally {
      const rest = (this.#loads.get(group) ?? []).filter((load) => load.journal !== journal);
      if (rest.length > 0) this.#loads.set(group, rest);
      else this.#loads.delete(group);
    }
  }

  /** Adds a window, united with those that it overlaps: both show the current state. */
  #insert(window: Window<T>): void {
    const list = this.#groups.get(window.group) ?? [];
    for (const other of list.filter((w) => w.from < window.to && window.from < w.to)) {
      const known = window.items.filter(
        (item) => item.block < other.from || item.block >= other.to,
      );
      window.items = [...known, ...other.items].sort((a, b) => a.block - b.block);
      window.from = Math.min(window.from, other.from);
      window.to = Math.max(window.to, other.to);
      list.splice(list.indexOf(other), 1);
      this.#retire(other);
    }
    this.#add(window);
    this.#settleGroup(window.group);
  }

  #add(window: Window<T>): void {
    const list = this.#groups.get(window.group);
    if (list === undefined) this.#groups.set(window.group, [window]);
    else list.splice(windowAfter(list, window.from), 0, window);
    this.#weight += window.items.length + WINDOW_WEIGHT;
    this.#use(window);
    this.#evict();
  }

  #use(window: Window<T>): void {
    if (this.#latest === window) return;
    this.#latest = window;
    this.#recency.delete(window);
    this.#recency.add(window);
  }

  #retire(window: Window<T>): void {
    this.#recency.delete(window);
    if (this.#latest === window) this.#latest = undefined;
    this.#weight -= window.items.length + WINDOW_WEIGHT;
  }

  /** An item grew over the edge of window `i`: what lies behind the edge joins it. */
  #absorbNext(list: Window<T>[], i: number, last: T): void {
    const window = list[i] as Window<T>;
    const next = list[i + 1];
    window.to = placedEnd(last);
    if (next === undefined || next.from >= window.to) return;
    window.to = Math.max(window.to, next.to);
    window.items = window.items.concat(next.items);
    this.#weight += next.items.length;
    list.splice(i + 1, 1);
    this.#retire(next);
  }

  #split(list: Window<T>[], i: number): void {
    const window = list[i] as Window<T>;
    const items = window.items.splice(window.items.length >>> 1);
    const edge = (items[0] as T).block;
    const right: Window<T> = { group: window.group, from: edge, to: window.to, items };
    window.to = edge;
    list.splice(i + 1, 0, right);
    this.#weight += WINDOW_WEIGHT;
    this.#use(right);
  }

  #forgetRange(group: number, from: number, to: number): void {
    const list = this.#groups.get(group) ?? [];
    for (const window of list.filter((w) => w.from < to && from < w.to)) this.#drop(list, window);
  }

  #evict(): void {
    for (const window of this.#recency) {
      if (this.#weight <= this.#bound || window === this.#latest) return;
      this.#drop(this.#groups.get(window.group) as Window<T>[], window);
    }
  }

  #drop(list: Window<T>[], window: Window<T>): void {
    list.splice(list.indexOf(window), 1);
    if (list.length === 0) this.#groups.delete(window.group);
    this.#retire(window);
  }

  #journal(group: number, block: number, item: T | undefined): void {
    if (this.#loads.size === 0) return;
    for (const load of this.#loads.get(group) ?? []) load.journal.set(block, item);
  }
}

/** What was read, with what was applied since laid over it. */
function withJournal<T extends Placed>(
  group: number,
  range: LoadedRange<T>,
  journal: ReadonlyMap<number, T | undefined>,
): Window<T> {
  const items = range.items.filter((item) => !journal.has(item.block));
  let { from, to } = range;
  for (const [block, item] of journal) {
    if (item === undefined || block >= range.to || placedEnd(item) <= range.from) continue;
    items.push(item);
    from = Math.min(from, block);
    to = Math.max(to, placedEnd(item));
  }
  items.sort((a, b) => a.block - b.block);
  return { group, from, to, items };
}

/** Position of the window that contains `block`, or -1. */
function windowAt(list: readonly Window<unknown>[], block: number): number {
  const at = windowAfter(list, block) - 1;
  const window = list[at];
  return window !== undefined && block < window.to ? at : -1;
}

/** Position of the first window that starts behind `block`. */
function windowAfter(list: readonly Window<unknown>[], block: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] as Window<unknown>).from > block) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Position of the first item that starts at or behind `block`. */
function startingAt(items: readonly Placed[], block: number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((items[middle] as Placed).block >= block) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Open handles: small integers that the kernel carries for us, each naming what was opened. Numbers
 * are used again after a close, since the kernel never speaks of a closed one. 0 is never one.
 */

import type { Listing } from '../engine/api.ts';
import type { Ino } from '../model/ids.ts';

/** An open directory. */
export interface OpenDirectory {
  readonly ino: Ino;
  readonly listing: Listing;
  /** Whether listing it is an access that is noted. */
  readonly isNoted: boolean;
  /** Bytes of a name, on average, as seen so far: how many entries to ask for at once. */
  nameBytes: number;
}

export class Handles<T> {
  readonly #slots: (T | undefined)[] = [undefined];
  readonly #free: number[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(item: T): number {
    const fh = this.#free.pop() ?? this.#slots.length;
    this.#slots[fh] = item;
    this.#size++;
    return fh;
  }

  get(fh: number): T | undefined {
    return this.#slots[fh];
  }

  /** Ends `fh`; returns what it named. */
  remove(fh: number): T | undefined {
    const item = this.#slots[fh];
    if (item === undefined) return undefined;
    this.#slots[fh] = undefined;
    this.#free.push(fh);
    this.#size--;
    return item;
  }

  /** Ends all; returns what they named. */
  clear(): T[] {
    const items = this.#slots.filter((item) => item !== undefined);
    this.#slots.length = 1;
    this.#free.length = 0;
    this.#size = 0;
    return items;
  }
}

/** How often each directory is open. */
export class OpenCounts {
  readonly #counts = new Map<Ino, number>();

  isOpen(ino: Ino): boolean {
    return this.#counts.has(ino);
  }

  opened(ino: Ino): void {
    this.#counts.set(ino, (this.#counts.get(ino) ?? 0) + 1);
  }

  closed(ino: Ino): void {
    const count = (this.#counts.get(ino) ?? 1) - 1;
    if (count > 0) this.#counts.set(ino, count);
    else this.#counts.delete(ino);
  }
}

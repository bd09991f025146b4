/**
 * The bounded set of open files that data segments are read (and punched) through, least recently
 * used closed first. A file in use is never closed under its user: it leaves the set at once and is
 * closed when its last use ends. Nothing here needs to survive a crash.
 */

import type { SegmentNumber } from '../model/ids.ts';
import type { File } from '../io/disk.ts';

interface Entry {
  readonly file: File;
  uses: number;
  /** Out of the set: close after the last use. */
  leaving: boolean;
}

/** An open file, and the way to let go of it: call `release` once. */
export interface HeldFile {
  readonly file: File;
  readonly release: () => void;
}

export class Descriptors {
  readonly #open: (segment: SegmentNumber) => Promise<File>;
  readonly #limit: number;
  /** Least recently used first. */
  readonly #entries = new Map<SegmentNumber, Entry>();
  readonly #opening = new Map<SegmentNumber, Promise<Entry>>();
  readonly #closing = new Set<Promise<void>>();

  /** `limit` is the number of files kept open, at least 1; more are open only while in use. */
  constructor(limit: number, open: (segment: SegmentNumber) => Promise<File>) {
    this.#limit = limit;
    this.#open = open;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The file of `segment` if it is open: for synchronous use only, not beyond an `await`. */
  peek(segment: SegmentNumber): File | undefined {
    const entry = this.#entries.get(segment);
    if (entry !== undefined) this.#touch(segment, entry);
    return entry?.file;
  }

  /** Runs `task` on the file of `segment`, which stays open meanwhile. */
  async use<T>(segment: SegmentNumber, task: (file: File) => Promise<T>): Promise<T> {
    const { file, release } = await this.acquire(segment);
    try {
      return await task(file);
    } finally {
      release();
    }
  }

  /** The file of `segment`, which stays open until `release` is called. */
  async acquire(segment: SegmentNumber): Promise<HeldFile> {
    let entry = this.#entries.get(segment);
    // One that was evicted between its opening and this line is opened again.
    while (entry === undefined || entry.leaving) entry = await this.#load(segment);
    this.#touch(segment, entry);
    return this.#hold(entry);
  }

  /** Puts an open file into the set; it stays open until `release` is called. */
  add(segment: SegmentNumber, file: File): HeldFile {
    return this.#hold(this.#insert(segment, { file, uses: 0, leaving: false }));
  }

  /** Takes a segment out, because its file is removed; its users finish first. */
  forget(segment: SegmentNumber): void {
    const entry = this.#entries.get(segment);
    if (entry !== undefined) this.#remove(segment, entry);
  }

  /** Closes all files; nothing may be in use or asked for any more. */
  async close(): Promise<void> {
    for (const [segment, entry] of this.#entries) this.#remove(segment, entry);
    await Promise.all(this.#closing);
  }

  #load(segment: SegmentNumber): Promise<Entry> {
    const opening = this.#opening.get(segment);
    if (opening !== undefined) return opening;
    const loading = this.#open(segment)
      .then((file) => this.#insert(segment, { file, uses: 0, leaving: false }))
      .finally(() => this.#opening.delete(segment));
    this.#opening.set(segment, loading);
    return loading;
  }

  #insert(segment: SegmentNumber, entry: Entry): Entry {
    const old = this.#entries.get(segment);
    if (old !== undefined) this.#remove(segment, old);
    this.#entries.set(segment, entry);
    for (const [least, candidate] of this.#entries) {
      if (this.#entries.size <= this.#limit) break;
      if (candidate.uses === 0 && candidate !== entry) this.#remove(least, candidate);
    }
    return entry;
  }

  #hold(entry: Entry): HeldFile {
    entry.uses++;
    return { file: entry.file, release: () => this.#unuse(entry) };
  }

  #unuse(entry: Entry): void {
    entry.uses--;
    if (entry.leaving && entry.uses === 0) this.#close(entry.file);
  }

  #touch(segment: SegmentNumber, entry: Entry): void {
    // An entry that left meanwhile (its segment is removed) stays out.
    if (this.#entries.get(segment) !== entry) return;
    this.#entries.delete(segment);
    this.#entries.set(segment, entry);
  }

  #remove(segment: SegmentNumber, entry: Entry): void {
    this.#entries.delete(segment);
    entry.leaving = true;
    if (entry.uses === 0) this.#close(entry.file);
  }

  #close(file: File): void {
    // A failed close loses nothing: what was written through the file was synced before.
    const closing = file.close().catch(() => undefined);
    this.#closing.add(closing);
    void closing.then(() => this.#closing.delete(closing));
  }
}

/**
 * A file's bytes in the model, and which contents of the recent past a crash may still bring back:
 * writes wait in the daemon's memory until something puts them into the log ("settles" them).
 */

import { createHash } from 'node:crypto';
import { FALLOC_KEEP_SIZE } from '../../src/decide/ranges.ts';

const PAGE_BYTES = 4096;

export const digestOf = (bytes: Uint8Array): string =>
  bytes.length === 0 ? 'empty' : createHash('sha1').update(bytes).digest('base64');

export class Contents {
  #bytes: Buffer;
  #size: number;
  readonly #sizesOfInterest: ReadonlySet<number>;
  /** Digests of what may be found, as far as their sizes are of interest. */
  readonly #possible = new Set<string>();

  /** `sizesOfInterest`: contents of other sizes are never asked for, and never hashed. */
  constructor(bytes: Buffer, sizesOfInterest: ReadonlySet<number>) {
    this.#bytes = bytes;
    this.#size = bytes.length;
    this.#sizesOfInterest = sizesOfInterest;
    this.#note();
  }

  get size(): number {
    return this.#size;
  }

  /** Whether a crash now may leave contents of this digest. */
  mayBe(digest: string): boolean {
    return this.#possible.has(digest);
  }

  /**
   * A write: until it is settled, a crash may leave the contents with or without it. The kernel
   * cuts one that begins within a page behind that page, into two requests: a crash may part them.
   */
  write(offset: number, bytes: Buffer): void {
    const head = offset % PAGE_BYTES === 0 ? 0 : PAGE_BYTES - (offset % PAGE_BYTES);
    if (head > 0 && head < bytes.length) {
      this.#writeOnce(offset, bytes.subarray(0, head));
      this.#writeOnce(offset + head, bytes.subarray(head));
    } else this.#writeOnce(offset, bytes);
  }

  #writeOnce(offset: number, bytes: Buffer): void {
    const end = Math.max(this.#size, offset + bytes.length);
    this.#resize(end);
    bytes.copy(this.#bytes, offset);
    this.#note();
  }

  /** A change of size, which settles what was written before it. */
  truncate(size: number): void {
    this.#resize(size);
    this.settle();
  }

  /** fallocate(2), which settles what was written before it: one transaction at these sizes. */
  allocate(mode: number, offset: number, bytes: number): void {
    const end = (mode & FALLOC_KEEP_SIZE) === 0 ? offset + bytes : 0;
    this.#resize(Math.max(this.#size, end));
    if ((mode & ~FALLOC_KEEP_SIZE) !== 0) this.#bytes.subarray(offset, offset + bytes).fill(0);
    this.settle();
  }

  settle(): void {
    this.#possible.clear();
    this.#note();
  }

  /** Copies before it changes: the bytes that came in belong to others. */
  #resize(size: number): void {
    const resized = Buffer.alloc(size);
    this.#bytes.copy(resized, 0, 0, Math.min(size, this.#size));
    this.#bytes = resized;
    this.#size = size;
  }

  #note(): void {
    if (this.#sizesOfInterest.has(this.#size)) this.#possible.add(digestOf(this.#bytes));
  }
}

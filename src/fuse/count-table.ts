/**
 * Inode number -> 32-bit count: an open-addressing hash table in two typed arrays, 12 bytes a slot,
 * linear probing, deletion by shifting back. The garbage collector sees two objects, however many
 * inodes there are.
 */

const SMALLEST_BITS = 4;
/** Grown when more than 3/4 full; shrunk when less than 1/8 full. */
const FULL = 0.75;
const EMPTY = 0.125;

/** 32 bits of an inode number, each depending on all of it (MurmurHash3's finalizer). */
export function hashOf(ino: number): number {
  let hash = (ino ^ Math.imul(Math.floor(ino / 2 ** 32), 0x9e3779b1)) | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export class CountTable {
  #bits = SMALLEST_BITS;
  /** 0 marks a free slot: no inode has that number. */
  #inos = new Float64Array(2 ** SMALLEST_BITS);
  #counts = new Uint32Array(2 ** SMALLEST_BITS);
  #size = 0;

  /** Number of inodes that have a count. */
  get size(): number {
    return this.#size;
  }

  get memoryBytes(): number {
    return this.#inos.byteLength + this.#counts.byteLength;
  }

  /** The count of `ino`; undefined if it has none. */
  get(ino: number): number | undefined {
    const slot = this.#slotOf(ino);
    return this.#inos[slot] === ino ? this.#counts[slot] : undefined;
  }

  /** Sets the count of `ino`, modulo 2^32. */
  set(ino: number, count: number): void {
    const slot = this.#slotOf(ino);
    this.#counts[slot] = count;
    if (this.#inos[slot] === ino) return;
    this.#inos[slot] = ino;
    this.#size++;
    if (this.#size > this.#inos.length * FULL) this.#resize(this.#bits + 1);
  }

  /** Takes the count of `ino` away, if it has one. */
  delete(ino: number): void {
    const slot = this.#slotOf(ino);
    if (this.#inos[slot] !== ino) return;
    this.#shiftBack(slot);
    this.#size--;
    const isSparse = this.#size < this.#inos.length * EMPTY;
    if (isSparse && this.#bits > SMALLEST_BITS) this.#resize(this.#bits - 1);
  }

  /** The inodes that have a count, in no order. */
  inos(): Float64Array {
    return this.#inos.filter((ino) => ino !== 0);
  }

  /**
   * Where probing for `ino` begins. The hash's lowest bits are left to those who split inodes over
   * several tables.
   */
  #home(ino: number): number {
    return hashOf(ino) >>> (32 - this.#bits);
  }

  /** The slot of `ino`, or the free one where it belongs. */
  #slotOf(ino: number): number {
    const mask = this.#inos.length - 1;
    let slot = this.#home(ino);
    for (;;) {
      const there = this.#inos[slot];
      if (there === ino || there === 0) return slot;
      slot = (slot + 1) & mask;
    }
  }

  /** Frees a slot and moves those behind it back, so that every probe still ends at its inode. */
  #shiftBack(freed: number): void {
    const mask = this.#inos.length - 1;
    let hole = freed;
    for (let slot = (hole + 1) & mask; ; slot = (slot + 1) & mask) {
      const ino = this.#inos[slot] ?? 0;
      if (ino === 0) break;
      const distanceFromHome = (slot - this.#home(ino)) & mask;
      if (distanceFromHome < ((slot - hole) & mask)) continue;
      this.#inos[hole] = ino;
      this.#counts[hole] = this.#counts[slot] ?? 0;
      hole = slot;
    }
    this.#inos[hole] = 0;
  }

  #resize(bits: number): void {
    const inos = this.#inos;
    const counts = this.#counts;
    this.#bits = bits;
    this.#inos = new Float64Array(2 ** bits);
    this.#counts = new Uint32Array(2 ** bits);
    for (let i = 0; i < inos.length; i++) {
      const ino = inos[i] ?? 0;
      if (ino === 0) continue;
      const slot = this.#slotOf(ino);
      this.#inos[slot] = ino;
      this.#counts[slot] = counts[i] ?? 0;
    }
  }
}

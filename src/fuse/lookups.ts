/**
 * How often the kernel has looked up each inode, less what it forgot: while a count is above zero
 * the kernel may speak of that inode, so an orphan must not be reaped. Owns nothing durable; the
 * counts of a mount vanish with it.
 *
 * An open-addressing hash table in two typed arrays (12 bytes a slot, linear probing, deletion by
 * shifting back), so that a million inodes cost 25 MB and the garbage collector sees two objects.
 * Counts beyond 2^32 (a name looked up for days without being forgotten) carry over into a map.
 */

import type { ReferenceHolder } from '../engine/api.ts';
import { ROOT_INO, type Ino } from '../model/ids.ts';

const SMALLEST_BITS = 10;
/** Grown when more than 3/4 full; shrunk when less than 1/8 full. */
const FULL = 0.75;
const EMPTY = 0.125;
const CARRY = 2 ** 32;

export class Lookups implements ReferenceHolder {
  #bits = SMALLEST_BITS;
  /** 0 marks a free slot: no inode has that number. */
  #inos = new Float64Array(2 ** SMALLEST_BITS);
  #counts = new Uint32Array(2 ** SMALLEST_BITS);
  /** By inode: multiples of 2^32 in its count. */
  readonly #carried = new Map<number, number>();
  #size = 0;

  /** Number of inodes with a count. */
  get size(): number {
    return this.#size;
  }

  /** Bytes that the table occupies. */
  get memoryBytes(): number {
    return this.#inos.byteLength + this.#counts.byteLength;
  }

  refersTo(ino: Ino): boolean {
    return ino === ROOT_INO || this.#inos[this.#slotOf(ino)] === ino;
  }

  /** The count of `ino`, 0 if there is none. */
  count(ino: Ino): number {
    const slot = this.#slotOf(ino);
    if (this.#inos[slot] !== ino) return 0;
    return (this.#carried.get(ino) ?? 0) * CARRY + (this.#counts[slot] ?? 0);
  }

  /** The kernel was given `ino` once more. */
  add(ino: Ino): void {
    const slot = this.#slotOf(ino);
    if (this.#inos[slot] === ino) {
      const next = (this.#counts[slot] ?? 0) + 1;
      this.#counts[slot] = next;
      if (next === CARRY) this.#carried.set(ino, (this.#carried.get(ino) ?? 0) + 1);
      return;
    }
    this.#inos[slot] = ino;
    this.#counts[slot] = 1;
    this.#size++;
    if (this.#size > this.#inos.length * FULL) this.#resize(this.#bits + 1);
  }

  /** The kernel gave `times` lookups back. True if that was the last of them. */
  forget(ino: Ino, times: number): boolean {
    const slot = this.#slotOf(ino);
    if (this.#inos[slot] !== ino) return false;
    const left = this.count(ino) - times;
    if (left > 0) {
      this.#counts[slot] = left;
      if (left >= CARRY) this.#carried.set(ino, Math.floor(left / CARRY));
      else this.#carried.delete(ino);
      return false;
    }
    this.#carried.delete(ino);
    this.#remove(slot);
    return true;
  }

  /** Forgets everything; returns what the kernel referred to. */
  clear(): Ino[] {
    const inos = Array.from(this.#inos.filter((n) => n !== 0)) as Ino[];
    this.#allocate(SMALLEST_BITS);
    this.#carried.clear();
    this.#size = 0;
    return inos;
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

  /** Fibonacci hashing of both halves. */
  #home(ino: number): number {
    const mixed = (ino ^ Math.imul(Math.floor(ino / CARRY), 0x85ebca6b)) | 0;
    return Math.imul(mixed, 0x9e3779b1) >>> (32 - this.#bits);
  }

  /** Frees a slot and moves those behind it back, so that every probe still ends at its inode. */
  #remove(freed: number): void {
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
    this.#size--;
    const isSparse = this.#size < this.#inos.length * EMPTY;
    if (isSparse && this.#bits > SMALLEST_BITS) this.#resize(this.#bits - 1);
  }

  #allocate(bits: number): void {
    this.#bits = bits;
    this.#inos = new Float64Array(2 ** bits);
    this.#counts = new Uint32Array(2 ** bits);
  }

  #resize(bits: number): void {
    const inos = this.#inos;
    const counts = this.#counts;
    this.#allocate(bits);
    for (let i = 0; i < inos.length; i++) {
      const ino = inos[i] ?? 0;
      if (ino === 0) continue;
      const slot = this.#slotOf(ino);
      this.#inos[slot] = ino;
      this.#counts[slot] = counts[i] ?? 0;
    }
  }
}

/**
 * File locks as plainly as they can be said: for each byte of a small window, who holds it and how.
 * Knows nothing of ranges, lists or queues; the table is compared with it.
 */

import type { LockRequest, Owner } from '../../src/locks/file-locks.ts';

type Space = LockRequest['space'];

export class NaiveLocks {
  /** Space and byte -> owner -> whether it is a write lock. */
  readonly #bytes = new Map<string, Map<Owner, boolean>>();
  readonly #first: bigint;
  readonly #count: number;

  /** Knows the bytes `first` .. `first + count - 1`. */
  constructor(first: bigint, count: number) {
    this.#first = first;
    this.#count = count;
  }

  #at(space: Space, byte: bigint): Map<Owner, boolean> {
    const key = `${space} ${byte}`;
    let found = this.#bytes.get(key);
    if (found === undefined) this.#bytes.set(key, (found = new Map()));
    return found;
  }

  *#bytesOf(start: bigint, end: bigint): Generator<bigint> {
    for (let i = 0; i < this.#count; i++) {
      const byte = this.#first + BigInt(i);
      if (byte >= start && byte <= end) yield byte;
    }
  }

  /** The owners in the way of `request`. */
  stoppers(request: LockRequest): Set<Owner> {
    const owners = new Set<Owner>();
    for (const byte of this.#bytesOf(request.start, request.end)) {
      for (const [owner, write] of this.#at(request.space, byte)) {
        if (owner !== request.owner && (write || request.write)) owners.add(owner);
      }
    }
    return owners;
  }

  take({ space, owner, write, start, end }: LockRequest): void {
    for (const byte of this.#bytesOf(start, end)) this.#at(space, byte).set(owner, write);
  }

  unlock(space: Space, owner: Owner, start: bigint, end: bigint): void {
    for (const byte of this.#bytesOf(start, end)) this.#at(space, byte).delete(owner);
  }

  /** How `owner` holds the window's bytes: "-" not, "r", "w". */
  picture(space: Space, owner: Owner): string {
    return Array.from({ length: this.#count }, (_, i) => {
      const write = this.#at(space, this.#first + BigInt(i)).get(owner);
      return write === undefined ? '-' : write ? 'w' : 'r';
    }).join('');
  }

  /** Whether `owner` would wait for itself, if `request` of it waited beside `waiting`. */
  isDeadlock(request: LockRequest, waiting: readonly LockRequest[]): boolean {
    const reached = this.stoppers(request);
    for (let before = -1; before !== reached.size;) {
      before = reached.size;
      for (const other of waiting) {
        if (!reached.has(other.owner)) continue;
        for (const owner of this.stoppers(other)) reached.add(owner);
      }
    }
    return reached.has(request.owner);
  }
}

/**
 * One owner's locks on one file: a list sorted by place, disjoint, and with neighbours of one kind
 * joined. Pure arithmetic on inclusive 64-bit ranges: nothing here knows of other owners.
 *
 * Places are bigints, since a lock "to the end of the file" ends at 2^63-1, where doubles are a
 * thousand apart. Locks are not a hot path.
 */

/** The last byte that a lock can reach: up to the end of the file, however far it grows. */
export const LAST_BYTE = 2n ** 63n - 1n;

/** Bytes `start` to `end`, both included; 0 <= start <= end <= LAST_BYTE. */
export interface LockRange {
  readonly start: bigint;
  readonly end: bigint;
}

export interface HeldLock extends LockRange {
  readonly write: boolean;
  /** The process that took it. */
  readonly pid: number;
}

/** A change of a list that is worked out and not made yet. */
export interface Replacement {
  readonly at: number;
  readonly removed: number;
  readonly put: readonly HeldLock[];
}

/** The position of the first lock that ends at `place` or behind it. */
function firstEndingAt(held: readonly HeldLock[], place: bigint): number {
  let low = 0;
  let high = held.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((held[middle] as HeldLock).end < place) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first lock that meets `range`; with `writesOnly`, the first write lock that does. */
export function firstOverlap(
  held: readonly HeldLock[],
  range: LockRange,
  writesOnly: boolean,
): HeldLock | undefined {
  for (let i = firstEndingAt(held, range.start); i < held.length; i++) {
    const lock = held[i] as HeldLock;
    if (lock.start > range.end) return undefined;
    if (lock.write || !writesOnly) return lock;
  }
  return undefined;
}

/**
 * What makes `range` locked as `lock`, or unlocked without one, whatever was locked there before.
 * Locks that reach beyond the range are cut, those of the same kind that meet or touch it are
 * joined with it.
 */
export function planReplace(
  held: readonly HeldLock[],
  { start, end }: LockRange,
  lock: { readonly write: boolean; readonly pid: number } | undefined,
): Replacement {
  const at = firstEndingAt(held, start - 1n);
  const before: HeldLock[] = [];
  const after: HeldLock[] = [];
  let joinedStart = start;
  let joinedEnd = end;
  let i = at;
  for (; i < held.length; i++) {
    const old = held[i] as HeldLock;
    if (old.start > end + 1n) break;
    if (lock !== undefined && old.write === lock.write) {
      if (old.start < joinedStart) joinedStart = old.start;
      if (old.end > joinedEnd) joinedEnd = old.end;
      continue;
    }
    if (old.start < start) before.push(old.end < start ? old : { ...old, end: start - 1n });
    if (old.end > end) after.push(old.start > end ? old : { ...old, start: end + 1n });
  }
  const joined = lock === undefined ? [] : [{ ...lock, start: joinedStart, end: joinedEnd }];
  return { at, removed: i - at, put: [...before, ...joined, ...after] };
}

/** By how many locks the list grows. */
export const growthOf = ({ put, removed }: Replacement): number => put.length - removed;

/** Makes the change. `held` must be as it was when the change was worked out. */
export function makeReplacement(held: HeldLock[], { at, removed, put }: Replacement): void {
  held.splice(at, removed, ...put);
}

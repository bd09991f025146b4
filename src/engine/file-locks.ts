/**
 * The file locks of an open volume, as its mounts see them. Owns the volume's one table
 * (`locks/file-locks.ts`) and tells mounts apart: an owner is (mount, the kernel's 64-bit id), so
 * two mounts exclude each other, and the end of a mount ends what its processes held.
 */

import type { Refusal } from '../model/errno.ts';
import type { Ino } from '../model/ids.ts';
import { FileLockTable, type LockRequest, type Owner, type Waiter } from '../locks/file-locks.ts';
import type { BlockingLock, FileLock, FileLocks, MountLocks, WaitingLock } from './lock-api.ts';

/** Bits of an owner's id; the mount's number stands above them. */
const ID_BITS = 64n;

export class VolumeFileLocks implements FileLocks {
  readonly #table: FileLockTable;
  #mounts = 0n;

  constructor(limit?: number) {
    this.#table = new FileLockTable(limit);
  }

  get held(): number {
    return this.#table.held;
  }

  get waiting(): number {
    return this.#table.waiting;
  }

  connect(): MountLocks {
    this.#mounts++;
    return new OneMountsLocks(this.#table, this.#mounts);
  }
}

class OneMountsLocks implements MountLocks {
  readonly #table: FileLockTable;
  readonly #mount: bigint;

  constructor(table: FileLockTable, mount: bigint) {
    this.#table = table;
    this.#mount = mount;
  }

  test(ino: Ino, lock: FileLock): BlockingLock | undefined {
    if (lock.kind !== 'unlock') return this.#table.test(this.#requestOf(ino, lock));
    return this.#table.own(ino, lock.space, this.#ownerOf(lock.owner), lock);
  }

  set(ino: Ino, lock: FileLock): Refusal | undefined {
    if (lock.kind !== 'unlock') return this.#table.set(this.#requestOf(ino, lock));
    return this.#table.unlock(ino, lock.space, this.#ownerOf(lock.owner), lock);
  }

  wait(
    ino: Ino,
    lock: FileLock,
    settle: (refusal: Refusal | undefined) => void,
  ): WaitingLock | Refusal | undefined {
    if (lock.kind === 'unlock') return this.set(ino, lock);
    const outcome = this.#table.wait(this.#requestOf(ino, lock), settle);
    return isWaiter(outcome) ? { giveUp: () => this.#table.giveUp(outcome) } : outcome;
  }

  unlockAll(ino: Ino, space: FileLock['space'], owner: bigint): void {
    this.#table.unlockAll(ino, space, this.#ownerOf(owner));
  }

  close(): void {
    this.#table.endAll((owner) => owner >> ID_BITS === this.#mount);
  }

  #ownerOf(id: bigint): Owner {
    return (this.#mount << ID_BITS) | id;
  }

  #requestOf(ino: Ino, { space, owner, pid, kind, start, end }: FileLock): LockRequest {
    return { ino, space, owner: this.#ownerOf(owner), pid, write: kind === 'write', start, end };
  }
}

const isWaiter = (outcome: Waiter | Refusal | undefined): outcome is Waiter =>
  outcome !== undefined && 'settle' in outcome;

/**
 * Which contents the kernel's page cache holds, as far as we know: whether an open may keep them
 * (FOPEN_KEEP_CACHE) instead of reading the file again. Owns a fixed table of guesses, one slot per
 * hash of the inode number; losing one costs a reread, never a stale byte.
 *
 * Sound because pages were read at or after the open that recorded a state, so if the state is
 * still the same they are its contents. The state is (data seq, size, mtime), and (meta seq, ...)
 * of a directory, whose pages are its list of names: the seq alone does not tell of writes that
 * are pending. Who changes contents behind this mount's back says so
 * (`Notifier`).
 */

import type { Ino } from '../model/ids.ts';
import { isDirectory, type Inode } from '../model/inode.ts';

/** 64 Ki slots of six doubles: 3 MiB. */
const SLOTS = 2 ** 16;
const FIELDS = 6;

export class PageCache {
  readonly #slots = new Float64Array(SLOTS * FIELDS);

  /** Records that `inode` is opened as it is now; true if cached pages are of this very state. */
  keeps(inode: Inode): boolean {
    const slots = this.#slots;
    const at = (inode.ino % SLOTS) * FIELDS;
    const changed = isDirectory(inode.mode) ? inode.metaSeq : inode.dataSeq;
    const isSame =
      slots[at] === inode.ino &&
      slots[at + 1] === changed &&
      slots[at + 2] === inode.size.blocks &&
      slots[at + 3] === inode.size.tail &&
      slots[at + 4] === inode.mtime.sec &&
      slots[at + 5] === inode.mtime.nsec;
    if (isSame) return true;
    slots[at] = inode.ino;
    slots[at + 1] = changed;
    slots[at + 2] = inode.size.blocks;
    slots[at + 3] = inode.size.tail;
    slots[at + 4] = inode.mtime.sec;
    slots[at + 5] = inode.mtime.nsec;
    return false;
  }

  /** The contents of `ino` changed otherwise than through this mount. */
  forget(ino: Ino): void {
    const at = (ino % SLOTS) * FIELDS;
    if (this.#slots[at] === ino) this.#slots[at] = 0;
  }
}

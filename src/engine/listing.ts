/**
 * Directory listings: entries in position order, a batch at a time, from one fixed view.
 *
 * The view is taken at the first read and again whenever the listing is read from its beginning
 * (rewinddir), so a long listing neither misses nor repeats a name that existed all the while.
 */

import { readDirectory } from '../index/views.ts';
import type { IndexSnapshot } from '../index/index.ts';
import { FIRST_POSITION, type Ino, type Position } from '../model/ids.ts';
import type { Listing } from './api.ts';
import { shown, type Core } from './core.ts';

export function openListing(core: Core, dir: Ino): Listing {
  let snapshot: IndexSnapshot | undefined;
  const close = () => {
    snapshot?.close();
    snapshot = undefined;
  };
  const read = async (from: Position, limit: number, withInodes: boolean) => {
    if (from <= FIRST_POSITION) close();
    snapshot ??= core.index.snapshot();
    const entries = await readDirectory(snapshot, dir, from, limit);
    if (withInodes) for (const entry of entries) entry.inode = present(core, entry.ino);
    return entries;
  };
  return { read, close };
}

/** The entry's inode as it is now; undefined if it went away since the view was taken. */
function present(core: Core, ino: Ino) {
  const inode = core.index.inode(ino);
  return inode === undefined ? undefined : shown(core, inode);
}

/**
 * A program: `remove-all VOLUME COUNT` removes everything below the root, one name after the other
 * as `rm -r` does, COUNT names being expected, and then waits until the reclaimer has given back
 * what it will: until the data files take no less for a while.
 *
 * Prints {removed, seconds, perSecond, reclaimSeconds, dataBytesLeft, closeSeconds}.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { DirectoryEntry } from '../../../src/engine/api.ts';
import type { Filesystem } from '../../../src/engine/filesystem.ts';
import { FIRST_POSITION, position, ROOT_INO, type Ino } from '../../../src/model/ids.ts';
import { diskUse } from '../disk-use.ts';
import { CALLER, inVolume, Pace, secondsSince, valueOf } from './engine.ts';

/** Names that are read at a time: from a view of their own, since an open one costs memory. */
const BATCH = 10_000;
const DIRECTORY_KIND = 4;
const POLL_MS = 1000;
/** The data files have taken the same for so many looks: nothing more is given back. */
const SAME_LOOKS = 15;

const dir = process.argv[2] ?? '';
const pace = new Pace(Number(process.argv[3]));
let removed = 0;

async function entriesFrom(
  filesystem: Filesystem,
  directory: Ino,
  from: number,
): Promise<readonly DirectoryEntry[]> {
  const listing = await valueOf(filesystem.openDirectory(directory));
  try {
    return await valueOf(listing.read(position(from), BATCH, false));
  } finally {
    listing.close();
  }
}

async function removeBelow(filesystem: Filesystem, directory: Ino): Promise<void> {
  for (let from: number = FIRST_POSITION; ;) {
    const entries = await entriesFrom(filesystem, directory, from);
    for (const entry of entries) await removeEntry(filesystem, directory, entry);
    const last = entries.at(-1);
    if (last === undefined) return;
    from = last.position + 1;
  }
}

async function removeEntry(
  filesystem: Filesystem,
  directory: Ino,
  { ino, kind, name }: DirectoryEntry,
): Promise<void> {
  if (kind === DIRECTORY_KIND) {
    await removeBelow(filesystem, ino);
    await valueOf(filesystem.rmdir(directory, name, CALLER));
  } else {
    const answer = valueOf(filesystem.unlink(directory, name, CALLER));
    if (answer instanceof Promise) await answer;
  }
  removed++;
  const turn = pace.step();
  if (turn !== undefined) await turn;
}

/** Seconds until the data files had shrunk to what they keep, and what that is. */
async function untilReclaimed(): Promise<{ reclaimSeconds: number; dataBytesLeft: number }> {
  const begun = performance.now();
  let [least, reclaimSeconds] = [Number.POSITIVE_INFINITY, 0];
  for (let same = 0; same < SAME_LOOKS; same++) {
    const { allocatedBytes } = await diskUse(`${dir}/data`);
    if (allocatedBytes < least) {
      [least, reclaimSeconds, same] = [allocatedBytes, secondsSince(begun), 0];
      process.stderr.write(`${Math.round(least / 1e6)} MB of data left\n`);
    }
    await sleep(POLL_MS);
  }
  return { reclaimSeconds, dataBytesLeft: least };
}

await inVolume(async (volume) => {
  const begun = performance.now();
  await removeBelow(volume.filesystem, ROOT_INO);
  await volume.sync();
  const seconds = secondsSince(begun);
  const perSecond = Math.round(removed / seconds);
  return { removed, seconds, perSecond, ...(await untilReclaimed()) };
});

/**
 * Removing the extents of one file in bounded steps: those beyond its truncate mark, or all.
 *
 * Each step is one transaction. After it the work rests for as long as the step took, and until the
 * overlay is far from its bound: others wait for a step at most, and never for room in memory. It
 * looks on from where the step before ended: what is deleted has still to be passed by a scan that
 * begins before it, which would make the work grow with the square of the extents. What a crash
 * leaves after any step: the truncate mark or the orphan record, from which it is begun again.
 */

import { decideRemoveStep, REMOVE_STEP_EXTENTS } from '../decide/contents.ts';
import { decodeNumber, extentKey } from '../index/keys.ts';
import { must } from '../model/assert.ts';
import { isRefusal, type Refusal } from '../model/errno.ts';
import { endOf, type Extent } from '../model/extent.ts';
import type { Ino } from '../model/ids.ts';
import { DAEMON } from '../model/transaction.ts';
import type { Core } from './core.ts';

const BLOCK_LIMIT = 2 ** 51;
/** Shortest rest, in milliseconds. */
const MIN_REST_MS = 1;

/**
 * Resolves to undefined when all are gone, or once `isStopped` says so, between two steps; to a
 * refusal where the log takes no step.
 */
export async function removeExtents(
  core: Core,
  ino: Ino,
  truncate: boolean,
  isStopped: () => boolean,
): Promise<Refusal | undefined> {
  const { clock, committer, index } = core;
  let next = 0;
  while (!isStopped()) {
    const inode = index.inode(ino);
    if (inode === undefined || (truncate && inode.truncateMark === undefined)) return undefined;
    const from = Math.max(next, inode.truncateMark ?? 0);
    const step = await extentsFrom(core, ino, from);
    const last = step.length < REMOVE_STEP_EXTENTS;
    if (step.length === 0 && !truncate) return undefined;
    const begun = clock.monotonicMs();
    const refused = await committer.mutate(() =>
      removeStep(core, ino, from, step, truncate && last),
    );
    if (isRefusal(refused)) return refused;
    if (last) return undefined;
    next = endOf(must(step.at(-1), 'a step that is not the last has extents'));
    await restFor(core, clock.monotonicMs() - begun);
    await committer.whenQuiet();
  }
  return undefined;
}

/** The transaction of one step, decided against the state of this moment. */
function removeStep(
  { committer, index }: Core,
  ino: Ino,
  from: number,
  extents: readonly Extent[],
  finish: boolean,
): Refusal | undefined {
  const inode = index.inode(ino);
  if (inode === undefined) return undefined;
  const events = decideRemoveStep(inode, from, extents, finish);
  if (events.length === 0) return undefined;
  const decided = { cause: 'truncate' as const, actor: DAEMON, paths: [], events };
  const tx = committer.append({ ...decided, privileged: true });
  return isRefusal(tx) ? tx : undefined;
}

/** The first extents of the file at or behind block `from`, as many as one step removes. */
async function extentsFrom({ index }: Core, ino: Ino, from: number): Promise<Extent[]> {
  const snapshot = index.snapshot();
  try {
    const found: Extent[] = [];
    const rows = snapshot.scan('extent', extentKey(ino, from), extentKey(ino, BLOCK_LIMIT), {
      limit: REMOVE_STEP_EXTENTS,
    });
    for await (const { key, value } of rows) {
      found.push({ ...value, block: decodeNumber(key, 9) });
    }
    return found;
  } finally {
    snapshot.close();
  }
}

/** A rest as long as the step before it, in which others have their turns. */
export const restFor = ({ clock }: Core, ms: number): Promise<void> =>
  new Promise((resolve) => void clock.after(Math.max(MIN_REST_MS, ms), resolve));

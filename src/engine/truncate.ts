/**
 * Changing a file's size.
 *
 * A cut through data rewrites the last block with zeros behind the new end, in the same
 * transaction: so bytes behind the end of a file are always zero on disk, and growing it again
 * shows zeros. A cut of more extents than a step may remove sets the truncate mark and leaves the
 * rest to `Removals`.
 */

import type { Place } from '../data/types.ts';
import { decideTruncate, REMOVE_STEP_EXTENTS } from '../decide/contents.ts';
import { isRefusal, refuse, type Refusal } from '../model/errno.ts';
import type { Event } from '../model/event.ts';
import { endOf, type Extent } from '../model/extent.ts';
import { BLOCK_BYTES, type Ino } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import { blocksHolding, compareSizes, MAX_SIZE, type Size } from '../model/size.ts';
import type { Answer, Caller } from './api.ts';
import { attachedTo } from './attached.ts';
import { envOf, type Core } from './core.ts';
import { isDamage, tellDamage } from './damage.ts';
import { MoreSpace } from './dirty-files.ts';
import { placeRewritten, type Placed } from './placing.ts';
import type { Reader } from './reading.ts';
import { refusalOf, type Removals } from './removal.ts';

const BLOCK_LIMIT = 2 ** 51;

export interface TruncateParts {
  readonly core: Core;
  readonly reader: Reader;
  readonly removals: Removals;
}

/** A block whose bytes had to be read from the disk first: the attempt is made again with them. */
export class NeedsBlock {
  readonly place: Place;

  constructor(place: Place) {
    this.place = place;
  }
}

/** Done (undefined), or what an attempt has to wait for. */
type TruncateStep = undefined | NeedsBlock | MoreSpace | 'unfinished';

/** EISDIR, EINVAL (no regular file), EFBIG, ENOSPC, ESTALE. */
export function truncate(
  parts: TruncateParts,
  ino: Ino,
  size: Size,
  killPrivileges: boolean,
  caller: Caller,
): Answer<void> {
  const { core, removals } = parts;
  if (compareSizes(size, MAX_SIZE) > 0) return refuse('EFBIG');
  const loaded = new Map<string, Uint8Array>();
  const attempt = (): Answer<void> => {
    const answer = core.committer.mutate<TruncateStep>(() =>
      truncateAttempt(parts, ino, size, killPrivileges, caller, loaded),
    );
    return answer instanceof Promise ? answer.then(settle) : settle(answer);
  };
  const settle = (answer: TruncateStep | Refusal): Answer<void> => {
    if (answer === 'unfinished') {
      return removals.finishTruncate(ino).then(attempt, refusalOf) as Promise<void | Refusal>;
    }
    if (answer instanceof MoreSpace) {
      return answer.ready.then((thereIs) => (thereIs ? attempt() : refuse('ENOSPC')));
    }
    if (answer instanceof NeedsBlock) {
      return loadBlock(parts, ino, answer.place, loaded).then((failed) => failed ?? attempt());
    }
    if (!isRefusal(answer) && core.index.inode(ino)?.truncateMark !== undefined) {
      void removals.finishTruncate(ino).catch(() => {});
    }
    return answer;
  };
  return attempt();
}

function truncateAttempt(
  parts: TruncateParts,
  ino: Ino,
  size: Size,
  killPrivileges: boolean,
  caller: Caller,
  loaded: ReadonlyMap<string, Uint8Array>,
): TruncateStep | Refusal {
  const { core } = parts;
  const before = core.index.inode(ino);
  if (before === undefined) return refuse('ESTALE');
  if (before.truncateMark !== undefined) return 'unfinished';
  const failed = core.dirty.place(ino);
  if (failed !== undefined) return failed;
  const inode = core.index.inode(ino)!;
  const cut = compareSizes(size, inode.size) < 0;
  const base = cut && size.tail > 0 ? baseOf(parts, inode, size.blocks, loaded) : undefined;
  if (base instanceof NeedsBlock) return base;
  const rewrite = base === undefined ? undefined : rewriteLastBlock(core, size, base);
  if (isRefusal(rewrite) || rewrite instanceof MoreSpace) return rewrite;
  try {
    const attached = attachedTo(core.index, inode);
    const facts = { inode, attached, ...beyond(core, inode, blocksHolding(size)) };
    const lastBlock = rewrite === undefined ? [] : eventsOf(core, ino, rewrite);
    const command = { size, killPrivileges, lastBlock };
    const events = decideTruncate(facts, command, envOf(core, caller));
    const tx = isRefusal(events)
      ? events
      : core.committer.append({
          cause: 'truncate',
          actor: caller,
          paths: core.paths.ofInode(ino),
          events,
          privileged: cut,
        });
    if (isRefusal(tx)) {
      rewrite?.undo();
      return tx;
    }
  } catch (error) {
    rewrite?.undo();
    throw error;
  }
  rewrite?.write();
  return undefined;
}

/** Extents that reach beyond block `end`: all if few, else only the one that lies across it. */
function beyond(
  core: Core,
  inode: Inode,
  end: number,
): { beyond: readonly Extent[]; complete: boolean } {
  if (inode.extents === 0) return { beyond: [], complete: true };
  if (inode.extents <= REMOVE_STEP_EXTENTS) {
    return { beyond: core.index.extents(inode.ino, end, BLOCK_LIMIT), complete: true };
  }
  const across = core.index.extents(inode.ino, end, end + 1).filter((e) => e.block < end);
  return { beyond: across.filter((e) => endOf(e) > end), complete: false };
}

/** Present contents of a block that is rewritten; undefined for zeros. */
export function baseOf(
  parts: Pick<TruncateParts, 'reader'>,
  inode: Inode,
  block: number,
  loaded: ReadonlyMap<string, Uint8Array>,
): Uint8Array | undefined | NeedsBlock {
  const base = parts.reader.block(inode, block);
  if (base === undefined || base instanceof Uint8Array) return base;
  return loaded.get(placeName(base)) ?? new NeedsBlock(base);
}

/** The last block with zeros behind `size.tail`: placed, to be written once it is logged. */
function rewriteLastBlock(core: Core, size: Size, base: Uint8Array) {
  const bytes = Buffer.alloc(BLOCK_BYTES);
  bytes.set(base.subarray(0, size.tail));
  return placeRewritten(core, [{ block: size.blocks, bytes }], true);
}

/** What tells of a rewritten block. */
const eventsOf = (core: Core, ino: Ino, { places, checksums, extents }: Placed): Event[] => [
  ...core.writes.creations(places),
  ...checksums,
  { type: 'ExtentsMapped', ino, extents },
];

export const placeName = (place: Place): string => `${place.segment}/${place.segmentBlock}`;

/** Reads one block into `loaded`; the refusal to answer with if it cannot be read. */
export async function loadBlock(
  parts: Pick<TruncateParts, 'core' | 'reader'>,
  ino: Ino,
  place: Place,
  loaded: Map<string, Uint8Array>,
): Promise<Refusal | undefined> {
  const bytes = Buffer.alloc(BLOCK_BYTES);
  try {
    const { core, reader } = parts;
    await reader.pinned(() => core.data.read(place, bytes, reader.checksums(ino)));
    loaded.set(placeName(place), bytes);
    return undefined;
  } catch (error) {
    if (!isDamage(error)) throw error;
    tellDamage(parts.core, ino, error);
    return refuse('EIO');
  }
}

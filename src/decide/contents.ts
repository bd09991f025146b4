/**
 * Contents: appending what was written, truncation, and the removal of extents in bounded steps.
 */

import { refuse } from '../model/errno.ts';
import type { Event } from '../model/event.ts';
import type { Extent } from '../model/extent.ts';
import { endOf } from '../model/extent.ts';
import { isDirectory, isRegular, type Inode } from '../model/inode.ts';
import { blocksHolding, compareSizes, type Size } from '../model/size.ts';
import type { Time } from '../model/time.ts';
import { capabilityDropped, type Attached } from './acl.ts';
import { withoutSetId } from './attributes.ts';
import { contentsChanged } from './changed.ts';
import type { Decision, Env } from './decision.ts';

/** Extents that one transaction may remove: keeps each step of a huge removal to a few ms. */
export const REMOVE_STEP_EXTENTS = 128;

/** What a file's writes since its last transaction amount to. */
export interface WrittenCommand {
  readonly size: Size;
  /** Time of the last write. */
  readonly time: Time;
  readonly killPrivileges: boolean;
  /** Where the written blocks lie now, sorted, without overlap. */
  readonly extents: readonly Extent[];
  /** Segment and checksum events that belong to those blocks. */
  readonly dataEvents: readonly Event[];
}

/** Never refused: space was reserved when the writes were answered. */
export function decideWritten(
  inode: Inode,
  attached: Attached,
  command: WrittenCommand,
): readonly Event[] {
  const dropped = capabilityDropped(inode, attached, command.time);
  const events: Event[] = [...command.dataEvents, ...dropped];
  if (command.extents.length > 0) {
    events.push({ type: 'ExtentsMapped', ino: inode.ino, extents: command.extents });
  }
  const mode = command.killPrivileges ? withoutSetId(inode.mode) : undefined;
  events.push(contentsChanged(inode, command.size, command.time, inode.dataVersion + 1n, mode));
  return events;
}

export interface TruncateFacts {
  readonly inode: Inode;
  readonly attached: Attached;
  /** Extents that reach beyond the new end: all of them, or only the one that lies across it. */
  readonly beyond: readonly Extent[];
  /** Whether `beyond` is all of them. */
  readonly complete: boolean;
}

export interface TruncateCommand {
  readonly size: Size;
  readonly killPrivileges: boolean;
  /** The rewritten, zero-padded last block, where the cut goes through data. */
  readonly lastBlock: readonly Event[];
}

/**
 * EISDIR, EINVAL (not a regular file). A cut that one transaction cannot hold sets the truncate
 * mark; the rest is removed by `decideRemoveStep` (architecture 3, "Bounded transactions").
 */
export function decideTruncate(facts: TruncateFacts, command: TruncateCommand, env: Env): Decision {
  const { inode } = facts;
  if (isDirectory(inode.mode)) return refuse('EISDIR');
  if (!isRegular(inode.mode)) return refuse('EINVAL');
  const same = compareSizes(command.size, inode.size) === 0;
  const end = blocksHolding(command.size);
  const mode = command.killPrivileges ? withoutSetId(inode.mode) : undefined;
  const version = same ? inode.dataVersion : inode.dataVersion + 1n;
  const changed = contentsChanged(inode, command.size, env.now, version, mode);
  const marked = facts.complete ? changed : { ...changed, truncateMark: end };
  const dropped = capabilityDropped(inode, facts.attached, env.now);
  return [...command.lastBlock, ...dropped, marked, ...removed(inode, end, facts.beyond)];
}

/**
 * One bounded step of a removal: what `extents` (sorted) hold at or beyond `from` goes. With
 * `finish` the truncate mark is cleared in the same transaction.
 */
export function decideRemoveStep(
  inode: Inode,
  from: number,
  extents: readonly Extent[],
  finish: boolean,
): readonly Event[] {
  const events: Event[] = removed(inode, from, extents);
  if (finish) events.push({ type: 'TruncateFinished', ino: inode.ino });
  return events;
}

function removed(inode: Inode, from: number, extents: readonly Extent[]): Event[] {
  const first = extents[0];
  const last = extents.at(-1);
  if (first === undefined || last === undefined) return [];
  const block = Math.max(from, first.block);
  return [{ type: 'ExtentsRemoved', ino: inode.ino, block, count: endOf(last) - block }];
}

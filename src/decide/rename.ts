/** rename(2) and renameat2(2): RENAME_NOREPLACE and RENAME_EXCHANGE. */

import { nameRefusal, type Dirent } from '../model/dirent.ts';
import { refuse, type Refusal } from '../model/errno.ts';
import type { DirentAdded, Event } from '../model/event.ts';
import type { ByteString, Ino, Position } from '../model/ids.ts';
import { isDirectory, LINK_MAX, type Inode } from '../model/inode.ts';
import type { Decision, Env } from './decision.ts';
import {
  adding,
  directoryChanged,
  NO_DELTA,
  parentRefusal,
  removing,
  sum,
  type DirectoryDelta,
} from './directory.ts';
import { direntRemoved, linksChanged, lostLink } from './link.ts';

export const NOREPLACE = 1;
export const EXCHANGE = 2;

/** A name and the inode that it names. */
export interface Named {
  readonly entry: Dirent;
  readonly inode: Inode;
}

export interface RenameFacts {
  readonly dir: Inode;
  readonly newDir: Inode;
  readonly source: Named;
  readonly target: Named | undefined;
  /** `newDir` is the source directory or lies below it. */
  readonly newDirBelowSource: boolean;
  /** `dir` is the target directory or lies below it. */
  readonly dirBelowTarget: boolean;
}

/**
 * EINVAL (flags; a directory into itself), ENOENT (exchange without a target), EEXIST (NOREPLACE),
 * EISDIR, ENOTDIR, ENOTEMPTY, EMLINK, ENAMETOOLONG. No events: both names are one inode already.
 */
export function decideRename(
  facts: RenameFacts,
  newName: ByteString,
  flags: number,
  env: Env,
): Decision {
  const refusal = renameRefusal(facts, newName, flags);
  if (refusal !== undefined) return refusal;
  const { source, target } = facts;
  if (target !== undefined && target.inode.ino === source.inode.ino) return [];
  if (flags === EXCHANGE && target !== undefined) return exchanged(facts, source, target, env);
  return moved(facts, newName, env);
}

function renameRefusal(
  facts: RenameFacts,
  newName: ByteString,
  flags: number,
): Refusal | undefined {
  if (flags !== 0 && flags !== NOREPLACE && flags !== EXCHANGE) return refuse('EINVAL');
  const refusal = parentRefusal(facts.newDir) ?? nameRefusal(newName);
  if (refusal !== undefined) return refusal;
  if (facts.newDirBelowSource) return refuse('EINVAL');
  if (flags === EXCHANGE) {
    if (facts.target === undefined) return refuse('ENOENT');
    return facts.dirBelowTarget ? refuse('EINVAL') : linkLimit(facts, true);
  }
  if (facts.target !== undefined) {
    if (flags === NOREPLACE) return refuse('EEXIST');
    return replaceRefusal(facts.source.inode, facts.target.inode);
  }
  return linkLimit(facts, false);
}

/** Whether `target` may be replaced by `source`: types must agree, a directory must be empty. */
function replaceRefusal(source: Inode, target: Inode): Refusal | undefined {
  if (source.ino === target.ino) return undefined;
  if (isDirectory(target.mode)) {
    if (!isDirectory(source.mode)) return refuse('EISDIR');
    return target.entries > 0 ? refuse('ENOTEMPTY') : undefined;
  }
  return isDirectory(source.mode) ? refuse('ENOTDIR') : undefined;
}

/** EMLINK where a directory would get one subdirectory too many. */
function linkLimit(facts: RenameFacts, exchange: boolean): Refusal | undefined {
  const { dir, newDir, source, target } = facts;
  if (dir.ino === newDir.ino) return undefined;
  const out = isDirectory(source.inode.mode) ? 1 : 0;
  const back = exchange && target !== undefined && isDirectory(target.inode.mode) ? 1 : 0;
  if (newDir.nlink + out - back > LINK_MAX) return refuse('EMLINK');
  return dir.nlink + back - out > LINK_MAX ? refuse('EMLINK') : undefined;
}

function moved(facts: RenameFacts, newName: ByteString, env: Env): Event[] {
  const { dir, newDir, source, target } = facts;
  const directory = isDirectory(source.inode.mode);
  const leave = removing(source.entry.name.length, directory);
  let arrive = adding(newName.length, directory);
  const events: Event[] = [direntRemoved(source.entry)];
  if (target !== undefined) {
    events.push(direntRemoved(target.entry));
    arrive = sum(arrive, removing(newName.length, isDirectory(target.inode.mode)));
  }
  events.push(direntAdded(newDir.ino, newName, source, newDir.nextPosition));
  events.push(...directoriesChanged(dir, leave, newDir, arrive, env));
  events.push(arrivedIn(source.inode, dir, newDir, env));
  if (target !== undefined) events.push(...lostLink(target.inode, env.now));
  return events;
}

function exchanged(facts: RenameFacts, source: Named, target: Named, env: Env): Event[] {
  const { dir, newDir } = facts;
  const out = isDirectory(source.inode.mode) ? 1 : 0;
  const back = isDirectory(target.inode.mode) ? 1 : 0;
  const dirDelta = { ...NO_DELTA, subdirectories: back - out, positions: 1 };
  const newDirDelta = { ...NO_DELTA, subdirectories: out - back, positions: 1 };
  const shift = dir.ino === newDir.ino ? 1 : 0;
  return [
    direntRemoved(source.entry),
    direntRemoved(target.entry),
    direntAdded(dir.ino, source.entry.name, target, dir.nextPosition),
    direntAdded(newDir.ino, target.entry.name, source, (newDir.nextPosition + shift) as Position),
    ...directoriesChanged(dir, dirDelta, newDir, newDirDelta, env),
    arrivedIn(source.inode, dir, newDir, env),
    arrivedIn(target.inode, newDir, dir, env),
  ];
}

function directoriesChanged(
  dir: Inode,
  delta: DirectoryDelta,
  newDir: Inode,
  newDelta: DirectoryDelta,
  env: Env,
): Event[] {
  if (dir.ino === newDir.ino) return [directoryChanged(dir, sum(delta, newDelta), env.now)];
  return [directoryChanged(dir, delta, env.now), directoryChanged(newDir, newDelta, env.now)];
}

/** The moved inode's ctime, and for a directory the one that names it now. */
function arrivedIn(inode: Inode, from: Inode, to: Inode, env: Env): Event {
  const newParent = isDirectory(inode.mode) && from.ino !== to.ino ? to.ino : undefined;
  return linksChanged(inode, inode.nlink, env.now, newParent);
}

const direntAdded = (dir: Ino, name: ByteString, what: Named, position: Position): DirentAdded => ({
  type: 'DirentAdded',
  dir,
  name,
  ino: what.inode.ino,
  kind: what.entry.kind,
  position,
});

/** link, unlink and rmdir: names and the inodes they keep alive. */

import { nameRefusal, type Dirent } from '../model/dirent.ts';
import { refuse } from '../model/errno.ts';
import type { DirentRemoved, Event } from '../model/event.ts';
import type { ByteString, Ino } from '../model/ids.ts';
import { direntKind, isDirectory, LINK_MAX, type Inode } from '../model/inode.ts';
import type { Time } from '../model/time.ts';
import type { Decision, Env } from './decision.ts';
import { adding, directoryChanged, parentRefusal, removing } from './directory.ts';

export interface LinkFacts {
  readonly inode: Inode;
  readonly dir: Inode;
  readonly exists: boolean;
  /** The inode has no name yet but may get one (O_TMPFILE). */
  readonly orphan: boolean;
}

/** EPERM (directories), ENOENT (no name left), EMLINK, and those of a creation. */
export function decideLink(facts: LinkFacts, name: ByteString, env: Env): Decision {
  const { inode, dir } = facts;
  const refusal = parentRefusal(dir) ?? nameRefusal(name);
  if (refusal !== undefined) return refusal;
  if (isDirectory(inode.mode)) return refuse('EPERM');
  if (facts.exists) return refuse('EEXIST');
  if (inode.nlink >= LINK_MAX) return refuse('EMLINK');
  if (inode.nlink === 0 && !facts.orphan) return refuse('ENOENT');
  const events: Event[] = [
    {
      type: 'DirentAdded',
      dir: dir.ino,
      name,
      ino: inode.ino,
      kind: direntKind(inode.mode),
      position: dir.nextPosition,
    },
    directoryChanged(dir, adding(name.length, false), env.now),
    linksChanged(inode, inode.nlink + 1, env.now),
  ];
  if (facts.orphan) events.push({ type: 'OrphanRemoved', ino: inode.ino });
  return events;
}

export interface UnlinkFacts {
  readonly dir: Inode;
  readonly entry: Dirent;
  readonly inode: Inode;
}

/** EISDIR for directories. */
export function decideUnlink(facts: UnlinkFacts, env: Env): Decision {
  if (isDirectory(facts.inode.mode)) return refuse('EISDIR');
  return [...removedName(facts, env), ...lostLink(facts.inode, env.now)];
}

/** ENOTDIR, ENOTEMPTY. */
export function decideRmdir(facts: UnlinkFacts, env: Env): Decision {
  if (!isDirectory(facts.inode.mode)) return refuse('ENOTDIR');
  if (facts.inode.entries > 0) return refuse('ENOTEMPTY');
  return [...removedName(facts, env), ...lostLink(facts.inode, env.now)];
}

function removedName(facts: UnlinkFacts, env: Env): Event[] {
  const { dir, entry } = facts;
  const delta = removing(entry.name.length, isDirectory(facts.inode.mode));
  return [direntRemoved(entry), directoryChanged(dir, delta, env.now)];
}

export const direntRemoved = (entry: Dirent): DirentRemoved => ({
  type: 'DirentRemoved',
  dir: entry.dir,
  name: entry.name,
  ino: entry.ino,
  kind: entry.kind,
  position: entry.position,
});

/** What losing one name means for an inode: a directory loses all its links with its only name. */
export function lostLink(inode: Inode, now: Time): Event[] {
  const directory = isDirectory(inode.mode);
  const nlink = directory ? 0 : inode.nlink - 1;
  const changed = linksChanged(inode, nlink, now, directory ? (0 as Ino) : undefined);
  return nlink === 0 ? [changed, { type: 'OrphanAdded', ino: inode.ino }] : [changed];
}

/** The inode's link count after the operation, and its ctime. */
export const linksChanged = (inode: Inode, nlink: number, now: Time, parent?: Ino): Event => ({
  type: 'LinksChanged',
  ino: inode.ino,
  nlink,
  ctime: now,
  parent,
});

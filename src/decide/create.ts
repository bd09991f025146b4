/** New inodes: create, mknod, mkdir, symlink and the nameless O_TMPFILE. */

import { NAME_MAX, TARGET_MAX, nameRefusal } from '../model/dirent.ts';
import { refuse } from '../model/errno.ts';
import type { InodeCreated } from '../model/event.ts';
import type { ByteString, Ino } from '../model/ids.ts';
import { direntKind, isDirectory, isSymlink, LINK_MAX, S_ISGID } from '../model/inode.ts';
import type { Inode } from '../model/inode.ts';
import type { Decision, Env } from './decision.ts';
import { adding, directoryChanged, parentRefusal } from './directory.ts';

export interface CreateFacts {
  readonly dir: Inode;
  /** Whether the directory has the name already. */
  readonly exists: boolean;
}

export interface CreateCommand {
  readonly name: ByteString;
  /** Type and permission bits, umask applied. */
  readonly mode: number;
  readonly rdev: number;
  readonly target: ByteString | undefined;
}

/**
 * ENOTDIR, ENOENT (removed directory), ENAMETOOLONG, EINVAL, EEXIST, EMLINK; for symbolic links
 * ENOENT for an empty target and ENAMETOOLONG beyond 4,095 bytes.
 */
export function decideCreate(facts: CreateFacts, command: CreateCommand, env: Env): Decision {
  const { dir } = facts;
  const refusal = parentRefusal(dir) ?? nameRefusal(command.name);
  if (refusal !== undefined) return refusal;
  if (facts.exists) return refuse('EEXIST');
  const directory = isDirectory(command.mode);
  if (directory && dir.nlink >= LINK_MAX) return refuse('EMLINK');
  if (isSymlink(command.mode)) {
    if (command.target === undefined || command.target.length === 0) return refuse('ENOENT');
    if (command.target.length > TARGET_MAX) return refuse('ENAMETOOLONG');
  }
  const created = inodeCreated(dir, command, directory ? 2 : 1, env);
  return [
    created,
    {
      type: 'DirentAdded',
      dir: dir.ino,
      name: command.name,
      ino: created.ino,
      kind: direntKind(created.mode),
      position: dir.nextPosition,
    },
    directoryChanged(dir, adding(command.name.length, directory), env.now),
  ];
}

/** A file without a name (O_TMPFILE): an orphan until it is linked or closed. */
export function decideTemporary(dir: Inode, mode: number, env: Env): Decision {
  const refusal = parentRefusal(dir);
  if (refusal !== undefined) return refusal;
  const command = { name: '' as ByteString, mode, rdev: 0, target: undefined };
  const created = inodeCreated(dir, command, 0, env);
  return [created, { type: 'OrphanAdded', ino: created.ino }];
}

/** The new inode: group and set-gid bit come from a set-gid directory (inode(7)). */
function inodeCreated(dir: Inode, command: CreateCommand, nlink: number, env: Env): InodeCreated {
  const directory = isDirectory(command.mode);
  const inherits = (dir.mode & S_ISGID) !== 0;
  return {
    type: 'InodeCreated',
    ino: env.newIno,
    generation: env.generation,
    mode: inherits && directory ? command.mode | S_ISGID : command.mode,
    nlink,
    uid: env.uid,
    gid: inherits ? dir.gid : env.gid,
    rdev: command.rdev,
    time: env.now,
    projectId: dir.projectId,
    parent: directory ? dir.ino : (0 as Ino),
    target: command.target,
  };
}

/** ENAMETOOLONG for a name that no directory can hold; lookups of others simply miss. */
export const lookupNameRefusal = (name: ByteString) =>
  name.length > NAME_MAX ? refuse('ENAMETOOLONG') : undefined;

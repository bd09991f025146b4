/** New inodes: create, mknod, mkdir, symlink and the nameless O_TMPFILE. */

import { NAME_MAX, TARGET_MAX, nameRefusal } from '../model/dirent.ts';
import { isRefusal, refuse } from '../model/errno.ts';
import type { DirentAdded, InodeCreated } from '../model/event.ts';
import type { ByteString, Ino } from '../model/ids.ts';
import {
  direntKind,
  isDirectory,
  isSymlink,
  LINK_MAX,
  S_ISGID,
  S_IXGRP,
  type Inode,
} from '../model/inode.ts';
import { inherit } from './acl.ts';
import type { Decision, Env } from './decision.ts';
import { adding, directoryChanged, parentRefusal } from './directory.ts';

export interface CreateFacts {
  readonly dir: Inode;
  /** Value of the directory's default list. */
  readonly defaultAcl: Buffer | undefined;
  /** Whether the directory has the name already. */
  readonly exists: boolean;
}

export interface CreateCommand {
  readonly name: ByteString;
  /** Type and permission bits, before the umask or the directory's default list. */
  readonly mode: number;
  readonly rdev: number;
  readonly target: ByteString | undefined;
}

/**
 * ENOTDIR, ENOENT (removed directory), ENAMETOOLONG, EINVAL, EEXIST, EMLINK; for symbolic links
 * ENOENT for an empty target and ENAMETOOLONG beyond 4,095 bytes. EIO where the directory's default
 * list is none.
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
  const wanted = modeBelow(dir, command.mode, env);
  const inherited = inheritance(facts.defaultAcl, wanted, env);
  if (isRefusal(inherited)) return inherited;
  const mode = inherited === undefined ? withUmask(wanted, env) : inherited.mode;
  const created = inodeCreated(dir, command, mode, directory ? 2 : 1, env);
  const added: DirentAdded = {
    type: 'DirentAdded',
    dir: dir.ino,
    name: command.name,
    ino: created.ino,
    kind: direntKind(mode),
    position: dir.nextPosition,
  };
  const changed = directoryChanged(dir, adding(command.name.length, directory), env.now);
  if (inherited === undefined) return [created, added, changed];
  return [created, ...inherited.lists, added, changed];
}

/** A file without a name (O_TMPFILE): an orphan until it is linked or closed. */
export function decideTemporary(
  facts: Pick<CreateFacts, 'dir' | 'defaultAcl'>,
  mode: number,
  env: Env,
): Decision {
  const { dir } = facts;
  const refusal = parentRefusal(dir);
  if (refusal !== undefined) return refusal;
  const command = { name: '' as ByteString, mode, rdev: 0, target: undefined };
  const wanted = modeBelow(dir, mode, env);
  const inherited = inheritance(facts.defaultAcl, wanted, env);
  if (isRefusal(inherited)) return inherited;
  const permitted = inherited === undefined ? withUmask(wanted, env) : inherited.mode;
  const created = inodeCreated(dir, command, permitted, 0, env);
  const orphan = { type: 'OrphanAdded' as const, ino: created.ino };
  return [created, ...(inherited?.lists ?? []), orphan];
}

/** What comes from the directory's default list; undefined where there is none, or it is a link. */
const inheritance = (stored: Buffer | undefined, mode: number, env: Env) =>
  stored === undefined || isSymlink(mode) ? undefined : inherit(stored, mode, env);

/** Symbolic links have no permissions to lose. */
const withUmask = (mode: number, env: Env): number => (isSymlink(mode) ? mode : mode & ~env.umask);

/**
 * In a set-gid directory a new directory is one too, and a new program runs with the directory's
 * group only if it was made by a member of that or root (inode(7); open(2), S_ISGID).
 */
function modeBelow(dir: Inode, mode: number, env: Env): number {
  if ((dir.mode & S_ISGID) === 0) return mode;
  if (isDirectory(mode)) return mode | S_ISGID;
  const program = S_ISGID | S_IXGRP;
  if ((mode & program) !== program) return mode;
  const isMember = env.uid === 0 || env.gid === dir.gid || env.groups.includes(dir.gid);
  return isMember ? mode : mode & ~S_ISGID;
}

function inodeCreated(
  dir: Inode,
  command: CreateCommand,
  mode: number,
  nlink: number,
  env: Env,
): InodeCreated {
  const directory = isDirectory(mode);
  const inherits = (dir.mode & S_ISGID) !== 0;
  return {
    type: 'InodeCreated',
    ino: env.newIno,
    generation: env.generation,
    mode,
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

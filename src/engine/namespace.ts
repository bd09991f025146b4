/**
 * Names: lookup, creation, link, unlink, rename. Each function is one attempt after the pattern of
 * `commit.ts`: gather facts synchronously, decide, append.
 */

import { decideCreate, lookupNameRefusal } from '../decide/create.ts';
import type { Decision } from '../decide/decision.ts';
import { decideLink, decideRmdir, decideUnlink } from '../decide/link.ts';
import { decideRename, type Named } from '../decide/rename.ts';
import type { Dirent } from '../model/dirent.ts';
import { isRefusal, refuse, type Refusal } from '../model/errno.ts';
import { ROOT_INO, type ByteString, type Ino } from '../model/ids.ts';
import { isDirectory, S_IFDIR, S_IFLNK, type Inode } from '../model/inode.ts';
import type { Cause, TouchedPath } from '../model/transaction.ts';
import type { Answer, Caller } from './api.ts';
import { defaultAclOf } from './attached.ts';
import { envOf, nextIno, shown, type Core } from './core.ts';
import type { Removals } from './removal.ts';

export interface NamespaceParts {
  readonly core: Core;
  readonly removals: Removals;
}

/** A directory deeper than this is a loop in the tree: a bug or a corrupt index. */
const MAX_DEPTH = 100_000;

export function lookup(core: Core, dir: Ino, name: ByteString): Inode | Refusal {
  const parent = core.index.inode(dir);
  if (parent === undefined) return refuse('ESTALE');
  if (name === '.') return shown(core, parent);
  if (!isDirectory(parent.mode)) return refuse('ENOTDIR');
  if (name === '..') return shownOr(core, parent.parent, 'ENOENT');
  const refusal = lookupNameRefusal(name);
  if (refusal !== undefined) return refusal;
  const entry = core.index.dirent(dir, name);
  if (entry === undefined) return refuse('ENOENT');
  core.paths.learn(dir, name, entry.ino, entry.kind);
  return shownOr(core, entry.ino, 'EIO');
}

function shownOr(core: Core, ino: Ino, errno: 'ENOENT' | 'EIO'): Inode | Refusal {
  const inode = core.index.inode(ino);
  return inode === undefined ? refuse(errno) : shown(core, inode);
}

/** Everything that makes an inode with a name: `mode` holds the type. */
export interface Creation {
  readonly cause: Cause;
  readonly dir: Ino;
  readonly name: ByteString;
  /** The caller's umask is still to be applied. */
  readonly mode: number;
  readonly rdev: number;
  readonly target: ByteString | undefined;
}

export const directoryCreation = (dir: Ino, name: ByteString, mode: number): Creation => ({
  cause: 'mkdir',
  dir,
  name,
  mode: S_IFDIR | (mode & 0o7777),
  rdev: 0,
  target: undefined,
});

export const symlinkCreation = (dir: Ino, name: ByteString, target: ByteString): Creation => ({
  cause: 'symlink',
  dir,
  name,
  mode: S_IFLNK | 0o777,
  rdev: 0,
  target,
});

export const create = (core: Core, creation: Creation, caller: Caller): Answer<Inode> =>
  core.committer.mutate(() => createAttempt(core, creation, caller));

export function createAttempt(core: Core, creation: Creation, caller: Caller): Inode | Refusal {
  const { dir, name } = creation;
  const parent = core.index.inode(dir);
  if (parent === undefined) return refuse('ESTALE');
  const ino = nextIno(core);
  const exists = core.index.dirent(dir, name) !== undefined;
  const facts = { dir: parent, defaultAcl: defaultAclOf(core, parent), exists };
  const decision = decideCreate(facts, creation, envOf(core, caller));
  const refusal = append(core, creation.cause, caller, decision, [pathOf(core, ino, dir, name)]);
  if (refusal !== undefined) return refusal;
  core.paths.learn(dir, name, ino, creation.mode >>> 12);
  return core.index.inode(ino) ?? refuse('EIO');
}

export function link(
  parts: NamespaceParts,
  ino: Ino,
  dir: Ino,
  name: ByteString,
  caller: Caller,
): Answer<Inode> {
  const { core, removals } = parts;
  return core.committer.mutate(() => {
    const placed = core.dirty.place(ino);
    if (placed !== undefined) return placed;
    const inode = core.index.inode(ino);
    const parent = core.index.inode(dir);
    if (inode === undefined || parent === undefined) return refuse('ESTALE');
    const exists = core.index.dirent(dir, name) !== undefined;
    const orphan = inode.nlink === 0 && removals.isTemporary(ino);
    const facts = { inode, dir: parent, exists, orphan };
    const decision = decideLink(facts, name, envOf(core, caller));
    const refusal = append(core, 'link', caller, decision, [pathOf(core, ino, dir, name)]);
    if (refusal !== undefined) return refusal;
    if (orphan) removals.adopted(ino);
    return shownOr(core, ino, 'EIO');
  });
}

export const unlink = (parts: NamespaceParts, dir: Ino, name: ByteString, caller: Caller) =>
  remove(parts, 'unlink', dir, name, caller);

export const rmdir = (parts: NamespaceParts, dir: Ino, name: ByteString, caller: Caller) =>
  remove(parts, 'rmdir', dir, name, caller);

function remove(
  parts: NamespaceParts,
  cause: 'unlink' | 'rmdir',
  dir: Ino,
  name: ByteString,
  caller: Caller,
): Answer<void> {
  const { core } = parts;
  return core.committer.mutate<undefined>(() => {
    const parent = core.index.inode(dir);
    if (parent === undefined) return refuse('ESTALE');
    const named = namedIn(core, dir, name);
    if (isRefusal(named)) return named;
    const placed = core.dirty.place(named.inode.ino);
    if (placed !== undefined) return placed;
    const facts = { dir: parent, ...named };
    const env = envOf(core, caller);
    const decision = cause === 'unlink' ? decideUnlink(facts, env) : decideRmdir(facts, env);
    const paths = [pathOf(core, named.inode.ino, dir, name)];
    const refusal = append(core, cause, caller, decision, paths, true);
    if (refusal !== undefined) return refusal;
    lostName(parts, named.inode.ino);
    return undefined;
  });
}

export function rename(
  parts: NamespaceParts,
  from: { readonly dir: Ino; readonly name: ByteString },
  to: { readonly dir: Ino; readonly name: ByteString },
  flags: number,
  caller: Caller,
): Answer<void> {
  const { core } = parts;
  return core.committer.mutate<undefined>(() => {
    const dir = core.index.inode(from.dir);
    const newDir = core.index.inode(to.dir);
    if (dir === undefined || newDir === undefined) return refuse('ESTALE');
    const source = namedIn(core, from.dir, from.name);
    if (isRefusal(source)) return source;
    const present = namedIn(core, to.dir, to.name);
    if (isRefusal(present) && present.name !== 'ENOENT') return present;
    const target = isRefusal(present) ? undefined : present;
    // Both inodes are changed, also the one that is replaced and may have other names.
    const placed =
      core.dirty.place(source.inode.ino) ??
      (target === undefined ? undefined : core.dirty.place(target.inode.ino));
    if (placed !== undefined) return placed;
    const decision = decideRename(
      {
        dir,
        newDir,
        source: asPlaced(core, source),
        target: target === undefined ? undefined : asPlaced(core, target),
        newDirBelowSource: isBelow(core, newDir, source.inode),
        dirBelowTarget: target !== undefined && isBelow(core, dir, target.inode),
      },
      to.name,
      flags,
      envOf(core, caller),
    );
    if (!isRefusal(decision) && decision.length === 0) return undefined;
    const moved = source.inode.ino;
    const paths = [
      pathOf(core, moved, from.dir, from.name),
      pathOf(core, target === undefined ? moved : target.inode.ino, to.dir, to.name),
    ];
    const refusal = append(core, 'rename', caller, decision, paths);
    if (refusal !== undefined) return refusal;
    renamed(parts, source, target, to, from, flags);
    return undefined;
  });
}

/** `named` with its inode as it is now that its pending writes are in the log. */
const asPlaced = (core: Core, named: Named): Named => ({
  ...named,
  inode: core.index.inode(named.inode.ino) ?? named.inode,
});

/** What a rename means for paths and for the inode that may have lost its last name. */
function renamed(
  parts: NamespaceParts,
  source: Named,
  target: Named | undefined,
  to: { readonly dir: Ino; readonly name: ByteString },
  from: { readonly dir: Ino; readonly name: ByteString },
  flags: number,
): void {
  const { paths } = parts.core;
  paths.learn(to.dir, to.name, source.inode.ino, source.entry.kind);
  if (target === undefined) return;
  if (flags === 2) paths.learn(from.dir, from.name, target.inode.ino, target.entry.kind);
  else lostName(parts, target.inode.ino);
}

function lostName(parts: NamespaceParts, ino: Ino): void {
  parts.core.paths.forget(ino);
  if (parts.core.index.inode(ino)?.nlink === 0) parts.removals.orphaned(ino);
}

function namedIn(core: Core, dir: Ino, name: ByteString): Named | Refusal {
  const parent = core.index.inode(dir);
  if (parent !== undefined && !isDirectory(parent.mode)) return refuse('ENOTDIR');
  const refusal = lookupNameRefusal(name);
  if (refusal !== undefined) return refusal;
  const item = core.index.dirent(dir, name);
  if (item === undefined) return refuse('ENOENT');
  const { ino, kind, position } = item;
  const entry: Dirent = { dir, name, ino, kind, position };
  const inode = core.index.inode(ino);
  return inode === undefined ? refuse('EIO') : { entry, inode };
}

/** Whether directory `dir` is `ancestor` or lies below it. */
function isBelow(core: Core, dir: Inode, ancestor: Inode): boolean {
  if (!isDirectory(ancestor.mode)) return false;
  let at: Inode | undefined = dir;
  for (let depth = 0; at !== undefined && depth < MAX_DEPTH; depth++) {
    if (at.ino === ancestor.ino) return true;
    if (at.ino === ROOT_INO) return false;
    at = core.index.inode(at.parent);
  }
  return false;
}

function pathOf(core: Core, ino: Ino, dir: Ino, name: ByteString): TouchedPath | undefined {
  const path = core.paths.of(dir, name);
  return path === undefined ? undefined : { ino, path };
}

function append(
  core: Core,
  cause: Cause,
  actor: Caller,
  decision: Decision,
  paths: readonly (TouchedPath | undefined)[],
  privileged = false,
): Refusal | undefined {
  if (isRefusal(decision)) return decision;
  const known = paths.filter((path) => path !== undefined);
  const tx = core.committer.append({ cause, actor, paths: known, events: decision, privileged });
  return isRefusal(tx) ? tx : undefined;
}

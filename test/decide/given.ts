/** Well-formed facts for tests of decisions: an inode, a directory, a caller. */

import type { Env } from '../../src/decide/decision.ts';
import type { Dirent } from '../../src/model/dirent.ts';
import { asByteString, generation, ino, position, seq } from '../../src/model/ids.ts';
import { direntKind, S_IFDIR, S_IFREG, type Inode } from '../../src/model/inode.ts';
import { sizeOf } from '../../src/model/size.ts';
import { EPOCH } from '../../src/model/time.ts';

export const NOW = { sec: 1000, nsec: 5 };

export const env = (set: Partial<Env> = {}): Env => ({
  now: NOW,
  uid: 7,
  gid: 8,
  groups: [],
  umask: 0,
  newIno: ino(5000),
  generation: generation(42),
  ...set,
});

export const inode = (set: Partial<Inode> = {}): Inode => ({
  ino: ino(2000),
  generation: generation(1),
  mode: S_IFREG | 0o644,
  nlink: 1,
  uid: 0,
  gid: 0,
  rdev: 0,
  size: sizeOf(0),
  atime: EPOCH,
  mtime: EPOCH,
  ctime: EPOCH,
  crtime: EPOCH,
  metaSeq: seq(1),
  dataSeq: seq(1),
  dataVersion: 0n,
  projectId: 0n,
  flags: 0,
  entries: 0,
  nextPosition: position(2),
  parent: ino(0),
  target: undefined,
  truncateMark: undefined,
  onlineBlocks: 0,
  offlineBlocks: 0,
  extents: 0,
  xattrs: 0,
  ...set,
});

export const directory = (set: Partial<Inode> = {}): Inode =>
  inode({ ino: ino(1), mode: S_IFDIR | 0o755, nlink: 2, parent: ino(1), ...set });

export const entry = (dir: Inode, name: string, child: Inode, at = 2): Dirent => ({
  dir: dir.ino,
  name: asByteString(name),
  ino: child.ino,
  kind: direntKind(child.mode),
  position: position(at),
});

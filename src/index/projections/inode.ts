/** Inode events: creation, attributes, links, directories' own attributes, contents, the end. */

import { assert } from '../../model/assert.ts';
import type {
  AttributesChanged,
  ContentsChanged,
  DirectoryChanged,
  InodeCreated,
  InodeDeleted,
  LinksChanged,
  OrphanAdded,
  OrphanRemoved,
  TruncateFinished,
} from '../../model/event.ts';
import { FIRST_POSITION, NO_SEQ, ino, position } from '../../model/ids.ts';
import { isDirectory, isRegular } from '../../model/inode.ts';
import { sizeOf, ZERO_SIZE } from '../../model/size.ts';
import { orphanKey } from '../keys.ts';
import type { Working } from './working.ts';

export function inodeCreated(work: Working, event: InodeCreated): void {
  work.createInode({
    ino: event.ino,
    generation: event.generation,
    mode: event.mode,
    nlink: event.nlink,
    uid: event.uid,
    gid: event.gid,
    rdev: event.rdev,
    size: event.target === undefined ? ZERO_SIZE : sizeOf(event.target.length),
    atime: event.time,
    mtime: event.time,
    ctime: event.time,
    crtime: event.time,
    metaSeq: work.seq,
    dataSeq: isRegular(event.mode) ? work.seq : NO_SEQ,
    dataVersion: 0n,
    projectId: event.projectId,
    flags: 0,
    entries: 0,
    nextPosition: isDirectory(event.mode) ? FIRST_POSITION : position(0),
    parent: event.parent,
    target: event.target,
    truncateMark: undefined,
    onlineBlocks: 0,
    offlineBlocks: 0,
    extents: 0,
    xattrs: 0,
  });
  const volume = work.volume;
  const nextIno = event.ino >= volume.nextIno ? ino(event.ino + 1) : volume.nextIno;
  work.volume = { ...volume, nextIno, inodes: volume.inodes + 1 };
}

export function attributesChanged(work: Working, event: AttributesChanged): void {
  const before = work.inode(event.ino);
  work.setInode(event.ino, {
    ...before,
    mode: event.mode ?? before.mode,
    uid: event.uid ?? before.uid,
    gid: event.gid ?? before.gid,
    atime: event.atime ?? before.atime,
    mtime: event.mtime ?? before.mtime,
    ctime: event.ctime ?? before.ctime,
    crtime: event.crtime ?? before.crtime,
    projectId: event.projectId ?? before.projectId,
    flags: event.flags ?? before.flags,
    metaSeq: work.seq,
  });
}

export function linksChanged(work: Working, event: LinksChanged): void {
  const before = work.inode(event.ino);
  work.setInode(event.ino, {
    ...before,
    nlink: event.nlink,
    ctime: event.ctime,
    parent: event.parent ?? before.parent,
    metaSeq: work.seq,
  });
}

export function directoryChanged(work: Working, event: DirectoryChanged): void {
  work.setInode(event.ino, {
    ...work.inode(event.ino),
    nlink: event.nlink,
    entries: event.entries,
    size: sizeOf(event.nameBytes),
    nextPosition: event.nextPosition,
    mtime: event.mtime,
    ctime: event.mtime,
    metaSeq: work.seq,
  });
}

export function contentsChanged(work: Working, event: ContentsChanged): void {
  const before = work.inode(event.ino);
  work.setInode(event.ino, {
    ...before,
    size: event.size,
    mtime: event.mtime,
    ctime: event.ctime,
    dataVersion: event.dataVersion,
    mode: event.mode ?? before.mode,
    truncateMark: event.truncateMark ?? before.truncateMark,
    metaSeq: work.seq,
    dataSeq: work.seq,
  });
}

export function truncateFinished(work: Working, event: TruncateFinished): void {
  const before = work.inode(event.ino);
  work.setInode(event.ino, { ...before, truncateMark: undefined, metaSeq: work.seq });
}

export function orphanAdded(work: Working, event: OrphanAdded): void {
  work.put('orphan', orphanKey(event.ino), undefined, true);
  work.touch(event.ino);
}

export function orphanRemoved(work: Working, event: OrphanRemoved): void {
  work.delete('orphan', orphanKey(event.ino), true);
  work.touch(event.ino);
}

export function inodeDeleted(work: Working, event: InodeDeleted): void {
  const before = work.inode(event.ino);
  const empty = before.extents === 0 && before.xattrs === 0;
  assert(empty, `ino ${event.ino}, seq ${work.seq}: deleted with extents or xattrs left`);
  if (before.nlink === 0) work.delete('orphan', orphanKey(event.ino), true);
  work.setInode(event.ino, undefined);
  work.volume = { ...work.volume, inodes: work.volume.inodes - 1 };
}

/** Inode events: creation, attributes, links, directories' own attributes, contents, the end. */

import { assert } from '../../model/assert.ts';
import type {
  AccessTimeChanged,
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
import { INODE_UNWRITTEN, isDirectory, isRegular } from '../../model/inode.ts';
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
  if (event.ino >= volume.nextIno) volume.nextIno = ino(event.ino + 1);
  volume.inodes++;
}

export function attributesChanged(work: Working, event: AttributesChanged): void {
  const inode = work.changeInode(event.ino);
  inode.mode = event.mode ?? inode.mode;
  inode.uid = event.uid ?? inode.uid;
  inode.gid = event.gid ?? inode.gid;
  inode.atime = event.atime ?? inode.atime;
  inode.mtime = event.mtime ?? inode.mtime;
  inode.ctime = event.ctime ?? inode.ctime;
  inode.crtime = event.crtime ?? inode.crtime;
  inode.projectId = event.projectId ?? inode.projectId;
  if (event.flags !== undefined) {
    const kept = inode.flags & INODE_UNWRITTEN;
    inode.flags = ((event.flags & ~INODE_UNWRITTEN) | kept) >>> 0;
  }
}

/** The one event that leaves metaSeq alone, and so keeps no before-image. */
export function accessTimeChanged(work: Working, event: AccessTimeChanged): void {
  work.touchInode(event.ino).atime = event.atime;
}

export function linksChanged(work: Working, event: LinksChanged): void {
  const inode = work.changeInode(event.ino);
  inode.nlink = event.nlink;
  inode.ctime = event.ctime;
  inode.parent = event.parent ?? inode.parent;
}

export function directoryChanged(work: Working, event: DirectoryChanged): void {
  const inode = work.changeInode(event.ino);
  inode.nlink = event.nlink;
  inode.entries = event.entries;
  inode.size = sizeOf(event.nameBytes);
  inode.nextPosition = event.nextPosition;
  inode.mtime = event.mtime;
  inode.ctime = event.mtime;
}

export function contentsChanged(work: Working, event: ContentsChanged): void {
  const inode = work.changeInode(event.ino);
  inode.size = event.size;
  inode.mtime = event.mtime;
  inode.ctime = event.ctime;
  inode.dataVersion = event.dataVersion;
  inode.mode = event.mode ?? inode.mode;
  inode.truncateMark = event.truncateMark ?? inode.truncateMark;
  inode.dataSeq = work.seq;
}

export function truncateFinished(work: Working, event: TruncateFinished): void {
  work.changeInode(event.ino).truncateMark = undefined;
}

export function orphanAdded(work: Working, event: OrphanAdded): void {
  work.put('orphan', orphanKey(event.ino), undefined, true);
  work.changeInode(event.ino);
}

export function orphanRemoved(work: Working, event: OrphanRemoved): void {
  work.delete('orphan', orphanKey(event.ino), true);
  work.changeInode(event.ino);
}

export function inodeDeleted(work: Working, event: InodeDeleted): void {
  const inode = work.inode(event.ino);
  const empty = inode.extents === 0 && inode.xattrs === 0;
  assert(empty, () => `ino ${event.ino}, seq ${work.seq}: deleted with extents or xattrs left`);
  if (inode.nlink === 0) work.delete('orphan', orphanKey(event.ino), true);
  work.deleteInode(event.ino);
  work.volume.inodes--;
}

/**
 * Records under change. A draft is a copy whose fields may be set; it is handed on as the immutable
 * record. Copying field by field is an order of magnitude faster here than object spread, which
 * leaves V8's fast path for records of this width.
 */

import type { Inode } from '../../model/inode.ts';
import type { VolumeItem } from '../items.ts';

export type Draft<T> = { -readonly [K in keyof T]: T[K] };

export const draftInode = (from: Inode): Draft<Inode> => ({
  ino: from.ino,
  generation: from.generation,
  mode: from.mode,
  nlink: from.nlink,
  uid: from.uid,
  gid: from.gid,
  rdev: from.rdev,
  size: from.size,
  atime: from.atime,
  mtime: from.mtime,
  ctime: from.ctime,
  crtime: from.crtime,
  metaSeq: from.metaSeq,
  dataSeq: from.dataSeq,
  dataVersion: from.dataVersion,
  projectId: from.projectId,
  flags: from.flags,
  entries: from.entries,
  nextPosition: from.nextPosition,
  parent: from.parent,
  target: from.target,
  truncateMark: from.truncateMark,
  onlineBlocks: from.onlineBlocks,
  offlineBlocks: from.offlineBlocks,
  extents: from.extents,
  xattrs: from.xattrs,
});

export const draftVolume = (from: VolumeItem): Draft<VolumeItem> => ({
  fsid: from.fsid,
  format: from.format,
  historyMicros: from.historyMicros,
  sizeLimitBlocks: from.sizeLimitBlocks,
  nextIno: from.nextIno,
  nextSegment: from.nextSegment,
  inodes: from.inodes,
  usedBlocks: from.usedBlocks,
  heldBlocks: from.heldBlocks,
  lastTime: from.lastTime,
});

/** The events that carry an inode's new attributes and size, whichever command sets them. */

import type { AttributesChanged, ContentsChanged } from '../model/event.ts';
import type { Inode } from '../model/inode.ts';
import type { Size } from '../model/size.ts';
import type { Time } from '../model/time.ts';

/** What may be set; undefined keeps what there is. */
export type NewAttributes = Partial<
  Pick<AttributesChanged, 'mode' | 'uid' | 'gid' | 'atime' | 'mtime'>
>;

export const attributesChanged = (
  { ino }: Inode,
  ctime: Time,
  { mode, uid, gid, atime, mtime }: NewAttributes,
): AttributesChanged => ({
  type: 'AttributesChanged',
  ino,
  mode,
  uid,
  gid,
  atime,
  mtime,
  ctime,
  crtime: undefined,
  projectId: undefined,
  flags: undefined,
});

/** The file's size, times and version after a change of its contents; `mode` as in the event. */
export const contentsChanged = (
  inode: Inode,
  size: Size,
  time: Time,
  dataVersion: bigint,
  mode: number | undefined,
): ContentsChanged => ({
  type: 'ContentsChanged',
  ino: inode.ino,
  size,
  mtime: time,
  ctime: time,
  dataVersion,
  mode,
  truncateMark: undefined,
});

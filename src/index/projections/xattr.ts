/** Extended attributes, and their number in the inode. */

import { must } from '../../model/assert.ts';
import type { XattrRemoved, XattrSet } from '../../model/event.ts';
import type { ByteString, Ino } from '../../model/ids.ts';
import type { XattrItem } from '../items.ts';
import { xattrKey } from '../keys.ts';
import type { Working } from './working.ts';

export function xattrSet(work: Working, event: XattrSet): void {
  const inode = work.changeInode(event.ino);
  const before = current(work, event.ino, event.name);
  const value = { began: work.seq, value: event.value };
  work.put('xattr', xattrKey(event.ino, event.name), before, value);
  inode.ctime = event.ctime;
  inode.mode = event.mode ?? inode.mode;
  if (before === undefined) inode.xattrs++;
}

export function xattrRemoved(work: Working, event: XattrRemoved): void {
  const inode = work.changeInode(event.ino);
  const before = must(
    current(work, event.ino, event.name),
    `ino ${event.ino}, seq ${work.seq}: removal of an xattr that it lacks`,
  );
  work.delete('xattr', xattrKey(event.ino, event.name), before);
  inode.ctime = event.ctime;
  inode.xattrs--;
}

function current(work: Working, ino: Ino, name: ByteString): XattrItem | undefined {
  const edit = work.edited(xattrKey(ino, name));
  return edit === undefined ? work.before.xattr(ino, name) : (edit.value as XattrItem | undefined);
}

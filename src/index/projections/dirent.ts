/** Directory entries, in all three of their orders: by name, by position, by inode. */

import { assert } from '../../model/assert.ts';
import type { DirentAdded, DirentRemoved } from '../../model/event.ts';
import { backrefKey, direntKey, positionKey } from '../keys.ts';
import type { Working } from './working.ts';

export function direntAdded(work: Working, event: DirentAdded): void {
  const { dir, name, ino, kind, position } = event;
  const began = work.seq;
  work.put('dirent', direntKey(dir, name), undefined, { began, ino, kind, position });
  work.put('position', positionKey(dir, position), undefined, { began, name, ino, kind });
  work.put('backref', backrefKey(ino, dir, position), undefined, { began, name });
}

export function direntRemoved(work: Working, event: DirentRemoved): void {
  const { dir, name, ino, kind, position } = event;
  const before = work.dirent(dir, name);
  const same = before !== undefined && before.ino === ino && before.position === position;
  assert(
    same,
    () => `ino ${ino}, seq ${work.seq}: removal of an entry of directory ${dir} that it lacks`,
  );
  const began = before.began;
  work.delete('dirent', direntKey(dir, name), before);
  work.delete('position', positionKey(dir, position), { began, name, ino, kind });
  work.delete('backref', backrefKey(ino, dir, position), { began, name });
}

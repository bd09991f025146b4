/**
 * From the paths that fuse-native speaks in to inodes: a walk from the root, name by name, anew for
 * each request. Nothing is remembered, so nothing goes stale; libfuse holds its own locks on a path
 * while a request with it is under way.
 */

import type { Answer, FilesystemApi } from '../../engine/api.ts';
import { refuse } from '../../model/errno.ts';
import { ROOT_INO, type ByteString, type Ino } from '../../model/ids.ts';
import type { Inode } from '../../model/inode.ts';
import { chain } from '../serving.ts';
import { nameShownAs, plainBytes } from './names.ts';

const namesOf = (path: string): string[] => path.split('/').filter((name) => name !== '');

function walk(filesystem: FilesystemApi, names: readonly string[]): Answer<Inode> {
  let found = filesystem.getattr(ROOT_INO);
  for (const text of names) {
    found = chain(found, (dir) => {
      const name = nameShownAs(text);
      return name === undefined ? refuse('EILSEQ') : filesystem.lookup(dir.ino, name);
    });
  }
  return found;
}

/**
 * The inode at `path`; symlinks are not followed. ENOENT, ENOTDIR, ENAMETOOLONG; EILSEQ for a name
 * that was not UTF-8 (see `names.ts`).
 */
export const inodeAt = (filesystem: FilesystemApi, path: string): Answer<Inode> =>
  walk(filesystem, namesOf(path));

/** A name in a directory. */
export interface Place {
  readonly dir: Ino;
  readonly name: ByteString;
}

/**
 * The directory and the name of `path`. `isNew`: the name is to be made, and must not hold an
 * escape (EILSEQ). EBUSY for the root, which has no name.
 */
export function placeAt(filesystem: FilesystemApi, path: string, isNew: boolean): Answer<Place> {
  const names = namesOf(path);
  const last = names.pop();
  if (last === undefined) return refuse('EBUSY');
  const name = isNew ? plainBytes(last) : nameShownAs(last);
  if (name === undefined) return refuse('EILSEQ');
  return chain(walk(filesystem, names), ({ ino }) => ({ dir: ino, name }));
}

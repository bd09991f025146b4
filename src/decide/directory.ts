/** How a directory's own attributes follow from names coming and going. */

import { refuse, type Refusal } from '../model/errno.ts';
import type { DirectoryChanged } from '../model/event.ts';
import type { Position } from '../model/ids.ts';
import { isDirectory, type Inode } from '../model/inode.ts';
import { bytesOfSize } from '../model/size.ts';
import type { Time } from '../model/time.ts';

/** The difference that an operation makes to one directory. */
export interface DirectoryDelta {
  readonly entries: number;
  readonly nameBytes: number;
  readonly subdirectories: number;
  /** Positions consumed, by each added name one (spec 4.1). */
  readonly positions: number;
}

export const NO_DELTA: DirectoryDelta = {
  entries: 0,
  nameBytes: 0,
  subdirectories: 0,
  positions: 0,
};

/** The delta of adding a name of `nameBytes`; `directory` when it names a subdirectory. */
export const adding = (nameBytes: number, directory: boolean): DirectoryDelta => ({
  entries: 1,
  nameBytes,
  subdirectories: directory ? 1 : 0,
  positions: 1,
});

export const removing = (nameBytes: number, directory: boolean): DirectoryDelta => ({
  entries: -1,
  nameBytes: -nameBytes,
  subdirectories: directory ? -1 : 0,
  positions: 0,
});

export const sum = (a: DirectoryDelta, b: DirectoryDelta): DirectoryDelta => ({
  entries: a.entries + b.entries,
  nameBytes: a.nameBytes + b.nameBytes,
  subdirectories: a.subdirectories + b.subdirectories,
  positions: a.positions + b.positions,
});

/** The event that carries `dir`'s values after `delta`. */
export const directoryChanged = (
  dir: Inode,
  delta: DirectoryDelta,
  now: Time,
): DirectoryChanged => ({
  type: 'DirectoryChanged',
  ino: dir.ino,
  nlink: dir.nlink + delta.subdirectories,
  entries: dir.entries + delta.entries,
  nameBytes: bytesOfSize(dir.size) + delta.nameBytes,
  nextPosition: (dir.nextPosition + delta.positions) as Position,
  mtime: now,
});

/** Why no name can be added to `dir`: ENOTDIR, or ENOENT once it was removed. */
export function parentRefusal(dir: Inode): Refusal | undefined {
  if (!isDirectory(dir.mode)) return refuse('ENOTDIR');
  if (dir.nlink === 0) return refuse('ENOENT');
  return undefined;
}

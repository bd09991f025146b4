/** Operations on names and attributes. Symlinks are never followed here: the kernel does that. */

import type { Operations } from 'fuse-native';
import type {
  Answer,
  DirectoryEntry,
  FilesystemApi,
  Listing,
  SetAttributes,
} from '../../engine/api.ts';
import { isRefusal, refuse } from '../../model/errno.ts';
import { FIRST_POSITION, position, type Ino, type Position } from '../../model/ids.ts';
import { S_IFDIR, S_IFMT, S_ISGID, S_ISUID, type Inode } from '../../model/inode.ts';
import { sizeOf } from '../../model/size.ts';
import { chain } from '../serving.ts';
import { plainBytes, plainText, showName } from './names.ts';
import { inodeAt, placeAt, type Place } from './paths.ts';
import type { NativeService } from './service.ts';
import { nativeSpace, nativeStat, timeOfMs } from './stat.ts';

type TreeOperations = Pick<
  Operations,
  | 'getattr'
  | 'statfs'
  | 'readdir'
  | 'readlink'
  | 'truncate'
  | 'utimens'
  | 'chown'
  | 'chmod'
  | 'mknod'
  | 'mkdir'
  | 'symlink'
  | 'link'
  | 'unlink'
  | 'rmdir'
  | 'rename'
  | 'fsyncdir'
>;

/** libfuse says "unchanged" with it. */
const NO_ID = 2 ** 32 - 1;
/** Entries asked for at once. */
const LIST_ENTRIES = 1000;
const DIRENT_KIND_SHIFT = 2 ** 12;

/** Reads on until the end; in a loop where answers come at once, as most do. */
function readOn(
  listing: Listing,
  from: Position,
  into: DirectoryEntry[],
): Answer<DirectoryEntry[]> {
  for (let next = from; ;) {
    const part = listing.read(next, LIST_ENTRIES, false);
    if (part instanceof Promise || isRefusal(part)) {
      return chain(part, (found) => {
        into.push(...found);
        const last = found.at(-1);
        return last === undefined ? into : readOn(listing, position(last.position + 1), into);
      });
    }
    into.push(...part);
    const last = part.at(-1);
    if (last === undefined) return into;
    next = position(last.position + 1);
  }
}

/** The whole directory at once: the package has no way to give a part. */
function entriesOf(filesystem: FilesystemApi, ino: Ino): Answer<DirectoryEntry[]> {
  return chain(filesystem.openDirectory(ino), (listing) => {
    const entries = readOn(listing, FIRST_POSITION, []);
    if (entries instanceof Promise) return entries.finally(() => listing.close());
    listing.close();
    return entries;
  });
}

/** Of a listing's attributes libfuse takes the type and the number. */
const listed = (ino: Ino, mode: number) => ({ ino, mode, atime: 0, mtime: 0, ctime: 0 });

function attributes(
  service: NativeService,
): Pick<
  TreeOperations,
  'getattr' | 'statfs' | 'readlink' | 'truncate' | 'utimens' | 'chown' | 'chmod'
> {
  const { filesystem, caller, noted } = service;
  const set = (path: string, wanted: SetAttributes): Answer<Inode> =>
    chain(inodeAt(filesystem, path), ({ ino }) => filesystem.setattr(ino, wanted, caller));
  return {
    getattr: (path, done) =>
      service.answer(
        { operation: 'GETATTR', path, done },
        () => chain(inodeAt(filesystem, path), nativeStat),
        (stat) => done(0, stat),
      ),
    statfs: (path, done) =>
      service.answer(
        { operation: 'STATFS', path, done },
        () => filesystem.space(),
        (space) => done(0, nativeSpace(space)),
      ),
    readlink: (path, done) =>
      service.answer(
        { operation: 'READLINK', path, done },
        () =>
          chain(inodeAt(filesystem, path), ({ ino }) => {
            if (noted.files) filesystem.accessed(ino);
            return chain(filesystem.readlink(ino), (to) => plainText(to) ?? refuse('EILSEQ'));
          }),
        (target) => done(0, target),
      ),
    truncate: (path, size, done) =>
      service.answer({ operation: 'TRUNCATE', path, done }, () =>
        Number.isSafeInteger(size) ? set(path, { size: sizeOf(size) }) : refuse('EFBIG'),
      ),
    utimens: (path, atimeMs, mtimeMs, done) =>
      service.answer({ operation: 'UTIMENS', path, done }, () =>
        chain(timeOfMs(atimeMs), (atime) =>
          chain(timeOfMs(mtimeMs), (mtime) => set(path, { atime, mtime })),
        ),
      ),
    chown: (path, uid, gid, done) =>
      service.answer({ operation: 'CHOWN', path, done }, () =>
        set(path, {
          uid: uid === NO_ID ? undefined : uid,
          gid: gid === NO_ID ? undefined : gid,
        }),
      ),
    chmod: (path, mode, done) =>
      service.answer({ operation: 'CHMOD', path, done }, () => set(path, { mode })),
  };
}

/**
 * A set-id bit at creation would be one of the daemon's user, root, on a file that anybody may have
 * made: only chmod, which the kernel allows to the owner alone, sets them.
 */
const withoutSetId = (mode: number): number => mode & ~(S_ISUID | S_ISGID);

function making(
  service: NativeService,
): Pick<TreeOperations, 'mknod' | 'mkdir' | 'symlink' | 'link'> {
  const { filesystem, caller } = service;
  const make = (path: string, how: (place: Place) => Answer<Inode>): Answer<Inode> =>
    chain(placeAt(filesystem, path, true), how);
  return {
    mknod: (path, mode, rdev, done) =>
      service.answer({ operation: 'MKNOD', path, done }, () =>
        make(path, ({ dir, name }) =>
          filesystem.mknod(dir, name, withoutSetId(mode), rdev, caller),
        ),
      ),
    mkdir: (path, mode, done) =>
      service.answer({ operation: 'MKDIR', path, done }, () =>
        make(path, ({ dir, name }) => {
          const bits = withoutSetId(mode) & ~S_IFMT;
          return filesystem.mkdir(dir, name, bits | S_IFDIR, caller);
        }),
      ),
    symlink: (target, path, done) =>
      service.answer({ operation: 'SYMLINK', path, done }, () => {
        const bytes = plainBytes(target);
        if (bytes === undefined) return refuse('EILSEQ');
        return make(path, ({ dir, name }) => filesystem.symlink(dir, name, bytes, caller));
      }),
    link: (path, newPath, done) =>
      service.answer({ operation: 'LINK', path, done }, () =>
        chain(inodeAt(filesystem, path), ({ ino }) =>
          make(newPath, ({ dir, name }) => filesystem.link(ino, dir, name, caller)),
        ),
      ),
  };
}

function namesAndListings(
  service: NativeService,
): Pick<TreeOperations, 'readdir' | 'fsyncdir' | 'unlink' | 'rmdir' | 'rename'> {
  const { filesystem, caller, noted } = service;
  return {
    readdir: (path, done) =>
      service.answer(
        { operation: 'READDIR', path, done },
        () =>
          chain(inodeAt(filesystem, path), ({ ino, parent }) => {
            if (noted.directories) filesystem.accessed(ino);
            return chain(entriesOf(filesystem, ino), (entries) => ({ ino, parent, entries }));
          }),
        ({ ino, parent, entries }) =>
          done(
            0,
            ['.', '..', ...entries.map(({ name }) => showName(name))],
            [
              listed(ino, S_IFDIR),
              listed(parent, S_IFDIR),
              ...entries.map((entry) => listed(entry.ino, entry.kind * DIRENT_KIND_SHIFT)),
            ],
          ),
      ),
    fsyncdir: (path, _, __, done) =>
      service.answer({ operation: 'FSYNCDIR', path, done }, () =>
        chain(inodeAt(filesystem, path), ({ ino }) => filesystem.fsyncDirectory(ino)),
      ),
    unlink: (path, done) =>
      service.answer({ operation: 'UNLINK', path, done }, () =>
        chain(placeAt(filesystem, path, false), ({ dir, name }) =>
          filesystem.unlink(dir, name, caller),
        ),
      ),
    rmdir: (path, done) =>
      service.answer({ operation: 'RMDIR', path, done }, () =>
        chain(placeAt(filesystem, path, false), ({ dir, name }) =>
          filesystem.rmdir(dir, name, caller),
        ),
      ),
    rename: (path, newPath, done) =>
      service.answer({ operation: 'RENAME', path, done }, () =>
        chain(placeAt(filesystem, path, false), (from) =>
          chain(placeAt(filesystem, newPath, true), (to) =>
            filesystem.rename(from.dir, from.name, to.dir, to.name, 0, caller),
          ),
        ),
      ),
  };
}

export const treeOperations = (service: NativeService): TreeOperations => ({
  ...attributes(service),
  ...making(service),
  ...namesAndListings(service),
});

/**
 * Operations on open directories: OPENDIR, READDIR, READDIRPLUS, RELEASEDIR, FSYNCDIR.
 *
 * A cookie is the position to go on from: 0 is ".", 1 is "..", then the engine's positions, each
 * entry's cookie being the one behind it. So a listing goes on rightly after names were added or
 * removed, and after seekdir(3) to any earlier place.
 */

import type { Answer, DirectoryEntry, Listing } from '../../engine/api.ts';
import { ERRNO, isRefusal } from '../../model/errno.ts';
import { asByteString, FIRST_POSITION, position, type Ino } from '../../model/ids.ts';
import { direntKind, S_IFDIR } from '../../model/inode.ts';
import { O_NOATIME } from '../access.ts';
import type { OpenDirectory } from '../handles.ts';
import type { Request } from '../kernel/decode.ts';
import { direntBytes, putDirent, putDirentPlus, putOpen } from '../kernel/encode.ts';
import {
  DIRENT,
  ENTRY_OUT,
  FOPEN_CACHE_DIR,
  FOPEN_KEEP_CACHE,
  FSYNC_IN,
  OPEN_IN,
  READ_IN,
  RELEASE_IN,
} from '../kernel/layout.ts';
import {
  answer,
  BODY,
  chain,
  REPLY_BODY_BYTES,
  sendBody,
  sendEmpty,
  sendErrno,
  validityOf,
  type Serving,
} from '../serving.ts';
import type { Operation } from './operation.ts';

/** The average length of a name before any was seen. */
const FIRST_NAME_BYTES = 24;
const DOT = asByteString('.');
const DOT_DOT = asByteString('..');

function sendListing(
  serving: Serving,
  unique: number,
  ino: Ino,
  listing: Listing,
  flags: number,
): void {
  const isNoted = serving.noted.directories && (flags & O_NOATIME) === 0;
  const replyFlags = cacheFlags(serving, ino, isNoted);
  const fh = serving.directories.add({ ino, listing, isNoted, nameBytes: FIRST_NAME_BYTES });
  serving.listed.opened(ino);
  if (sendBody(serving, unique, putOpen(serving.reply.words, BODY, fh, replyFlags))) return;
  serving.pages.forget(ino);
  closeListing(serving, fh);
}

function closeListing(serving: Serving, fh: number): void {
  const directory = serving.directories.remove(fh);
  if (directory === undefined) return;
  serving.listed.closed(directory.ino);
  directory.listing.close();
}

/**
 * The flags of an OPENDIR reply: the kernel may keep the list of names, and use the one that it has
 * where the directory has not changed since. Not while the directory is open already: that listing
 * shows an older state, and the kernel puts what both read into one list.
 */
function cacheFlags(serving: Serving, ino: Ino, isNoted: boolean): number {
  const directory = serving.filesystem.getattr(ino);
  const isKnown = !(directory instanceof Promise) && !isRefusal(directory);
  if (!isKnown || serving.listed.isOpen(ino)) {
    if (directory instanceof Promise) directory.catch(() => undefined);
    serving.pages.forget(ino);
    return 0;
  }
  if (!serving.pages.keeps(directory)) return FOPEN_CACHE_DIR;
  // What the kernel reads from its list never comes to us.
  if (isNoted && serving.filesystem.accessed(ino)) serving.copies.accessMoved(ino);
  return FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE;
}

export const opendir: Operation = {
  structBytes: OPEN_IN.bytes,
  run(serving, request) {
    const ino = request.ino;
    const flags = request.u32(OPEN_IN.flags);
    const opened = serving.filesystem.openDirectory(ino);
    answer(serving, request, opened, (s, unique, listing) =>
      sendListing(s, unique, ino, listing, flags),
    );
  },
};

/** One READDIR or READDIRPLUS under way. */
interface Scan {
  readonly directory: OpenDirectory;
  readonly from: number;
  /** Room in the reply, in bytes. */
  readonly room: number;
  readonly plus: boolean;
}

interface Found {
  readonly entries: readonly DirectoryEntry[];
  /** The directory's parent, where ".." is to be listed; else 0. */
  readonly parent: Ino | 0;
}

const recordBytes = (scan: Scan, nameBytes: number): number =>
  (scan.plus ? ENTRY_OUT.bytes : 0) + direntBytes(nameBytes);

/** As many entries as should fit, judged by the names seen before. */
function readEntries(scan: Scan): Answer<readonly DirectoryEntry[]> {
  const { directory, plus } = scan;
  const from = position(Math.max(scan.from, FIRST_POSITION));
  const limit = Math.max(1, Math.ceil(scan.room / recordBytes(scan, directory.nameBytes)));
  return directory.listing.read(from, limit, plus);
}

function find(serving: Serving, scan: Scan): Answer<Found> {
  if (scan.from >= FIRST_POSITION) {
    return chain(readEntries(scan), (entries) => ({ entries, parent: 0 as const }));
  }
  return chain(serving.filesystem.getattr(scan.directory.ino), ({ parent }) =>
    chain(readEntries(scan), (entries) => ({ entries, parent })),
  );
}

/** "." and "..": never looked up, so without an inode even in a READDIRPLUS. */
function putDots(serving: Serving, scan: Scan, parent: Ino | 0): number {
  if (parent === 0) return 0;
  const kind = direntKind(S_IFDIR);
  let bytes = 0;
  const put = (ino: Ino, name: typeof DOT, next: number): void => {
    const at = BODY + bytes;
    const entry = { ino, kind, name, position: position(next - 1), inode: undefined };
    bytes += scan.plus
      ? putDirentPlus(serving.reply, at, entry, serving.valid)
      : putDirent(serving.reply, at, ino, kind, name, next);
  };
  const { ino } = scan.directory;
  if (scan.from === 0 && recordBytes(scan, 1) <= scan.room) put(ino, DOT, 1);
  if (bytes + recordBytes(scan, 2) <= scan.room) put(parent === 0 ? ino : parent, DOT_DOT, 2);
  return bytes;
}

function sendEntries(serving: Serving, unique: number, scan: Scan, found: Found): void {
  const { entries } = found;
  let bytes = putDots(serving, scan, found.parent);
  let listed = 0;
  let nameBytes = 0;
  for (const entry of entries) {
    const record = recordBytes(scan, entry.name.length);
    if (bytes + record > scan.room) break;
    const { ino, kind, name } = entry;
    if (scan.plus) putPlus(serving, BODY + bytes, entry);
    else putDirent(serving.reply, BODY + bytes, ino, kind, name, entry.position + 1);
    bytes += record;
    nameBytes += entry.name.length;
    listed++;
  }
  if (listed > 0) scan.directory.nameBytes = Math.ceil(nameBytes / listed);
  if (sendBody(serving, unique, bytes) && scan.plus) addListed(serving, entries, listed);
}

function putPlus(serving: Serving, at: number, entry: DirectoryEntry): void {
  const { inode } = entry;
  const valid = inode === undefined ? serving.valid : validityOf(serving, inode);
  putDirentPlus(serving.reply, at, entry, valid);
}

/** Each entry of a READDIRPLUS that came with its inode counts as looked up. */
function addListed(serving: Serving, entries: readonly DirectoryEntry[], listed: number): void {
  for (let i = 0; i < listed; i++) {
    const entry = entries[i];
    if (entry?.inode === undefined) continue;
    serving.lookups.add(entry.inode.ino);
    serving.copies.gaveAttributes(entry.inode.ino);
  }
}

function list(serving: Serving, request: Request, plus: boolean): void {
  const directory = serving.directories.get(request.u64(READ_IN.fh));
  if (directory === undefined) return sendErrno(serving, request.unique, ERRNO.EBADF);
  const room = Math.min(request.u32(READ_IN.size), REPLY_BODY_BYTES);
  if (room < (plus ? ENTRY_OUT.bytes : 0) + DIRENT.bytes) {
    return sendErrno(serving, request.unique, ERRNO.EINVAL);
  }
  const scan = { directory, from: request.u64(READ_IN.offset), room, plus };
  if (directory.isNoted) serving.filesystem.accessed(directory.ino);
  if (scan.from > Number.MAX_SAFE_INTEGER) return sendEmpty(serving, request.unique);
  return answer(serving, request, find(serving, scan), (s, unique, found) =>
    sendEntries(s, unique, scan, found),
  );
}

export const readdir: Operation = {
  structBytes: READ_IN.bytes,
  run(serving, request) {
    list(serving, request, false);
  },
};

export const readdirplus: Operation = {
  structBytes: READ_IN.bytes,
  run(serving, request) {
    list(serving, request, true);
  },
};

export const releasedir: Operation = {
  structBytes: RELEASE_IN.bytes,
  run(serving, request) {
    closeListing(serving, request.u64(RELEASE_IN.fh));
    sendEmpty(serving, request.unique);
  },
};

export const fsyncdir: Operation = {
  structBytes: FSYNC_IN.bytes,
  run(serving, request) {
    answer(serving, request, serving.filesystem.fsyncDirectory(request.ino), sendEmpty);
  },
};

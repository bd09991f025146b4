/**
 * What the engine offers to those above it (FUSE, the control plane, tools, tests): the filesystem,
 * keyed by inode number, with names of bytes. No path, no FUSE type, no kernel cache.
 *
 * Answers come at once wherever they can: a method returns its value, or a `Refusal`, or, where it
 * had to wait (a range not in memory, bounds reached, data on disk), a promise of either. A method
 * never throws for a caller's mistake; a rejected promise is an operating failure (EIO).
 */

import type { Refusal } from '../model/errno.ts';
import type { ByteString, Ino, Position } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import type { Size } from '../model/size.ts';
import type { Time } from '../model/time.ts';
import type { FileLocks } from './lock-api.ts';

export type Answer<T> = T | Refusal | Promise<T | Refusal>;

/** The caller of an operation. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** For creations: permission bits that the new inode lacks, but for a default list (acl(5)). */
  readonly umask?: number;
  /** For creations: groups besides `gid`, where they matter; that of the directory is among them. */
  readonly groups?: readonly number[];
  /** Through whom the call came; undefined where that is nobody who keeps copies. */
  readonly origin?: ChangeOrigin | undefined;
}

/** Something that was shown before is different now. */
export type Change =
  /** The name does not lead to `ino` any more. */
  | { readonly type: 'entry'; readonly dir: Ino; readonly name: ByteString; readonly ino: Ino }
  | { readonly type: 'attributes'; readonly ino: Ino }
  /** Its bytes, and attributes with them. */
  | { readonly type: 'contents'; readonly ino: Ino };

/** Somebody who keeps copies of what was shown: the kernel behind a mount. */
export interface CacheHolder {
  /** Whether there is no other holder: said when it is added, and whenever that changes. */
  setAlone(isAlone: boolean): void;
  /**
   * These changed, and not through this holder: its copies are to be dropped. Resolves when they
   * are; undefined if it had none. Never rejects.
   */
  changed(changes: readonly Change[]): Promise<void> | undefined;
}

/** One call that came through a holder. */
export interface ChangeOrigin {
  readonly holder: CacheHolder;
  /** The call changed these, and another holder is told: until `told`, if it had copies. */
  telling(changes: readonly Change[], told: Promise<void> | undefined): void;
}

/** One open of a file; lives from open to close. */
export interface OpenFile {
  readonly ino: Ino;
  /** O_SYNC or O_DSYNC: every write is durable before it is answered. */
  readonly synchronous: boolean;
  readonly append: boolean;
  /** O_NOATIME: reads through it are not noted. */
  readonly noAccessTime?: boolean | undefined;
  /** False for O_RDONLY: its close has nothing to flush. */
  readonly writable: boolean;
}

/** A write's bytes, in memory that belongs to the transport. */
export interface WritePayload {
  /** Valid until the call returns, unless taken. */
  readonly bytes: Buffer;
  /** Takes the memory over, instead of copying it; the returned function gives it back. */
  take(): () => void;
}

export interface SetAttributes {
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly size?: Size | undefined;
  /** 'now' is the engine's clock. */
  readonly atime?: Time | 'now' | undefined;
  readonly mtime?: Time | 'now' | undefined;
  readonly ctime?: Time | undefined;
  /** Clear set-id bits as a write by a non-owner would (FATTR_KILL_SUIDGID). */
  readonly killPrivileges?: boolean | undefined;
}

/** What fallocate(2) is asked for. */
export interface RangeRequest {
  /** FALLOC_FL_*, 0 to allocate and to grow the file. */
  readonly mode: number;
  readonly offset: Size;
  readonly length: Size;
  /** As in SetAttributes. */
  readonly killPrivileges: boolean;
}

export interface DirectoryEntry {
  readonly name: ByteString;
  readonly ino: Ino;
  readonly kind: number;
  readonly position: Position;
  /** The entry's inode, where the listing asked for it. */
  readonly inode: Inode | undefined;
}

/** A listing in progress: entries in position order. Deleted and added names never disturb it. */
export interface Listing {
  /**
   * Up to `limit` entries with position >= `from`. Fewer, but at least one, may come; none is the
   * end. Does not include "." and "..".
   */
  read(from: Position, limit: number, withInodes: boolean): Answer<readonly DirectoryEntry[]>;
  close(): void;
}

export interface SpaceInfo {
  readonly blocks: number;
  readonly freeBlocks: number;
  readonly availableBlocks: number;
  readonly inodes: number;
  readonly freeInodes: number;
}

export const RENAME_EXCHANGE = 2;

/** Says whether somebody outside the engine (the kernel's inode cache) still refers to an inode. */
export interface ReferenceHolder {
  refersTo(ino: Ino): boolean;
}

export interface FilesystemApi {
  /** Record locks and flock(2)'s; see `lock-api.ts`. */
  readonly locks: FileLocks;

  /** ENOENT, ENOTDIR, ENAMETOOLONG. "." and ".." are answered too (exported handles). */
  lookup(dir: Ino, name: ByteString): Answer<Inode>;
  /** ESTALE if there is no such inode. Includes writes that are still pending. */
  getattr(ino: Ino): Answer<Inode>;
  /**
   * Setting nothing is what chown(-1, -1) does: ctime moves and set-id bits go where the owner or
   * root asks; for others nothing happens.
   */
  setattr(ino: Ino, set: SetAttributes, caller: Caller): Answer<Inode>;
  readlink(ino: Ino): Answer<ByteString>;
  /** Any type but directories and symlinks; `mode` holds the type, the umask is the caller's. */
  mknod(dir: Ino, name: ByteString, mode: number, rdev: number, caller: Caller): Answer<Inode>;
  mkdir(dir: Ino, name: ByteString, mode: number, caller: Caller): Answer<Inode>;
  symlink(dir: Ino, name: ByteString, target: ByteString, caller: Caller): Answer<Inode>;
  link(ino: Ino, dir: Ino, name: ByteString, caller: Caller): Answer<Inode>;
  unlink(dir: Ino, name: ByteString, caller: Caller): Answer<void>;
  rmdir(dir: Ino, name: ByteString, caller: Caller): Answer<void>;
  /** `flags`: 0, RENAME_NOREPLACE or RENAME_EXCHANGE; else EINVAL. */
  rename(
    dir: Ino,
    name: ByteString,
    newDir: Ino,
    newName: ByteString,
    flags: number,
    caller: Caller,
  ): Answer<void>;

  /** Creates and opens; `flags` are open(2)'s. EEXIST where the name exists. */
  create(
    dir: Ino,
    name: ByteString,
    mode: number,
    flags: number,
    caller: Caller,
  ): Answer<{ readonly inode: Inode; readonly file: OpenFile }>;
  /**
   * Creates and opens a file without a name (O_TMPFILE). It lives until its last close, unless
   * `link` names it before; with O_EXCL in `flags` that is refused with ENOENT.
   */
  createTemporary(
    dir: Ino,
    mode: number,
    flags: number,
    caller: Caller,
  ): Answer<{ readonly inode: Inode; readonly file: OpenFile }>;
  /** Opens a regular file; O_TRUNC in `flags` empties it. */
  open(ino: Ino, flags: number, caller: Caller): Answer<OpenFile>;
  /**
   * Bytes from `offset`, fewer than `length` only at the end of the file. Chunks may be shared: read
   * only; those of an answer given at once are valid until the next call of any method.
   */
  read(file: OpenFile, offset: Size, length: number): Answer<readonly Uint8Array[]>;
  /**
   * `ino` was accessed otherwise than by `read`: listed, followed, or read from a cache. Its access
   * time moves where relatime says so (mount(8)), and is logged some time later. True if it moved.
   */
  accessed(ino: Ino): boolean;
  /** Whether `ino` has writes that are not logged: its count of blocks is a guess until then. */
  isPending(ino: Ino): boolean;
  /** Bytes written: all, or a refusal (ENOSPC, EFBIG, EIO). `killPrivileges` as in SetAttributes. */
  write(
    file: OpenFile,
    offset: Size,
    payload: WritePayload,
    killPrivileges: boolean,
    caller: Caller,
  ): Answer<number>;
  /**
   * lseek(2) with SEEK_DATA or SEEK_HOLE: the first offset from `offset` on where there is data, or
   * none; the end of the file is a hole. ENXIO at or behind the end, and where no data follows.
   */
  seek(file: OpenFile, offset: Size, wanted: 'data' | 'hole'): Answer<Size>;
  /**
   * copy_file_range(2): bytes copied, at least one before the end of the source; fewer than asked
   * for where it takes long. EINVAL for overlapping ranges of one file, EBADF for a target that is
   * open for appending, and what a write refuses (EFBIG, ENOSPC, EIO).
   */
  copyRange(
    from: OpenFile,
    offset: Size,
    to: OpenFile,
    toOffset: Size,
    bytes: number,
    caller: Caller,
  ): Answer<number>;
  /**
   * fallocate(2): EINVAL (no bytes), EOPNOTSUPP (other modes than 0, ZERO_RANGE, PUNCH_HOLE with
   * KEEP_SIZE), EFBIG, EISDIR, ENODEV (no regular file), ENOSPC, EIO, ESTALE. What was allocated is
   * written later without ENOSPC, once each block.
   */
  fallocate(file: OpenFile, request: RangeRequest, caller: Caller): Answer<void>;
  /** close(2) of one descriptor: what was written through it is appended to the log. */
  flush(file: OpenFile): Answer<void>;
  /** fsync, fdatasync: resolves when the file's contents and attributes are durable. */
  fsync(file: OpenFile): Answer<void>;
  /** Last close of an open. Never refused. */
  close(file: OpenFile): void;

  openDirectory(ino: Ino): Answer<Listing>;
  /** Resolves when all that happened to the directory is durable. */
  fsyncDirectory(ino: Ino): Answer<void>;

  /** ENODATA if there is none. */
  getXattr(ino: Ino, name: ByteString): Answer<Buffer>;
  listXattrs(ino: Ino): Answer<readonly ByteString[]>;
  /**
   * `flags`: 0, XATTR_CREATE, XATTR_REPLACE. An access control list changes the mode with it;
   * `killSetGid` then drops the set-gid bit (FUSE_SETXATTR_ACL_KILL_SGID).
   */
  setXattr(
    ino: Ino,
    name: ByteString,
    value: Buffer,
    flags: number,
    caller: Caller,
    killSetGid?: boolean,
  ): Answer<void>;
  /** ENODATA if there is none; an access control list may be missing already. */
  removeXattr(ino: Ino, name: ByteString, caller: Caller): Answer<void>;

  space(): Answer<SpaceInfo>;
  /** Resolves when everything answered so far is durable. */
  sync(): Promise<void>;

  /** From now on `holder` is told what changes otherwise than through itself. */
  addCacheHolder(holder: CacheHolder): void;
  removeCacheHolder(holder: CacheHolder): void;

  addReferenceHolder(holder: ReferenceHolder): void;
  removeReferenceHolder(holder: ReferenceHolder): void;
  /** A holder stopped referring to `ino`: if it is an orphan that nobody uses, it is reaped. */
  unreferenced(ino: Ino): void;
}

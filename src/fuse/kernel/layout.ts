/**
 * The FUSE kernel protocol, version 7: numbers only. Offsets are in bytes within a struct; a
 * request is an in-header (40 bytes), the operation's struct, then names or data; a reply is an
 * out-header (16 bytes) and the operation's struct. All fields are little-endian, 64-bit ones
 * aligned to 8.
 */

export const IN_HEADER_BYTES = 40;
export const OUT_HEADER_BYTES = 16;
/** Largest READ and WRITE that we negotiate. */
export const MAX_IO_BYTES = 1024 * 1024;
/** Pages (4 KiB) in MAX_IO_BYTES. */
export const MAX_IO_PAGES = 256;
/** What one request may need: the kernel wants max_write and its headers, and at least 8 KiB. */
export const MAX_REQUEST_BYTES = MAX_IO_BYTES + 8192;

export const OPCODE = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  BMAP: 37,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  NOTIFY_REPLY: 41,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
  COPY_FILE_RANGE_64: 53,
} as const;

export type OpcodeName = keyof typeof OPCODE;

/** Above every opcode that we count and dispatch. */
export const OPCODE_LIMIT = 64;

export const IN_HEADER = {
  length: 0,
  opcode: 4,
  unique: 8,
  nodeid: 16,
  uid: 24,
  gid: 28,
  pid: 32,
  /** 16 bits: length of the extensions at the message's end, in units of 8 bytes. */
  extensions: 36,
} as const;

/** Offsets of request fields, from the start of the operation's struct; `bytes` is its size. */
export const INIT_IN = {
  major: 0,
  minor: 4,
  maxReadahead: 8,
  flags: 12,
  flags2: 16,
  bytes: 16,
  extended: 20,
};
export const GETATTR_IN = { flags: 0, fh: 8, bytes: 16 };
export const STATX_IN = { flags: 0, fh: 8, mask: 20, bytes: 24 };
export const SETATTR_IN = {
  valid: 0,
  fh: 8,
  size: 16,
  atime: 32,
  mtime: 40,
  ctime: 48,
  atimeNsec: 56,
  mtimeNsec: 60,
  ctimeNsec: 64,
  mode: 68,
  uid: 76,
  gid: 80,
  bytes: 88,
};
export const OPEN_IN = { flags: 0, openFlags: 4, bytes: 8 };
export const CREATE_IN = { flags: 0, mode: 4, umask: 8, openFlags: 12, bytes: 16 };
export const MKNOD_IN = { mode: 0, rdev: 4, umask: 8, bytes: 16 };
export const MKDIR_IN = { mode: 0, umask: 4, bytes: 8 };
export const RENAME_IN = { newDir: 0, bytes: 8 };
export const RENAME2_IN = { newDir: 0, flags: 8, bytes: 16 };
export const LINK_IN = { ino: 0, bytes: 8 };
export const RELEASE_IN = { fh: 0, releaseFlags: 12, lockOwner: 16, bytes: 24 };
export const FLUSH_IN = { fh: 0, lockOwner: 16, bytes: 24 };
export const READ_IN = { fh: 0, offset: 8, size: 16, bytes: 40 };
export const WRITE_IN = { fh: 0, offset: 8, size: 16, flags: 20, bytes: 40 };
export const LSEEK_IN = { fh: 0, offset: 8, whence: 16, bytes: 24 };
/** Of COPY_FILE_RANGE and COPY_FILE_RANGE_64; the request's inode is the source. */
export const COPY_FILE_RANGE_IN = {
  fh: 0,
  offset: 8,
  toIno: 16,
  toFh: 24,
  toOffset: 32,
  length: 40,
  flags: 48,
  bytes: 56,
};
export const FALLOCATE_IN = { fh: 0, offset: 8, length: 16, mode: 24, bytes: 32 };
/** `start` and `end` are both included; `end` is 2^63-1 for "to the end of the file". */
export const LK_IN = {
  fh: 0,
  owner: 8,
  start: 16,
  end: 24,
  type: 32,
  pid: 36,
  flags: 40,
  bytes: 48,
};
export const FSYNC_IN = { fh: 0, bytes: 16 };
/** `extended` is its size with SETXATTR_EXT. */
export const SETXATTR_IN = { size: 0, flags: 4, more: 8, bytes: 8, extended: 16 };
export const GETXATTR_IN = { size: 0, bytes: 8 };
export const INTERRUPT_IN = { unique: 0, bytes: 8 };
export const FORGET_IN = { count: 0, bytes: 8 };
export const BATCH_FORGET_IN = { count: 0, bytes: 8 };
export const FORGET_ONE = { nodeid: 0, count: 8, bytes: 16 };

export const INIT_OUT = {
  major: 0,
  minor: 4,
  maxReadahead: 8,
  flags: 12,
  /** 16 bits each: max_background, congestion_threshold. */
  background: 16,
  maxWrite: 20,
  timeGranularity: 24,
  /** 16 bits each: max_pages, map_alignment. */
  maxPages: 28,
  flags2: 32,
  bytes: 64,
};
export const ATTR = {
  ino: 0,
  size: 8,
  blocks: 16,
  atime: 24,
  mtime: 32,
  ctime: 40,
  atimeNsec: 48,
  mtimeNsec: 52,
  ctimeNsec: 56,
  mode: 60,
  nlink: 64,
  uid: 68,
  gid: 72,
  rdev: 76,
  blockSize: 80,
  flags: 84,
  bytes: 88,
};
export const ENTRY_OUT = {
  nodeid: 0,
  generation: 8,
  entryValid: 16,
  attrValid: 24,
  entryValidNsec: 32,
  attrValidNsec: 36,
  attr: 40,
  bytes: 128,
};
export const ATTR_OUT = { valid: 0, validNsec: 8, attr: 16, bytes: 104 };
export const STATX_OUT = { valid: 0, validNsec: 8, flags: 12, stat: 32, bytes: 288 };
export const STATX = {
  mask: 0,
  blockSize: 4,
  attributes: 8,
  nlink: 16,
  uid: 20,
  gid: 24,
  /** 16 bits, then 16 of padding. */
  mode: 28,
  ino: 32,
  size: 40,
  blocks: 48,
  attributesMask: 56,
  /** Times: seconds (64 bits), nanoseconds, reserved. */
  atime: 64,
  btime: 80,
  ctime: 96,
  mtime: 112,
  rdevMajor: 128,
  rdevMinor: 132,
  bytes: 256,
};
export const OPEN_OUT = { fh: 0, flags: 8, backingId: 12, bytes: 16 };
/** Also of COPY_FILE_RANGE; COPY_FILE_RANGE_64 replies with 64 bits in the same place. */
export const WRITE_OUT = { size: 0, bytes: 8 };
export const LSEEK_OUT = { offset: 0, bytes: 8 };
export const LK_OUT = { start: 0, end: 8, type: 16, pid: 20, bytes: 24 };
export const GETXATTR_OUT = { size: 0, bytes: 8 };
export const STATFS_OUT = {
  blocks: 0,
  free: 8,
  available: 16,
  files: 24,
  filesFree: 32,
  blockSize: 40,
  nameMax: 44,
  fragmentSize: 48,
  bytes: 80,
};
/** Followed by the name, padded to 8. `next` is the cookie of the entry after this one. */
export const DIRENT = { ino: 0, next: 8, nameLength: 16, kind: 20, bytes: 24 };
export const INVAL_INODE_OUT = { ino: 0, offset: 8, length: 16, bytes: 24 };
export const INVAL_ENTRY_OUT = { dir: 0, nameLength: 8, flags: 12, bytes: 16 };

/** Notification codes: in the out-header's error field, with unique 0. */
export const NOTIFY = { INVAL_INODE: 2, INVAL_ENTRY: 3 } as const;

/** Capabilities of INIT: `flags`, and `flags2` (from bit 32 on, given here shifted down). */
export const INIT_FLAG = {
  ASYNC_READ: 1 << 0,
  POSIX_LOCKS: 1 << 1,
  ATOMIC_O_TRUNC: 1 << 3,
  EXPORT_SUPPORT: 1 << 4,
  BIG_WRITES: 1 << 5,
  DONT_MASK: 1 << 6,
  FLOCK_LOCKS: 1 << 10,
  AUTO_INVAL_DATA: 1 << 12,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  PARALLEL_DIROPS: 1 << 18,
  POSIX_ACL: 1 << 20,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  HANDLE_KILLPRIV_V2: 1 << 28,
  SETXATTR_EXT: 1 << 29,
  INIT_EXT: 1 << 30,
} as const;
export const INIT_FLAG2 = { CREATE_SUPP_GROUP: 1 << 2 } as const;

/** Flags of an OPEN reply. */
export const FOPEN_KEEP_CACHE = 2;
export const FOPEN_CACHE_DIR = 8;

/** In GETLK, SETLK, SETLKW: flock(2), not fcntl(2). */
export const LK_FLOCK = 1;
/** In RELEASE: what was locked with flock(2) through this open is to be unlocked. */
export const RELEASE_FLOCK_UNLOCK = 2;
/** Types of a lock. */
export const F_RDLCK = 0;
export const F_WRLCK = 1;
export const F_UNLCK = 2;

/** Pages written back from a mapping: the handle is any that may write. */
export const WRITE_CACHE = 1;

/** In `SETXATTR_IN.more`: the one who sets an access list may not keep the set-gid bit. */
export const SETXATTR_ACL_KILL_SGID = 1;

/** Extensions at the end of a request: a header, then what its type says, padded to 8. */
export const EXTENSION = { length: 0, type: 4, bytes: 8 };
/** Extension of supplementary groups: their number, then each (32 bits). */
export const EXTENSION_GROUPS = 32;

export const WRITE_KILL_SUIDGID = 4;
export const OPEN_KILL_SUIDGID = 1;

/** Which fields of a SETATTR count. */
export const FATTR = {
  MODE: 1,
  UID: 2,
  GID: 4,
  SIZE: 8,
  ATIME: 16,
  MTIME: 32,
  FH: 64,
  ATIME_NOW: 128,
  MTIME_NOW: 256,
  CTIME: 1024,
  KILL_SUIDGID: 2048,
} as const;

/** statx(2)'s mask: STATX_BASIC_STATS and STATX_BTIME. */
export const STATX_BASIC_AND_BTIME = 0x0fff;

/** lseek(2)'s whence, as far as the kernel asks us. */
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

/** open(2) flags that matter here (x86-64 and arm64 agree on these). */
export const O_EXCL = 0o200;
export const O_TRUNC = 0o1000;

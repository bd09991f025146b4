/** Linux's numbers for flags that Node's constants lack or that tests read better by name. */

import { constants } from 'node:fs';

export const O = {
  RDONLY: constants.O_RDONLY,
  WRONLY: constants.O_WRONLY,
  RDWR: constants.O_RDWR,
  CREAT: constants.O_CREAT,
  EXCL: constants.O_EXCL,
  TRUNC: constants.O_TRUNC,
  APPEND: constants.O_APPEND,
  NONBLOCK: constants.O_NONBLOCK,
  DSYNC: constants.O_DSYNC,
  SYNC: constants.O_SYNC,
  DIRECT: constants.O_DIRECT,
  DIRECTORY: constants.O_DIRECTORY,
  NOFOLLOW: constants.O_NOFOLLOW,
  NOATIME: constants.O_NOATIME,
  PATH: 0o10000000,
  TMPFILE: 0o20000000 | constants.O_DIRECTORY,
} as const;

export const FALLOC = { KEEP_SIZE: 1, PUNCH_HOLE: 2, ZERO_RANGE: 16 } as const;

export const RENAME = { NOREPLACE: 1, EXCHANGE: 2, WHITEOUT: 4 } as const;

export const S = {
  IFREG: constants.S_IFREG,
  IFIFO: constants.S_IFIFO,
  IFSOCK: constants.S_IFSOCK,
  IFCHR: constants.S_IFCHR,
  IFBLK: constants.S_IFBLK,
  IFDIR: constants.S_IFDIR,
} as const;

export const SEEK = { SET: 0, CUR: 1, END: 2, DATA: 3, HOLE: 4 } as const;

export const AT = { SYMLINK_NOFOLLOW: 0x100, SYMLINK_FOLLOW: 0x400 } as const;

export const XATTR = { CREATE: 1, REPLACE: 2 } as const;

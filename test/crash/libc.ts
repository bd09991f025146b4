/** System calls that Node lacks: xattrs by path, renameat2, and fallocate(2) that is waited for. */

import koffi from 'koffi';
import { SystemError } from '../../src/io/libc.ts';
import type { RenameKind } from './operation.ts';

const libc = koffi.load(null);
const cSet = libc.func(
  'int setxattr(const char *path, const char *name, const void *value, size_t size, int flags)',
);
const cRemove = libc.func('int removexattr(const char *path, const char *name)');
const cGet = libc.func(
  'int64_t lgetxattr(const char *path, const char *name, _Out_ void *value, size_t size)',
);
const cList = libc.func('int64_t llistxattr(const char *path, _Out_ void *list, size_t size)');
const cRename = libc.func(
  'int renameat2(int olddir, const char *old, int newdir, const char *new, unsigned int flags)',
);
const cFallocate = libc.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)');

const AT_FDCWD = -100;
const RENAME_FLAGS: Readonly<Record<RenameKind, number>> = {
  replace: 0,
  noreplace: 1,
  exchange: 2,
};
/** XATTR_SIZE_MAX and XATTR_LIST_MAX. */
const MAX_BYTES = 65_536;

function checked(syscall: string, result: number): number {
  if (result < 0) throw new SystemError(syscall, koffi.errno());
  return result;
}

export function fallocate(fd: number, mode: number, offset: number, bytes: number): void {
  checked('fallocate', cFallocate(fd, mode, offset, bytes) as number);
}

export function setXattr(path: string, name: string, value: Buffer): void {
  checked('setxattr', cSet(path, name, value, value.length, 0) as number);
}

export function removeXattr(path: string, name: string): void {
  checked('removexattr', cRemove(path, name) as number);
}

export function rename(from: string, to: string, kind: RenameKind): void {
  checked('renameat2', cRename(AT_FDCWD, from, AT_FDCWD, to, RENAME_FLAGS[kind]) as number);
}

/** The call on koffi's worker thread: a daemon that hangs must not hang us. */
const inBackground = (
  syscall: string,
  call: { async: (...args: unknown[]) => void },
  ...args: unknown[]
): Promise<number> =>
  new Promise((resolve, reject) => {
    call.async(...args, (error: Error | null, result: number) => {
      if (error !== null) reject(error);
      else if (result < 0) reject(new SystemError(syscall, koffi.errno()));
      else resolve(result);
    });
  });

/** All xattrs of the user namespace at `path`, symlinks not followed; values as latin1. */
export async function xattrsOf(path: string): Promise<Map<string, string>> {
  const list = Buffer.alloc(MAX_BYTES);
  const length = await inBackground('llistxattr', cList, path, list, MAX_BYTES);
  const names = list
    .toString('utf8', 0, length)
    .split('\0')
    .filter((n) => n.startsWith('user.'));
  const found = new Map<string, string>();
  for (const name of names.sort()) {
    const value = Buffer.alloc(MAX_BYTES);
    const bytes = await inBackground('lgetxattr', cGet, path, name, value, MAX_BYTES);
    found.set(name, value.toString('latin1', 0, bytes));
  }
  return found;
}

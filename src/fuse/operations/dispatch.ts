/** The table of operations, and the one place where a request meets its operation. */

import { ERRNO } from '../../model/errno.ts';
import type { Request } from '../kernel/decode.ts';
import { OPCODE, OPCODE_LIMIT, type OpcodeName } from '../kernel/layout.ts';
import { sendErrno, sendFailure, type Serving } from '../serving.ts';
import * as allocation from './allocation.ts';
import * as attributes from './attributes.ts';
import * as directory from './directory.ts';
import * as file from './file.ts';
import * as locks from './locks.ts';
import * as make from './make.ts';
import * as mount from './mount.ts';
import * as names from './names.ts';
import type { Operation } from './operation.ts';
import * as ranges from './ranges.ts';
import { changes } from './read-only.ts';
import * as remove from './remove.ts';
import * as xattr from './xattr.ts';

/** Operations without an entry are not offered (`mount.notOffered`). */
const OPERATIONS: Partial<Record<OpcodeName, Operation>> = {
  INIT: mount.init,
  LOOKUP: names.lookup,
  FORGET: names.forget,
  BATCH_FORGET: names.batchForget,
  GETATTR: attributes.getattr,
  STATX: attributes.statx,
  SETATTR: attributes.setattr,
  READLINK: attributes.readlink,
  MKNOD: make.mknod,
  MKDIR: make.mkdir,
  SYMLINK: make.symlink,
  LINK: make.link,
  UNLINK: remove.unlink,
  RMDIR: remove.rmdir,
  RENAME: remove.rename,
  RENAME2: remove.rename2,
  OPEN: file.open,
  CREATE: file.create,
  TMPFILE: file.temporary,
  READ: file.read,
  WRITE: file.write,
  LSEEK: ranges.lseek,
  COPY_FILE_RANGE: ranges.copyFileRange,
  COPY_FILE_RANGE_64: ranges.copyFileRange64,
  FLUSH: file.flush,
  FSYNC: file.fsync,
  FALLOCATE: allocation.fallocate,
  RELEASE: file.release,
  GETLK: locks.getlk,
  SETLK: locks.setlk,
  SETLKW: locks.setlkw,
  OPENDIR: directory.opendir,
  READDIR: directory.readdir,
  READDIRPLUS: directory.readdirplus,
  RELEASEDIR: directory.releasedir,
  FSYNCDIR: directory.fsyncdir,
  SETXATTR: xattr.setxattr,
  GETXATTR: xattr.getxattr,
  LISTXATTR: xattr.listxattr,
  REMOVEXATTR: xattr.removexattr,
  STATFS: mount.statfs,
  INTERRUPT: mount.interrupt,
  IOCTL: mount.ioctl,
  DESTROY: mount.destroy,
};

const BY_OPCODE: readonly Operation[] = byOpcode();

function byOpcode(): Operation[] {
  const table = Array.from({ length: OPCODE_LIMIT }, () => mount.notOffered);
  for (const [name, operation] of Object.entries(OPERATIONS)) {
    table[OPCODE[name as OpcodeName]] = operation;
  }
  return table;
}

/** Names of the opcodes, for figures and log lines. */
export const OPCODE_NAMES: ReadonlyMap<number, OpcodeName> = new Map(
  Object.entries(OPCODE).map(([name, opcode]) => [opcode, name as OpcodeName]),
);

/** Runs the operation of a decoded request. Never throws: a failed one is answered with EIO. */
export function dispatch(serving: Serving, request: Request): void {
  const operation = BY_OPCODE[request.opcode] ?? mount.notOffered;
  try {
    if (serving.readOnly && changes(request)) sendErrno(serving, request.unique, ERRNO.EROFS);
    else if (request.holds(operation.structBytes)) operation.run(serving, request);
    else sendErrno(serving, request.unique, ERRNO.EINVAL);
  } catch (error) {
    sendFailure(serving, request.unique, request.ino, request.opcode, error);
  }
}

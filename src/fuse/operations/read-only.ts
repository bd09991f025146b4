/**
 * Which requests change something: refused on a mount that is read-only (EROFS, as open(2) and the
 * other calls' pages have it). The kernel refuses most of them itself; this also holds where root
 * remounts writable what we mounted read-only, and for a kernel that does not ask its own flag.
 */

import { constants } from 'node:fs';
import type { Request } from '../kernel/decode.ts';
import { OPCODE, OPCODE_LIMIT, OPEN_IN, type OpcodeName } from '../kernel/layout.ts';

// oxfmt-ignore
const CHANGING: readonly OpcodeName[] = [
  'SETATTR', 'MKNOD', 'MKDIR', 'SYMLINK', 'LINK', 'CREATE', 'TMPFILE',
  'UNLINK', 'RMDIR', 'RENAME', 'RENAME2', 'WRITE', 'FALLOCATE',
  'COPY_FILE_RANGE', 'COPY_FILE_RANGE_64', 'SETXATTR', 'REMOVEXATTR',
];

const isChanging = new Uint8Array(OPCODE_LIMIT);
for (const name of CHANGING) isChanging[OPCODE[name]] = 1;

/** O_RDONLY is 0: what is left is an open for writing, or one that empties the file. */
const { O_WRONLY, O_RDWR, O_TRUNC } = constants;
const WRITING = O_WRONLY | O_RDWR | O_TRUNC;

/** Whether `request` would change something. */
export function changes(request: Request): boolean {
  if (request.opcode !== OPCODE.OPEN) return isChanging[request.opcode] === 1;
  return request.holds(OPEN_IN.bytes) && (request.u32(OPEN_IN.flags) & WRITING) !== 0;
}

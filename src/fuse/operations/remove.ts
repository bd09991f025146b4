/** Operations that take names away or move them: UNLINK, RMDIR, RENAME, RENAME2. */

import { ERRNO } from '../../model/errno.ts';
import type { Ino } from '../../model/ids.ts';
import type { Request } from '../kernel/decode.ts';
import { RENAME2_IN, RENAME_IN } from '../kernel/layout.ts';
import { answer, sendEmpty, sendErrno, type Serving } from '../serving.ts';
import type { Operation } from './operation.ts';

export const unlink: Operation = {
  structBytes: 0,
  run(serving, request) {
    const name = request.name(0);
    if (name === undefined) return sendErrno(serving, request.unique, ERRNO.EINVAL);
    const gone = serving.filesystem.unlink(request.ino, name, request.caller);
    return answer(serving, request, gone, sendEmpty);
  },
};

export const rmdir: Operation = {
  structBytes: 0,
  run(serving, request) {
    const name = request.name(0);
    if (name === undefined) return sendErrno(serving, request.unique, ERRNO.EINVAL);
    const gone = serving.filesystem.rmdir(request.ino, name, request.caller);
    return answer(serving, request, gone, sendEmpty);
  },
};

/** The two names stand behind the struct, which differs between the two operations. */
function move(serving: Serving, request: Request, structBytes: number, flags: number): void {
  const name = request.name(structBytes);
  const newName = name === undefined ? undefined : request.name(structBytes + name.length + 1);
  if (name === undefined || newName === undefined) {
    return sendErrno(serving, request.unique, ERRNO.EINVAL);
  }
  const newDir = request.u64(RENAME_IN.newDir) as Ino;
  const { ino: dir, caller } = request;
  const moved = serving.filesystem.rename(dir, name, newDir, newName, flags, caller);
  return answer(serving, request, moved, sendEmpty);
}

export const rename: Operation = {
  structBytes: RENAME_IN.bytes,
  run(serving, request) {
    move(serving, request, RENAME_IN.bytes, 0);
  },
};

export const rename2: Operation = {
  structBytes: RENAME2_IN.bytes,
  run(serving, request) {
    move(serving, request, RENAME2_IN.bytes, request.u32(RENAME2_IN.flags));
  },
};

/** Operations on ranges of open files: LSEEK, COPY_FILE_RANGE, COPY_FILE_RANGE_64. */

import { ERRNO } from '../../model/errno.ts';
import type { Size } from '../../model/size.ts';
import type { Request } from '../kernel/decode.ts';
import { putOffset, putWritten } from '../kernel/encode.ts';
import { COPY_FILE_RANGE_IN, LSEEK_IN, SEEK_DATA, SEEK_HOLE } from '../kernel/layout.ts';
import { answer, BODY, sendBody, sendErrno, type Serving } from '../serving.ts';
import type { Operation } from './operation.ts';

/** Most bytes that COPY_FILE_RANGE can tell of: whole blocks within 32 bits. */
const COPY_MAX_BYTES = 2 ** 32 - 4096;
/** Most bytes asked of the engine at once by COPY_FILE_RANGE_64. */
const COPY_64_MAX_BYTES = 2 ** 39;

function sendOffset(serving: Serving, unique: number, offset: Size): void {
  sendBody(serving, unique, putOffset(serving.reply.words, BODY, offset));
}

/** SEEK_DATA and SEEK_HOLE; the kernel does the others itself. */
export const lseek: Operation = {
  structBytes: LSEEK_IN.bytes,
  run(serving, request) {
    const file = serving.files.get(request.u64(LSEEK_IN.fh));
    if (file === undefined) return sendErrno(serving, request.unique, ERRNO.EBADF);
    const whence = request.u32(LSEEK_IN.whence);
    if (whence !== SEEK_DATA && whence !== SEEK_HOLE) {
      return sendErrno(serving, request.unique, ERRNO.EINVAL);
    }
    // Below 0, as the kernel sees it: lseek(2) knows no other error for that.
    const offset = request.size(LSEEK_IN.offset);
    if (offset === undefined) return sendErrno(serving, request.unique, ERRNO.ENXIO);
    const wanted = whence === SEEK_DATA ? 'data' : 'hole';
    return answer(serving, request, serving.filesystem.seek(file, offset, wanted), sendOffset);
  },
};

function sendCopied(serving: Serving, unique: number, bytes: number): void {
  sendBody(serving, unique, putWritten(serving.reply.words, BODY, bytes));
}

function copy(serving: Serving, request: Request, maxBytes: number): void {
  const from = serving.files.get(request.u64(COPY_FILE_RANGE_IN.fh));
  const to = serving.files.get(request.u64(COPY_FILE_RANGE_IN.toFh));
  if (from === undefined || to === undefined) {
    return sendErrno(serving, request.unique, ERRNO.EBADF);
  }
  const offset = request.size(COPY_FILE_RANGE_IN.offset);
  const toOffset = request.size(COPY_FILE_RANGE_IN.toOffset);
  const flags = request.u64(COPY_FILE_RANGE_IN.flags);
  if (offset === undefined || toOffset === undefined || flags !== 0) {
    return sendErrno(serving, request.unique, ERRNO.EINVAL);
  }
  const bytes = Math.min(request.u64(COPY_FILE_RANGE_IN.length), maxBytes);
  const { filesystem } = serving;
  const copied = filesystem.copyRange(from, offset, to, toOffset, bytes, request.caller);
  return answer(serving, request, copied, sendCopied);
}

/** Asked by kernels that do not know COPY_FILE_RANGE_64. */
export const copyFileRange: Operation = {
  structBytes: COPY_FILE_RANGE_IN.bytes,
  run(serving, request) {
    copy(serving, request, COPY_MAX_BYTES);
  },
};

export const copyFileRange64: Operation = {
  structBytes: COPY_FILE_RANGE_IN.bytes,
  run(serving, request) {
    copy(serving, request, COPY_64_MAX_BYTES);
  },
};

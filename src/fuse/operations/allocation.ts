/** Operations on the space of a file: FALLOCATE. */

import { ERRNO } from '../../model/errno.ts';
import { FALLOCATE_IN } from '../kernel/layout.ts';
import { answer, sendEmpty, sendErrno } from '../serving.ts';
import type { Operation } from './operation.ts';

/**
 * A mode that is not offered gets EOPNOTSUPP from the engine: ENOSYS would end the operation for
 * the whole mount. The kernel drops its own pages of the range. It does not say whether set-id bits
 * are to go (with HANDLE_KILLPRIV_V2 only writes and truncations do): they go unless root asks.
 */
export const fallocate: Operation = {
  structBytes: FALLOCATE_IN.bytes,
  run(serving, request) {
    const file = serving.files.get(request.u64(FALLOCATE_IN.fh));
    if (file === undefined) return sendErrno(serving, request.unique, ERRNO.EBADF);
    const offset = request.size(FALLOCATE_IN.offset);
    const length = request.size(FALLOCATE_IN.length);
    if (offset === undefined || length === undefined) {
      return sendErrno(serving, request.unique, ERRNO.EINVAL);
    }
    const mode = request.u32(FALLOCATE_IN.mode);
    const { caller } = request;
    const asked = { mode, offset, length, killPrivileges: caller.uid !== 0 };
    const done = serving.filesystem.fallocate(file, asked, caller);
    return answer(serving, request, done, sendEmpty);
  },
};

/** Operations that give and take references: LOOKUP, FORGET, BATCH_FORGET. */

import { ERRNO } from '../../model/errno.ts';
import type { Ino } from '../../model/ids.ts';
import { BATCH_FORGET_IN, FORGET_IN, FORGET_ONE } from '../kernel/layout.ts';
import { answer, sendEntry, sendErrno, type Serving } from '../serving.ts';
import type { Operation } from './operation.ts';

export const lookup: Operation = {
  structBytes: 0,
  run(serving, request) {
    const name = request.name(0);
    if (name === undefined) sendErrno(serving, request.unique, ERRNO.EINVAL);
    else answer(serving, request, serving.filesystem.lookup(request.ino, name), sendEntry);
  },
};

function forgetLookups(serving: Serving, ino: Ino, times: number): void {
  if (!serving.lookups.forget(ino, times)) return;
  serving.copies.forgot(ino);
  serving.filesystem.unreferenced(ino);
}

/** Has no reply. */
export const forget: Operation = {
  structBytes: FORGET_IN.bytes,
  run(serving, request) {
    forgetLookups(serving, request.ino, request.u64(FORGET_IN.count));
  },
};

/** Has no reply. */
export const batchForget: Operation = {
  structBytes: BATCH_FORGET_IN.bytes,
  run(serving, request) {
    const count = request.u32(BATCH_FORGET_IN.count);
    for (let i = 0; i < count; i++) {
      const at = BATCH_FORGET_IN.bytes + i * FORGET_ONE.bytes;
      if (!request.holds(at + FORGET_ONE.bytes)) return;
      const ino = request.u64(at + FORGET_ONE.nodeid) as Ino;
      forgetLookups(serving, ino, request.u64(at + FORGET_ONE.count));
    }
  },
};

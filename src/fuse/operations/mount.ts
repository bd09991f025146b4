/** Operations on the mount as a whole: INIT, STATFS, INTERRUPT, DESTROY, ACCESS, IOCTL. */

import type { SpaceInfo } from '../../engine/api.ts';
import { ERRNO } from '../../model/errno.ts';
import { putSpace } from '../kernel/encode.ts';
import { isFinal, negotiate, putInit } from '../kernel/init.ts';
import { INIT_IN, INTERRUPT_IN } from '../kernel/layout.ts';
import { answer, BODY, sendBody, sendEmpty, sendErrno, type Serving } from '../serving.ts';
import type { Operation } from './operation.ts';

export const init: Operation = {
  structBytes: INIT_IN.bytes,
  run(serving, request) {
    const offer = {
      major: request.u32(INIT_IN.major),
      minor: request.u32(INIT_IN.minor),
      maxReadahead: request.u32(INIT_IN.maxReadahead),
      flags: request.u32(INIT_IN.flags),
      flags2: request.holds(INIT_IN.extended) ? request.u32(INIT_IN.flags2) : 0,
    };
    const settlement = negotiate(offer);
    if (settlement === 'unsupported') {
      sendErrno(serving, request.unique, ERRNO.EOPNOTSUPP);
      serving.initialized(`this kernel speaks FUSE ${offer.major}.${offer.minor}: too old`);
      return;
    }
    serving.negotiated.flags = settlement.flags;
    sendBody(serving, request.unique, putInit(serving.reply.words, BODY, settlement));
    if (isFinal(offer)) serving.initialized(undefined);
  },
};

function sendSpace(serving: Serving, unique: number, space: SpaceInfo): void {
  sendBody(serving, unique, putSpace(serving.reply.words, BODY, space));
}

export const statfs: Operation = {
  structBytes: 0,
  run(serving, request) {
    answer(serving, request, serving.filesystem.space(), sendSpace);
  },
};

/** Has no reply of its own. */
export const interrupt: Operation = {
  structBytes: INTERRUPT_IN.bytes,
  run(serving, request) {
    serving.pending.interrupt(request.u64(INTERRUPT_IN.unique));
  },
};

export const destroy: Operation = {
  structBytes: 0,
  run(serving, request) {
    sendEmpty(serving, request.unique);
  },
};

/**
 * Answered for the whole mount: the kernel takes ENOSYS as "not offered, never ask again". Right for
 * what no file of ours has: ACCESS (default_permissions checks), BMAP, POLL.
 */
export const notOffered: Operation = {
  structBytes: 0,
  run(serving, request) {
    sendErrno(serving, request.unique, ERRNO.ENOSYS);
  },
};

/** No file of ours is a device. */
export const ioctl: Operation = {
  structBytes: 0,
  run(serving, request) {
    sendErrno(serving, request.unique, ERRNO.ENOTTY);
  },
};

/** Operations that add names: MKNOD, MKDIR, SYMLINK, LINK. */

import { ERRNO } from '../../model/errno.ts';
import type { Ino } from '../../model/ids.ts';
import { S_IFDIR, S_IFMT } from '../../model/inode.ts';
import { LINK_IN, MKDIR_IN, MKNOD_IN } from '../kernel/layout.ts';
import { answer, sendEntry, sendErrno } from '../serving.ts';
import type { Operation } from './operation.ts';

export const mknod: Operation = {
  structBytes: MKNOD_IN.bytes,
  run(serving, request) {
    const name = request.name(MKNOD_IN.bytes);
    if (name === undefined) return sendErrno(serving, request.unique, ERRNO.EINVAL);
    const mode = request.u32(MKNOD_IN.mode);
    const rdev = request.u32(MKNOD_IN.rdev);
    const creator = request.creator(request.u32(MKNOD_IN.umask));
    const made = serving.filesystem.mknod(request.ino, name, mode, rdev, creator);
    return answer(serving, request, made, sendEntry);
  },
};

export const mkdir: Operation = {
  structBytes: MKDIR_IN.bytes,
  run(serving, request) {
    const name = request.name(MKDIR_IN.bytes);
    if (name === undefined) return sendErrno(serving, request.unique, ERRNO.EINVAL);
    const mode = (request.u32(MKDIR_IN.mode) & ~S_IFMT) | S_IFDIR;
    const creator = request.creator(request.u32(MKDIR_IN.umask));
    const made = serving.filesystem.mkdir(request.ino, name, mode, creator);
    return answer(serving, request, made, sendEntry);
  },
};

export const symlink: Operation = {
  structBytes: 0,
  run(serving, request) {
    const name = request.name(0);
    const target = name === undefined ? undefined : request.name(name.length + 1);
    if (name === undefined || target === undefined) {
      return sendErrno(serving, request.unique, ERRNO.EINVAL);
    }
    const made = serving.filesystem.symlink(request.ino, name, target, request.caller);
    return answer(serving, request, made, sendEntry);
  },
};

export const link: Operation = {
  structBytes: LINK_IN.bytes,
  run(serving, request) {
    const name = request.name(LINK_IN.bytes);
    if (name === undefined) return sendErrno(serving, request.unique, ERRNO.EINVAL);
    const ino = request.u64(LINK_IN.ino) as Ino;
    const linked = serving.filesystem.link(ino, request.ino, name, request.caller);
    return answer(serving, request, linked, sendEntry);
  },
};

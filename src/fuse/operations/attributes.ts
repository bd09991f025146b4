/** Operations on attributes: GETATTR, STATX, SETATTR, READLINK. */

import type { SetAttributes } from '../../engine/api.ts';
import { ERRNO } from '../../model/errno.ts';
import { bytesOf, type ByteString } from '../../model/ids.ts';
import type { Inode } from '../../model/inode.ts';
import type { Time } from '../../model/time.ts';
import type { Request } from '../kernel/decode.ts';
import { putAttrOut, putStatxOut } from '../kernel/encode.ts';
import { FATTR, GETATTR_IN, SETATTR_IN, STATX_IN } from '../kernel/layout.ts';
import {
  answer,
  BODY,
  sendBody,
  sendBytes,
  sendErrno,
  validityOf,
  type Serving,
} from '../serving.ts';
import type { Operation } from './operation.ts';

const NSEC_MAX = 999_999_999;

function sendAttr(serving: Serving, unique: number, inode: Inode): void {
  serving.copies.gaveAttributes(inode.ino);
  sendBody(
    serving,
    unique,
    putAttrOut(serving.reply.words, BODY, inode, validityOf(serving, inode)),
  );
}

function sendStatx(serving: Serving, unique: number, inode: Inode): void {
  serving.copies.gaveAttributes(inode.ino);
  sendBody(
    serving,
    unique,
    putStatxOut(serving.reply.words, BODY, inode, validityOf(serving, inode)),
  );
}

export const getattr: Operation = {
  structBytes: GETATTR_IN.bytes,
  run(serving, request) {
    answer(serving, request, serving.filesystem.getattr(request.ino), sendAttr);
  },
};

export const statx: Operation = {
  structBytes: STATX_IN.bytes,
  run(serving, request) {
    answer(serving, request, serving.filesystem.getattr(request.ino), sendStatx);
  },
};

function timeAt(request: Request, sec: number, nsec: number): Time {
  return { sec: request.i64(sec), nsec: Math.min(request.u32(nsec), NSEC_MAX) };
}

/** What a SETATTR asks for; undefined if a size is out of range. */
export function decodeSetAttributes(request: Request): SetAttributes | undefined {
  const valid = request.u32(SETATTR_IN.valid);
  const has = (flag: number): boolean => (valid & flag) !== 0;
  const size = has(FATTR.SIZE) ? request.size(SETATTR_IN.size) : undefined;
  if (has(FATTR.SIZE) && size === undefined) return undefined;
  const timeOf = (set: number, now: number, sec: number, nsec: number): Time | 'now' | undefined =>
    has(now) ? 'now' : has(set) ? timeAt(request, sec, nsec) : undefined;
  const { atime, atimeNsec, mtime, mtimeNsec, ctime, ctimeNsec } = SETATTR_IN;
  return {
    mode: has(FATTR.MODE) ? request.u32(SETATTR_IN.mode) : undefined,
    uid: has(FATTR.UID) ? request.u32(SETATTR_IN.uid) : undefined,
    gid: has(FATTR.GID) ? request.u32(SETATTR_IN.gid) : undefined,
    size,
    atime: timeOf(FATTR.ATIME, FATTR.ATIME_NOW, atime, atimeNsec),
    mtime: timeOf(FATTR.MTIME, FATTR.MTIME_NOW, mtime, mtimeNsec),
    ctime: has(FATTR.CTIME) ? timeAt(request, ctime, ctimeNsec) : undefined,
    killPrivileges: has(FATTR.KILL_SUIDGID),
  };
}

export const setattr: Operation = {
  structBytes: SETATTR_IN.bytes,
  run(serving, request) {
    const set = decodeSetAttributes(request);
    if (set === undefined) sendErrno(serving, request.unique, ERRNO.EFBIG);
    else {
      const { filesystem } = serving;
      answer(serving, request, filesystem.setattr(request.ino, set, request.caller), sendAttr);
    }
  },
};

function sendTarget(serving: Serving, unique: number, target: ByteString): void {
  sendBytes(serving, unique, bytesOf(target));
}

export const readlink: Operation = {
  structBytes: 0,
  run(serving, request) {
    if (serving.noted.files) serving.filesystem.accessed(request.ino);
    answer(serving, request, serving.filesystem.readlink(request.ino), sendTarget);
  },
};

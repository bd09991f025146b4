/** Operations on extended attributes: SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR. */

import { isAclName } from '../../model/acl.ts';
import { ERRNO } from '../../model/errno.ts';
import { bytesOf, asByteString, type ByteString } from '../../model/ids.ts';
import { putXattrSize } from '../kernel/encode.ts';
import { GETXATTR_IN, INIT_FLAG, SETXATTR_ACL_KILL_SGID, SETXATTR_IN } from '../kernel/layout.ts';
import {
  answer,
  BODY,
  sendBody,
  sendBytes,
  sendEmpty,
  sendErrno,
  type Serving,
} from '../serving.ts';
import type { Operation } from './operation.ts';

export const setxattr: Operation = {
  structBytes: SETXATTR_IN.bytes,
  run(serving, request) {
    const isExtended = (serving.negotiated.flags & INIT_FLAG.SETXATTR_EXT) !== 0;
    const structBytes = isExtended ? SETXATTR_IN.extended : SETXATTR_IN.bytes;
    const name = request.name(structBytes);
    if (name === undefined) return sendErrno(serving, request.unique, ERRNO.EINVAL);
    const at = structBytes + name.length + 1;
    const data = request.data(at, request.u32(SETXATTR_IN.size));
    if (data === undefined) return sendErrno(serving, request.unique, ERRNO.EINVAL);
    // The engine keeps the value; the request's memory is ours.
    const value = Buffer.from(data);
    const flags = request.u32(SETXATTR_IN.flags);
    const { ino, caller } = request;
    // A kernel that does not say who may keep a set-gid bit beside a list: only root may.
    const killSetGid = isExtended
      ? (request.u32(SETXATTR_IN.more) & SETXATTR_ACL_KILL_SGID) !== 0
      : caller.uid !== 0;
    const set = serving.filesystem.setXattr(ino, name, value, flags, caller, killSetGid);
    return answer(serving, request, set, sendEmpty);
  },
};

/** `room` 0 asks for the length only. */
function sendSized(serving: Serving, unique: number, bytes: Buffer, room: number): void {
  if (room === 0) sendBody(serving, unique, putXattrSize(serving.reply.words, BODY, bytes.length));
  else if (bytes.length > room) sendErrno(serving, unique, ERRNO.ERANGE);
  else sendBytes(serving, unique, bytes);
}

export const getxattr: Operation = {
  structBytes: GETXATTR_IN.bytes,
  run(serving, request) {
    const name = request.name(GETXATTR_IN.bytes);
    if (name === undefined) return sendErrno(serving, request.unique, ERRNO.EINVAL);
    const room = request.u32(GETXATTR_IN.size);
    const value = serving.filesystem.getXattr(request.ino, name);
    // The kernel keeps a list, or that there is none, until the attributes change.
    if (isAclName(name)) serving.copies.gaveAttributes(request.ino);
    return answer(serving, request, value, (s, unique, bytes) => sendSized(s, unique, bytes, room));
  },
};

/** The names as listxattr(2) shows them; trusted ones to root only, as every filesystem does. */
function joinNames(names: readonly ByteString[], isRoot: boolean): Buffer {
  const shown = isRoot ? names : names.filter((name) => !name.startsWith('trusted.'));
  return bytesOf(asByteString(shown.map((name) => `${name}\0`).join('')));
}

export const listxattr: Operation = {
  structBytes: GETXATTR_IN.bytes,
  run(serving, request) {
    const room = request.u32(GETXATTR_IN.size);
    const isRoot = request.caller.uid === 0;
    const listed = serving.filesystem.listXattrs(request.ino);
    answer(serving, request, listed, (s, unique, names) =>
      sendSized(s, unique, joinNames(names, isRoot), room),
    );
  },
};

export const removexattr: Operation = {
  structBytes: 0,
  run(serving, request) {
    const name = request.name(0);
    if (name === undefined) return sendErrno(serving, request.unique, ERRNO.EINVAL);
    const removed = serving.filesystem.removeXattr(request.ino, name, request.caller);
    return answer(serving, request, removed, sendEmpty);
  },
};

/** Operations on open files: OPEN, CREATE, TMPFILE, READ, WRITE, FLUSH, FSYNC, RELEASE. */

import type { Answer, OpenFile, WritePayload } from '../../engine/api.ts';
import { ERRNO, isRefusal, refuse } from '../../model/errno.ts';
import type { ByteString, Ino } from '../../model/ids.ts';
import { isRegular, type Inode } from '../../model/inode.ts';
import type { Request } from '../kernel/decode.ts';
import { putEntry, putOpen, putWritten } from '../kernel/encode.ts';
import {
  CREATE_IN,
  FLUSH_IN,
  FOPEN_KEEP_CACHE,
  FSYNC_IN,
  MAX_IO_BYTES,
  O_EXCL,
  O_TRUNC,
  OPEN_IN,
  OPEN_KILL_SUIDGID,
  READ_IN,
  RELEASE_IN,
  WRITE_CACHE,
  WRITE_IN,
  WRITE_KILL_SUIDGID,
} from '../kernel/layout.ts';
import {
  answer,
  BODY,
  chain,
  notGranted,
  sendBody,
  sendBytes,
  sendChunks,
  sendEmpty,
  sendErrno,
  validityOf,
  type Serving,
} from '../serving.ts';
import { O_NOATIME } from '../access.ts';
import type { FuseTransport } from '../transport.ts';
import { unlockAtFlush, unlockAtRelease } from './locks.ts';
import type { Operation } from './operation.ts';

/** Reads up to this length are copied into the reply: one write(2) of it beats a writev(2). */
const COPIED_READ_BYTES = 8192;

interface Created {
  readonly inode: Inode;
  readonly file: OpenFile;
}

/** Whether the kernel's pages of `ino` are still its contents; false where that takes waiting. */
function keepsPages(serving: Serving, ino: Ino): boolean {
  const inode = serving.filesystem.getattr(ino);
  if (inode instanceof Promise) {
    inode.catch(() => undefined);
    return false;
  }
  return !isRefusal(inode) && serving.pages.keeps(inode);
}

/**
 * The flags of an OPEN reply. Never FOPEN_NOFLUSH, not even for a file that is only read: each
 * close(2) must tell us, since it ends the record locks of its process (`locks.ts`).
 */
function openFlags(serving: Serving, file: OpenFile): number {
  if (!keepsPages(serving, file.ino)) return 0;
  // Reads of pages that the kernel keeps never come to us: a reader's open stands for them.
  if (!file.writable && file.noAccessTime !== true && serving.filesystem.accessed(file.ino)) {
    serving.copies.accessMoved(file.ino);
  }
  return FOPEN_KEEP_CACHE;
}

/** open(2)'s flags: on a mount that notes no accesses, no open does. */
const accessFlags = (serving: Serving, flags: number): number =>
  serving.noted.files ? flags : flags | O_NOATIME;

function closeHandle(serving: Serving, fh: number): void {
  const file = serving.files.remove(fh);
  if (file !== undefined) serving.filesystem.close(file);
}

/** Nobody took the reply to an open; so the kernel did not drop its pages either. */
function undoOpen(serving: Serving, fh: number, ino: Ino): void {
  serving.pages.forget(ino);
  closeHandle(serving, fh);
}

function sendOpen(serving: Serving, unique: number, file: OpenFile): void {
  const fh = serving.files.add(file);
  const replyFlags = openFlags(serving, file);
  const bytes = putOpen(serving.reply.words, BODY, fh, replyFlags);
  if (!sendBody(serving, unique, bytes)) undoOpen(serving, fh, file.ino);
}

/** Opens; a truncating open by one who may not keep set-id bits clears them first. */
function openInode(
  serving: Serving,
  request: Request,
  ino: Ino,
  flags: number,
  kernelFlags: number,
): Answer<OpenFile> {
  const { filesystem } = serving;
  const { caller } = request;
  if ((flags & O_TRUNC) === 0 || (kernelFlags & OPEN_KILL_SUIDGID) === 0) {
    return filesystem.open(ino, flags, caller);
  }
  const cleared = filesystem.setattr(ino, { killPrivileges: true }, caller);
  return chain(cleared, () => filesystem.open(ino, flags, caller));
}

export const open: Operation = {
  structBytes: OPEN_IN.bytes,
  run(serving, request) {
    const flags = accessFlags(serving, request.u32(OPEN_IN.flags));
    const kernelFlags = request.u32(OPEN_IN.openFlags);
    const opened = openInode(serving, request, request.ino, flags, kernelFlags);
    answer(serving, request, opened, sendOpen);
  },
};

function sendCreated(serving: Serving, unique: number, created: Created): void {
  const { inode, file } = created;
  const { words } = serving.reply;
  serving.copies.gaveAttributes(inode.ino);
  const fh = serving.files.add(file);
  const replyFlags = openFlags(serving, file);
  const entryBytes = putEntry(words, BODY, inode, validityOf(serving, inode));
  const bytes = entryBytes + putOpen(words, BODY + entryBytes, fh, replyFlags);
  if (sendBody(serving, unique, bytes)) return serving.lookups.add(inode.ino);
  undoOpen(serving, fh, inode.ino);
  return notGranted(serving, inode.ino);
}

/** Without O_EXCL, a name that somebody else made since the kernel looked is opened instead. */
function openExisting(
  serving: Serving,
  request: Request,
  dir: Ino,
  name: ByteString,
  flags: number,
): Answer<Created> {
  return chain(serving.filesystem.lookup(dir, name), (inode) => {
    if (!isRegular(inode.mode)) return refuse('EEXIST');
    const opened = openInode(serving, request, inode.ino, flags, request.u32(CREATE_IN.openFlags));
    return chain(opened, (file) =>
      chain(serving.filesystem.getattr(inode.ino), (now) => ({ inode: now, file })),
    );
  });
}

export const create: Operation = {
  structBytes: CREATE_IN.bytes,
  run(serving, request) {
    const name = request.name(CREATE_IN.bytes);
    if (name === undefined) return sendErrno(serving, request.unique, ERRNO.EINVAL);
    const flags = accessFlags(serving, request.u32(CREATE_IN.flags));
    const mode = request.u32(CREATE_IN.mode);
    const { ino: dir } = request;
    const creator = request.creator(request.u32(CREATE_IN.umask));
    let created: Answer<Created> = serving.filesystem.create(dir, name, mode, flags, creator);
    if (created === refuse('EEXIST') && (flags & O_EXCL) === 0) {
      created = openExisting(serving, request, dir, name, flags);
    }
    return answer(serving, request, created, sendCreated);
  },
};

/** O_TMPFILE. The name that stands behind the struct is "/": there is none. */
export const temporary: Operation = {
  structBytes: CREATE_IN.bytes,
  run(serving, request) {
    const flags = request.u32(CREATE_IN.flags);
    const mode = request.u32(CREATE_IN.mode);
    const creator = request.creator(request.u32(CREATE_IN.umask));
    const created = serving.filesystem.createTemporary(request.ino, mode, flags, creator);
    answer(serving, request, created, sendCreated);
  },
};

function sendRead(serving: Serving, unique: number, chunks: readonly Uint8Array[]): void {
  let total = 0;
  for (const chunk of chunks) total += chunk.length;
  const only = chunks[0];
  if (chunks.length === 1 && only !== undefined && total <= COPIED_READ_BYTES) {
    sendBytes(serving, unique, only);
  } else sendChunks(serving, unique, chunks, total);
}

export const read: Operation = {
  structBytes: READ_IN.bytes,
  run(serving, request) {
    const file = serving.files.get(request.u64(READ_IN.fh));
    if (file === undefined) return sendErrno(serving, request.unique, ERRNO.EBADF);
    const offset = request.size(READ_IN.offset);
    if (offset === undefined) return sendErrno(serving, request.unique, ERRNO.EINVAL);
    const length = Math.min(request.u32(READ_IN.size), MAX_IO_BYTES);
    serving.copies.gavePages(file.ino);
    const bytes = serving.filesystem.read(file, offset, length);
    return answer(serving, request, bytes, sendRead, 'interruptible');
  },
};

/** The bytes of a WRITE where the kernel put them. */
class RequestPayload implements WritePayload {
  readonly bytes: Buffer;
  readonly #transport: FuseTransport;

  constructor(bytes: Buffer, transport: FuseTransport) {
    this.bytes = bytes;
    this.#transport = transport;
  }

  take(): () => void {
    return this.#transport.take();
  }
}

function sendWritten(serving: Serving, unique: number, bytes: number): void {
  sendBody(serving, unique, putWritten(serving.reply.words, BODY, bytes));
}

export const write: Operation = {
  structBytes: WRITE_IN.bytes,
  run(serving, request) {
    const file = serving.files.get(request.u64(WRITE_IN.fh));
    if (file === undefined) return sendErrno(serving, request.unique, ERRNO.EBADF);
    const offset = request.size(WRITE_IN.offset);
    const data = request.data(WRITE_IN.bytes, request.u32(WRITE_IN.size));
    if (offset === undefined || data === undefined) {
      return sendErrno(serving, request.unique, ERRNO.EINVAL);
    }
    serving.copies.gavePages(file.ino);
    const payload = new RequestPayload(data, serving.transport);
    const flags = request.u32(WRITE_IN.flags);
    const kill = (flags & WRITE_KILL_SUIDGID) !== 0;
    // What was written through a mapping has its place, also where the descriptor appends.
    const isMapped = file.append && (flags & WRITE_CACHE) !== 0;
    const target = isMapped ? { ...file, append: false } : file;
    const written = serving.filesystem.write(target, offset, payload, kill, request.caller);
    return answer(serving, request, written, sendWritten);
  },
};

/** close(2) of a descriptor. Locks go first: they go also where the flush is refused. */
export const flush: Operation = {
  structBytes: FLUSH_IN.bytes,
  run(serving, request) {
    unlockAtFlush(serving, request);
    const file = serving.files.get(request.u64(FLUSH_IN.fh));
    if (file === undefined) return sendErrno(serving, request.unique, ERRNO.EBADF);
    return answer(serving, request, serving.filesystem.flush(file), sendEmpty);
  },
};

export const fsync: Operation = {
  structBytes: FSYNC_IN.bytes,
  run(serving, request) {
    const file = serving.files.get(request.u64(FSYNC_IN.fh));
    if (file === undefined) return sendErrno(serving, request.unique, ERRNO.EBADF);
    return answer(serving, request, serving.filesystem.fsync(file), sendEmpty);
  },
};

/** Nobody waits for the reply, but the kernel wants it. */
export const release: Operation = {
  structBytes: RELEASE_IN.bytes,
  run(serving, request) {
    unlockAtRelease(serving, request);
    closeHandle(serving, request.u64(RELEASE_IN.fh));
    sendEmpty(serving, request.unique);
  },
};

/**
 * The C library, reached through koffi: the system calls that Node does not offer. The only file
 * that imports koffi.
 *
 * koffi checks no bounds: a read of 4 MiB into a 16-byte buffer corrupts the heap. Therefore every
 * function here checks lengths before its call, and nothing else in the tree passes a pointer.
 *
 * Two manners of reporting failure. Calls of hot paths (`readInto`, `writeFrom`, `readNoWait`) throw
 * nothing: they return a count, or the errno negated (`-ERRNO.EAGAIN`). All others throw a
 * `SystemError` with `code` and `errno` like Node's own.
 *
 * Structures are laid out for 64-bit Linux, the only platform of the package.
 */

import { getSystemErrorName } from 'node:util';
import koffi, { type node as koffiNode } from 'koffi';
import { assert } from '../model/assert.ts';
import { ERRNO } from '../model/errno.ts';

const libc = koffi.load(null);

const cRead = libc.func('int64_t read(int fd, void *into, size_t length)');
const cWrite = libc.func('int64_t write(int fd, const void *from, size_t length)');
const cPreadv2 = libc.func(
  'int64_t preadv2(int fd, const void *vectors, int count, int64_t offset, int flags)',
);
const cFallocate = libc.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
const cFlock = libc.func('int flock(int fd, int operation)');
const cIoctl = libc.func('int ioctl(int fd, unsigned long request, _Inout_ void *argument)');
const cFcntl = libc.func('int fcntl(int fd, int command, int argument)');
const cGetsockopt = libc.func(
  'int getsockopt(int fd, int level, int option, _Inout_ void *value, _Inout_ void *length)',
);
const cSocketpair = libc.func(
  'int socketpair(int domain, int type, int protocol, _Out_ void *pair)',
);
const cRecvmsg = libc.func('int64_t recvmsg(int fd, _Inout_ void *message, int flags)');
const cClockGettime = libc.func('int clock_gettime(int clock, _Out_ void *time)');

/** A failed system call, shaped like Node's own errors. */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  /** 'ENOSPC', 'EIO' ... */
  readonly code: string;
  /** Negative, as in Node. */
  readonly errno: number;
  readonly syscall: string;

  constructor(syscall: string, errno: number) {
    const code = getSystemErrorName(-errno);
    super(`${code}: ${syscall} failed (errno ${errno})`);
    this.code = code;
    this.errno = -errno;
    this.syscall = syscall;
  }
}

function checkedCall(syscall: string, result: number): number {
  if (result < 0) throw new SystemError(syscall, koffi.errno());
  return result;
}

function assertDescriptor(fd: number): void {
  assert(Number.isInteger(fd) && fd >= 0, `not a descriptor: ${fd}`);
}

/** read(2) of up to `length` bytes into the start of `into`: the count, 0 at the end, or -errno. */
export function readInto(fd: number, into: Uint8Array, length: number): number {
  assert(length >= 0 && length <= into.length, 'read beyond the buffer');
  const n = cRead(fd, into, length) as number;
  return n < 0 ? -koffi.errno() : n;
}

/** write(2) of the first `length` bytes of `from`: the count, or -errno. */
export function writeFrom(fd: number, from: Uint8Array, length: number): number {
  assert(length >= 0 && length <= from.length, 'write beyond the buffer');
  const n = cWrite(fd, from, length) as number;
  return n < 0 ? -koffi.errno() : n;
}

const RWF_NOWAIT = 8;
/** One struct iovec { base, length }, used by `readNoWait` only, which is synchronous. */
const vector = Buffer.alloc(16);

/**
 * Reads at `offset` what is in the page cache, without waiting: the count (possibly short), 0 at
 * the end of the file, or -errno: EAGAIN where nothing is cached, EOPNOTSUPP where the filesystem
 * below cannot tell.
 */
export function readNoWait(fd: number, into: Uint8Array, offset: number): number {
  if (into.length === 0) return 0;
  vector.writeBigUInt64LE(koffi.address(into), 0);
  vector.writeUInt32LE(into.length >>> 0, 8);
  vector.writeUInt32LE(Math.floor(into.length / 2 ** 32), 12);
  const n = cPreadv2(fd, vector, 1, offset, RWF_NOWAIT) as number;
  return n < 0 ? -koffi.errno() : n;
}

export const FALLOC_KEEP_SIZE = 1;
export const FALLOC_PUNCH_HOLE = 2;

/** fallocate(2) on a thread of koffi's own, so that a long one does not hold up the event loop. */
export function fallocate(fd: number, mode: number, offset: number, length: number): Promise<void> {
  assertDescriptor(fd);
  assert(Number.isSafeInteger(offset) && offset >= 0, `offset out of range: ${offset}`);
  assert(Number.isSafeInteger(length) && length > 0, `length out of range: ${length}`);
  return new Promise((resolve, reject) => {
    const attempt = (): void => {
      cFallocate.async(fd, mode, offset, length, (error: Error | null, result: number) => {
        // koffi shows the errno of its worker's call during this callback only.
        const errno = result < 0 ? koffi.errno() : 0;
        if (error !== null) reject(error);
        else if (errno === ERRNO.EINTR) attempt();
        else if (errno !== 0) reject(new SystemError('fallocate', errno));
        else resolve();
      });
    };
    attempt();
  });
}

const LOCK_EXCLUSIVE = 2;
const LOCK_NON_BLOCKING = 4;

/** flock(2), exclusive: false where another open file description holds a lock. */
export function tryLock(fd: number): boolean {
  assertDescriptor(fd);
  if ((cFlock(fd, LOCK_EXCLUSIVE | LOCK_NON_BLOCKING) as number) === 0) return true;
  const errno = koffi.errno();
  if (errno === ERRNO.EAGAIN) return false;
  throw new SystemError('flock', errno);
}

/**
 * ioctl(2) with a pointer argument, which the kernel reads or writes as `request` says. `argument`
 * must hold at least the bytes that are encoded in the request number. Returns the call's result.
 */
export function ioctl(fd: number, request: number, argument: Buffer): number {
  assertDescriptor(fd);
  const wanted = (request >>> 16) & 0x3fff;
  assert(argument.length >= wanted, `ioctl ${request.toString(16)} needs ${wanted} bytes`);
  return checkedCall('ioctl', cIoctl(fd, request, argument) as number);
}

const F_GETFL = 3;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
const O_NONBLOCK = 0o4000;

/** Makes reads and writes of a descriptor fail with EAGAIN instead of waiting. */
export function setNonBlocking(fd: number): void {
  assertDescriptor(fd);
  const flags = checkedCall('fcntl', cFcntl(fd, F_GETFL, 0) as number);
  checkedCall('fcntl', cFcntl(fd, F_SETFL, flags | O_NONBLOCK) as number);
}

/** A second descriptor of the same open file; no program that this process starts inherits it. */
export function duplicate(fd: number): number {
  assertDescriptor(fd);
  return checkedCall('fcntl', cFcntl(fd, F_DUPFD_CLOEXEC, 0) as number);
}

const F_SETFD = 2;
const FD_CLOEXEC = 1;

/** No program that this process starts inherits the descriptor. */
export function setCloseOnExec(fd: number): void {
  assertDescriptor(fd);
  checkedCall('fcntl', cFcntl(fd, F_SETFD, FD_CLOEXEC) as number);
}

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_PEERGROUPS = 59;
/** NGROUPS_MAX of Linux: no process has more groups. */
const MAX_GROUPS = 65536;

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups; may or may not contain `gid`. */
  readonly groups: readonly number[];
}

/** Reads a socket option into `value`; returns the bytes that the kernel filled. */
function socketOption(fd: number, option: number, value: Buffer): number {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(value.length);
  checkedCall('getsockopt', cGetsockopt(fd, SOL_SOCKET, option, value, length) as number);
  return length.readUInt32LE();
}

/** Who connected a unix socket, as the kernel recorded it at that moment. */
export function peerCredentials(socketFd: number): PeerCredentials {
  assertDescriptor(socketFd);
  const credentials = Buffer.alloc(12);
  const filled = socketOption(socketFd, SO_PEERCRED, credentials);
  assert(filled === credentials.length, 'SO_PEERCRED: short answer');
  const groups = Buffer.alloc(4 * MAX_GROUPS);
  const groupBytes = socketOption(socketFd, SO_PEERGROUPS, groups);
  return {
    pid: credentials.readInt32LE(0),
    uid: credentials.readUInt32LE(4),
    gid: credentials.readUInt32LE(8),
    groups: Array.from({ length: groupBytes / 4 }, (_, i) => groups.readUInt32LE(4 * i)),
  };
}

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;

/** Two connected stream sockets; no program that this process starts inherits them. */
export function socketPair(): readonly [number, number] {
  const pair = Buffer.alloc(8);
  const result = cSocketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) as number;
  checkedCall('socketpair', result);
  return [pair.readInt32LE(0), pair.readInt32LE(4)];
}

const MSG_CMSG_CLOEXEC = 0x40000000;
const SCM_RIGHTS = 1;
/** Size of a control message that carries one descriptor: header of 16, descriptor of 4. */
const RIGHTS_BYTES = 20;

/**
 * Waits for one byte on a unix socket and takes the descriptor that came with it (SCM_RIGHTS);
 * undefined when the other side closed without sending one. Blocks: for use where the sender has
 * already sent or exited.
 */
export function receiveDescriptor(socketFd: number): number | undefined {
  assertDescriptor(socketFd);
  const data = Buffer.alloc(64);
  const control = Buffer.alloc(64);
  const io = Buffer.alloc(16);
  io.writeBigUInt64LE(koffi.address(data), 0);
  io.writeBigUInt64LE(1n, 8);
  // struct msghdr: name, namelen, iov @16, iovlen @24, control @32, controllen @40, flags @48.
  const message = Buffer.alloc(56);
  message.writeBigUInt64LE(koffi.address(io), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(koffi.address(control), 32);
  message.writeBigUInt64LE(BigInt(control.length), 40);
  const received = cRecvmsg(socketFd, message, MSG_CMSG_CLOEXEC) as number;
  checkedCall('recvmsg', received);
  if (received === 0 || message.readBigUInt64LE(40) < BigInt(RIGHTS_BYTES)) return undefined;
  const isRights = control.readInt32LE(8) === SOL_SOCKET && control.readInt32LE(12) === SCM_RIGHTS;
  return isRights ? control.readInt32LE(16) : undefined;
}

const CLOCK_BOOTTIME = 7;

/** Milliseconds since the machine started, time asleep included. */
export function bootTimeMs(): number {
  const time = Buffer.alloc(16);
  checkedCall('clock_gettime', cClockGettime(CLOCK_BOOTTIME, time) as number);
  return Number(time.readBigInt64LE(0)) * 1000 + Number(time.readBigInt64LE(8)) / 1e6;
}

/** A descriptor under watch; `close` ends that, and never closes the descriptor itself. */
export interface DescriptorPoll {
  close(): void;
}

/** koffi closes a handle that is garbage-collected, so those in use are held here. */
const livePolls = new Set<koffiNode.PollHandle>();

/**
 * Calls `whenReadable` whenever the event loop finds `fd` readable (or hung up), level-triggered.
 * koffi swallows an exception of the callback and never calls it again, so it must not throw: the
 * watchers of `watcher.ts` see to that. Keeps the process alive until closed.
 */
export function pollDescriptor(fd: number, whenReadable: () => void): DescriptorPoll {
  return startPoll(fd, { readable: true, disconnect: true }, whenReadable);
}

/**
 * Calls `whenGone` when `fd` is hung up or in error, and never because it is readable; otherwise as
 * `pollDescriptor`. The descriptor becomes non-blocking, and so do all that share its open file.
 */
export function pollHangUp(fd: number, whenGone: () => void): DescriptorPoll {
  return startPoll(fd, { readable: false, disconnect: true }, whenGone);
}

function startPoll(
  fd: number,
  events: { readonly readable: boolean; readonly disconnect: boolean },
  callback: () => void,
): DescriptorPoll {
  assertDescriptor(fd);
  const poll = koffi.node.poll(fd, events, callback);
  livePolls.add(poll);
  return {
    close() {
      if (livePolls.delete(poll)) poll.close();
    },
  };
}

/**
 * What the operations of one mount work with, and how their answers become replies.
 *
 * An answer that is there is replied to at once, inside the drain; a promise makes the request
 * pending. Whatever a reply grants to the kernel - a lookup, an open handle - counts only if the
 * kernel took the reply.
 */

import type { Answer, FilesystemApi, OpenFile } from '../engine/api.ts';
import type { MountLocks } from '../engine/lock-api.ts';
import type { LogFunction } from '../io/logger.ts';
import { ERRNO, isRefusal, type Refusal } from '../model/errno.ts';
import type { Ino } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import type { NotedAccesses } from './access.ts';
import type { KernelCopies } from './copies.ts';
import type { Handles, OpenCounts, OpenDirectory } from './handles.ts';
import type { Request } from './kernel/decode.ts';
import { putEntry, putHeader, type Validity } from './kernel/encode.ts';
import { OUT_HEADER_BYTES } from './kernel/layout.ts';
import type { Lookups } from './lookups.ts';
import type { PageCache } from './page-cache.ts';
import type { Pending } from './pending.ts';
import { STUCK_MS } from './notifier.ts';
import type { Frame, FuseTransport } from './transport.ts';
import { within } from './waiting.ts';

export interface Serving {
  readonly filesystem: FilesystemApi;
  readonly transport: FuseTransport;
  /** The one reply buffer: REPLY_BYTES, used within one synchronous step. */
  readonly reply: Frame;
  /** How long the kernel may keep what other mounts may change, or what is a guess. */
  readonly valid: Validity;
  /** How long it may keep what can only change through it. */
  readonly aloneValid: Validity;
  /** That of an answer that was held back: what it says may be out of date already. */
  readonly heldValid: Validity;
  readonly lookups: Lookups;
  readonly files: Handles<OpenFile>;
  readonly directories: Handles<OpenDirectory>;
  readonly listed: OpenCounts;
  readonly pending: Pending;
  readonly locks: MountLocks;
  /** By open handle: the owners who asked for record locks through it. See `operations/locks.ts`. */
  readonly lockers: Map<number, Set<bigint>>;
  readonly pages: PageCache;
  /** Requests that change something are refused. */
  readonly readOnly: boolean;
  readonly noted: NotedAccesses;
  readonly copies: KernelCopies;
  readonly log: LogFunction;
  /** The capabilities that INIT settled (`INIT_FLAG`). */
  readonly negotiated: { flags: number };
  /** INIT was answered, or could not be (`problem`). */
  readonly initialized: (problem: string | undefined) => void;
}

/** Largest body that fits the reply buffer. */
export const REPLY_BODY_BYTES = 128 * 1024;
export const REPLY_BYTES = OUT_HEADER_BYTES + REPLY_BODY_BYTES;

/** Where a reply's body begins in the reply buffer. */
export const BODY = OUT_HEADER_BYTES;

/** Turns a value into a reply. */
export type Give<T> = (serving: Serving, unique: number, value: T) => void;

/** Replies with the `bytes` that stand at BODY in the reply buffer. False if nobody took it. */
export function sendBody(serving: Serving, unique: number, bytes: number): boolean {
  putHeader(serving.reply.words, unique, 0, BODY + bytes);
  return serving.transport.send(serving.reply.bytes, BODY + bytes);
}

/** Replies with success and nothing else. */
export function sendEmpty(serving: Serving, unique: number): void {
  sendBody(serving, unique, 0);
}

/** Replies with a positive errno. */
export function sendErrno(serving: Serving, unique: number, errno: number): void {
  putHeader(serving.reply.words, unique, errno, OUT_HEADER_BYTES);
  serving.transport.send(serving.reply.bytes, OUT_HEADER_BYTES);
}

/** Replies with bytes that are somewhere else. */
export function sendBytes(serving: Serving, unique: number, bytes: Uint8Array): void {
  if (bytes.length <= REPLY_BODY_BYTES) {
    serving.reply.bytes.set(bytes, BODY);
    sendBody(serving, unique, bytes.length);
  } else sendChunks(serving, unique, [bytes], bytes.length);
}

/** Replies with `total` bytes in several pieces, uncopied. */
export function sendChunks(
  serving: Serving,
  unique: number,
  chunks: readonly Uint8Array[],
  total: number,
): void {
  putHeader(serving.reply.words, unique, 0, BODY + total);
  serving.transport.sendParts([serving.reply.bytes.subarray(0, BODY), ...chunks]);
}

/**
 * How long the kernel may keep `inode` without asking: long where nothing can change it but its own
 * requests. Blocks of pending writes and of a truncation under way are counted by us, later.
 */
export function validityOf({ copies, filesystem, aloneValid, valid }: Serving, inode: Inode) {
  const isSettled = inode.truncateMark === undefined && !filesystem.isPending(inode.ino);
  return copies.isAlone && isSettled ? aloneValid : valid;
}

/** Replies with an entry: the kernel has one more reference to `inode`. */
export function sendEntry(serving: Serving, unique: number, inode: Inode): void {
  serving.copies.gaveAttributes(inode.ino);
  const bytes = putEntry(serving.reply.words, BODY, inode, validityOf(serving, inode));
  if (sendBody(serving, unique, bytes)) serving.lookups.add(inode.ino);
  else notGranted(serving, inode.ino);
}

/** A reference to `ino` was made ready and not taken. */
export function notGranted(serving: Serving, ino: Ino): void {
  if (!serving.lookups.refersTo(ino)) serving.filesystem.unreferenced(ino);
}

/** What an interrupt may do to a request that waits; see `pending.ts`. */
export type Patience = 'interruptible' | 'uninterruptible';

/**
 * Replies to `request` with what `give` makes of `answer`, or with its refusal; now, or later, when
 * it is there and the kernels of other mounts know of what it changed.
 */
export function answer<T>(
  serving: Serving,
  request: Request,
  answered: Answer<T>,
  give: Give<T>,
  patience: Patience = 'uninterruptible',
): void {
  if (answered instanceof Promise) {
    return answerLater(serving, request, answered, give, patience);
  }
  const hold = request.origin?.takeHold();
  if (hold === undefined) return settle(serving, request.unique, answered, give);
  const told = within<unknown>(STUCK_MS, hold, undefined).then(() => answered);
  return answerLater(heldBack(serving), request, told, give, patience);
}

const heldBack = (serving: Serving): Serving => ({
  ...serving,
  valid: serving.heldValid,
  aloneValid: serving.heldValid,
});

function settle<T>(serving: Serving, unique: number, outcome: T | Refusal, give: Give<T>): void {
  if (isRefusal(outcome)) sendErrno(serving, unique, outcome.errno);
  else give(serving, unique, outcome);
}

function answerLater<T>(
  serving: Serving,
  request: Request,
  promise: Promise<T | Refusal>,
  give: Give<T>,
  patience: Patience,
): void {
  const { unique, opcode, ino, origin } = request;
  let answering = serving;
  const held = (outcome: T | Refusal): T | Refusal | Promise<T | Refusal> => {
    const hold = origin?.takeHold();
    if (hold === undefined) return outcome;
    answering = heldBack(serving);
    return within<unknown>(STUCK_MS, hold, undefined).then(() => outcome);
  };
  serving.pending.add(unique, patience === 'interruptible');
  const whenFailed = (error: unknown): void => {
    serving.pending.finish(unique);
    sendFailure(serving, unique, ino, opcode, error);
  };
  // Without a hold not one more turn of the promises: order among answers stays as it was.
  (origin === undefined ? promise : promise.then(held))
    .then((outcome) => {
      if (serving.pending.finish(unique)) settle(answering, unique, outcome, give);
      else if (patience === 'uninterruptible') giveToNobody(answering, unique, outcome, give);
    })
    .catch(whenFailed);
}

/** The mount ended while this waited: `give` finds its reply untaken and undoes what it grants. */
function giveToNobody<T>(
  serving: Serving,
  unique: number,
  outcome: T | Refusal,
  give: Give<T>,
): void {
  if (!isRefusal(outcome)) give(serving, unique, outcome);
}

/** An operation failed by an exception: EIO, and a line in the log. */
export function sendFailure(
  serving: Serving,
  unique: number,
  ino: number,
  opcode: number,
  error: unknown,
): void {
  const stack = error instanceof Error ? error.stack : String(error);
  serving.log('error', `inode ${ino}: an operation failed`, { ino, opcode, error: stack });
  sendErrno(serving, unique, ERRNO.EIO);
}

/** `next` of an answer's value: at once if it is there, else once it is. Refusals pass through. */
export function chain<T, U>(answered: Answer<T>, next: (value: T) => Answer<U>): Answer<U> {
  if (answered instanceof Promise) {
    return answered.then((outcome) => (isRefusal(outcome) ? outcome : next(outcome)));
  }
  return isRefusal(answered) ? answered : next(answered);
}

/**
 * Requests, decoded. Pure. A `Request` is one object that is filled again for each message: what an
 * operation needs after it returned, it must have read before.
 *
 * The kernel is trusted with the sense of a message but not with its shape: every read here stays
 * inside the message, and a message too short for its operation is recognised before the operation
 * runs (`isWellFormed`, `nameAt`). So no sequence of bytes can make decoding throw.
 */

import type { Caller } from '../../engine/api.ts';
import { asByteString, type ByteString, type Ino } from '../../model/ids.ts';
import { sizeOfHalves, type Size } from '../../model/size.ts';
import { RequestOrigin, type KernelCopies } from '../copies.ts';
import type { Frame } from '../transport.ts';
import { EXTENSION, EXTENSION_GROUPS, IN_HEADER, IN_HEADER_BYTES } from './layout.ts';

const HIGH = 2 ** 32;
/** 2^53 / 2^32: a high half from which on a number is not exact. */
const HIGH_LIMIT = 2 ** 21;
const NOBODY: Caller = { uid: 0, gid: 0, pid: 0 };
const NO_FRAME: Frame = { bytes: Buffer.alloc(0), words: new Uint32Array(0) };

export class Request {
  /** 0 when the message was malformed. */
  opcode = 0;
  /** The request's id, which its reply carries. */
  unique = 0;
  /** The inode that the request is about. */
  ino = 0 as Ino;
  /** End of the operation's part, in bytes: where extensions begin. */
  end = 0;
  /** Where this request's changes come from, once its caller was asked for and others may care. */
  origin: RequestOrigin | undefined;
  #frame: Frame = NO_FRAME;
  #length = 0;
  #caller: Caller;
  /** The last creator, and the caller that it is. */
  #creator: Caller | undefined;
  #creatorIs: Caller | undefined;
  readonly #copies: KernelCopies | undefined;

  /** Requests of the mount whose kernel has `copies`. */
  constructor(copies?: KernelCopies) {
    this.#copies = copies;
    this.#caller = copies === undefined ? NOBODY : { ...NOBODY, origin: copies.alone };
  }

  /** Takes a message of `length` bytes. False if not even its header makes sense. */
  fill(frame: Frame, length: number): boolean {
    this.#frame = frame;
    this.opcode = 0;
    this.unique = 0;
    this.origin = undefined;
    if (length < IN_HEADER_BYTES || length > frame.bytes.length) return false;
    this.unique = this.#wide(IN_HEADER.unique);
    if (this.#word(IN_HEADER.length) !== length) return false;
    const extensionBytes = (this.#word(IN_HEADER.extensions) & 0xffff) * 8;
    this.#length = length;
    this.end = length - extensionBytes;
    if (this.end < IN_HEADER_BYTES) return false;
    this.ino = this.#wide(IN_HEADER.nodeid) as Ino;
    this.opcode = this.#word(IN_HEADER.opcode);
    return true;
  }

  /** Whether the message holds a struct of `bytes` for its operation. */
  holds(bytes: number): boolean {
    return IN_HEADER_BYTES + bytes <= this.end;
  }

  /** Who made the request. With one mount, requests of the same caller share the object. */
  get caller(): Caller {
    const uid = this.#word(IN_HEADER.uid);
    const gid = this.#word(IN_HEADER.gid);
    const pid = this.#word(IN_HEADER.pid);
    const copies = this.#copies;
    if (copies?.isAlone === false) {
      this.origin ??= new RequestOrigin(copies, this.ino);
      return { uid, gid, pid, origin: this.origin };
    }
    const last = this.#caller;
    if (last.uid === uid && last.gid === gid && last.pid === pid) return last;
    this.#caller =
      copies === undefined ? { uid, gid, pid } : { uid, gid, pid, origin: copies.alone };
    return this.#caller;
  }

  /**
   * Who asks for a new inode: the caller, with its umask and the groups that the kernel tells (the
   * directory's, where the caller is in that). The object is shared like the caller.
   */
  creator(umask: number): Caller {
    const { caller } = this;
    if (this.end < this.#length) return { ...caller, umask, groups: this.#groups() };
    const last = this.#creator;
    if (last !== undefined && this.#creatorIs === caller && last.umask === umask) return last;
    this.#creatorIs = caller;
    this.#creator = { ...caller, umask };
    return this.#creator;
  }

  /**
   * The supplementary groups among the extensions; none where they make no sense. Extensions begin
   * wherever the name before them ends: at any byte.
   */
  #groups(): number[] {
    const { bytes } = this.#frame;
    let at = this.end;
    while (at + EXTENSION.bytes <= this.#length) {
      const length = bytes.readUInt32LE(at + EXTENSION.length);
      if (length < EXTENSION.bytes || length > this.#length - at) return [];
      const type = bytes.readUInt32LE(at + EXTENSION.type);
      if (type === EXTENSION_GROUPS)
        return groupsIn(bytes.subarray(at + EXTENSION.bytes, at + length));
      at += (length + 7) & ~7;
    }
    return [];
  }

  /** A 32-bit field of the operation's struct. */
  u32(offset: number): number {
    return this.#word(IN_HEADER_BYTES + offset);
  }

  /** A 64-bit field as a number: ids and counts. Above 2^53 it is 2^53, which no id of ours is. */
  u64(offset: number): number {
    return this.#wide(IN_HEADER_BYTES + offset);
  }

  /** A 64-bit field, exact: for what is neither common nor below 2^53. */
  big64(offset: number): bigint {
    return (BigInt(this.u32(offset + 4)) << 32n) | BigInt(this.u32(offset));
  }

  /** A 64-bit byte size or offset; undefined beyond 2^63-1. */
  size(offset: number): Size | undefined {
    const high = this.u32(offset + 4);
    return high >= 2 ** 31 ? undefined : sizeOfHalves(this.u32(offset), high);
  }

  /** A 64-bit signed field: seconds since 1970. Exact within 2^53. */
  i64(offset: number): number {
    return (this.u32(offset + 4) | 0) * HIGH + this.u32(offset);
  }

  /**
   * The NUL-terminated name that starts `offset` bytes after the header; undefined if it has no
   * end. The next name starts one byte after its end.
   */
  name(offset: number): ByteString | undefined {
    const start = IN_HEADER_BYTES + offset;
    const end = start >= this.end ? -1 : this.#frame.bytes.indexOf(0, start);
    if (end < 0 || end >= this.end) return undefined;
    return asByteString(this.#frame.bytes.toString('latin1', start, end));
  }

  /** `length` bytes of data from `offset` on, in the request's own memory; undefined if cut short. */
  data(offset: number, length: number): Buffer | undefined {
    const start = IN_HEADER_BYTES + offset;
    if (start + length > this.end) return undefined;
    return this.#frame.bytes.subarray(start, start + length);
  }

  #word(at: number): number {
    return this.#frame.words[at >>> 2] ?? 0;
  }

  #wide(at: number): number {
    const high = this.#word(at + 4);
    return high >= HIGH_LIMIT ? HIGH * HIGH_LIMIT : high * HIGH + this.#word(at);
  }
}

/** A count and so many groups; no more than there are bytes for. */
function groupsIn(bytes: Buffer): number[] {
  const words = Math.floor(bytes.length / 4);
  if (words === 0) return [];
  const count = Math.min(bytes.readUInt32LE(0), words - 1);
  return Array.from({ length: count }, (_, i) => bytes.readUInt32LE(4 + i * 4));
}

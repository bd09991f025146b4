/**
 * INIT: what the kernel offers and what we make of it. Pure.
 *
 * A capability is asked for only if it was offered, so this works on every kernel with protocol
 * 7.28 (Linux 4.20) or later. Left out on purpose: WRITEBACK_CACHE (the kernel would hold unwritten
 * data that fsync of another node cannot see), ASYNC_DIO (an O_DIRECT read would then wait where no
 * signal ends it, not even a fatal one). DONT_MASK and POSIX_ACL come together: where there may be
 * a default list, only we know whether the umask counts.
 */

import { INIT_FLAG, INIT_FLAG2, INIT_OUT, MAX_IO_BYTES, MAX_IO_PAGES } from './layout.ts';

export interface Offer {
  readonly major: number;
  readonly minor: number;
  readonly maxReadahead: number;
  readonly flags: number;
  /** Bits 32 to 63 of the flags; counts only where `flags` has INIT_EXT. */
  readonly flags2: number;
}

export interface Settlement {
  readonly major: number;
  readonly minor: number;
  readonly maxReadahead: number;
  readonly flags: number;
  readonly flags2: number;
  readonly maxBackground: number;
  readonly congestionThreshold: number;
}

const MAJOR = 7;
/** The newest minor version whose messages this tree was written against. */
const MINOR = 45;
/** MAX_PAGES came with it: 1 MiB requests. */
const OLDEST_MINOR = 28;
/** Requests that may wait in the background: below the number of readers that may wait for data. */
const MAX_BACKGROUND = 256;

const WANTED =
  INIT_FLAG.ASYNC_READ |
  INIT_FLAG.POSIX_LOCKS |
  INIT_FLAG.ATOMIC_O_TRUNC |
  INIT_FLAG.EXPORT_SUPPORT |
  INIT_FLAG.BIG_WRITES |
  INIT_FLAG.FLOCK_LOCKS |
  INIT_FLAG.AUTO_INVAL_DATA |
  INIT_FLAG.DO_READDIRPLUS |
  INIT_FLAG.READDIRPLUS_AUTO |
  INIT_FLAG.PARALLEL_DIROPS |
  INIT_FLAG.MAX_PAGES |
  INIT_FLAG.CACHE_SYMLINKS |
  INIT_FLAG.HANDLE_KILLPRIV_V2 |
  INIT_FLAG.SETXATTR_EXT |
  INIT_FLAG.INIT_EXT;
const WANTED_TOGETHER = INIT_FLAG.DONT_MASK | INIT_FLAG.POSIX_ACL;
const WANTED2 = INIT_FLAG2.CREATE_SUPP_GROUP;

/**
 * 'unsupported' for a kernel that is too old. For one with a newer major version the answer holds
 * our version only, and the kernel asks again in it (`isFinal` is false).
 */
export function negotiate(offer: Offer): Settlement | 'unsupported' {
  if (offer.major < MAJOR) return 'unsupported';
  if (offer.major === MAJOR && offer.minor < OLDEST_MINOR) return 'unsupported';
  const isTogether = (offer.flags & WANTED_TOGETHER) === WANTED_TOGETHER;
  const wanted = isTogether ? WANTED | WANTED_TOGETHER : WANTED;
  return {
    major: MAJOR,
    minor: offer.major > MAJOR ? MINOR : Math.min(offer.minor, MINOR),
    maxReadahead: MAX_IO_BYTES,
    flags: (offer.flags & wanted) >>> 0,
    flags2: (offer.flags & INIT_FLAG.INIT_EXT) === 0 ? 0 : (offer.flags2 & WANTED2) >>> 0,
    maxBackground: MAX_BACKGROUND,
    congestionThreshold: (MAX_BACKGROUND * 3) / 4,
  };
}

/** Whether `offer`, once answered, completes the handshake. */
export const isFinal = (offer: Offer): boolean => offer.major === MAJOR;

/** Writes a fuse_init_out at the byte offset `at`; returns its bytes. */
export function putInit(words: Uint32Array, at: number, settlement: Settlement): number {
  words.fill(0, at >>> 2, (at + INIT_OUT.bytes) >>> 2);
  const set = (offset: number, value: number): void => {
    words[(at + offset) >>> 2] = value;
  };
  set(INIT_OUT.major, settlement.major);
  set(INIT_OUT.minor, settlement.minor);
  set(INIT_OUT.maxReadahead, settlement.maxReadahead);
  set(INIT_OUT.flags, settlement.flags);
  set(INIT_OUT.flags2, settlement.flags2);
  set(INIT_OUT.background, settlement.maxBackground | (settlement.congestionThreshold << 16));
  set(INIT_OUT.maxWrite, MAX_IO_BYTES);
  set(INIT_OUT.timeGranularity, 1);
  set(INIT_OUT.maxPages, MAX_IO_PAGES);
  return INIT_OUT.bytes;
}

/**
 * The transaction: what one operation changed, the atomic unit of the log.
 *
 * A well-formed transaction satisfies:
 * 1. `seq` is above that of every earlier transaction; `time` is not below any earlier one's.
 * 2. `events` is not empty, holds at most MAX_ITEMS items (an event counts the extents, names or
 *    checksums that it lists), and the whole encodes to at most MAX_TRANSACTION_BYTES.
 * 3. No event contains the transaction's own seq: a shared log assigns it only at the append.
 * 4. `paths` is for readers of the stream; projection never looks at it.
 */

import type { Event } from './event.ts';
import type { ByteString, Ino, Rid, Seq } from './ids.ts';

/** Encoded size limit, half of a NATS server's default payload (cluster rule 4). */
export const MAX_TRANSACTION_BYTES = 512 * 1024;
/** Item limit: bounds what projecting one transaction can cost. */
export const MAX_ITEMS = 4096;

/** Who asked: the caller's credentials. The daemon itself is pid 0. */
export interface Actor {
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

/** A name that the operation touched, as it was at that moment: advisory, from the volume's root. */
export interface TouchedPath {
  readonly ino: Ino;
  readonly path: ByteString;
}

/** Proof over one commit; stands on its last transaction only (architecture 3, "Seals"). */
export interface Seal {
  /** Number of transactions in the commit. */
  readonly count: number;
  /** SHA-256 over the previous seal and the commit's encoded records, the last one without seal. */
  readonly hash: Buffer;
}

/** The operation that caused a transaction. */
export type Cause =
  | 'mkfs'
  | 'upgrade'
  | 'create'
  | 'mknod'
  | 'mkdir'
  | 'symlink'
  | 'tmpfile'
  | 'link'
  | 'unlink'
  | 'rmdir'
  | 'rename'
  | 'setattr'
  | 'truncate'
  | 'write'
  | 'fallocate'
  | 'setxattr'
  | 'removexattr'
  | 'atime'
  | 'reap'
  | 'reclaim'
  | 'repair'
  | 'copy'
  | 'release'
  | 'stage';

export interface Transaction {
  readonly seq: Seq;
  /** Microseconds since 1970: max(previous transaction's, clock). */
  readonly time: number;
  readonly node: Rid;
  readonly cause: Cause;
  readonly actor: Actor;
  readonly paths: readonly TouchedPath[];
  readonly events: readonly Event[];
  readonly seal: Seal | undefined;
}

export const DAEMON: Actor = { uid: 0, gid: 0, pid: 0 };

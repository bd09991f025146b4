/**
 * `LogStore`: where commits live. It moves opaque batches; it knows neither transactions nor seals.
 *
 * A batch is what one commit makes durable: the concatenated Avro encodings of its transactions,
 * the last one sealed. Order is the order of `append` calls. There is one writer; appending from
 * two places is a bug and asserted. After the first failed append the store is broken: every later
 * append fails with the same error until the store is opened anew (a failed fsync leaves nothing to
 * trust), while reading goes on.
 */

import type { Seq } from '../model/ids.ts';

export interface Batch {
  readonly firstSeq: Seq;
  readonly lastSeq: Seq;
  /** Number of transactions. */
  readonly count: number;
  /** Avro encodings in order; chunks, cut anywhere between records. */
  readonly records: readonly RecordChunk[];
}

/** Some consecutive records of a batch. */
export interface RecordChunk {
  readonly count: number;
  readonly bytes: Buffer;
  /** Avro schema (JSON) that the records were written with; absent: this program's own. */
  readonly schema?: string;
}

export interface LogStore {
  /** Last seq stored and durable; NO_SEQ for an empty log. */
  readonly durable: Seq;
  /** Seq of the first record that is still there; NO_SEQ + 1 for an empty log. */
  readonly oldest: Seq;
  /** The error that broke the store, or undefined. */
  readonly failure: Error | undefined;
  /**
   * Takes `bytes` more of the space that is allocated ahead for the log: false when there is none,
   * and then the operation that wanted to log them is refused with ENOSPC. `privileged` operations
   * (those that free space) may use the reserve. Synchronous; space is renewed in the background.
   */
  reserve(bytes: number, privileged: boolean): boolean;
  /** Writes and syncs a batch; resolves once it is durable. At most one append is outstanding. */
  append(batch: Batch): Promise<void>;
  /** Durable records from the first with seq >= `from`, in order, up to `durable` at the call. */
  read(from: Seq): AsyncIterable<RecordChunk>;
  /** Like `read`, and then whatever becomes durable, until `signal` aborts. */
  follow(from: Seq, signal: AbortSignal): AsyncIterable<RecordChunk>;
  close(): Promise<void>;
}

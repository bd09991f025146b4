/**
 * Reads the sealed commits of one log segment, in order, each verified against the chain before it
 * is shown: what comes out of here is what was written. Owns no state but its place.
 *
 * It stops at its limit, or before the first thing that does not check; `damage` then says what.
 * Whether that is a torn tail or corruption is not its business (`torn-tail.ts`).
 */

import type { File } from '../io/disk.ts';
import type { Seq } from '../model/ids.ts';
import { must } from '../model/assert.ts';
import { decodeBlock, Incomplete, Malformed, type Block, type ReadHeader } from './container.ts';
import { TRANSACTION_SCHEMA_JSON } from './schema.ts';
import { verifiedSeal } from './seal.ts';
import type { RecordChunk } from './store.ts';
import { decodeVarint } from './varint.ts';

/** How much is read at once; a block that is larger is read whole. */
const WINDOW_BYTES = 1024 * 1024;

/** One commit, verified. Its chunks share a window's memory, which nobody writes to again. */
export interface SealedCommit {
  /** Offset of its first block. */
  readonly start: number;
  /** Offset after its last block. */
  readonly end: number;
  /** Number of records. */
  readonly count: number;
  readonly seal: Buffer;
  /** One a block. */
  readonly chunks: readonly RecordChunk[];
}

/** The seq of a chunk's first record: by the format's rule, the record's first field. */
export function firstSeqOf(chunk: RecordChunk): Seq {
  const decoded = decodeVarint(chunk.bytes, 0, chunk.bytes.length);
  return must(decoded, 'a chunk begins with a seq').value as Seq;
}

/** The seq of a commit's first record. */
export const firstSeqOfCommit = (commit: SealedCommit): Seq =>
  firstSeqOf(must(commit.chunks[0], 'a commit has a block'));

export class CommitScan {
  readonly #file: File;
  readonly #header: ReadHeader;
  /** The writer's schema, where it is not this program's. */
  readonly #schema: string | undefined;
  /** Offset at which reading goes on. */
  #at: number;
  /** Offset after the last sealed commit. */
  #end: number;
  /** Seal of the last commit read. */
  #seal: Buffer;
  /** Blocks read since, not sealed yet, and their bytes. */
  #blocks: RecordChunk[] = [];
  #bytes: Buffer[] = [];
  #count = 0;
  #damage: string | undefined;

  /** Begins behind the header, with the seal that it names as the one before. */
  constructor(file: File, header: ReadHeader) {
    this.#file = file;
    this.#schema = header.schema === TRANSACTION_SCHEMA_JSON ? undefined : header.schema;
    this.#header = header;
    this.#at = header.bytes;
    this.#end = header.bytes;
    this.#seal = header.seal;
  }

  get end(): number {
    return this.#end;
  }

  get seal(): Buffer {
    return this.#seal;
  }

  /** Why the scan stopped before its limit; undefined if it did not. */
  get damage(): string | undefined {
    return this.#damage;
  }

  /** The next commits below offset `limit` (a block's end), at least one; none at the end. */
  async read(limit: number): Promise<readonly SealedCommit[]> {
    let wanted = WINDOW_BYTES;
    while (this.#damage === undefined && this.#at < limit) {
      const from = this.#at;
      const window = Buffer.allocUnsafe(Math.min(limit - from, wanted));
      const bytes = await this.#file.read(window, from);
      const commits: SealedCommit[] = [];
      const short = this.#take(window.subarray(0, bytes), commits);
      if (commits.length > 0) return commits;
      const exhausted = bytes < window.length || from + bytes === limit;
      if (short !== undefined && exhausted) this.#damage = 'a block that is cut off';
      wanted = Math.max(WINDOW_BYTES, short?.needBytes ?? 0);
    }
    if (this.#damage === undefined && this.#blocks.length > 0) {
      this.#damage = 'a commit without its seal';
    }
    return [];
  }

  /** Takes the whole blocks of `window`; adds the commits that they complete. */
  #take(window: Buffer, commits: SealedCommit[]): Incomplete | undefined {
    const base = this.#at;
    let at = 0;
    while (at < window.length) {
      const block = decodeBlock(window, at, this.#header.sync);
      if (block instanceof Incomplete) return block;
      if (block instanceof Malformed) {
        this.#damage = block.reason;
        return undefined;
      }
      at = block.next;
      this.#at = base + at;
      this.#add(window, block, commits);
    }
    return undefined;
  }

  #add(window: Buffer, block: Block, commits: SealedCommit[]): void {
    const bytes = window.subarray(block.start, block.end);
    const { count } = block;
    const schema = this.#schema;
    this.#blocks.push(schema === undefined ? { count, bytes } : { count, bytes, schema });
    this.#bytes.push(bytes);
    this.#count += count;
    const seal = verifiedSeal(this.#seal, this.#bytes, this.#count);
    if (seal === undefined) return;
    commits.push({
      start: this.#end,
      end: this.#at,
      count: this.#count,
      seal,
      chunks: this.#blocks,
    });
    this.#seal = seal;
    this.#end = this.#at;
    this.#blocks = [];
    this.#bytes = [];
    this.#count = 0;
  }
}

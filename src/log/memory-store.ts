/**
 * The log in memory: `LogStore` for tests, simulations and `replay` without a disk. Owns copies of
 * what was appended; a crash leaves nothing. Space, failures and delays are what its maker says.
 */

import { assert } from '../model/assert.ts';
import { NO_SEQ, seq, type Seq } from '../model/ids.ts';
import { chunkFrom } from './codec.ts';
import type { Batch, LogStore, RecordChunk } from './store.ts';

export interface MemoryLogOptions {
  /** Bytes that can be reserved in all; default unlimited. */
  readonly spaceBytes?: number;
  /** Of these, kept for privileged operations; default 0. */
  readonly reserveBytes?: number;
  /** Awaited by each append before anything is stored: delays it, or fails it by throwing. */
  readonly beforeAppend?: (batch: Batch) => Promise<void>;
}

interface Stored {
  readonly firstSeq: Seq;
  readonly lastSeq: Seq;
  readonly records: readonly RecordChunk[];
}

export class MemoryLogStore implements LogStore {
  readonly #options: MemoryLogOptions;
  readonly #stored: Stored[] = [];
  readonly #followers = new Set<() => void>();
  #reserved = 0;
  #failure: Error | undefined;
  #appending = false;

  constructor(options: MemoryLogOptions = {}) {
    this.#options = options;
  }

  get durable(): Seq {
    return this.#stored.at(-1)?.lastSeq ?? NO_SEQ;
  }

  get oldest(): Seq {
    return this.#stored[0]?.firstSeq ?? seq(NO_SEQ + 1);
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  reserve(bytes: number, privileged: boolean): boolean {
    const { spaceBytes = Number.POSITIVE_INFINITY, reserveBytes = 0 } = this.#options;
    if (this.#reserved + bytes > spaceBytes - (privileged ? 0 : reserveBytes)) return false;
    this.#reserved += bytes;
    return true;
  }

  async append(batch: Batch): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    assert(!this.#appending, 'the log has one writer');
    assert(batch.firstSeq > this.durable && batch.lastSeq >= batch.firstSeq, 'seqs rise');
    this.#appending = true;
    try {
      await this.#options.beforeAppend?.(batch);
    } catch (error) {
      this.#failure = error as Error;
      throw error;
    } finally {
      this.#appending = false;
    }
    const records = batch.records.map((chunk) => ({ ...chunk, bytes: Buffer.from(chunk.bytes) }));
    this.#stored.push({ firstSeq: batch.firstSeq, lastSeq: batch.lastSeq, records });
    for (const wake of this.#followers) wake();
  }

  async *read(from: Seq): AsyncIterable<RecordChunk> {
    yield* this.#chunks(from, 0, this.#stored.length);
  }

  async *follow(from: Seq, signal: AbortSignal): AsyncIterable<RecordChunk> {
    for (let next = 0; !signal.aborted;) {
      const end = this.#stored.length;
      for (const chunk of this.#chunks(from, next, end)) {
        if (signal.aborted) return;
        yield chunk;
      }
      next = end;
      if (next === this.#stored.length) await this.#more(signal);
    }
  }

  async close(): Promise<void> {
    assert(!this.#appending, 'the log is closed by its writer');
  }

  *#chunks(from: Seq, start: number, end: number): Iterable<RecordChunk> {
    for (const { lastSeq, firstSeq, records } of this.#stored.slice(start, end)) {
      if (lastSeq < from) continue;
      if (firstSeq >= from) {
        yield* records;
        continue;
      }
      for (const chunk of records) {
        const rest = chunkFrom(chunk, from);
        if (rest !== undefined) yield rest;
      }
    }
  }

  #more(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#followers.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      if (signal.aborted) return resolve();
      this.#followers.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}

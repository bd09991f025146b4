/**
 * The LevelDB adapter: the only importer of `level`. Keys are strings stored as UTF-8, values
 * buffers.
 *
 * It owns the database directory. `write` puts mutations and the applied seq into one batch, which
 * is not synced: the log is the truth. A crash of the process loses nothing that was written; a
 * crash of the machine may lose anything, silently, which is why the index is rebuilt after one,
 * unless the database was closed and `sync` came after.
 *
 * After a failed write LevelDB's own log may end in a torn record, and records behind it would be
 * lost at the next open. So nothing is written any more, while reads go on, until there is room
 * again; then the database is opened anew. For that moment reads throw `Miss`: callers await
 * `ready` and try again.
 */

import { Level } from 'level';
import type { Disk } from '../io/disk.ts';
import { makePrivateDirectory } from '../io/make-private.ts';
import { assert } from '../model/assert.ts';
import { NO_SEQ, type Seq } from '../model/ids.ts';
import { IndexCorrupt, IndexUnusable } from './errors.ts';
import { Miss } from './items.ts';
import { decodeNumber, encodeNumber, FAMILY, INDEX_SCHEMA } from './keys.ts';

const APPLIED_KEY = FAMILY.meta + 'applied';
const SCHEMA_KEY = FAMILY.meta + 'schema';

const OPTIONS = {
  keyEncoding: 'utf8',
  valueEncoding: 'buffer',
  writeBufferSize: 32 * 1024 * 1024,
  cacheSize: 32 * 1024 * 1024,
  maxOpenFiles: 256,
  maxFileSize: 8 * 1024 * 1024,
  blockSize: 4096,
  compression: true,
} as const;

/** Bytes that one step of an iterator may hold. */
const ITERATOR_BYTES = 256 * 1024;

/** Opening replays LevelDB's log into new tables: no more than two write buffers. */
export const REOPEN_BYTES = 64 * 1024 * 1024;

export type AvailableBytes = () => Promise<number>;

/** What `level`'s types leave out, since browsers lack it. */
interface Destroyer {
  destroy(dir: string): Promise<void>;
}

type Database = Level<string, Buffer>;
export type StoreSnapshot = ReturnType<Database['snapshot']>;

/** One batch under construction: mutations become durable together with the applied seq. */
export interface StoreBatch {
  put(key: string, value: Buffer): void;
  delete(key: string): void;
  /** Writes everything, with `applied` as the applied seq. Rejects with LevelDB's error. */
  write(applied: Seq): Promise<void>;
  /** Gives up what was collected. */
  abandon(): Promise<void>;
}

/** Rows in key order, in batches. */
export interface StoreRows {
  /** The next rows, at most `limit`; none is the end. */
  next(limit: number): Promise<[string, Buffer][]>;
  close(): Promise<void>;
}

export class Store {
  readonly #dir: string;
  readonly #availableBytes: AvailableBytes;
  #database: Database;
  #applied: Seq = NO_SEQ;
  /** The error of the last write, if it failed: reopen before the next one. */
  #failure: Error | undefined;
  #reopening: Promise<void> | undefined;

  private constructor(dir: string, availableBytes: AvailableBytes, database: Database) {
    this.#dir = dir;
    this.#availableBytes = availableBytes;
    this.#database = database;
  }

  /**
   * Opens the database in `dir`, or creates an empty one. `availableBytes` tells the room on the
   * disk below, before a reopening is tried. Throws `IndexUnusable`.
   */
  static async open(dir: string, availableBytes: AvailableBytes): Promise<Store> {
    const store = new Store(dir, availableBytes, await openDatabase(dir));
    try {
      await store.#readMeta();
    } catch (error) {
      await store.#database.close();
      throw error;
    }
    return store;
  }

  /** Removes the database in `dir`, if there is one, and the directory. */
  static async erase(dir: string): Promise<void> {
    await (Level as unknown as Destroyer).destroy(dir);
  }

  /**
   * Makes the closed database in `dir` durable as it is: whoever trusts it after a power loss needs
   * that, because LevelDB neither syncs its log when it closes, nor the log before when it begins
   * another.
   */
  static async sync(disk: Disk, dir: string): Promise<void> {
    for (const name of await disk.list(dir)) {
      const file = await disk.open(`${dir}/${name}`, 'read');
      try {
        await file.sync();
      } finally {
        await file.close();
      }
    }
    await disk.syncDir(dir);
  }

  /** Last transaction written. */
  get applied(): Seq {
    return this.#applied;
  }

  /** Whether reads are possible; false only while reopening. */
  get isOpen(): boolean {
    return this.#database.status === 'open';
  }

  /** Resolves when reads are possible; rejects if the database cannot be opened again. */
  async ready(): Promise<void> {
    if (!this.isOpen) await this.#reopen();
  }

  /** The value under `key`, synchronously. Throws `IndexCorrupt`, or `Miss` while reopening. */
  get(key: string, snapshot?: StoreSnapshot): Buffer | undefined {
    if (!this.isOpen) throw new Miss('extent', 0, 0, 0);
    try {
      if (snapshot === undefined) return this.#database.getSync(key);
      return this.#database.getSync(key, { snapshot });
    } catch (error) {
      throw readFailure(this.#dir, error);
    }
  }

  /** A fixed view. Throws `Miss` while reopening, which also ends the views taken before. */
  snapshot(): StoreSnapshot {
    if (!this.isOpen) throw new Miss('extent', 0, 0, 0);
    return this.#database.snapshot();
  }

  /** Rows with gte <= key < lt of `snapshot`. */
  rows(snapshot: StoreSnapshot, gte: string, lt: string, reverse: boolean): StoreRows {
    const options = { gte, lt, reverse, snapshot, highWaterMarkBytes: ITERATOR_BYTES };
    const iterator = this.#database.iterator(options);
    const dir = this.#dir;
    return {
      async next(limit) {
        try {
          return await iterator.nextv(limit);
        } catch (error) {
          throw readFailure(dir, error);
        }
      },
      close: () => iterator.close(),
    };
  }

  /**
   * Begins a batch. After a failed write the database is opened anew first, and where there is no
   * room for that the failure is thrown again.
   */
  async batch(): Promise<StoreBatch> {
    if (this.#failure !== undefined) {
      if ((await this.#availableBytes()) < REOPEN_BYTES) throw this.#failure;
      await this.#reopen();
    }
    const chained = this.#database.batch();
    return {
      put: (key, value) => void chained.put(key, value),
      delete: (key) => void chained.del(key),
      abandon: () => chained.close(),
      write: async (applied) => {
        assert(
          applied >= this.#applied,
          () => `applied seq fell from ${this.#applied} to ${applied}`,
        );
        chained.put(APPLIED_KEY, Buffer.from(encodeNumber(applied), 'latin1'));
        try {
          await chained.write();
        } catch (error) {
          this.#failure = error as Error;
          throw error;
        }
        this.#applied = applied;
      },
    };
  }

  async close(): Promise<void> {
    await this.#reopening?.catch(() => undefined);
    await this.#database.close();
  }

  #reopen(): Promise<void> {
    this.#reopening ??= this.#openAnew().finally(() => {
      this.#reopening = undefined;
    });
    return this.#reopening;
  }

  async #openAnew(): Promise<void> {
    if (this.#database.status !== 'closed') await this.#database.close();
    this.#database = await openDatabase(this.#dir);
    this.#failure = undefined;
  }

  async #readMeta(): Promise<void> {
    const schema = this.get(SCHEMA_KEY);
    if (schema === undefined) return this.#initialise();
    const found = numberIn(schema);
    if (found !== INDEX_SCHEMA) {
      throw new IndexUnusable('schema', `${this.#dir}: index schema ${found}, not ${INDEX_SCHEMA}`);
    }
    const applied = this.get(APPLIED_KEY);
    this.#applied = (applied === undefined ? NO_SEQ : numberIn(applied)) as Seq;
  }

  async #initialise(): Promise<void> {
    const rows = this.#database.iterator({ limit: 1 });
    const [first] = await rows.all();
    if (first !== undefined) {
      throw new IndexUnusable('corrupt', `${this.#dir}: an index that does not name its schema`);
    }
    await this.#database.put(SCHEMA_KEY, Buffer.from(encodeNumber(INDEX_SCHEMA), 'latin1'));
  }
}

const numberIn = (stored: Buffer): number => decodeNumber(stored.toString('latin1'), 0);

/** A view that a reopening has ended says nothing about the database; anything else does. */
function readFailure(dir: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code.endsWith('_NOT_OPEN')) return error;
  return new IndexCorrupt(`${dir}: the index cannot be read`, { cause: error });
}

async function openDatabase(dir: string): Promise<Database> {
  const database: Database = new Level(dir, OPTIONS);
  try {
    // An index tells every name there is; LevelDB would make a directory that all may read.
    await makePrivateDirectory(dir);
    await database.open();
    return database;
  } catch (error) {
    throw unusable(dir, error);
  }
}

function unusable(dir: string, error: unknown): IndexUnusable {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const reason =
    code === 'LEVEL_CORRUPTION' ? 'corrupt' : code === 'LEVEL_LOCKED' ? 'locked' : 'unreadable';
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  return new IndexUnusable(reason, `${dir}: the index cannot be opened${why}`, cause);
}

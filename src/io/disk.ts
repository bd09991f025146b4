/**
 * The disk port: the only way that log, data and volume files reach a filesystem. Narrow on
 * purpose, so that a simulated disk can stand in for it and show what a crash at any moment leaves.
 *
 * Durability rules that every caller relies on, and that the simulated disk enforces:
 * - written bytes are durable once `File.datasync` or `File.sync` issued after the write returned,
 *   or `File.writeDurably` wrote them;
 * - a file's size counts as data: `datasync` makes an extension durable;
 * - a created, renamed or removed name is durable once `syncDir` of its directory returned;
 * - `reserve`, `extend` and `punch` survive like writes do.
 * After a failed write or sync of a file nothing is known about its unsynced bytes: callers stop.
 *
 * Operating failures are thrown as Node's system errors (`code`: 'ENOSPC', 'EIO' ...).
 */

export interface FileInfo {
  readonly sizeBytes: number;
  /** Bytes that the file occupies on the disk below. */
  readonly allocatedBytes: number;
  readonly isDirectory: boolean;
}

export interface File {
  readonly path: string;
  /** Writes all of `chunks`, one after another, from `offset` on. Short writes are completed. */
  write(chunks: readonly Uint8Array[], offset: number): Promise<void>;
  /**
   * Like `write`, and then like `datasync` for what was written: for small appends that somebody
   * waits for, since it is one call where they would be two. After a failure nothing is known.
   */
  writeDurably(chunks: readonly Uint8Array[], offset: number): Promise<void>;
  /** Reads into `into` from `offset`; resolves to the bytes read, fewer only at the end of file. */
  read(into: Uint8Array, offset: number): Promise<number>;
  /**
   * Reads without waiting for the disk: returns the bytes read, which may be fewer than asked where
   * the rest is not in the page cache, or -1 where nothing is (or the platform cannot tell).
   */
  readCached(into: Uint8Array, offset: number): number;
  /** fdatasync(2). */
  datasync(): Promise<void>;
  /** fsync(2). */
  sync(): Promise<void>;
  truncate(sizeBytes: number): Promise<void>;
  /** Allocates disk space for [offset, offset + length) without changing the file's size. */
  reserve(offset: number, length: number): Promise<void>;
  /**
   * Like `reserve`, and the file reaches at least to the end of the range: what lies before the end
   * of a file can be punched everywhere. Bytes that are there stay, also those written meanwhile.
   */
  extend(offset: number, length: number): Promise<void>;
  /**
   * Gives back the disk space of [offset, offset + length); it reads as zeros. Idempotent. Space
   * reserved beyond the end of the file may stay (ext4 leaves it): `truncate` to the file's own
   * size drops that.
   */
  punch(offset: number, length: number): Promise<void>;
  info(): Promise<FileInfo>;
  close(): Promise<void>;
}

export interface DiskSpace {
  readonly totalBytes: number;
  /** Free for an ordinary user of the disk below. */
  readonly availableBytes: number;
  readonly freeBytes: number;
}

export type OpenMode =
  /** An existing file, for reading. */
  | 'read'
  /** An existing file, for reading and writing. */
  | 'write'
  /** A new file, for reading and writing; EEXIST if there is one. */
  | 'create';

export interface Disk {
  open(path: string, mode: OpenMode): Promise<File>;
  /** Names in a directory, in no order. */
  list(path: string): Promise<string[]>;
  info(path: string): Promise<FileInfo | undefined>;
  /** Private to its owner, like every file that `open` creates. */
  mkdir(path: string): Promise<void>;
  /** Opens a file or directory to others; who may do what is no matter of durability. */
  chmod(path: string, mode: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file. */
  unlink(path: string): Promise<void>;
  /** fsync of a directory: makes the names in it durable. */
  syncDir(path: string): Promise<void>;
  space(path: string): Promise<DiskSpace>;
}

/** Reads a whole small file; undefined if there is none. */
export async function readWhole(disk: Disk, path: string): Promise<Buffer | undefined> {
  const info = await disk.info(path);
  if (info === undefined) return undefined;
  const file = await disk.open(path, 'read');
  try {
    const bytes = Buffer.alloc(info.sizeBytes);
    const n = await file.read(bytes, 0);
    return bytes.subarray(0, n);
  } finally {
    await file.close();
  }
}

/**
 * Replaces a small file so that after a crash it is either the old or the new one: written beside,
 * synced, renamed over, directory synced.
 */
export async function replaceWhole(
  disk: Disk,
  dir: string,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  const temporary = `${dir}/${name}.new`;
  if ((await disk.info(temporary)) !== undefined) await disk.unlink(temporary);
  const file = await disk.open(temporary, 'create');
  try {
    await file.write([bytes], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, `${dir}/${name}`);
  await disk.syncDir(dir);
}

/**
 * The disk port on Node's fs. Owns descriptors only; what is durable when stands in `disk.ts`.
 *
 * Reads, writes and syncs run on libuv's threads; reserving and punching on koffi's, since a long
 * punch would hold one of libuv's four. Only `readCached` runs on the calling thread: it asks the
 * page cache and never waits for the disk.
 */

import { close, constants, fdatasync, fstat, fsync, ftruncate, open, read, writev } from 'node:fs';
import type { Stats } from 'node:fs';
import { chmod, mkdir, readdir, rename, stat, statfs, unlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { assert } from '../model/assert.ts';
import { ERRNO } from '../model/errno.ts';
import type { Disk, DiskSpace, File, FileInfo, OpenMode } from './disk.ts';
import { FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, fallocate, readNoWait } from './libc.ts';

const openFd = promisify(open);
const closeFd = promisify(close);
const readFd = promisify(read);
const writevFd = promisify(writev);
const syncFd = promisify(fsync);
const datasyncFd = promisify(fdatasync);
const truncateFd = promisify(ftruncate);
const statFd = promisify(fstat);

const OPEN_FLAGS: Readonly<Record<OpenMode, number>> = {
  read: constants.O_RDONLY,
  write: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
};

/** Contents of a volume are private to its owner: the daemon alone decides who sees them. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** IOV_MAX of Linux. */
const MAX_VECTORS = 1024;

/** st_blocks counts in these. */
const STAT_BLOCK_BYTES = 512;

const infoOf = (stats: Stats): FileInfo => ({
  sizeBytes: stats.size,
  allocatedBytes: stats.blocks * STAT_BLOCK_BYTES,
  isDirectory: stats.isDirectory(),
});

class NodeFile implements File {
  readonly path: string;
  #fd: number;
  /** Opened by the first durable write: each write through it ends like an fdatasync(2). */
  #durableFd: number | undefined;
  /** False once the filesystem below turned out not to know RWF_NOWAIT. */
  #tellsCached = true;

  constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  write(chunks: readonly Uint8Array[], offset: number): Promise<void> {
    return this.#writeTo(this.#open(), chunks, offset);
  }

  async writeDurably(chunks: readonly Uint8Array[], offset: number): Promise<void> {
    this.#durableFd ??= await this.#openDurably();
    if (this.#durableFd >= 0) return this.#writeTo(this.#durableFd, chunks, offset);
    await this.write(chunks, offset);
    await this.datasync();
  }

  async #writeTo(fd: number, chunks: readonly Uint8Array[], offset: number): Promise<void> {
    let rest = chunks.filter((chunk) => chunk.length > 0);
    let at = offset;
    while (rest.length > 0) {
      const { bytesWritten } = await writevFd(fd, rest.slice(0, MAX_VECTORS), at);
      assert(bytesWritten > 0, () => `${this.path}: a write of something wrote nothing`);
      at += bytesWritten;
      rest = afterBytes(rest, bytesWritten);
    }
  }

  /** The same file once more, whatever its name is by now; -1 where /proc is not there. */
  async #openDurably(): Promise<number> {
    try {
      return await openFd(`/proc/self/fd/${this.#open()}`, constants.O_WRONLY | constants.O_DSYNC);
    } catch {
      return -1;
    }
  }

  async read(into: Uint8Array, offset: number): Promise<number> {
    let done = 0;
    while (done < into.length) {
      const { bytesRead } = await readFd(
        this.#open(),
        into,
        done,
        into.length - done,
        offset + done,
      );
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  readCached(into: Uint8Array, offset: number): number {
    if (!this.#tellsCached) return -1;
    const n = readNoWait(this.#open(), into, offset);
    if (n >= 0) return n;
    if (n === -ERRNO.EOPNOTSUPP) this.#tellsCached = false;
    return -1;
  }

  datasync(): Promise<void> {
    return datasyncFd(this.#open());
  }

  sync(): Promise<void> {
    return syncFd(this.#open());
  }

  truncate(sizeBytes: number): Promise<void> {
    return truncateFd(this.#open(), sizeBytes);
  }

  async reserve(offset: number, length: number): Promise<void> {
    if (length > 0) await fallocate(this.#open(), FALLOC_KEEP_SIZE, offset, length);
  }

  async extend(offset: number, length: number): Promise<void> {
    if (length > 0) await fallocate(this.#open(), 0, offset, length);
  }

  async punch(offset: number, length: number): Promise<void> {
    const mode = FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE;
    if (length > 0) await fallocate(this.#open(), mode, offset, length);
  }

  async info(): Promise<FileInfo> {
    return infoOf(await statFd(this.#open()));
  }

  async close(): Promise<void> {
    const fd = this.#open();
    const durableFd = this.#durableFd ?? -1;
    this.#fd = -1;
    if (durableFd >= 0) await closeFd(durableFd);
    await closeFd(fd);
  }

  /** The descriptor. Using a closed file is a bug: its number may already be another file's. */
  #open(): number {
    assert(this.#fd >= 0, `${this.path}: used after close`);
    return this.#fd;
  }
}

/** What is left of `chunks` once their first `bytes` bytes are written. */
function afterBytes(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  let i = 0;
  for (; i < chunks.length; i++) {
    const length = chunks[i]?.length ?? 0;
    if (length > skip) break;
    skip -= length;
  }
  const rest = chunks.slice(i);
  const first = rest[0];
  if (first !== undefined && skip > 0) rest[0] = first.subarray(skip);
  return rest;
}

class NodeDisk implements Disk {
  async open(path: string, mode: OpenMode): Promise<File> {
    return new NodeFile(path, await openFd(path, OPEN_FLAGS[mode], FILE_MODE));
  }

  list(path: string): Promise<string[]> {
    return readdir(path);
  }

  async info(path: string): Promise<FileInfo | undefined> {
    try {
      return infoOf(await stat(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async mkdir(path: string): Promise<void> {
    await mkdir(path, DIRECTORY_MODE);
  }

  chmod(path: string, mode: number): Promise<void> {
    return chmod(path, mode);
  }

  rename(from: string, to: string): Promise<void> {
    return rename(from, to);
  }

  unlink(path: string): Promise<void> {
    return unlink(path);
  }

  async syncDir(path: string): Promise<void> {
    const fd = await openFd(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await syncFd(fd);
    } finally {
      await closeFd(fd);
    }
  }

  async space(path: string): Promise<DiskSpace> {
    const { bsize, blocks, bavail, bfree } = await statfs(path);
    return {
      totalBytes: blocks * bsize,
      availableBytes: bavail * bsize,
      freeBytes: bfree * bsize,
    };
  }
}

/** The disk of this machine. Stateless: one serves the whole process. */
export const nodeDisk: Disk = new NodeDisk();

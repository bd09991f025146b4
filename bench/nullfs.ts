/**
 * The floor of every benchmark through a mount: a filesystem that does nothing, on our own
 * transport. What is slower than this is the engine; what this costs is the protocol.
 *
 * Run it as a program, `nullfs.ts MOUNTPOINT`, or let a benchmark mount it (`mountNull`). Names that
 * begin with "f" exist (a gigabyte of sevens each), except "fc...", which exist once created; "big"
 * is a directory of 100,000 entries. Timeouts are 0, so that every stat reaches it.
 */

import { pathToFileURL } from 'node:url';
import type { DirectoryEntry, FilesystemApi, OpenFile } from '../src/engine/api.ts';
import { startSession, type Session } from '../src/fuse/session.ts';
import { silent } from '../src/io/logger.ts';
import { refuse } from '../src/model/errno.ts';
import {
  asByteString,
  generation,
  NO_SEQ,
  position,
  ROOT_INO,
  type ByteString,
  type Ino,
} from '../src/model/ids.ts';
import { S_IFDIR, S_IFREG, type Inode } from '../src/model/inode.ts';
import { sizeOf } from '../src/model/size.ts';
import { EPOCH } from '../src/model/time.ts';

const BIG = 2 as Ino;
const BIG_ENTRIES = 100_000;
const FIRST_BIG_INO = 1_000_000;
const FILE_BYTES = 2 ** 30;
const SEVENS = Buffer.alloc(1024 * 1024, 7);
const NO_XATTRS: readonly ByteString[] = [];

const DIRECTORY: Inode = {
  ino: ROOT_INO,
  generation: generation(0),
  mode: S_IFDIR | 0o777,
  nlink: 2,
  uid: 0,
  gid: 0,
  rdev: 0,
  size: sizeOf(0),
  atime: EPOCH,
  mtime: EPOCH,
  ctime: EPOCH,
  crtime: EPOCH,
  metaSeq: NO_SEQ,
  dataSeq: NO_SEQ,
  dataVersion: 0n,
  projectId: 0n,
  flags: 0,
  entries: 0,
  nextPosition: position(2),
  parent: ROOT_INO,
  target: undefined,
  truncateMark: undefined,
  onlineBlocks: 0,
  offlineBlocks: 0,
  extents: 0,
  xattrs: 0,
};
const FILE: Inode = { ...DIRECTORY, mode: S_IFREG | 0o666, nlink: 1, size: sizeOf(FILE_BYTES) };

/** Answers everything from memory. Names of "fc..." exist while more were created than removed. */
export class NullFilesystem implements FilesystemApi {
  #nextIno = 10;
  #created = 0;

  #file(ino: number): Inode {
    return { ...FILE, ino: ino as Ino };
  }

  lookup(_dir: Ino, name: ByteString): Inode | ReturnType<typeof refuse> {
    if (name.startsWith('fc') && this.#created === 0) return refuse('ENOENT');
    if (name.startsWith('f') || name.startsWith('e')) return this.#file(++this.#nextIno);
    return name === 'big' ? { ...DIRECTORY, ino: BIG } : refuse('ENOENT');
  }

  getattr(ino: Ino): Inode {
    return ino === ROOT_INO || ino === BIG ? { ...DIRECTORY, ino } : this.#file(ino);
  }

  setattr(ino: Ino): Inode {
    return this.getattr(ino);
  }

  create(): { inode: Inode; file: OpenFile } {
    this.#created++;
    const inode = this.#file(++this.#nextIno);
    return { inode, file: { ino: inode.ino, synchronous: false, append: false } };
  }

  open(ino: Ino): OpenFile {
    return { ino, synchronous: false, append: false };
  }

  read(_file: OpenFile, _offset: unknown, length: number): readonly Uint8Array[] {
    return [SEVENS.subarray(0, length)];
  }

  write(_file: OpenFile, _offset: unknown, payload: { readonly bytes: Buffer }): number {
    return payload.bytes.length;
  }

  unlink(): undefined {
    this.#created--;
    return undefined;
  }

  openDirectory(ino: Ino) {
    return {
      read: (from: number, limit: number, withInodes: boolean) =>
        ino === BIG ? this.#list(from, limit, withInodes) : [],
      close: () => undefined,
    };
  }

  #list(from: number, limit: number, withInodes: boolean): DirectoryEntry[] {
    const end = Math.min(from + limit, BIG_ENTRIES + 2);
    const entries: DirectoryEntry[] = [];
    for (let at = from; at < end; at++) {
      const ino = (FIRST_BIG_INO + at) as Ino;
      const name = asByteString(`e${at - 2}`);
      const inode = withInodes ? this.#file(ino) : undefined;
      entries.push({ name, ino, kind: S_IFREG >>> 12, position: position(at), inode });
    }
    return entries;
  }

  mknod(): Inode {
    this.#created++;
    return this.#file(++this.#nextIno);
  }

  mkdir(): Inode {
    return { ...DIRECTORY, ino: ++this.#nextIno as Ino };
  }

  symlink(): Inode {
    return this.#file(++this.#nextIno);
  }

  link(ino: Ino): Inode {
    return this.#file(ino);
  }

  space() {
    const blocks = 2 ** 30;
    return {
      blocks,
      freeBlocks: blocks,
      availableBlocks: blocks,
      inodes: blocks,
      freeInodes: blocks,
    };
  }

  readonly readlink = () => refuse('EINVAL');
  readonly rmdir = () => undefined;
  readonly rename = () => undefined;
  readonly flush = () => undefined;
  readonly fsync = () => undefined;
  readonly close = () => undefined;
  readonly fsyncDirectory = () => undefined;
  readonly getXattr = () => refuse('ENODATA');
  readonly listXattrs = () => NO_XATTRS;
  readonly setXattr = () => refuse('EOPNOTSUPP');
  readonly removeXattr = () => refuse('ENODATA');
  readonly sync = () => Promise.resolve();
  readonly addReferenceHolder = () => undefined;
  readonly removeReferenceHolder = () => undefined;
  readonly unreferenced = () => undefined;
}

/** Mounts the null filesystem at `mountPoint`, in this process. */
export function mountNull(
  mountPoint: string,
  onUnmounted: (reason: string) => void,
): Promise<Session> {
  return startSession({
    filesystem: new NullFilesystem(),
    mountPoint,
    source: 'null',
    entryTimeoutMs: 0,
    attrTimeoutMs: 0,
    log: silent,
    onUnmounted,
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const session = await mountNull(process.argv[2] ?? '', () => process.exit(0));
  const leave = (): void => void session.unmount({ lazy: true }).then(() => process.exit(0));
  process.once('SIGTERM', leave).once('SIGINT', leave);
  process.stdout.write('ready\n');
}

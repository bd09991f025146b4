/**
 * The floor of every benchmark through a mount: a filesystem that remembers which names it was told
 * and nothing else, on our own transport. What is slower than this is the engine; what this costs
 * is the protocol.
 *
 * A program: `nullfs.ts MOUNTPOINT [TIMEOUT_MS]`; it prints "ready" once it is mounted, and
 * unmounts on SIGTERM. Each file is a gigabyte of sevens, whatever is written to it; "big" is a
 * directory of 100,000 entries. Timeouts are 0 unless said, so that every stat reaches it.
 */

import type { DirectoryEntry, FilesystemApi, OpenFile } from '../src/engine/api.ts';
import { VolumeFileLocks } from '../src/engine/file-locks.ts';
import { startSession } from '../src/fuse/session.ts';
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
import { S_IFDIR, S_IFLNK, S_IFREG, type Inode } from '../src/model/inode.ts';
import { sizeOf, type Size } from '../src/model/size.ts';
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

type Missing = ReturnType<typeof refuse>;

/** Answers everything from memory. */
class NullFilesystem implements FilesystemApi {
  readonly locks = new VolumeFileLocks();
  #nextIno = 10;
  /** By directory and name. */
  readonly #named = new Map<string, Inode>();
  readonly #inodes = new Map<number, Inode>();

  constructor() {
    this.#inodes.set(ROOT_INO, DIRECTORY);
    this.#inodes.set(BIG, { ...DIRECTORY, ino: BIG });
  }

  #make(dir: Ino, name: ByteString, kind: Inode): Inode {
    const inode = { ...kind, ino: ++this.#nextIno as Ino };
    this.#named.set(`${dir}/${name}`, inode);
    this.#inodes.set(inode.ino, inode);
    return inode;
  }

  lookup(dir: Ino, name: ByteString): Inode | Missing {
    if (dir === BIG) return this.#file(FIRST_BIG_INO + Number(name.slice(1)) + 2);
    if (dir === ROOT_INO && name === 'big') return this.getattr(BIG);
    return this.#named.get(`${dir}/${name}`) ?? refuse('ENOENT');
  }

  #file(ino: number): Inode {
    return { ...FILE, ino: ino as Ino };
  }

  getattr(ino: Ino): Inode {
    return this.#inodes.get(ino) ?? this.#file(ino);
  }

  setattr(ino: Ino): Inode {
    return this.getattr(ino);
  }

  create(dir: Ino, name: ByteString): { inode: Inode; file: OpenFile } {
    const inode = this.#make(dir, name, FILE);
    return { inode, file: { ino: inode.ino, synchronous: false, append: false, writable: true } };
  }

  open(ino: Ino): OpenFile {
    return { ino, synchronous: false, append: false, writable: false };
  }

  accessed(): boolean {
    return false;
  }

  isPending(): boolean {
    return false;
  }

  read(_file: OpenFile, _offset: unknown, length: number): readonly Uint8Array[] {
    return [SEVENS.subarray(0, length)];
  }

  write(_file: OpenFile, _offset: unknown, payload: { readonly bytes: Buffer }): number {
    return payload.bytes.length;
  }

  seek(_file: OpenFile, offset: Size, wanted: 'data' | 'hole'): Size {
    return wanted === 'data' ? offset : FILE.size;
  }

  copyRange(_from: OpenFile, _at: Size, _to: OpenFile, _toAt: Size, bytes: number): number {
    return bytes;
  }

  unlink(dir: Ino, name: ByteString): undefined {
    const key = `${dir}/${name}`;
    const inode = this.#named.get(key);
    if (inode !== undefined) this.#inodes.delete(inode.ino);
    this.#named.delete(key);
  }

  rename(dir: Ino, name: ByteString, newDir: Ino, newName: ByteString): undefined {
    const key = `${dir}/${name}`;
    const inode = this.#named.get(key);
    this.#named.delete(key);
    if (inode !== undefined) this.#named.set(`${newDir}/${newName}`, inode);
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

  mknod(dir: Ino, name: ByteString): Inode {
    return this.#make(dir, name, FILE);
  }

  mkdir(dir: Ino, name: ByteString): Inode {
    return this.#make(dir, name, DIRECTORY);
  }

  symlink(dir: Ino, name: ByteString, target: ByteString): Inode {
    return this.#make(dir, name, { ...FILE, mode: S_IFLNK | 0o777, target });
  }

  link(ino: Ino, dir: Ino, name: ByteString): Inode {
    const inode = this.getattr(ino);
    this.#named.set(`${dir}/${name}`, inode);
    return inode;
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

  readonly readlink = (ino: Ino) => this.getattr(ino).target ?? refuse('EINVAL');
  readonly rmdir = (dir: Ino, name: ByteString): undefined => this.unlink(dir, name);
  readonly fallocate = () => refuse('EOPNOTSUPP');
  readonly flush = () => undefined;
  readonly fsync = () => undefined;
  readonly close = () => undefined;
  readonly fsyncDirectory = () => undefined;
  readonly getXattr = () => refuse('ENODATA');
  readonly listXattrs = () => NO_XATTRS;
  readonly createTemporary = () => refuse('EOPNOTSUPP');
  readonly setXattr = () => refuse('EOPNOTSUPP');
  readonly removeXattr = () => refuse('ENODATA');
  readonly sync = () => Promise.resolve();
  readonly addCacheHolder = () => undefined;
  readonly removeCacheHolder = () => undefined;
  readonly addReferenceHolder = () => undefined;
  readonly removeReferenceHolder = () => undefined;
  readonly unreferenced = () => undefined;
}

const [mountPoint = '', timeout = '0'] = process.argv.slice(2);
const session = await startSession({
  filesystem: new NullFilesystem(),
  mountPoint,
  source: 'null',
  entryTimeoutMs: Number(timeout),
  attrTimeoutMs: Number(timeout),
  log: silent,
  onUnmounted: () => process.exit(0),
});
const leave = (): void => void session.unmount({ lazy: true }).then(() => process.exit(0));
process.once('SIGTERM', leave).once('SIGINT', leave);
process.stdout.write('ready\n');

/**
 * A whole filesystem in memory behind `FilesystemApi`: what the FUSE transport is tested with. Owns
 * its tree; nothing survives it. Answers at once, or, where a test asks for it, after a delay, so
 * that both ways through the transport are met.
 */

import type {
  Answer,
  CacheHolder,
  Caller,
  DirectoryEntry,
  FilesystemApi,
  Listing,
  OpenFile,
  RangeRequest,
  ReferenceHolder,
  SetAttributes,
  SpaceInfo,
  WritePayload,
} from '../../src/engine/api.ts';
import { aclAfterChmod, inherit } from '../../src/decide/acl.ts';
import type { Decision, Env } from '../../src/decide/decision.ts';
import { decideRemoveXattr, decideSetXattr } from '../../src/decide/xattr.ts';
import { isAccessDue } from '../../src/model/access.ts';
import { rangeChange } from '../../src/decide/ranges.ts';
import { VolumeFileLocks } from '../../src/engine/file-locks.ts';
import { ACL_ACCESS, ACL_DEFAULT } from '../../src/model/acl.ts';
import { nameRefusal } from '../../src/model/dirent.ts';
import { isRefusal, refuse, type Refusal } from '../../src/model/errno.ts';
import type { Event } from '../../src/model/event.ts';
import {
  asByteString,
  generation,
  ino as inoOf,
  position,
  ROOT_INO,
  seq,
  type ByteString,
  type Ino,
  type Position,
} from '../../src/model/ids.ts';
import {
  direntKind,
  isDirectory,
  isRegular,
  isSymlink,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_ISGID,
  S_ISUID,
  type Inode,
} from '../../src/model/inode.ts';
import { bytesOfSize, compareSizes, sizeOf, type Size } from '../../src/model/size.ts';
import type { Time } from '../../src/model/time.ts';
import { xattrNameRefusal } from '../../src/model/xattr.ts';

const PAGE = 4096;
const O_EXCL = 0o200;
const O_ACCMODE = 3;
const O_TRUNC = 0o1000;
const O_NOATIME = 0o1000000;

interface Child {
  readonly ino: Ino;
  readonly position: Position;
}

interface Node {
  inode: Inode;
  /** Regular files: pages by number; a missing one is a hole. */
  readonly pages: Map<number, Buffer>;
  readonly children: Map<ByteString, Child>;
  readonly xattrs: Map<ByteString, Buffer>;
  opens: number;
  /** Made without a name, and may get one. */
  isLinkable: boolean;
}

const byValue = (a: number, b: number): number => a - b;

/** Sizes that no page is kept for: arithmetic here is in doubles. */
const isHuge = (size: Size): boolean => size.blocks > 2 ** 40;

function nowTime(): Time {
  const nanos = process.hrtime.bigint() + CLOCK_OFFSET;
  return { sec: Number(nanos / 1_000_000_000n), nsec: Number(nanos % 1_000_000_000n) };
}
const nowMicros = (): number => nowTime().sec * 1e6;
const CLOCK_OFFSET = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();

export class MemoryFilesystem implements FilesystemApi {
  readonly locks = new VolumeFileLocks();
  readonly nodes = new Map<Ino, Node>();
  readonly holders = new Set<ReferenceHolder>();
  /** Told by tests, not by what changes here. */
  readonly cacheHolders = new Set<CacheHolder>();
  /** Reads of a file whose name starts with "slow" answer after this long; Infinity is never. */
  slowReadMs = 50;
  /** Every answer comes as a promise. */
  isLazy = false;
  #nextIno = 1024;
  #clock = 0;

  constructor() {
    this.#add(ROOT_INO, S_IFDIR | 0o755, { uid: 0, gid: 0, pid: 0 }, ROOT_INO, 0, undefined);
  }

  #later<T>(value: T | Refusal): Answer<T> {
    return this.isLazy ? new Promise((resolve) => setImmediate(resolve, value)) : value;
  }

  #add(
    ino: Ino,
    mode: number,
    caller: Caller,
    parent: Ino,
    rdev: number,
    target: ByteString | undefined,
  ): Node {
    const time = nowTime();
    const inode: Inode = {
      ino,
      generation: generation(7),
      mode,
      nlink: isDirectory(mode) ? 2 : 1,
      uid: caller.uid,
      gid: caller.gid,
      rdev,
      size: sizeOf(target?.length ?? 0),
      atime: time,
      mtime: time,
      ctime: time,
      crtime: time,
      metaSeq: seq(++this.#clock),
      dataSeq: seq(this.#clock),
      dataVersion: 1n,
      projectId: 0n,
      flags: 0,
      entries: 0,
      nextPosition: position(2),
      parent: isDirectory(mode) ? parent : inoOf(0),
      target,
      truncateMark: undefined,
      onlineBlocks: 0,
      offlineBlocks: 0,
      extents: 0,
      xattrs: 0,
    };
    const node = {
      inode,
      pages: new Map<number, Buffer>(),
      children: new Map<ByteString, Child>(),
      xattrs: new Map<ByteString, Buffer>(),
      opens: 0,
      isLinkable: false,
    };
    this.nodes.set(ino, node);
    return node;
  }

  #change(node: Node, change: Partial<Inode>): Inode {
    node.inode = { ...node.inode, ...change, metaSeq: seq(++this.#clock) };
    return node.inode;
  }

  #changeContents(node: Node, size: Size): void {
    const time = nowTime();
    this.#change(node, {
      size,
      mtime: time,
      ctime: time,
      dataSeq: seq(this.#clock + 1),
      onlineBlocks: node.pages.size,
    });
  }

  #directory(dir: Ino): Node | Refusal {
    const node = this.nodes.get(dir);
    if (node === undefined) return refuse('ESTALE');
    return isDirectory(node.inode.mode) ? node : refuse('ENOTDIR');
  }

  #attach(dir: Node, name: ByteString, child: Node): void {
    const at = dir.inode.nextPosition;
    dir.children.set(name, { ino: child.inode.ino, position: at });
    const isDir = isDirectory(child.inode.mode);
    const time = nowTime();
    this.#change(dir, {
      entries: dir.children.size,
      nextPosition: position(at + 1),
      nlink: dir.inode.nlink + (isDir ? 1 : 0),
      size: sizeOf(bytesOfSize(dir.inode.size) + name.length),
      mtime: time,
      ctime: time,
    });
    if (isDir) this.#change(child, { parent: dir.inode.ino });
  }

  #detach(dir: Node, name: ByteString, child: Node): void {
    dir.children.delete(name);
    const isDir = isDirectory(child.inode.mode);
    const time = nowTime();
    this.#change(dir, {
      entries: dir.children.size,
      nlink: dir.inode.nlink - (isDir ? 1 : 0),
      size: sizeOf(bytesOfSize(dir.inode.size) - name.length),
      mtime: time,
      ctime: time,
    });
  }

  /** The child's last name is gone, or one of several. */
  #dropName(child: Node): void {
    const isDir = isDirectory(child.inode.mode);
    this.#change(child, { nlink: isDir ? 0 : child.inode.nlink - 1, ctime: nowTime() });
    this.#reap(child.inode.ino);
  }

  #reap(ino: Ino): void {
    const node = this.nodes.get(ino);
    if (node === undefined || node.inode.nlink > 0 || node.opens > 0) return;
    for (const holder of this.holders) if (holder.refersTo(ino)) return;
    this.nodes.delete(ino);
  }

  lookup(dir: Ino, name: ByteString): Answer<Inode> {
    if (name === '.') return this.getattr(dir);
    const parent = this.#directory(dir);
    if (isRefusal(parent)) return parent;
    if (name === '..') return this.getattr(parent.inode.parent);
    const refusal = nameRefusal(name);
    if (refusal !== undefined) return refusal;
    const child = parent.children.get(name);
    return this.#later(
      child === undefined ? refuse('ENOENT') : (this.nodes.get(child.ino)?.inode ?? refuse('EIO')),
    );
  }

  getattr(ino: Ino): Answer<Inode> {
    return this.#later(this.nodes.get(ino)?.inode ?? refuse('ESTALE'));
  }

  setattr(ino: Ino, set: SetAttributes, caller: Caller): Answer<Inode> {
    const node = this.nodes.get(ino);
    if (node === undefined) return refuse('ESTALE');
    if (set.size !== undefined) this.#resize(node, set.size);
    const time = nowTime();
    const timeOf = (value: Time | 'now' | undefined, old: Time): Time =>
      value === 'now' ? time : (value ?? old);
    const { inode } = node;
    const kill = set.killPrivileges === true ? ~(S_ISUID | S_ISGID) : -1;
    const mode = set.mode === undefined ? inode.mode : (inode.mode & S_IFMT) | (set.mode & 0o7777);
    const acl = { acl: node.xattrs.get(ACL_ACCESS), capability: false };
    if (set.mode !== undefined) {
      const events = aclAfterChmod(inode, acl, mode, this.#env(node, caller));
      if (isRefusal(events)) return events;
      this.#apply(node, events);
    }
    this.#change(node, {
      mode: mode & kill,
      uid: set.uid ?? inode.uid,
      gid: set.gid ?? inode.gid,
      atime: timeOf(set.atime, inode.atime),
      mtime: timeOf(set.mtime, inode.mtime),
      ctime: set.ctime ?? time,
    });
    return this.#later(node.inode);
  }

  #resize(node: Node, size: Size): void {
    const bytes = bytesOfSize(size);
    for (const [number, page] of node.pages) {
      if (number * PAGE >= bytes) node.pages.delete(number);
      else if ((number + 1) * PAGE > bytes) page.fill(0, bytes - number * PAGE);
    }
    this.#changeContents(node, size);
  }

  readlink(ino: Ino): Answer<ByteString> {
    return this.#later(this.nodes.get(ino)?.inode.target ?? refuse('EINVAL'));
  }

  #make(
    dir: Ino,
    name: ByteString,
    mode: number,
    rdev: number,
    target: ByteString | undefined,
    caller: Caller,
  ): Node | Refusal {
    const parent = this.#directory(dir);
    if (isRefusal(parent)) return parent;
    const refusal = nameRefusal(name);
    if (refusal !== undefined) return refusal;
    if (parent.children.has(name)) return refuse('EEXIST');
    const node = this.#add(inoOf(this.#nextIno++), mode, caller, dir, rdev, target);
    this.#inherit(parent, node, caller);
    this.#attach(parent, name, node);
    return node;
  }

  /** The new inode gets what the default list hands on, or loses the umask. */
  #inherit(parent: Node, node: Node, caller: Caller): void {
    const { mode } = node.inode;
    if (isSymlink(mode)) return;
    const stored = parent.xattrs.get(ACL_DEFAULT);
    const env = this.#env(node, caller);
    const inherited = stored === undefined ? undefined : inherit(stored, mode, env);
    if (isRefusal(inherited)) throw new Error(`a default list that is none: ${inherited.name}`);
    this.#change(node, { mode: inherited?.mode ?? mode & ~env.umask });
    this.#apply(node, inherited?.lists ?? []);
  }

  #env(node: Node, caller: Caller): Env {
    const { uid, gid, groups = [], umask = 0 } = caller;
    const { ino, generation: of } = node.inode;
    return { now: nowTime(), uid, gid, groups, umask, newIno: ino, generation: of };
  }

  /** What decisions on lists say. */
  #apply(node: Node, events: readonly Event[]): void {
    for (const event of events) {
      if (event.type === 'XattrSet') node.xattrs.set(event.name, event.value);
      if (event.type === 'XattrRemoved') node.xattrs.delete(event.name);
      const mode = 'mode' in event ? event.mode : undefined;
      this.#change(node, { mode: mode ?? node.inode.mode, ctime: nowTime() });
    }
  }

  mknod(dir: Ino, name: ByteString, mode: number, rdev: number, caller: Caller): Answer<Inode> {
    const node = this.#make(dir, name, mode, rdev, undefined, caller);
    return this.#later(isRefusal(node) ? node : node.inode);
  }

  mkdir(dir: Ino, name: ByteString, mode: number, caller: Caller): Answer<Inode> {
    return this.mknod(dir, name, mode, 0, caller);
  }

  symlink(dir: Ino, name: ByteString, target: ByteString, caller: Caller): Answer<Inode> {
    const node = this.#make(dir, name, S_IFLNK | 0o777, 0, target, caller);
    return this.#later(isRefusal(node) ? node : node.inode);
  }

  link(ino: Ino, dir: Ino, name: ByteString, _caller: Caller): Answer<Inode> {
    const node = this.nodes.get(ino);
    const parent = this.#directory(dir);
    if (node === undefined) return refuse('ESTALE');
    if (isRefusal(parent)) return parent;
    if (isDirectory(node.inode.mode)) return refuse('EPERM');
    if (parent.children.has(name)) return refuse('EEXIST');
    if (node.inode.nlink === 0 && !node.isLinkable) return refuse('ENOENT');
    node.isLinkable = false;
    this.#attach(parent, name, node);
    return this.#later(this.#change(node, { nlink: node.inode.nlink + 1, ctime: nowTime() }));
  }

  #remove(dir: Ino, name: ByteString, wantsDirectory: boolean): Answer<void> {
    const parent = this.#directory(dir);
    if (isRefusal(parent)) return parent;
    const child = parent.children.get(name);
    const node = child === undefined ? undefined : this.nodes.get(child.ino);
    if (node === undefined) return refuse('ENOENT');
    if (isDirectory(node.inode.mode) !== wantsDirectory) {
      return refuse(wantsDirectory ? 'ENOTDIR' : 'EISDIR');
    }
    if (node.children.size > 0) return refuse('ENOTEMPTY');
    this.#detach(parent, name, node);
    this.#dropName(node);
    return this.#later<void>(undefined);
  }

  unlink(dir: Ino, name: ByteString, _caller: Caller): Answer<void> {
    return this.#remove(dir, name, false);
  }

  rmdir(dir: Ino, name: ByteString, _caller: Caller): Answer<void> {
    return this.#remove(dir, name, true);
  }

  rename(
    dir: Ino,
    name: ByteString,
    newDir: Ino,
    newName: ByteString,
    flags: number,
    _caller: Caller,
  ): Answer<void> {
    const from = this.#directory(dir);
    const to = this.#directory(newDir);
    if (isRefusal(from)) return from;
    if (isRefusal(to)) return to;
    if (flags > 2) return refuse('EINVAL');
    const refusal = nameRefusal(newName);
    if (refusal !== undefined) return refusal;
    const node = this.nodes.get(from.children.get(name)?.ino ?? inoOf(0));
    const over = this.nodes.get(to.children.get(newName)?.ino ?? inoOf(0));
    if (node === undefined) return refuse('ENOENT');
    if (flags === 1 && over !== undefined) return refuse('EEXIST');
    if (flags === 2) return this.#exchange(from, name, node, to, newName, over);
    if (node === over) return this.#later<void>(undefined);
    if (over !== undefined) {
      if (over.children.size > 0) return refuse('ENOTEMPTY');
      this.#detach(to, newName, over);
    }
    this.#detach(from, name, node);
    this.#attach(to, newName, node);
    if (over !== undefined) this.#dropName(over);
    this.#change(node, { ctime: nowTime() });
    return this.#later<void>(undefined);
  }

  #exchange(
    from: Node,
    name: ByteString,
    node: Node,
    to: Node,
    newName: ByteString,
    over: Node | undefined,
  ): Answer<void> {
    if (over === undefined) return refuse('ENOENT');
    this.#detach(from, name, node);
    this.#detach(to, newName, over);
    this.#attach(from, name, over);
    this.#attach(to, newName, node);
    return this.#later<void>(undefined);
  }

  create(
    dir: Ino,
    name: ByteString,
    mode: number,
    flags: number,
    caller: Caller,
  ): Answer<{ inode: Inode; file: OpenFile }> {
    const node = this.#make(dir, name, S_IFREG | (mode & 0o7777), 0, undefined, caller);
    if (isRefusal(node)) return node;
    return this.#later({ inode: node.inode, file: this.#opened(node, flags, name) });
  }

  createTemporary(
    dir: Ino,
    mode: number,
    flags: number,
    caller: Caller,
  ): Answer<{ inode: Inode; file: OpenFile }> {
    const parent = this.#directory(dir);
    if (isRefusal(parent)) return parent;
    const ino = inoOf(this.#nextIno++);
    const node = this.#add(ino, S_IFREG | (mode & 0o7777), caller, dir, 0, undefined);
    node.isLinkable = (flags & O_EXCL) === 0;
    this.#inherit(parent, node, caller);
    const inode = this.#change(node, { nlink: 0 });
    return this.#later({ inode, file: this.#opened(node, flags) });
  }

  #opened(node: Node, flags: number, name = asByteString('')): MemoryFile {
    node.opens++;
    return {
      ino: node.inode.ino,
      synchronous: false,
      append: false,
      noAccessTime: (flags & O_NOATIME) !== 0,
      writable: (flags & O_ACCMODE) !== 0,
      isSlow: name.startsWith('slow'),
    };
  }

  #nameOf(ino: Ino): ByteString {
    for (const node of this.nodes.values()) {
      for (const [name, child] of node.children) if (child.ino === ino) return name;
    }
    return asByteString('');
  }

  open(ino: Ino, flags: number, _caller: Caller): Answer<OpenFile> {
    const node = this.nodes.get(ino);
    if (node === undefined) return refuse('ESTALE');
    if (!isRegular(node.inode.mode)) return refuse('EINVAL');
    if ((flags & O_TRUNC) !== 0) this.#resize(node, sizeOf(0));
    const isNamed = this.nodes.size < 1000;
    return this.#later(this.#opened(node, flags, isNamed ? this.#nameOf(ino) : undefined));
  }

  accessed(ino: Ino): boolean {
    const node = this.nodes.get(ino);
    if (node === undefined || !isAccessDue(node.inode.atime, node.inode, undefined, nowMicros)) {
      return false;
    }
    node.inode = { ...node.inode, atime: nowTime() };
    return true;
  }

  isPending(): boolean {
    return false;
  }

  read(file: OpenFile, offset: Size, length: number): Answer<readonly Uint8Array[]> {
    if (file.noAccessTime !== true) this.accessed(file.ino);
    const node = this.nodes.get(file.ino);
    if (node === undefined) return refuse('ESTALE');
    const start = bytesOfSize(offset);
    const end = Math.min(start + length, bytesOfSize(node.inode.size));
    const chunks = this.#chunks(node, start, end);
    if (!(file as MemoryFile).isSlow) return this.#later(chunks);
    return new Promise((resolve) => {
      if (this.slowReadMs !== Infinity) setTimeout(resolve, this.slowReadMs, chunks);
    });
  }

  #chunks(node: Node, start: number, end: number): Uint8Array[] {
    const chunks: Uint8Array[] = [];
    for (let at = start; at < end;) {
      const inPage = at % PAGE;
      const n = Math.min(PAGE - inPage, end - at);
      const page = node.pages.get((at - inPage) / PAGE);
      chunks.push(page?.subarray(inPage, inPage + n) ?? Buffer.alloc(n));
      at += n;
    }
    return chunks;
  }

  write(
    file: OpenFile,
    offset: Size,
    payload: WritePayload,
    killPrivileges: boolean,
    _caller: Caller,
  ): Answer<number> {
    const node = this.nodes.get(file.ino);
    if (node === undefined) return refuse('ESTALE');
    if (isHuge(offset)) return refuse('EFBIG');
    if (killPrivileges) this.#change(node, { mode: node.inode.mode & ~(S_ISUID | S_ISGID) });
    const length = payload.bytes.length;
    if (length < 65536) this.#store(node, bytesOfSize(offset), payload.bytes);
    else this.#storeLater(node, bytesOfSize(offset), payload);
    const end = bytesOfSize(offset) + length;
    this.#changeContents(node, sizeOf(Math.max(end, bytesOfSize(node.inode.size))));
    return this.#later(length);
  }

  fallocate(file: OpenFile, request: RangeRequest, _caller: Caller): Answer<void> {
    const node = this.nodes.get(file.ino);
    if (node === undefined) return refuse('ESTALE');
    if (!isRegular(node.inode.mode)) return refuse('ENODEV');
    const change = rangeChange(request.mode, request.offset, request.length);
    if (isRefusal(change)) return change;
    if (isHuge(change.end)) return refuse('ENOSPC');
    const [start, end] = [bytesOfSize(change.start), bytesOfSize(change.end)];
    for (const [number, page] of change.kind === 'allocate' ? [] : node.pages) {
      const from = Math.max(0, start - number * PAGE);
      page.fill(0, Math.min(from, PAGE), Math.max(0, Math.min(PAGE, end - number * PAGE)));
    }
    const size = Math.max(bytesOfSize(node.inode.size), change.keepSize ? 0 : end);
    this.#changeContents(node, sizeOf(size));
    return this.#later<void>(undefined);
  }

  /** Takes the memory over, as the engine does with large writes, and reads it a moment later. */
  #storeLater(node: Node, start: number, payload: WritePayload): void {
    const giveBack = payload.take();
    for (let at = 0; at < payload.bytes.length; at += PAGE) {
      const page = payload.bytes.subarray(at, Math.min(at + PAGE, payload.bytes.length));
      this.#store(node, start + at, page);
    }
    setImmediate(() => {
      this.#compareTaken(node, start, payload.bytes);
      giveBack();
    });
  }

  /** Until it is given back, taken memory must hold what was written. */
  #compareTaken(node: Node, start: number, bytes: Buffer): void {
    for (let at = 0; at + PAGE <= bytes.length; at += PAGE) {
      const page = node.pages.get((start + at) / PAGE);
      if (page !== undefined && !page.equals(bytes.subarray(at, at + PAGE))) this.overwritten++;
    }
  }

  /** Pages of taken memory that had changed by the time they were read again. */
  overwritten = 0;

  #store(node: Node, start: number, bytes: Buffer): void {
    for (let done = 0; done < bytes.length;) {
      const at = start + done;
      const inPage = at % PAGE;
      const n = Math.min(PAGE - inPage, bytes.length - done);
      const number = (at - inPage) / PAGE;
      let page = node.pages.get(number);
      if (page === undefined) node.pages.set(number, (page = Buffer.alloc(PAGE)));
      bytes.copy(page, inPage, done, done + n);
      done += n;
    }
  }

  seek(file: OpenFile, offset: Size, wanted: 'data' | 'hole'): Answer<Size> {
    const node = this.nodes.get(file.ino);
    if (node === undefined) return refuse('ESTALE');
    const { size } = node.inode;
    if (compareSizes(offset, size) >= 0) return refuse('ENXIO');
    const numbers = [...node.pages.keys()]
      .filter((number) => number >= offset.blocks)
      .sort(byValue);
    let at = offset.blocks;
    if (wanted === 'data') at = numbers[0] ?? Infinity;
    else while (numbers[at - offset.blocks] === at) at++;
    if (at === offset.blocks) return this.#later(offset);
    const found = { blocks: at, tail: 0 };
    if (compareSizes(found, size) < 0) return this.#later(found);
    return wanted === 'data' ? refuse('ENXIO') : this.#later(size);
  }

  copyRange(
    from: OpenFile,
    offset: Size,
    to: OpenFile,
    toOffset: Size,
    bytes: number,
    _caller: Caller,
  ): Answer<number> {
    const source = this.nodes.get(from.ino);
    const target = this.nodes.get(to.ino);
    if (source === undefined || target === undefined) return refuse('ESTALE');
    const [at, toAt] = [bytesOfSize(offset), bytesOfSize(toOffset)];
    const length = Math.max(0, Math.min(bytes, bytesOfSize(source.inode.size) - at));
    if (source === target && at < toAt + length && toAt < at + length) return refuse('EINVAL');
    if (length === 0) return this.#later(0);
    this.#store(target, toAt, Buffer.concat(this.#chunks(source, at, at + length)));
    const end = Math.max(toAt + length, bytesOfSize(target.inode.size));
    this.#changeContents(target, sizeOf(end));
    return this.#later(length);
  }

  flush(_file: OpenFile): Answer<void> {
    return this.#later<void>(undefined);
  }

  fsync(_file: OpenFile): Answer<void> {
    return new Promise((resolve) => setImmediate(() => resolve()));
  }

  close(file: OpenFile): void {
    const node = this.nodes.get(file.ino);
    if (node === undefined) return;
    node.opens--;
    this.#reap(file.ino);
  }

  openDirectory(ino: Ino): Answer<Listing> {
    const node = this.#directory(ino);
    if (isRefusal(node)) return node;
    return {
      read: (from, limit, withInodes) => this.#later(this.#list(node, from, limit, withInodes)),
      close: () => undefined,
    };
  }

  #list(node: Node, from: Position, limit: number, withInodes: boolean): DirectoryEntry[] {
    const found: DirectoryEntry[] = [];
    // A map keeps insertion order, and positions only grow: this is position order.
    for (const [name, child] of node.children) {
      if (child.position < from) continue;
      const inode = this.nodes.get(child.ino)?.inode;
      const kind = direntKind(inode?.mode ?? 0);
      const shown = withInodes ? inode : undefined;
      found.push({ name, ino: child.ino, kind, position: child.position, inode: shown });
      if (found.length >= limit) break;
    }
    return found;
  }

  fsyncDirectory(_ino: Ino): Answer<void> {
    return Promise.resolve();
  }

  getXattr(ino: Ino, name: ByteString): Answer<Buffer> {
    const refusal = xattrNameRefusal(name);
    if (refusal !== undefined) return refusal;
    return this.#later(this.nodes.get(ino)?.xattrs.get(name) ?? refuse('ENODATA'));
  }

  listXattrs(ino: Ino): Answer<readonly ByteString[]> {
    return this.#later([...(this.nodes.get(ino)?.xattrs.keys() ?? [])]);
  }

  setXattr(
    ino: Ino,
    name: ByteString,
    value: Buffer,
    flags: number,
    caller: Caller,
    killSetGid = false,
  ): Answer<void> {
    const command = { name, value, flags, killSetGid };
    return this.#decided(ino, name, (node, exists) =>
      decideSetXattr(node.inode, exists, command, this.#env(node, caller)),
    );
  }

  removeXattr(ino: Ino, name: ByteString, caller: Caller): Answer<void> {
    return this.#decided(ino, name, (node, exists) =>
      decideRemoveXattr(node.inode, exists, name, this.#env(node, caller)),
    );
  }

  #decided(
    ino: Ino,
    name: ByteString,
    decide: (node: Node, exists: boolean) => Decision,
  ): Answer<void> {
    const node = this.nodes.get(ino);
    if (node === undefined) return refuse('ESTALE');
    const events = decide(node, node.xattrs.has(name));
    if (isRefusal(events)) return events;
    this.#apply(node, events);
    return this.#later<void>(undefined);
  }

  space(): Answer<SpaceInfo> {
    return {
      blocks: 1_000_000,
      freeBlocks: 600_000,
      availableBlocks: 500_000,
      inodes: this.nodes.size,
      freeInodes: 1_000_000,
    };
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  addCacheHolder(holder: CacheHolder): void {
    this.cacheHolders.add(holder);
  }

  removeCacheHolder(holder: CacheHolder): void {
    this.cacheHolders.delete(holder);
  }

  addReferenceHolder(holder: ReferenceHolder): void {
    this.holders.add(holder);
  }

  removeReferenceHolder(holder: ReferenceHolder): void {
    this.holders.delete(holder);
  }

  unreferenced(ino: Ino): void {
    this.#reap(ino);
  }
}

interface MemoryFile extends OpenFile {
  readonly isSlow: boolean;
}

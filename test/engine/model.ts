/**
 * A naive filesystem of maps and byte arrays, and random operations made on it and on a volume side
 * by side: each must be answered the same, and afterwards both must show the same.
 */

import * as assert from 'uvu/assert';
import { isRefusal } from '../../src/model/errno.ts';
import { asByteString, ROOT_INO, type ByteString, type Ino } from '../../src/model/ids.ts';
import { S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, type Inode } from '../../src/model/inode.ts';
import { sizeOf } from '../../src/model/size.ts';
import { FIRST_POSITION } from '../../src/model/ids.ts';
import type { Caller, OpenFile } from '../../src/engine/api.ts';
import type { Filesystem } from '../../src/engine/filesystem.ts';
import type { SimRandom } from '../sim/random.ts';

interface Node {
  readonly ino: Ino;
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  bytes: Buffer;
  mtimeSec: number | undefined;
  readonly xattrs: Map<ByteString, string>;
  readonly entries: Map<ByteString, Node>;
  parent: Node | undefined;
  /** Made without a name, and may get one. */
  isLinkable: boolean;
}

const O_EXCL = 0o200;
const MAX_BYTES = 60_000;
const NAMES = ['a', 'b', 'c', 'd', '\x01\xff', ' ', 'n'.repeat(255)].map(asByteString);
const ATTRIBUTES = ['user.x', 'user.y', 'trusted.z'].map(asByteString);

const isDir = (node: Node): boolean => (node.mode & S_IFMT) === S_IFDIR;
const isFile = (node: Node): boolean => (node.mode & S_IFMT) === S_IFREG;

function nodeOf(inode: Inode, parent: Node | undefined): Node {
  const { ino, mode, uid, gid, nlink } = inode;
  const bytes = Buffer.alloc(0);
  const maps = { xattrs: new Map(), entries: new Map() };
  return {
    ino,
    mode,
    uid,
    gid,
    nlink,
    bytes,
    mtimeSec: undefined,
    parent,
    isLinkable: false,
    ...maps,
  };
}

export class Model {
  /** Exchanged when the volume is opened anew. */
  filesystem: Filesystem;
  readonly #random: SimRandom;
  readonly #root: Node;
  /** Opens, of files with and without names. */
  #open: { readonly file: OpenFile; readonly node: Node }[] = [];

  private constructor(filesystem: Filesystem, random: SimRandom, root: Inode) {
    this.filesystem = filesystem;
    this.#random = random;
    this.#root = nodeOf(root, undefined);
  }

  static async of(filesystem: Filesystem, random: SimRandom): Promise<Model> {
    const root = await filesystem.getattr(ROOT_INO);
    if (isRefusal(root)) throw new Error(root.name);
    return new Model(filesystem, random, root);
  }

  /** All open files are closed, as they are when a volume is. */
  closeAll(): void {
    for (const { file } of this.#open) this.filesystem.close(file);
    this.#open = [];
  }

  /** One random operation, on both. */
  step(): Promise<void> {
    return this.#random.weighted<() => Promise<void>>([
      [14, () => this.#create()],
      [22, () => this.#write()],
      [8, () => this.#copy()],
      [8, () => this.#truncate()],
      [10, () => this.#range()],
      [8, () => this.#remove()],
      [12, () => this.#rename()],
      [5, () => this.#link()],
      [3, () => this.#temporary()],
      [3, () => this.#linkOpen()],
      [6, () => this.#attributes()],
      [7, () => this.#xattr()],
      [5, () => this.#openSome()],
      [5, () => this.#closeSome()],
      [3, () => this.#sync()],
    ])();
  }

  #nodes(wanted: (node: Node) => boolean): Node[] {
    const found = new Set<Node>();
    const walk = (node: Node): void => {
      if (wanted(node)) found.add(node);
      for (const child of node.entries.values()) walk(child);
    };
    walk(this.#root);
    return [...found];
  }

  #dir(): Node {
    return this.#random.pick(this.#nodes(isDir));
  }

  #caller(): Caller {
    const id = this.#random.integer(3);
    return { uid: id, gid: id + 10, pid: 1 };
  }

  /** The names of both refusals must be equal; undefined where both did it. */
  #agree(what: string, answer: unknown, expected: string | undefined): void {
    assert.is(isRefusal(answer) ? answer.name : undefined, expected, what);
  }

  async #create(): Promise<void> {
    const dir = this.#dir();
    const name = this.#random.pick(NAMES);
    const type = this.#random.weighted([
      [5, S_IFREG],
      [4, S_IFDIR],
      [1, S_IFIFO],
    ]);
    const caller = { ...this.#caller(), umask: this.#random.pick([0, 0o022]) };
    const mode = type | this.#random.pick([0o644, 0o4755, 0o2755, 0o600, 0o666]);
    const made =
      type === S_IFDIR
        ? await this.filesystem.mkdir(dir.ino, name, mode, caller)
        : await this.filesystem.mknod(dir.ino, name, mode, 0, caller);
    const there = dir.entries.has(name);
    this.#agree('create', made, there ? 'EEXIST' : undefined);
    if (isRefusal(made)) return;
    const node = nodeOf(made, type === S_IFDIR ? dir : undefined);
    const inherits = (dir.mode & 0o2000) !== 0;
    node.uid = caller.uid;
    node.gid = inherits ? dir.gid : caller.gid;
    // Only members of its group make set-gid programs in a set-gid directory.
    const isStranger = inherits && caller.uid !== 0 && caller.gid !== dir.gid;
    const bits = isStranger && (mode & 0o2010) === 0o2010 ? mode & ~0o2000 : mode;
    node.mode = (inherits && type === S_IFDIR ? mode | 0o2000 : bits) & ~caller.umask;
    node.nlink = type === S_IFDIR ? 2 : 1;
    if (type === S_IFDIR) dir.nlink++;
    dir.entries.set(name, node);
  }

  async #write(): Promise<void> {
    const node = this.#anyFile();
    if (node === undefined) return;
    const file = this.#open.find((open) => open.node === node)?.file ?? (await this.#opened(node));
    const bytes = this.#random.bytes(1 + this.#random.pick([3, 100, 4095, 9000]));
    const at = this.#random.pick([
      this.#random.integer(MAX_BYTES - bytes.length),
      node.bytes.length % (MAX_BYTES - bytes.length),
      4096 * this.#random.integer(8),
    ]);
    const kill = this.#random.chance(0.1);
    const payload = { bytes: Buffer.from(bytes), take: () => () => undefined };
    const caller = this.#caller();
    const wrote = await this.filesystem.write(file, sizeOf(at), payload, kill, caller);
    assert.is(wrote, bytes.length);
    const size = Math.max(node.bytes.length, at + bytes.length);
    node.bytes = Buffer.concat([node.bytes, Buffer.alloc(size - node.bytes.length)]);
    bytes.copy(node.bytes, at);
    node.mtimeSec = undefined;
    if (kill) killSetId(node);
    if (this.#random.chance(0.4))
      this.#agree('flush', await this.filesystem.flush(file), undefined);
    if (!this.#open.some((open) => open.node === node)) this.filesystem.close(file);
  }

  /** copy_file_range(2), aligned or not, also within one file. */
  async #copy(): Promise<void> {
    const [source, target] = [this.#anyFile(), this.#anyFile()];
    if (source === undefined || target === undefined) return;
    const at = this.#random.integer(source.bytes.length + 1);
    const toAt = this.#random.pick([at % 4096, (at % 4096) + 8192, this.#random.integer(20_000)]);
    const length = Math.min(this.#random.integer(30_000), source.bytes.length - at);
    const [from, to] = [await this.#opened(source, 0), await this.#opened(target)];
    const overlaps = source === target && at < toAt + length && toAt < at + length;
    for (let done = 0; done < length;) {
      const [offset, toOffset] = [sizeOf(at + done), sizeOf(toAt + done)];
      const rest = length - done;
      const root = { uid: 0, gid: 0, pid: 1 };
      const copied = await this.filesystem.copyRange(from, offset, to, toOffset, rest, root);
      this.#agree('copy', copied, overlaps ? 'EINVAL' : undefined);
      if (isRefusal(copied)) break;
      assert.ok(copied > 0, 'nothing is copied before the end of the source');
      done += copied;
    }
    if (!overlaps && length > 0) {
      const bytes = Buffer.from(source.bytes.subarray(at, at + length));
      const size = Math.max(target.bytes.length, toAt + length);
      target.bytes = Buffer.concat([target.bytes, Buffer.alloc(size - target.bytes.length)]);
      bytes.copy(target.bytes, toAt);
      target.mtimeSec = undefined;
    }
    this.filesystem.close(from);
    this.filesystem.close(to);
  }

  #anyFile(): Node | undefined {
    const nodes = [...this.#nodes(isFile), ...this.#open.map(({ node }) => node)];
    return nodes.length === 0 ? undefined : this.#random.pick(nodes);
  }

  async #opened(node: Node, flags = 2): Promise<OpenFile> {
    const file = await this.filesystem.open(node.ino, flags, this.#caller());
    if (isRefusal(file)) throw new Error(file.name);
    return file;
  }

  async #truncate(): Promise<void> {
    const node = this.#anyFile();
    if (node === undefined) return;
    const size = this.#random.pick([0, this.#random.integer(MAX_BYTES), node.bytes.length]);
    const set = { size: sizeOf(size) };
    this.#agree('cut', await this.filesystem.setattr(node.ino, set, this.#caller()), undefined);
    node.bytes = Buffer.concat([node.bytes, Buffer.alloc(MAX_BYTES)]).subarray(0, size);
    node.mtimeSec = undefined;
  }

  /** fallocate(2): unwritten blocks and holes, beside what is shared. */
  async #range(): Promise<void> {
    const node = this.#anyFile();
    if (node === undefined) return;
    const mode = this.#random.pick([0, 1, 3, 16, 17]);
    const from = this.#random.integer(MAX_BYTES - 20_000);
    const length = this.#random.integer(20_000) + 1;
    const killPrivileges = this.#random.chance(0.1);
    const request = { mode, offset: sizeOf(from), length: sizeOf(length), killPrivileges };
    const file = await this.#opened(node);
    const answer = await this.filesystem.fallocate(file, request, this.#caller());
    this.filesystem.close(file);
    this.#agree('fallocate', answer, undefined);
    const end = (mode & 1) === 0 ? from + length : 0;
    const more = Buffer.alloc(Math.max(0, end - node.bytes.length));
    node.bytes = Buffer.concat([node.bytes, more]);
    if (mode > 1) node.bytes.subarray(from, from + length).fill(0);
    if (mode > 1 || more.length > 0) node.mtimeSec = undefined;
    if (killPrivileges) killSetId(node);
  }

  async #remove(): Promise<void> {
    const dir = this.#dir();
    const name = this.#random.pick(NAMES);
    const node = dir.entries.get(name);
    const asDir = this.#random.chance(0.4);
    const { ino } = dir;
    const answer = asDir
      ? await this.filesystem.rmdir(ino, name, this.#caller())
      : await this.filesystem.unlink(ino, name, this.#caller());
    const refusal = node === undefined ? 'ENOENT' : removalRefusal(node, asDir);
    this.#agree('remove', answer, refusal);
    if (node === undefined || refusal !== undefined) return;
    dir.entries.delete(name);
    lose(dir, node);
  }

  async #rename(): Promise<void> {
    const [from, to] = [this.#dir(), this.#dir()];
    const [name, newName] = [this.#random.pick(NAMES), this.#random.pick(NAMES)];
    const flags = this.#random.pick([0, 0, 0, 1, 2]);
    const answer = await this.filesystem.rename(
      from.ino,
      name,
      to.ino,
      newName,
      flags,
      this.#caller(),
    );
    const node = from.entries.get(name);
    const target = to.entries.get(newName);
    const refusal = renameRefusal(from, node, to, target, flags);
    this.#agree(`rename ${flags}`, answer, refusal);
    if (refusal !== undefined || node === undefined || node === target) return;
    from.entries.delete(name);
    to.entries.delete(newName);
    to.entries.set(newName, node);
    adopt(node, from, to);
    if (target === undefined) return;
    if (flags === 2) {
      from.entries.set(name, target);
      adopt(target, to, from);
    } else {
      lose(to, target);
    }
  }

  async #link(): Promise<void> {
    const nodes = this.#nodes((node) => node !== this.#root);
    if (nodes.length === 0) return;
    const node = this.#random.pick(nodes);
    const dir = this.#dir();
    const name = this.#random.pick(NAMES);
    const answer = await this.filesystem.link(node.ino, dir.ino, name, this.#caller());
    const refusal = isDir(node) ? 'EPERM' : dir.entries.has(name) ? 'EEXIST' : undefined;
    this.#agree('link', answer, refusal);
    if (refusal !== undefined) return;
    dir.entries.set(name, node);
    node.nlink++;
  }

  /** A file without a name (O_TMPFILE). */
  async #temporary(): Promise<void> {
    if (this.#open.length > 8) return;
    const dir = this.#dir();
    const caller = this.#caller();
    const flags = this.#random.pick([2, 2, 2 | O_EXCL]);
    const made = await this.filesystem.createTemporary(dir.ino, 0o640, flags, caller);
    if (isRefusal(made)) throw new Error(made.name);
    const node = nodeOf(made.inode, undefined);
    node.mode = S_IFREG | 0o640;
    node.uid = caller.uid;
    node.gid = (dir.mode & 0o2000) === 0 ? caller.gid : dir.gid;
    node.nlink = 0;
    node.isLinkable = (flags & O_EXCL) === 0;
    this.#open.push({ file: made.file, node });
  }

  /** linkat(2) of an open file, which may have no name, or none any more. */
  async #linkOpen(): Promise<void> {
    if (this.#open.length === 0) return;
    const { node } = this.#random.pick(this.#open);
    const dir = this.#dir();
    const name = this.#random.pick(NAMES);
    const answer = await this.filesystem.link(node.ino, dir.ino, name, this.#caller());
    const isNameless = node.nlink === 0 && !node.isLinkable;
    const refusal = dir.entries.has(name) ? 'EEXIST' : isNameless ? 'ENOENT' : undefined;
    this.#agree('link of an open file', answer, refusal);
    if (refusal !== undefined) return;
    dir.entries.set(name, node);
    node.nlink++;
    node.isLinkable = false;
  }

  async #attributes(): Promise<void> {
    const node = this.#random.pick(this.#nodes(() => true));
    const change = this.#random.integer(3);
    if (change === 0) {
      const mode = this.#random.pick([0o600, 0o6777, 0o1777, 0o2755]);
      this.#agree(
        'chmod',
        await this.filesystem.setattr(node.ino, { mode }, this.#caller()),
        undefined,
      );
      node.mode = (node.mode & S_IFMT) | mode;
    } else if (change === 1) {
      const ids = { uid: this.#random.integer(100), gid: this.#random.integer(100) };
      this.#agree('chown', await this.filesystem.setattr(node.ino, ids, this.#caller()), undefined);
      Object.assign(node, ids);
      if (!isDir(node)) killSetId(node);
    } else {
      const sec = this.#random.integer(2 ** 33) - 2 ** 32;
      const set = { mtime: { sec, nsec: 7 } };
      this.#agree(
        'utimens',
        await this.filesystem.setattr(node.ino, set, this.#caller()),
        undefined,
      );
      node.mtimeSec = isDir(node) ? undefined : sec;
    }
  }

  async #xattr(): Promise<void> {
    const node = this.#random.pick(this.#nodes(() => true));
    const name = this.#random.pick(ATTRIBUTES);
    const takes = isDir(node) || isFile(node) || !name.startsWith('user.');
    if (this.#random.chance(0.3)) {
      const there = node.xattrs.delete(name);
      const answer = await this.filesystem.removeXattr(node.ino, name, this.#caller());
      this.#agree('removexattr', answer, !takes ? 'EPERM' : there ? undefined : 'ENODATA');
      return;
    }
    const flags = this.#random.integer(3);
    const there = node.xattrs.has(name);
    const missing = flags === 2 && !there ? 'ENODATA' : undefined;
    const refusal = !takes ? 'EPERM' : flags === 1 && there ? 'EEXIST' : missing;
    const value = `${this.#random.integer(1000)}`.repeat(this.#random.pick([0, 1, 300]));
    const bytes = Buffer.from(value);
    const answer = await this.filesystem.setXattr(node.ino, name, bytes, flags, this.#caller());
    this.#agree('setxattr', answer, refusal);
    if (refusal === undefined) node.xattrs.set(name, value);
  }

  async #openSome(): Promise<void> {
    const node = this.#anyFile();
    if (node === undefined || this.#open.length > 8) return;
    const truncates = this.#random.chance(0.2);
    this.#open.push({ file: await this.#opened(node, truncates ? 0o1002 : 2), node });
    if (!truncates) return;
    node.bytes = Buffer.alloc(0);
    node.mtimeSec = undefined;
  }

  async #closeSome(): Promise<void> {
    const [open] = this.#open.splice(this.#random.integer(this.#open.length + 1), 1);
    if (open === undefined) return;
    await this.filesystem.flush(open.file);
    this.filesystem.close(open.file);
  }

  async #sync(): Promise<void> {
    const open = this.#open[0];
    if (open === undefined) await this.filesystem.sync();
    else this.#agree('fsync', await this.filesystem.fsync(open.file), undefined);
  }

  /** Both show the same names, attributes and contents. */
  async assertShown(): Promise<void> {
    await this.#assertDirectory(this.#root);
    for (const { node } of this.#open) await this.#assertNode(node);
  }

  async #assertDirectory(dir: Node): Promise<void> {
    await this.#assertNode(dir);
    const listing = await this.filesystem.openDirectory(dir.ino);
    if (isRefusal(listing)) throw new Error(listing.name);
    const listed = await listing.read(FIRST_POSITION, 1000, true);
    listing.close();
    if (isRefusal(listed)) throw new Error(listed.name);
    const names = (all: Iterable<readonly [string, Ino]>) => [...all].map(([n, i]) => `${n} ${i}`);
    assert.equal(
      names(listed.map(({ name, ino }) => [name, ino] as const)).toSorted(),
      names([...dir.entries].map(([name, { ino }]) => [name, ino] as const)).toSorted(),
    );
    for (const [name, node] of dir.entries) {
      const found = await this.filesystem.lookup(dir.ino, name);
      assert.is(isRefusal(found) ? found.name : found.ino, node.ino);
      if (isDir(node)) await this.#assertDirectory(node);
      else await this.#assertNode(node);
    }
  }

  async #assertNode(node: Node): Promise<void> {
    const inode = await this.filesystem.getattr(node.ino);
    if (isRefusal(inode)) throw new Error(`inode ${node.ino}: ${inode.name}`);
    const { mode, uid, gid, nlink } = node;
    assert.equal(
      { mode: inode.mode, uid: inode.uid, gid: inode.gid, nlink: inode.nlink },
      { mode, uid, gid, nlink },
    );
    if (node.mtimeSec !== undefined) assert.is(inode.mtime.sec, node.mtimeSec);
    const names = await this.filesystem.listXattrs(node.ino);
    assert.equal(isRefusal(names) ? names.name : [...names], [...node.xattrs.keys()].toSorted());
    for (const [name, value] of node.xattrs) {
      const stored = await this.filesystem.getXattr(node.ino, name);
      assert.is(isRefusal(stored) ? stored.name : stored.toString(), value);
    }
    if (isDir(node)) assert.is(inode.entries, node.entries.size);
    if (isFile(node)) await this.#assertContents(node, inode);
  }

  async #assertContents(node: Node, inode: Inode): Promise<void> {
    assert.equal(inode.size, sizeOf(node.bytes.length));
    const file = await this.#opened(node, 0);
    const read = await this.filesystem.read(file, sizeOf(0), MAX_BYTES);
    const bytes = isRefusal(read) ? read.name : Buffer.concat([...read]);
    this.filesystem.close(file);
    assert.ok(node.bytes.equals(bytes as Buffer), `contents of inode ${node.ino}`);
  }
}

/** chown, or a write by another: set-user-ID goes, set-group-ID with group execution. */
function killSetId(node: Node): void {
  node.mode &= ~0o4000;
  if ((node.mode & 0o010) !== 0) node.mode &= ~0o2000;
}

/** `node` lost a name in `dir`. */
function lose(dir: Node, node: Node): void {
  if (isDir(node)) dir.nlink--;
  node.nlink = isDir(node) ? 0 : node.nlink - 1;
}

function adopt(node: Node, from: Node, to: Node): void {
  if (!isDir(node)) return;
  from.nlink--;
  to.nlink++;
  node.parent = to;
}

function removalRefusal(node: Node, asDir: boolean): string | undefined {
  if (!asDir) return isDir(node) ? 'EISDIR' : undefined;
  if (!isDir(node)) return 'ENOTDIR';
  return node.entries.size > 0 ? 'ENOTEMPTY' : undefined;
}

function isBelow(node: Node | undefined, ancestor: Node): boolean {
  for (let at = node; at !== undefined; at = at.parent) if (at === ancestor) return true;
  return false;
}

function renameRefusal(
  from: Node,
  node: Node | undefined,
  to: Node,
  target: Node | undefined,
  flags: number,
): string | undefined {
  if (node === undefined) return 'ENOENT';
  if (isDir(node) && isBelow(to, node)) return 'EINVAL';
  if (flags === 2) {
    if (target === undefined) return 'ENOENT';
    return isDir(target) && isBelow(from, target) ? 'EINVAL' : undefined;
  }
  if (target === undefined) return undefined;
  if (flags === 1) return 'EEXIST';
  if (node === target) return undefined;
  if (isDir(target)) {
    if (!isDir(node)) return 'EISDIR';
    return target.entries.size > 0 ? 'ENOTEMPTY' : undefined;
  }
  return isDir(node) ? 'ENOTDIR' : undefined;
}

/**
 * An actor without a kernel: the operations of `actor.c` on a `FilesystemApi`, answered alike.
 * It does what the kernel does before it asks a filesystem (walking paths, positions, O_EXCL), and
 * no checks of permission; whatever an engine can refuse by itself is left to the engine.
 */

import { isRefusal, refuse, type Refusal } from '../../src/model/errno.ts';
import {
  asByteString,
  bytesOf,
  FIRST_POSITION,
  position,
  ROOT_INO,
  type ByteString,
  type Ino,
} from '../../src/model/ids.ts';
import { isSymlink, S_IFDIR, type Inode } from '../../src/model/inode.ts';
import { bigintOfSize, MAX_SIZE, type Size } from '../../src/model/size.ts';
import type { Time } from '../../src/model/time.ts';
import type { Caller, FilesystemApi, OpenFile, SetAttributes } from '../../src/engine/api.ts';
import { word } from './actor.ts';
import { AT, O, SEEK } from './numbers.ts';

const BLOCK = 4096n;
const SECTORS = 8;
/** What counts as a time of this run begins this much before it. */
const MARGIN_SECONDS = 2;
const DIRECTORY = S_IFDIR;
const TYPES: Readonly<Record<number, string>> = {
  1: 'p',
  2: 'c',
  4: 'd',
  6: 'b',
  8: 'f',
  10: 'l',
  12: 's',
};

interface Slot {
  readonly file: OpenFile;
  readonly ino: Ino;
  at: bigint;
}

interface Seen {
  readonly number: number;
  times: readonly Time[];
}

type Watched = { readonly path: string } | { readonly ino: Ino };
type Operation = (words: readonly string[]) => Promise<string | bigint | void>;

/** An answer that is an errno, on its way out of an operation. */
class Refused extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal.name);
    this.refusal = refusal;
  }
}

async function done<T>(answer: T | Refusal | Promise<T | Refusal>): Promise<T> {
  const value = await answer;
  if (isRefusal(value)) throw new Refused(value);
  return value;
}

const fail = (name: Parameters<typeof refuse>[0]): never => {
  throw new Refused(refuse(name));
};

const bytesIn = (text: string): Buffer =>
  Buffer.from(
    text.replaceAll(/%([0-9A-F]{2})/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    ),
    'latin1',
  );

/** A number as the actor in C reads it: decimal, or octal with a nought before. */
const integer = (text = '0'): number => Number(text.replace(/^0(?=\d)/, '0o'));
const nameOf = (text: string): ByteString => asByteString(bytesIn(text).toString('latin1'));

function sizeAt(text = '0'): Size {
  const bytes = BigInt(text);
  if (bytes < 0n) fail('EINVAL');
  return { blocks: Number(bytes / BLOCK), tail: Number(bytes % BLOCK) };
}

const sizeOfBig = (bytes: bigint): Size => sizeAt(String(bytes));
const compareTimes = (a: Time, b: Time): number => a.sec - b.sec || a.nsec - b.nsec;
/** The device number as the kernel packs it into 32 bits. */
const packed = (major: number, minor: number): number =>
  ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;

export class EngineActor {
  readonly #fs: FilesystemApi;
  readonly #caller: Caller;
  readonly #slots = new Map<string, Slot>();
  readonly #seen = new Map<Ino, Seen>();
  readonly #begun = Math.floor(Date.now() / 1000) - MARGIN_SECONDS;
  readonly #operations: Readonly<Record<string, Operation>>;
  #watched: Watched[] = [];

  constructor(filesystem: FilesystemApi, caller: Caller) {
    this.#fs = filesystem;
    this.#caller = caller;
    const [contents, names] = [this.#ofContents(), this.#ofNames()];
    this.#operations = { ...contents, ...names, ...this.#ofAttributes() };
  }

  /** The answer to one operation, as `actor.c` would put it after `watch 1`. */
  async ask(operation: string): Promise<string> {
    const [name = '', ...words] = operation.split(' ');
    const run = this.#operations[name];
    if (run === undefined) throw new Error(`the engine's actor has no ${name}`);
    this.#watched = [];
    let answer: string;
    try {
      const value = await run(words);
      answer = typeof value === 'string' ? `ok ${value}` : `ok ${value ?? 0}`;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      answer = error.refusal.name;
    }
    for (const watched of this.#watched) answer += await this.#tellOf(watched);
    return answer;
  }

  /** Closes what is open. */
  async end(): Promise<void> {
    for (const slot of this.#slots.keys()) await this.#close(slot);
  }

  async #tellOf(watched: Watched): Promise<string> {
    if ('ino' in watched)
      return ` | ${this.#attributes(await done(this.#fs.getattr(watched.ino)))}`;
    const names = watched.path.split('/').filter((name) => name !== '');
    const dir = await this.#orErrno(() => this.#walk(names.slice(0, -1).join('/'), true));
    const object = await this.#orErrno(() => this.#walk(watched.path, false));
    return ` | ${object} | ${dir}`;
  }

  async #orErrno(find: () => Promise<Inode>): Promise<string> {
    try {
      return this.#attributes(await find());
    } catch (error) {
      if (error instanceof Refused) return error.refusal.name;
      throw error;
    }
  }

  #attributes(inode: Inode): string {
    const { ino, mode, nlink, uid, gid, size, rdev, onlineBlocks, mtime, ctime, atime } = inode;
    const times = [mtime, ctime, atime];
    const before = this.#seen.get(ino);
    const number = before?.number ?? this.#seen.size + 1;
    this.#seen.set(ino, { number, times });
    const told = times.map((time, i) => `${'mca'[i]}=${this.#time(time, before?.times[i])}`);
    const major = (rdev >>> 8) & 0xfff;
    const minor = (rdev & 0xff) | ((rdev >>> 12) & ~0xff);
    return [
      `t=${TYPES[mode >>> 12]} p=${(mode & 0o7777).toString(8).padStart(4, '0')} n=${nlink}`,
      `u=${uid} g=${gid} s=${bigintOfSize(size)} b=${onlineBlocks * SECTORS} i=${number}`,
      ...(rdev === 0 ? [] : [`r=${major}:${minor}`]),
      ...told,
    ].join(' ');
  }

  #time(time: Time, before: Time | undefined): string {
    const isOfThisRun = time.sec >= this.#begun && time.sec < this.#begun + 2 ** 24;
    if (!isOfThisRun) return `${time.sec}.${String(time.nsec).padStart(9, '0')}`;
    if (before === undefined) return 'n';
    const order = compareTimes(time, before);
    return order === 0 ? '=' : order > 0 ? '+' : '<';
  }

  /** The inode at a path; its last part is followed where `follow`. */
  async #walk(path: string, follow: boolean): Promise<Inode> {
    let inode = await done(this.#fs.getattr(ROOT_INO));
    const names = path.split('/').filter((name) => name !== '' && name !== '.');
    for (const [i, name] of names.entries()) {
      const isLast = i === names.length - 1;
      const dir = inode.ino;
      inode = await done(this.#fs.lookup(dir, nameOf(name)));
      if (!isSymlink(inode.mode) || (isLast && !follow)) continue;
      const target = word(bytesOf(await done(this.#fs.readlink(inode.ino))));
      // Links of these rules stand in the root, and lead to names in it.
      inode = await this.#walk(target, true);
    }
    return inode;
  }

  /** The directory of a path, and the name in it. */
  async #place(path: string): Promise<readonly [Ino, ByteString]> {
    const parts = path.split('/').filter((name) => name !== '');
    const name = parts.pop() ?? '.';
    return [(await this.#walk(parts.join('/'), true)).ino, nameOf(name)];
  }

  #path(path = ''): string {
    this.#watched.push({ path });
    return path;
  }

  #slot(name = ''): Slot {
    const slot = this.#slots.get(name) ?? fail('EBADF');
    this.#watched.push({ ino: slot.ino });
    return slot;
  }

  async #open(words: readonly string[]): Promise<void> {
    const [slot = '', path = '', flagWord, mode] = words;
    const flags = integer(flagWord);
    this.#path(path);
    const [dir, name] = await this.#place(path);
    const found = await this.#fs.lookup(dir, name);
    const isMissing = isRefusal(found) && found.name === 'ENOENT';
    let opened: Omit<Slot, 'at'>;
    if (isMissing && (flags & O.CREAT) !== 0) {
      const bits = integer(mode);
      const made = await done(this.#fs.create(dir, name, bits, flags, this.#caller));
      opened = { file: made.file, ino: made.inode.ino };
    } else {
      const exclusive = O.CREAT | O.EXCL;
      if ((flags & exclusive) === exclusive && !isMissing) fail('EEXIST');
      const { ino } = await this.#walk(path, true);
      opened = { file: await done(this.#fs.open(ino, flags, this.#caller)), ino };
    }
    if (this.#slots.has(slot)) await this.#close(slot);
    this.#slots.set(slot, { ...opened, at: 0n });
    this.#slot(slot);
  }

  async #close(name: string): Promise<void> {
    const slot = this.#slots.get(name) ?? fail('EBADF');
    this.#slots.delete(name);
    const flushed = await this.#fs.flush(slot.file);
    this.#fs.close(slot.file);
    if (isRefusal(flushed)) throw new Refused(flushed);
  }

  async #read(slot: Slot, at: bigint, length: number): Promise<Buffer> {
    if (at + BigInt(length) > bigintOfSize(MAX_SIZE)) fail('EINVAL');
    const chunks = await done(this.#fs.read(slot.file, sizeOfBig(at), length));
    return Buffer.concat([...chunks]);
  }

  async #write(slot: Slot, at: bigint, bytes: Buffer): Promise<bigint> {
    if (at + BigInt(bytes.length) > bigintOfSize(MAX_SIZE)) fail('EINVAL');
    const payload = { bytes: Buffer.from(bytes), take: () => () => undefined };
    const written = this.#fs.write(slot.file, sizeOfBig(at), payload, false, this.#caller);
    return BigInt(await done(written));
  }

  async #set(ino: Ino, set: SetAttributes): Promise<void> {
    await done(this.#fs.setattr(ino, set, this.#caller));
  }

  /** Owner and group of a chown; -1 is neither. */
  #owner(words: readonly string[]): SetAttributes {
    const [uid, gid] = words.map(Number);
    return { uid: uid === -1 ? undefined : uid, gid: gid === -1 ? undefined : gid };
  }

  #times(words: readonly string[]): SetAttributes {
    const [atime, mtime] = [words.slice(0, 2), words.slice(2, 4)].map(([sec, nsec]) => {
      if (Number(nsec) >= 1e9) fail('EINVAL');
      if (sec === 'omit') return undefined;
      return sec === 'now' ? ('now' as const) : { sec: Number(sec), nsec: Number(nsec) };
    });
    return { atime, mtime };
  }

  async #readdir(path: string): Promise<string> {
    const listing = await done(this.#fs.openDirectory((await this.#walk(path, true)).ino));
    const names = ['.', '..'];
    try {
      for (let from = FIRST_POSITION; ;) {
        const entries = await done(listing.read(from, 100, false));
        const last = entries.at(-1);
        if (last === undefined) break;
        names.push(...entries.map(({ name }) => word(bytesOf(name))));
        from = position(last.position + 1);
      }
    } finally {
      listing.close();
    }
    return `${names.length} ${names.join(' ')}`;
  }

  async #seek(slot: Slot, at: string, whence: number): Promise<bigint> {
    if (whence === SEEK.DATA || whence === SEEK.HOLE) {
      const wanted = whence === SEEK.DATA ? 'data' : 'hole';
      slot.at = bigintOfSize(await done(this.#fs.seek(slot.file, sizeAt(at), wanted)));
    } else {
      const { size } = await done(this.#fs.getattr(slot.ino));
      const from = whence === SEEK.END ? bigintOfSize(size) : whence === SEEK.CUR ? slot.at : 0n;
      slot.at = from + BigInt(at);
    }
    return slot.at;
  }

  async #map(slot: Slot): Promise<string> {
    const { size } = await done(this.#fs.getattr(slot.ino));
    let map = '';
    for (let at = 0n; at < bigintOfSize(size);) {
      const data = await this.#fs.seek(slot.file, sizeOfBig(at), 'data');
      if (isRefusal(data)) break;
      const hole = await done(this.#fs.seek(slot.file, data, 'hole'));
      map += `${bigintOfSize(data)}-${bigintOfSize(hole)},`;
      at = bigintOfSize(hole);
    }
    return `0 map=${map}`;
  }

  readonly #contents = (bytes: Buffer): string =>
    `${bytes.length}${bytes.length <= 64 ? ` bytes=${word(bytes)}` : ''}`;

  #ofContents(): Record<string, Operation> {
    const some = (length = '0', seed = '1'): Buffer => Buffer.alloc(integer(length), `x${seed}`);
    const sync = async ([slot]: readonly string[]): Promise<void> => {
      await done(this.#fs.fsync(this.#slot(slot).file));
    };
    return {
      open: (w) => this.#open(w),
      close: ([slot = '']) => this.#close(slot),
      pread: async ([slot, at = '0', length]) =>
        this.#contents(await this.#read(this.#slot(slot), BigInt(at), integer(length))),
      read: async ([name, length]) => {
        const slot = this.#slot(name);
        const bytes = await this.#read(slot, slot.at, integer(length));
        slot.at += BigInt(bytes.length);
        return this.#contents(bytes);
      },
      pwrite: async ([slot, at = '0', seed, length]) =>
        this.#write(this.#slot(slot), BigInt(at), some(length, seed)),
      put: async ([slot, at = '0', text = '']) =>
        this.#write(this.#slot(slot), BigInt(at), bytesIn(text)),
      write: async ([name, seed, length]) => {
        const slot = this.#slot(name);
        const written = await this.#write(slot, slot.at, some(length, seed));
        slot.at += written;
        return written;
      },
      truncate: async ([path, size]) => {
        const { ino } = await this.#walk(this.#path(path), true);
        return this.#set(ino, { size: sizeAt(size) });
      },
      ftruncate: async ([slot, size]) => this.#set(this.#slot(slot).ino, { size: sizeAt(size) }),
      fsync: sync,
      fdatasync: sync,
      lseek: async ([slot, at = '0', whence]) => this.#seek(this.#slot(slot), at, integer(whence)),
      map: async ([slot]) => this.#map(this.#slot(slot)),
    };
  }

  #ofNames(): Record<string, Operation> {
    const fs = this.#fs;
    const who = this.#caller;
    return {
      link: async ([from = '', to = '', flags]) => {
        this.#path(from);
        this.#path(to);
        const { ino } = await this.#walk(from, (integer(flags) & AT.SYMLINK_FOLLOW) !== 0);
        await done(fs.link(ino, ...(await this.#place(to)), who));
      },
      symlink: async ([target = '', path = '']) => {
        const place = await this.#place(this.#path(path));
        await done(fs.symlink(...place, nameOf(target), who));
      },
      mkdir: async ([path = '', mode]) => {
        const place = await this.#place(this.#path(path));
        await done(fs.mkdir(...place, DIRECTORY | integer(mode), who));
      },
      mknod: async ([path = '', mode, major, minor]) => {
        const place = await this.#place(this.#path(path));
        const device = packed(integer(major), integer(minor));
        await done(fs.mknod(...place, integer(mode), device, who));
      },
      unlink: async ([path = '']) => {
        await done(fs.unlink(...(await this.#place(this.#path(path))), who));
      },
      rmdir: async ([path = '']) => {
        await done(fs.rmdir(...(await this.#place(this.#path(path))), who));
      },
      rename: async ([from = '', to = '', flags]) => {
        this.#path(from);
        this.#path(to);
        const places = [...(await this.#place(from)), ...(await this.#place(to))] as const;
        await done(fs.rename(...places, integer(flags), who));
      },
      readdir: async ([path = '']) => this.#readdir(this.#path(path)),
    };
  }

  #ofAttributes(): Record<string, Operation> {
    const fs = this.#fs;
    const at = async (path = '', follow = true): Promise<Ino> =>
      (await this.#walk(this.#path(path), follow)).ino;
    const shown = async (path = '', follow = true): Promise<string> =>
      `0 ${this.#attributes(await this.#walk(path, follow))}`;
    return {
      chmod: async ([path, mode]) => this.#set(await at(path), { mode: integer(mode) }),
      fchmod: async ([slot, mode]) => this.#set(this.#slot(slot).ino, { mode: integer(mode) }),
      chown: async ([path, ...owner]) => this.#set(await at(path), this.#owner(owner)),
      fchown: async ([slot, ...owner]) => this.#set(this.#slot(slot).ino, this.#owner(owner)),
      utimens: async ([path, ...words]) => {
        const ino = await at(path, (integer(words[4]) & AT.SYMLINK_NOFOLLOW) === 0);
        const times = this.#times(words);
        // The kernel asks for nothing where both are omitted.
        if (times.atime === undefined && times.mtime === undefined) return;
        return this.#set(ino, times);
      },
      futimens: async ([slot, ...words]) => this.#set(this.#slot(slot).ino, this.#times(words)),
      access: async ([path]) => {
        await at(path);
      },
      stat: ([path]) => shown(path),
      lstat: ([path]) => shown(path, false),
      fstat: async ([slot = '']) => {
        const { ino } = this.#slots.get(slot) ?? fail('EBADF');
        return `0 ${this.#attributes(await done(fs.getattr(ino)))}`;
      },
      setxattr: async ([path, name = '', , length, flags]) => {
        const value = Buffer.alloc(integer(length), 'x');
        const ino = await at(path);
        await done(fs.setXattr(ino, nameOf(name), value, integer(flags), this.#caller));
      },
      getxattr: async ([path, name = '']) =>
        this.#contents(await done(fs.getXattr(await at(path), nameOf(name)))),
      removexattr: async ([path, name = '']) => {
        await done(fs.removeXattr(await at(path), nameOf(name), this.#caller));
      },
    };
  }
}

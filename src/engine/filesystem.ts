/**
 * The filesystem: `FilesystemApi` over the parts of the engine. Each method is one operation; the
 * work stands in the files named after it.
 */

import { decideAttributes } from '../decide/attributes.ts';
import { decideRemoveXattr, decideSetXattr } from '../decide/xattr.ts';
import { isRefusal, refuse, type Refusal } from '../model/errno.ts';
import type { ByteString, Ino } from '../model/ids.ts';
import { isDirectory, isSymlink, S_IFMT, type Inode } from '../model/inode.ts';
import type { Size } from '../model/size.ts';
import type { Time } from '../model/time.ts';
import type { Cause } from '../model/transaction.ts';
import type { Decision } from '../decide/decision.ts';
import type {
  Answer,
  CacheHolder,
  Caller,
  FilesystemApi,
  Listing,
  OpenFile,
  RangeRequest,
  ReferenceHolder,
  SetAttributes,
  SpaceInfo,
  WritePayload,
} from './api.ts';
import { attachedTo } from './attached.ts';
import { copyRange } from './copy.ts';
import { envOf, noteAccess, shown, type Core } from './core.ts';
import { VolumeFileLocks } from './file-locks.ts';
import * as files from './files.ts';
import { openListing } from './listing.ts';
import * as names from './namespace.ts';
import { fallocate } from './ranges.ts';
import type { Reader } from './reading.ts';
import type { Removals } from './removal.ts';
import { seek, type Wanted } from './seek.ts';
import { truncate } from './truncate.ts';

export interface FilesystemParts {
  readonly core: Core;
  readonly reader: Reader;
  readonly removals: Removals;
  readonly space: () => Answer<SpaceInfo>;
}

export class Filesystem implements FilesystemApi {
  readonly locks = new VolumeFileLocks();
  readonly #parts: FilesystemParts;
  readonly #core: Core;

  constructor(parts: FilesystemParts) {
    this.#parts = parts;
    this.#core = parts.core;
  }

  lookup(dir: Ino, name: ByteString): Answer<Inode> {
    return this.#core.committer.attempt(() => names.lookup(this.#core, dir, name));
  }

  getattr(ino: Ino): Answer<Inode> {
    return this.#core.committer.attempt(() => {
      const inode = this.#core.index.inode(ino);
      return inode === undefined ? refuse('ESTALE') : shown(this.#core, inode);
    });
  }

  setattr(ino: Ino, set: SetAttributes, caller: Caller): Answer<Inode> {
    if (set.size === undefined) return this.#setattr(ino, set, caller);
    const kill = set.killPrivileges === true;
    const truncated = truncate(this.#parts, ino, set.size, kill, caller);
    const rest = (answer: void | Refusal): Answer<Inode> =>
      isRefusal(answer) ? answer : this.#setattr(ino, set, caller);
    return truncated instanceof Promise ? truncated.then(rest) : rest(truncated);
  }

  #setattr(ino: Ino, set: SetAttributes, caller: Caller): Answer<Inode> {
    const { atime, mtime, mode, uid, gid } = set;
    const killPrivileges = set.killPrivileges === true && set.size === undefined;
    if (atime === undefined && mtime === undefined && mode === undefined && !killPrivileges) {
      if (uid === undefined && gid === undefined) {
        return set.size === undefined ? this.#setNothing(ino, caller) : this.getattr(ino);
      }
    }
    return this.#change(ino, 'setattr', caller, (inode) => {
      // Set, it stays as it is set: also where the log refuses that, a noted one may be lost.
      if (atime !== undefined) this.#core.accesses.forget(ino);
      const env = envOf(this.#core, caller);
      const time = (t: Time | 'now' | undefined) => (t === 'now' ? env.now : t);
      const times = { atime: time(atime), mtime: time(mtime) };
      const command = { mode, uid, gid, ...times, killPrivileges };
      return decideAttributes(inode, attachedTo(this.#core.index, inode), command, env);
    });
  }

  /**
   * chown(-1, -1) of the owner or of root. The kernel asks for the same before a write that clears
   * set-id bits, so that it cannot be told from a stranger's chown: for others nothing changes, and
   * the bits go with the write that follows.
   */
  #setNothing(ino: Ino, caller: Caller): Answer<Inode> {
    const answer = this.getattr(ino);
    const next = (inode: Inode | Refusal): Answer<Inode> =>
      isRefusal(inode) ? inode : this.#setNothingOf(inode, caller);
    return answer instanceof Promise ? answer.then(next) : next(answer);
  }

  #setNothingOf({ ino, uid }: Inode, caller: Caller): Answer<Inode> {
    if (caller.uid !== 0 && caller.uid !== uid) return this.getattr(ino);
    const nothing = { mode: undefined, gid: undefined, atime: undefined, mtime: undefined };
    return this.#change(ino, 'setattr', caller, (inode) => {
      const command = { ...nothing, uid: inode.uid, killPrivileges: false };
      const attached = attachedTo(this.#core.index, inode);
      return decideAttributes(inode, attached, command, envOf(this.#core, caller));
    });
  }

  /** One transaction on one inode: its pending writes first, then what `decide` says. */
  #change(
    ino: Ino,
    cause: Cause,
    caller: Caller,
    decide: (inode: Inode) => Decision,
  ): Answer<Inode> {
    const core = this.#core;
    return core.committer.mutate(() => {
      const placed = core.dirty.place(ino);
      if (placed !== undefined) return placed;
      const inode = core.index.inode(ino);
      if (inode === undefined) return refuse('ESTALE');
      const events = decide(inode);
      if (isRefusal(events)) return events;
      if (events.length === 0) return shown(core, inode);
      const paths = core.paths.ofInode(ino);
      const tx = core.committer.append({ cause, actor: caller, paths, events, privileged: false });
      if (isRefusal(tx)) return tx;
      const changed = core.index.inode(ino);
      return changed === undefined ? refuse('EIO') : shown(core, changed);
    });
  }

  readlink(ino: Ino): Answer<ByteString> {
    return this.#core.committer.attempt(() => {
      const inode = this.#core.index.inode(ino);
      if (inode === undefined) return refuse('ESTALE');
      return isSymlink(inode.mode) ? (inode.target ?? refuse('EIO')) : refuse('EINVAL');
    });
  }

  mknod(dir: Ino, name: ByteString, mode: number, rdev: number, caller: Caller): Answer<Inode> {
    if ((mode & S_IFMT) === 0) return refuse('EINVAL');
    const creation = { cause: 'mknod' as const, dir, name, mode, rdev, target: undefined };
    return names.create(this.#core, creation, caller);
  }

  mkdir(dir: Ino, name: ByteString, mode: number, caller: Caller): Answer<Inode> {
    return names.create(this.#core, names.directoryCreation(dir, name, mode), caller);
  }

  symlink(dir: Ino, name: ByteString, target: ByteString, caller: Caller): Answer<Inode> {
    return names.create(this.#core, names.symlinkCreation(dir, name, target), caller);
  }

  link(ino: Ino, dir: Ino, name: ByteString, caller: Caller): Answer<Inode> {
    return names.link(this.#parts, ino, dir, name, caller);
  }

  unlink(dir: Ino, name: ByteString, caller: Caller): Answer<void> {
    return names.unlink(this.#parts, dir, name, caller);
  }

  rmdir(dir: Ino, name: ByteString, caller: Caller): Answer<void> {
    return names.rmdir(this.#parts, dir, name, caller);
  }

  rename(
    dir: Ino,
    name: ByteString,
    newDir: Ino,
    newName: ByteString,
    flags: number,
    caller: Caller,
  ): Answer<void> {
    const from = { dir, name };
    return names.rename(this.#parts, from, { dir: newDir, name: newName }, flags, caller);
  }

  create(dir: Ino, name: ByteString, mode: number, flags: number, caller: Caller) {
    return files.createAndOpen(this.#parts, dir, name, mode, flags, caller);
  }

  createTemporary(dir: Ino, mode: number, flags: number, caller: Caller) {
    return files.createTemporary(this.#parts, dir, mode, flags, caller);
  }

  open(ino: Ino, flags: number, caller: Caller): Answer<OpenFile> {
    return files.open(this.#parts, ino, flags, caller);
  }

  read(file: OpenFile, offset: Size, length: number): Answer<readonly Uint8Array[]> {
    return this.#parts.reader.read(file, offset, length);
  }

  accessed(ino: Ino): boolean {
    return noteAccess(this.#core, ino);
  }

  isPending(ino: Ino): boolean {
    return this.#core.dirty.get(ino) !== undefined;
  }

  write(
    file: OpenFile,
    offset: Size,
    payload: WritePayload,
    killPrivileges: boolean,
    caller: Caller,
  ): Answer<number> {
    return files.write(this.#parts, file, offset, payload, killPrivileges, caller);
  }

  seek(file: OpenFile, offset: Size, wanted: Wanted): Answer<Size> {
    return seek(this.#core, file.ino, offset, wanted);
  }

  copyRange(
    from: OpenFile,
    offset: Size,
    to: OpenFile,
    toOffset: Size,
    bytes: number,
    caller: Caller,
  ): Answer<number> {
    const range = { source: offset, target: toOffset, bytes };
    return copyRange(this.#parts, from, to, range, caller);
  }

  fallocate(file: OpenFile, request: RangeRequest, caller: Caller): Answer<void> {
    return fallocate(this.#parts, file, request, caller);
  }

  flush(file: OpenFile): Answer<void> {
    if (!file.writable) return undefined;
    return files.placeAtClose(this.#core, file.ino);
  }

  fsync(file: OpenFile): Answer<void> {
    return files.syncFile(this.#parts, file.ino);
  }

  close(file: OpenFile): void {
    const { removals } = this.#parts;
    removals.closed(file.ino);
    if (!removals.isOpen(file.ino)) this.#core.data.endStream(file.ino);
  }

  openDirectory(ino: Ino): Answer<Listing> {
    const inode = this.#core.index.inode(ino);
    if (inode === undefined) return refuse('ESTALE');
    return isDirectory(inode.mode) ? openListing(this.#core, ino) : refuse('ENOTDIR');
  }

  fsyncDirectory(ino: Ino): Answer<void> {
    return files.syncFile(this.#parts, ino);
  }

  getXattr(ino: Ino, name: ByteString): Answer<Buffer> {
    return this.#core.committer.attempt(() => files.getXattr(this.#core, ino, name));
  }

  listXattrs(ino: Ino): Answer<readonly ByteString[]> {
    return files.listXattrNames(this.#core, ino);
  }

  setXattr(
    ino: Ino,
    name: ByteString,
    value: Buffer,
    flags: number,
    caller: Caller,
    killSetGid = false,
  ): Answer<void> {
    const exists = () => this.#core.index.xattr(ino, name) !== undefined;
    const command = { name, value, flags, killSetGid };
    const answer = this.#change(ino, 'setxattr', caller, (inode) =>
      decideSetXattr(inode, exists(), command, envOf(this.#core, caller)),
    );
    return discardValue(answer);
  }

  removeXattr(ino: Ino, name: ByteString, caller: Caller): Answer<void> {
    const exists = () => this.#core.index.xattr(ino, name) !== undefined;
    const answer = this.#change(ino, 'removexattr', caller, (inode) =>
      decideRemoveXattr(inode, exists(), name, envOf(this.#core, caller)),
    );
    return discardValue(answer);
  }

  space(): Answer<SpaceInfo> {
    return this.#parts.space();
  }

  async sync(): Promise<void> {
    const failed = await this.#core.dirty.placeAll();
    if (failed !== undefined) throw Object.assign(new Error(failed.name), { code: failed.name });
    await this.#core.log.commit();
  }

  addCacheHolder(holder: CacheHolder): void {
    this.#core.changes.add(holder);
  }

  removeCacheHolder(holder: CacheHolder): void {
    this.#core.changes.remove(holder);
  }

  addReferenceHolder(holder: ReferenceHolder): void {
    this.#parts.removals.addHolder(holder);
  }

  removeReferenceHolder(holder: ReferenceHolder): void {
    this.#parts.removals.removeHolder(holder);
  }

  unreferenced(ino: Ino): void {
    this.#parts.removals.unreferenced(ino);
  }
}

/** The answer of an operation whose caller wants to know only whether it was refused. */
function discardValue(answer: Answer<Inode>): Answer<void> {
  const drop = (a: Inode | Refusal): void | Refusal => (isRefusal(a) ? a : undefined);
  return answer instanceof Promise ? answer.then(drop) : drop(answer);
}

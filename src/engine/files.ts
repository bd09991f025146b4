/** Open files: open, read, write, flush, fsync, close. */

import type { Place } from '../data/types.ts';
import { withoutSetId } from '../decide/attributes.ts';
import { decideTemporary } from '../decide/create.ts';
import { isRefusal, refuse, type Refusal } from '../model/errno.ts';
import type { ByteString, Ino } from '../model/ids.ts';
import {
  isDirectory,
  isRegular,
  isSymlink,
  mayHaveUnwritten,
  S_IFREG,
  type Inode,
} from '../model/inode.ts';
import {
  addBytes,
  blocksHolding,
  compareSizes,
  MAX_SIZE,
  ZERO_SIZE,
  type Size,
} from '../model/size.ts';
import { listXattrs } from '../index/views.ts';
import { xattrNameRefusal } from '../model/xattr.ts';
import type { Answer, Caller, OpenFile, WritePayload } from './api.ts';
import { defaultAclOf, isDroppedByWrites } from './attached.ts';
import { envOf, type Core } from './core.ts';
import { isDamage, tellDamage } from './damage.ts';
import { MoreSpace } from './dirty-files.ts';
import { createAttempt } from './namespace.ts';
import { NotYet } from './not-yet.ts';
import type { Reader } from './reading.ts';
import { refusalOf, type Removals } from './removal.ts';
import { loadBlock, NeedsBlock, placeName, truncate } from './truncate.ts';
import { NeedsPlace, NOTHING_UNWRITTEN, unwrittenIn } from './unwritten.ts';

const O_EXCL = 0o200;
const O_ACCMODE = 3;
const O_RDONLY = 0;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;
const O_DSYNC = 0o10000;
const O_NOATIME = 0o1000000;

export interface FileParts {
  readonly core: Core;
  readonly reader: Reader;
  readonly removals: Removals;
}

const openFileOf = (ino: Ino, flags: number): OpenFile => ({
  ino,
  synchronous: (flags & O_DSYNC) !== 0,
  append: (flags & O_APPEND) !== 0,
  noAccessTime: (flags & O_NOATIME) !== 0,
  writable: (flags & O_ACCMODE) !== O_RDONLY,
});

export function createAndOpen(
  parts: FileParts,
  dir: Ino,
  name: ByteString,
  mode: number,
  flags: number,
  caller: Caller,
): Answer<{ readonly inode: Inode; readonly file: OpenFile }> {
  const creation = {
    cause: 'create' as const,
    dir,
    name,
    mode: S_IFREG | (mode & 0o7777),
    rdev: 0,
    target: undefined,
  };
  return parts.core.committer.mutate(() => {
    const inode = createAttempt(parts.core, creation, caller);
    if (isRefusal(inode)) return inode;
    parts.removals.opened(inode.ino);
    return { inode, file: openFileOf(inode.ino, flags) };
  });
}

/**
 * O_TMPFILE: a file without a name, open. Its transaction makes it an orphan: after a crash, or at
 * its last close, it is reaped, unless link(2) gave it a name by then, which O_EXCL rules out.
 * ENOENT (removed directory), ENOTDIR, ENOSPC, ESTALE.
 */
export function createTemporary(
  parts: FileParts,
  dir: Ino,
  mode: number,
  flags: number,
  caller: Caller,
): Answer<{ readonly inode: Inode; readonly file: OpenFile }> {
  const { core, removals } = parts;
  return core.committer.mutate(() => {
    const parent = core.index.inode(dir);
    if (parent === undefined) return refuse('ESTALE');
    const env = envOf(core, caller);
    const facts = { dir: parent, defaultAcl: defaultAclOf(core, parent) };
    const events = decideTemporary(facts, S_IFREG | (mode & 0o7777), env);
    if (isRefusal(events)) return events;
    const decided = { cause: 'tmpfile' as const, actor: caller, paths: [], events };
    const tx = core.committer.append({ ...decided, privileged: false });
    if (isRefusal(tx)) return tx;
    removals.temporary(env.newIno, (flags & O_EXCL) === 0);
    removals.opened(env.newIno);
    const inode = core.index.inode(env.newIno);
    return inode === undefined ? refuse('EIO') : { inode, file: openFileOf(inode.ino, flags) };
  });
}

/** ESTALE, EISDIR, ELOOP (symlink); with O_TRUNC what `truncate` refuses. */
export function open(parts: FileParts, ino: Ino, flags: number, caller: Caller): Answer<OpenFile> {
  const { committer, index } = parts.core;
  const found = committer.attempt(() => index.inode(ino) ?? refuse('ESTALE'));
  const next = (inode: Inode | Refusal) =>
    isRefusal(inode) ? inode : openInode(parts, inode, flags, caller);
  return found instanceof Promise ? found.then(next) : next(found);
}

function openInode(
  parts: FileParts,
  inode: Inode,
  flags: number,
  caller: Caller,
): Answer<OpenFile> {
  const { ino } = inode;
  if (isDirectory(inode.mode)) return refuse('EISDIR');
  if (isSymlink(inode.mode)) return refuse('ELOOP');
  const file = openFileOf(ino, flags);
  parts.removals.opened(ino);
  if ((flags & O_TRUNC) === 0 || !isRegular(inode.mode)) return file;
  const opened = (answer: void | Refusal): OpenFile | Refusal => {
    if (!isRefusal(answer)) return file;
    parts.removals.closed(ino);
    return answer;
  };
  // Set-id bits stay: where they must go, the transport has asked for that first.
  const answer = truncate(parts, ino, ZERO_SIZE, false, caller);
  return answer instanceof Promise ? answer.then(opened) : opened(answer);
}

/** Bytes written; EFBIG, ENOSPC, EIO, ESTALE. */
export function write(
  parts: FileParts,
  file: OpenFile,
  offset: Size,
  payload: WritePayload,
  kill: boolean,
  caller: Caller,
): Answer<number> {
  const length = payload.bytes.length;
  if (length === 0) return 0;
  if (compareSizes(addBytes(offset, length), MAX_SIZE) > 0) return refuse('EFBIG');
  const request = new WriteRequest(file, offset, payload, kill, caller);
  const step = writeOnce(parts, request);
  const answer =
    step === 'written' ? length : isRefusal(step) ? step : writeLater(parts, request, step);
  if (!file.synchronous) return answer;
  return Promise.resolve(answer).then((done) => {
    if (isRefusal(done)) return done;
    return syncFile(parts, file.ino).then((failed) => failed ?? done);
  });
}

/** One write on its way: its bytes stay valid for as long as it has to wait. */
class WriteRequest {
  readonly file: OpenFile;
  readonly offset: Size;
  readonly bytes: Buffer;
  readonly kill: boolean;
  readonly caller: Caller;
  /** Blocks that had to be read from the disk, by their place. */
  readonly loaded = new Map<string, Uint8Array>();
  readonly #payload: WritePayload;
  #release: (() => void) | undefined;
  #taken = false;

  constructor(file: OpenFile, offset: Size, payload: WritePayload, kill: boolean, caller: Caller) {
    this.file = file;
    this.offset = offset;
    this.bytes = payload.bytes;
    this.kill = kill;
    this.caller = caller;
    this.#payload = payload;
  }

  /** Keeps the bytes beyond the call that brought them. */
  hold(): void {
    this.#release ??= this.#payload.take();
  }

  /** Hands the bytes' memory to the dirty file, which gives it back itself. */
  readonly take = (): (() => void) => {
    this.hold();
    this.#taken = true;
    return this.#release!;
  };

  /** The write is over: memory that nobody took goes back. */
  end(): void {
    if (!this.#taken) this.#release?.();
  }
}

type Wanting = 'unfinished' | 'full' | NeedsBlock | NeedsPlace | MoreSpace | NotYet;
type WriteStep = 'written' | Wanting | Refusal;

/** A write that has to wait: keeps the bytes, and tries again after each thing it waited for. */
async function writeLater(
  parts: FileParts,
  request: WriteRequest,
  first: Wanting | Promise<WriteStep>,
): Promise<number | Refusal> {
  request.hold();
  try {
    let step: WriteStep = await first;
    while (step !== 'written') {
      const failed = isRefusal(step) ? step : await whatItNeeds(parts, request, step);
      if (failed !== undefined) return failed;
      step = await writeOnce(parts, request);
    }
    return request.bytes.length;
  } finally {
    request.end();
  }
}

/** Waits for what keeps a write from being taken; a refusal if that cannot be had. */
async function whatItNeeds(
  parts: FileParts,
  request: WriteRequest,
  step: Wanting,
): Promise<Refusal | undefined> {
  if (step === 'full') return parts.core.dirty.makeRoom().then(() => undefined);
  if (step === 'unfinished') {
    return parts.removals.finishTruncate(request.file.ino).then(() => undefined, refusalOf);
  }
  if (step instanceof NotYet) return step.ready.then(() => undefined);
  if (step instanceof MoreSpace) return (await step.ready) ? undefined : refuse('ENOSPC');
  if (step instanceof NeedsPlace) return adopt(parts.core, request.file.ino, step.place);
  return loadBlock(parts, request.file.ino, step.place, request.loaded);
}

/** Makes ready a place that an earlier run allocated for `ino`; EIO if the disk fails. */
async function adopt(core: Core, ino: Ino, place: Place): Promise<Refusal | undefined> {
  try {
    await core.data.adopt(place);
    return undefined;
  } catch (error) {
    if (!isDamage(error)) throw error;
    tellDamage(core, ino, error);
    return refuse('EIO');
  }
}

function writeOnce(parts: FileParts, request: WriteRequest): WriteStep | Promise<WriteStep> {
  const { dirty } = parts.core;
  const { ino } = request.file;
  if (dirty.full) return 'full';
  const held = dirty.held(ino);
  if (held !== undefined) return held;
  if (!dirty.isRefused(ino)) return takeWrite(parts, request);
  // While what is pending cannot be logged, nothing more is taken.
  const placed = place(parts.core, ino);
  if (placed instanceof Promise)
    return placed.then((failed) => failed ?? takeWrite(parts, request));
  return placed ?? takeWrite(parts, request);
}

function takeWrite(parts: FileParts, request: WriteRequest): WriteStep | Promise<WriteStep> {
  const { committer, dirty } = parts.core;
  const { ino } = request.file;
  const failed = dirty.shipDue(ino);
  if (failed !== undefined) return failed;
  const step = committer.mutate<WriteStep>(() => writeAttempt(parts, request));
  if (step === 'written') dirty.shipSoon(ino);
  else if (step instanceof Promise) return step.finally(() => dirty.shipSoon(ino));
  return step;
}

function writeAttempt(parts: FileParts, request: WriteRequest): WriteStep {
  const { core } = parts;
  const { file, bytes } = request;
  const inode = core.index.inode(file.ino);
  if (inode === undefined) return refuse('ESTALE');
  if (inode.truncateMark !== undefined) return 'unfinished';
  if (core.data.failure !== undefined) return refuse('EIO');
  const dirty = core.dirty.get(file.ino);
  const size = dirty?.size ?? inode.size;
  const offset = file.append ? size : request.offset;
  const end = addBytes(offset, bytes.length);
  if (compareSizes(end, MAX_SIZE) > 0) return refuse('EFBIG');
  const bases = new Map<number, Uint8Array>();
  for (const block of partialBlocks(offset, end, size)) {
    if (dirty?.runAt(block) !== undefined) continue;
    const base = parts.reader.block(inode, block);
    if (base === undefined) continue;
    if (base instanceof Uint8Array) bases.set(block, base);
    else {
      const known = request.loaded.get(placeName(base));
      if (known === undefined) return new NeedsBlock(base);
      bases.set(block, known);
    }
  }
  const prepared = mayHaveUnwritten(inode)
    ? unwrittenIn(core, file.ino, offset.blocks, blocksHolding(end))
    : NOTHING_UNWRITTEN;
  if (prepared instanceof NeedsPlace) return prepared;
  const base = (block: number) => bases.get(block);
  const kill = request.kill && withoutSetId(inode.mode) !== undefined;
  const written = { offset, bytes, base, take: request.take };
  const { dirty: files, clock } = core;
  const refused = files.write(inode, written, clock.now(), kill, request.caller, prepared);
  if (refused !== undefined) return refused;
  core.changes.written(file.ino, request.caller);
  return 'written';
}

/** Blocks of [offset, end) that are written in part and may hold bytes of the file already. */
function partialBlocks(offset: Size, end: Size, size: Size): number[] {
  const blocks: number[] = [];
  if (offset.tail > 0) blocks.push(offset.blocks);
  const coversEnd = compareSizes(end, size) >= 0;
  const sameBlock = offset.tail > 0 && end.blocks === offset.blocks;
  if (end.tail > 0 && !coversEnd && !sameBlock) blocks.push(end.blocks);
  return blocks;
}

/** Appends what is pending on `ino`; a refusal if it cannot be. */
export function place(core: Core, ino: Ino): Answer<undefined> {
  if (core.dirty.get(ino) === undefined) return undefined;
  return core.committer.mutate(() => core.dirty.place(ino));
}

/** Appends what is pending on `ino`, or leaves that to the moment when it is durable. */
export function placeAtClose(core: Core, ino: Ino): Answer<undefined> {
  if (core.dirty.get(ino) === undefined) return undefined;
  return core.committer.mutate(() => core.dirty.placeAtClose(ino));
}

/** Resolves when `ino` is durable as it is now; a refusal (EIO, ENOSPC) if it cannot be. */
export async function syncFile(parts: FileParts, ino: Ino): Promise<Refusal | undefined> {
  const { core } = parts;
  const failed = await place(core, ino);
  if (failed !== undefined) return failed;
  const inode = core.index.inode(ino);
  if (inode !== undefined && inode.metaSeq <= core.log.durable) return undefined;
  try {
    await core.log.commit(inode?.metaSeq);
    return undefined;
  } catch (error) {
    core.journal('error', `inode ${ino}: fsync failed: ${(error as Error).message}`);
    return refuse('EIO');
  }
}

/** ENODATA for a name that is not set, EOPNOTSUPP for one that cannot be. */
export function getXattr(core: Core, ino: Ino, name: ByteString): Buffer | Refusal {
  const inode = core.index.inode(ino);
  if (inode === undefined) return refuse('ESTALE');
  const value = inode.xattrs === 0 ? undefined : core.index.xattr(ino, name)?.value;
  if (value === undefined) return xattrNameRefusal(name) ?? refuse('ENODATA');
  return isDroppedByWrites(core, inode, name) ? refuse('ENODATA') : value;
}

export function listXattrNames(core: Core, ino: Ino): Answer<readonly ByteString[]> {
  const inode = core.index.inode(ino);
  if (inode === undefined) return refuse('ESTALE');
  if (inode.xattrs === 0) return [];
  const snapshot = core.index.snapshot();
  const shown = (names: readonly ByteString[]) =>
    names.filter((name) => !isDroppedByWrites(core, inode, name));
  return listXattrs(snapshot, ino)
    .then(shown)
    .finally(() => snapshot.close());
}

/**
 * Copying a range of one file into another: copy_file_range(2).
 *
 * What may be shared is shared in steps, each one attempt and one transaction: pending writes of
 * both files are placed, the source's extents are read, and the target gets them, with its new size
 * and times. Reading and mapping in one synchronous step is what makes it safe: the blocks have an
 * owner all the time, so the reclaimer never sees them without. The bytes need no sync of their
 * own: the source's transaction stands before this one in the log, and a commit waits for its data.
 * What must be moved (`decide/copy.ts`) is read and written like any read and write, a piece at a
 * time. A crash between steps leaves a prefix copied, as one between two writes does.
 *
 * A call does a bounded number of steps and then returns short, as copy_file_range(2) allows, so
 * that a signal to its caller is met soon; between steps others have their turns.
 */

import {
  COPY_STEP_EXTENTS,
  copyRefusal,
  decideShare,
  firstPart,
  firstStep,
  withinSource,
  type CopyRange,
} from '../decide/copy.ts';
import { isRefusal, refuse, type Refusal } from '../model/errno.ts';
import type { Ino } from '../model/ids.ts';
import { addBytes } from '../model/size.ts';
import type { Caller, OpenFile } from './api.ts';
import { attachedTo } from './attached.ts';
import { envOf, noteAccess, type Core } from './core.ts';
import { syncFile, write, type FileParts } from './files.ts';
import { refusalOf } from './removal.ts';
import { turn } from '../io/turn.ts';

/** Most that one call is asked for: below the bound of `Size` arithmetic. */
const CALL_BYTES = 2 ** 38;
/** Steps that one call takes: with 128 extents each, about a tenth of a second. */
const CALL_STEPS = 64;
/** Bytes that one call moves through memory. */
const CALL_MOVED_BYTES = 16 << 20;
/** Bytes moved at a time: one WRITE of the kernel's size. */
const PIECE_BYTES = 1 << 20;

/** What one attempt did, or found to be done otherwise. */
type Step =
  | { readonly type: 'shared'; readonly bytes: number; readonly range: CopyRange }
  | { readonly type: 'toMove'; readonly bytes: number; readonly range: CopyRange }
  | { readonly type: 'unfinished'; readonly ino: Ino };

/**
 * Bytes copied; 0 only at the end of the source. A refusal that comes after some were copied is
 * left for the next call to meet.
 */
export async function copyRange(
  parts: FileParts,
  from: OpenFile,
  to: OpenFile,
  asked: CopyRange,
  caller: Caller,
): Promise<number | Refusal> {
  if (to.append) return refuse('EBADF');
  const call: Call = { parts, from, to: to.ino, caller, moved: 0 };
  let rest = { ...asked, bytes: Math.min(asked.bytes, CALL_BYTES) };
  let copied = 0;
  let steps = 0;
  while (copied === 0 || (steps < CALL_STEPS && call.moved < CALL_MOVED_BYTES)) {
    if (steps++ > 0) await turn();
    const step = await copyStep(call, rest);
    if (step === 'again') continue;
    if (isRefusal(step)) {
      if (copied === 0) return step;
      break;
    }
    copied += step.bytes;
    // A file that is copied within itself grows: the end of the source is where it was at first.
    rest = restOf(step.range, step.bytes);
    if (step.bytes === 0 || rest.bytes === 0) break;
  }
  if (copied > 0 && from.noAccessTime !== true) noteAccess(parts.core, from.ino);
  const failed = to.synchronous && copied > 0 ? await syncFile(parts, to.ino) : undefined;
  return failed ?? copied;
}

/** One copy_file_range(2). */
interface Call {
  readonly parts: FileParts;
  readonly from: OpenFile;
  readonly to: Ino;
  readonly caller: Caller;
  /** Bytes that went through memory. */
  moved: number;
}

const restOf = ({ source, target, bytes }: CopyRange, copied: number): CopyRange => ({
  source: addBytes(source, copied),
  target: addBytes(target, copied),
  bytes: bytes - copied,
});

/** Copies the beginning of `rest`: `bytes` of `range`, which is `rest` up to the source's end. */
async function copyStep(
  call: Call,
  rest: CopyRange,
): Promise<{ readonly bytes: number; readonly range: CopyRange } | 'again' | Refusal> {
  const { core, removals } = call.parts;
  const step = await core.committer.mutate(() => copyAttempt(core, call, rest));
  if (isRefusal(step) || step.type === 'shared') return step;
  if (step.type === 'unfinished') {
    return removals.finishTruncate(step.ino).then(() => 'again' as const, refusalOf);
  }
  const { range } = step;
  const bytes = await moveBytes(call, { ...range, bytes: step.bytes });
  if (isRefusal(bytes)) return bytes;
  call.moved += bytes;
  return { bytes, range };
}

/** One step of sharing: a transaction, or what stands in its way. */
function copyAttempt(core: Core, call: Call, rest: CopyRange): Step | Refusal {
  const { dirty, index } = core;
  const { to, caller } = call;
  const from = call.from.ino;
  for (const ino of [from, to]) {
    const inode = index.inode(ino);
    if (inode === undefined) return refuse('ESTALE');
    if (inode.truncateMark !== undefined) return { type: 'unfinished', ino };
    const failed = dirty.place(ino);
    if (failed !== undefined) return failed;
  }
  const [source, target] = [index.inode(from)!, index.inode(to)!];
  const range = withinSource(rest, source);
  const refusal = copyRefusal(source, target, range);
  if (refusal !== undefined) return refusal;
  if (range.bytes === 0) return { type: 'shared', bytes: 0, range };
  const part = firstPart(range, source, target);
  if ('moved' in part) return { type: 'toMove', bytes: part.moved, range };
  const held = index.firstExtents(from, part.sourceBlock, COPY_STEP_EXTENTS);
  const replaced = index.firstExtents(to, part.targetBlock, COPY_STEP_EXTENTS);
  const step = firstStep(part, held, replaced);
  if ('moved' in step) return { type: 'toMove', bytes: step.moved, range };
  // The request says nothing of the caller's rights over set-id bits: root keeps them.
  const events = decideShare(
    { target, attached: attachedTo(index, target), held, replaced },
    step,
    caller.uid !== 0,
    envOf(core, caller),
  );
  const paths = core.paths.ofInode(to);
  const decided = { cause: 'copy' as const, actor: caller, paths, events };
  const tx = core.committer.append({ ...decided, privileged: false });
  return isRefusal(tx) ? tx : { type: 'shared', bytes: step.bytes, range };
}

/** Reads and writes one piece of the range; the bytes, 0 where the source has ended meanwhile. */
async function moveBytes(
  { parts, from, to, caller }: Call,
  { source, target, bytes }: CopyRange,
): Promise<number | Refusal> {
  const length = Math.min(bytes, PIECE_BYTES - target.tail);
  const answer = parts.reader.read(from, source, length);
  // An answer that is there at once must be copied at once: the next read uses its memory.
  const chunks = answer instanceof Promise ? await answer : answer;
  if (isRefusal(chunks)) return chunks;
  const payload = { bytes: Buffer.concat([...chunks]), take: () => () => undefined };
  const file = { ino: to, synchronous: false, append: false, writable: true };
  return write(parts, file, target, payload, caller.uid !== 0, caller);
}

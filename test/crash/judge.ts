/**
 * The judge of the kill test. The property, in one sentence:
 *
 *   After a kill at any moment, what is found is what a POSIX filesystem holds after some prefix of
 *   each lane's operations - prefixes that together are a consistent cut of what happened, and that
 *   hold all that was reported durable - except that each file may lack the newest of the writes to
 *   it that nothing had yet put into the log.
 *
 * Made precise. A lane is a directory whose operations have one order. For each lane there is a cut
 * k such that
 *   1. names, types, hard links, link counts, modes, mtimes that were set, symlinks and xattrs are
 *      exactly those after operation k;
 *   2. each file holds the contents after some write to it (which the kernel may cut in two at the
 *      first page's end, each of them atomic), not after k and not before the last operation up to k
 *      that settles it: a close, an fsync or O_SYNC write that was answered, or any other change of
 *      its inode (so a file that was written and renamed is never found empty or old);
 *   3. k is not before the last change of any node that an answered fsync, fsync of a directory or
 *      O_SYNC write made durable, nor before anything that was answered when an answered
 *      `ledgerfs sync` began;
 *   4. across lanes: what was answered before an operation within another lane's cut began is itself
 *      within its lane's cut, since the log has one order.
 * Besides, every answer of the running system must be a success or a refusal where the model says
 * so.
 */

import { must } from '../../src/model/assert.ts';
import type { Entry, SyncEntry } from './journal.ts';
import { LaneModel, type Effect, type ModelNode } from './model.ts';
import type { FoundNode, FoundTree } from './tree.ts';

export interface LaneEvidence {
  readonly name: string;
  /** What the round began with. */
  readonly baseline: FoundTree;
  /** In order; only the last one may be unanswered. */
  readonly entries: readonly Entry[];
  readonly found: FoundTree;
}

/** What is wrong; undefined if nothing is. */
export function judge(
  lanes: readonly LaneEvidence[],
  syncs: readonly SyncEntry[],
): string | undefined {
  const judged: JudgedLane[] = [];
  for (const lane of lanes) {
    const promises = promisesOf(lane, syncs);
    if (typeof promises === 'string') return `lane ${lane.name}: ${promises}`;
    const cuts = possibleCuts(lane, promises);
    if (typeof cuts === 'string') return `lane ${lane.name}: ${cuts}`;
    judged.push({ lane, cuts, at: 0 });
  }
  return acrossLanes(judged);
}

/** What was reported durable in a lane. */
interface Promises {
  /** The cut is not before this operation; -1 if nothing was promised. */
  readonly floor: number;
  /**
   * Nodes whose contents are in the log once the cut is at or after an operation; 'all' of them.
   */
  readonly settled: ReadonlyMap<number, Set<number> | 'all'>;
}

/** Runs the answered operations through a model; says where system and model disagree. */
function promisesOf(lane: LaneEvidence, syncs: readonly SyncEntry[]): Promises | string {
  const model = new LaneModel(lane.baseline, new Set());
  const lastTouch = new Map<number, number>();
  const settled = new Map<number, Set<number> | 'all'>();
  let floor = -1;
  for (const [i, entry] of lane.entries.entries()) {
    if (entry.end === undefined) break;
    const effect = model.apply(entry.worker, entry.operation);
    if (effect.refused !== (entry.error !== null)) return disagreement(i, entry, effect);
    for (const node of effect.touched) lastTouch.set(node.id, i);
    const durable = effect.synced === undefined ? undefined : lastTouch.get(effect.synced.id);
    if (effect.synced === undefined || durable === undefined) continue;
    floor = Math.max(floor, durable);
    settle(settled, durable, effect.synced);
  }
  for (const { begin, end } of syncs) {
    if (end === undefined) continue;
    const last = lastAnswered(lane, begin);
    floor = Math.max(floor, last);
    if (last >= 0) settled.set(last, 'all');
  }
  return { floor, settled };
}

const disagreement = (i: number, entry: Entry, effect: Effect): string =>
  `operation ${i} ${JSON.stringify(entry.operation)} was answered ${entry.error ?? 'with success'}, ` +
  `but ${effect.refused ? 'must be refused' : 'must succeed'}`;

function settle(settled: Map<number, Set<number> | 'all'>, at: number, node: ModelNode): void {
  const known = settled.get(at) ?? new Set<number>();
  if (known !== 'all') settled.set(at, known.add(node.id));
}

/** Position of the last operation that was answered before `time`; -1 for none. */
function lastAnswered({ entries }: LaneEvidence, time: number): number {
  return entries.findLastIndex(({ end }) => end !== undefined && end < time);
}

/** The cuts at which the model is what was found, in order; why there is none. */
function possibleCuts(lane: LaneEvidence, promises: Promises): number[] | string {
  const model = new LaneModel(lane.baseline, sizesOf(lane.found));
  const cuts: number[] = [];
  let nearest: { readonly at: number; readonly wrong: readonly string[] } | undefined;
  const look = (at: number): void => {
    if (at < promises.floor) return;
    const wrong = differences(model, lane.found);
    if (wrong.length === 0) cuts.push(at);
    else if (nearest === undefined || wrong.length <= nearest.wrong.length) nearest = { at, wrong };
  };
  look(-1);
  for (const [i, { worker, operation, error }] of lane.entries.entries()) {
    const wasAnswered = lane.entries[i]?.end !== undefined;
    if (!wasAnswered || error === null) model.apply(worker, operation);
    settleNodes(model, promises.settled.get(i));
    look(i);
  }
  return cuts.length > 0 ? cuts : explain(lane, promises.floor, nearest);
}

const sizesOf = (tree: FoundTree): Set<number> =>
  new Set([...tree.values()].flatMap((node) => (node.kind === 'file' ? [node.bytes.length] : [])));

function settleNodes(model: LaneModel, ids: Set<number> | 'all' | undefined): void {
  if (ids === 'all') model.settleAll();
  else if (ids !== undefined) {
    for (const node of model.nodes()) {
      if (node.kind === 'file' && ids.has(node.id)) node.contents.settle();
    }
  }
}

/** Operations that are shown around the nearest cut. */
const CONTEXT = 12;

function explain(
  { entries }: LaneEvidence,
  floor: number,
  nearest: { readonly at: number; readonly wrong: readonly string[] } | undefined,
): string {
  const { at, wrong } = must(nearest, 'a lane without a cut was looked at');
  const from = Math.max(0, at - CONTEXT);
  const near = entries
    .slice(from, at + CONTEXT)
    .map((entry, i) => `  ${from + i}: ${describe(entry)}`);
  return [
    `no state from operation ${floor} to ${entries.length - 1} is what was found;`,
    `nearest is the one after ${at}:`,
    ...wrong.map((what) => `  ${what}`),
    'operations:',
    ...near,
  ].join('\n');
}

const describe = ({ worker, operation, end, error }: Entry): string =>
  `worker ${worker} ${JSON.stringify(operation)} ${end === undefined ? 'unanswered' : (error ?? 'ok')}`;

/** What of `found` is not as the model says. */
function differences(model: LaneModel, found: FoundTree): string[] {
  const wrong: string[] = [];
  const inoOf = new Map<ModelNode, number>();
  const seen = new Set<string>();
  const visit = (path: string, node: ModelNode): void => {
    seen.add(path);
    const there = found.get(path);
    if (there === undefined) wrong.push(`${path}: missing`);
    else {
      const ino = inoOf.get(node);
      if (ino !== undefined && ino !== there.ino) wrong.push(`${path}: not the same inode`);
      inoOf.set(node, there.ino);
      wrong.push(...nodeDifferences(node, there).map((what) => `${path}: ${what}`));
    }
    if (node.kind !== 'directory') return;
    for (const [name, child] of node.entries) visit(path === '' ? name : `${path}/${name}`, child);
  };
  visit('', model.root);
  for (const path of found.keys()) if (!seen.has(path)) wrong.push(`${path}: must not exist`);
  if (new Set(inoOf.values()).size < inoOf.size) wrong.push('two nodes have one inode number');
  return wrong;
}

function nodeDifferences(node: ModelNode, found: FoundNode): string[] {
  const wrong: string[] = [];
  if (node.mtime !== undefined && node.mtime !== found.mtime) {
    wrong.push(`mtime ${found.mtime}, not ${node.mtime}`);
  }
  const links = node.kind === 'directory' ? 2 + subdirectories(node) : node.links;
  if (links !== found.nlink) wrong.push(`nlink ${found.nlink}, not ${links}`);
  if (node.kind === 'symlink' && found.kind === 'symlink') {
    return node.target === found.target ? wrong : [...wrong, 'another target'];
  }
  if (node.kind !== found.kind || node.kind === 'symlink' || found.kind === 'symlink') {
    return [`is a ${found.kind}, not a ${node.kind}`];
  }
  if (node.mode !== found.mode) {
    wrong.push(`mode ${found.mode.toString(8)}, not ${node.mode.toString(8)}`);
  }
  wrong.push(...xattrDifferences(node.xattrs, found.xattrs));
  if (node.kind === 'file' && found.kind === 'file' && !node.contents.mayBe(found.digest)) {
    const size = `${found.bytes.length} bytes, the newest has ${node.contents.size}`;
    wrong.push(`contents that it may not have (${size})`);
  }
  return wrong;
}

const subdirectories = (node: Extract<ModelNode, { kind: 'directory' }>): number =>
  [...node.entries.values()].filter(({ kind }) => kind === 'directory').length;

function xattrDifferences(
  wanted: ReadonlyMap<string, string>,
  found: ReadonlyMap<string, string>,
): string[] {
  const names = new Set([...wanted.keys(), ...found.keys()]);
  return [...names]
    .filter((name) => wanted.get(name) !== found.get(name))
    .map((name) => `xattr ${name} differs`);
}

interface JudgedLane {
  readonly lane: LaneEvidence;
  readonly cuts: readonly number[];
  /** Which of `cuts` is tried. */
  at: number;
}

/**
 * Looks for one cut per lane that together are consistent: each begins at its earliest, and is
 * moved on where another lane's cut shows that more had happened. The operation at a cut is in the
 * log, since a cut before it did not do.
 */
function acrossLanes(lanes: readonly JudgedLane[]): string | undefined {
  for (let isMoved = true; isMoved;) {
    isMoved = false;
    for (const one of lanes) {
      const time = one.lane.entries[one.cuts[one.at] ?? -1]?.begin;
      if (time === undefined) continue;
      for (const other of lanes) {
        const needed = lastAnswered(other.lane, time);
        const present = must(other.cuts[other.at], 'a lane has its cut');
        if (present >= needed) continue;
        const next = other.cuts.findIndex((cut) => cut >= needed);
        if (next === -1) return inconsistent(one, other, needed);
        other.at = next;
        isMoved = true;
      }
    }
  }
  return undefined;
}

const inconsistent = (one: JudgedLane, other: JudgedLane, needed: number): string =>
  `lane ${one.lane.name} holds operation ${one.cuts[one.at]}, begun after operation ${needed} of ` +
  `lane ${other.lane.name} was answered; but that lane ends at ${other.cuts.at(-1)}`;

/**
 * The reclaimer: destroys what the past no longer needs. It alone punches logged data, removes
 * segments, and deletes before-images. Owns the horizon.
 *
 * One step, and what a crash after each part leaves:
 * 1. a run of `freed` items at or below the new horizon is read: nothing;
 * 2. the horizon is raised and made known (`advance`), so that nobody opens a past that is about to
 *    lose its data: the items are still there, the next run begins with them;
 * 3. their ranges are punched, adjacent ones together: as before, and punching twice is harmless;
 * 4. the items are deleted and `heldBlocks` lowered, unlogged: done; an index that is rebuilt shows
 *    the items again, and they are punched again, where the segment still exists.
 * The file of a segment that no item owns and no freed range names is removed, and then that is
 * logged, which takes its `segment` and `checksum` items away: digest and fsck cover them, and must
 * not tell how far reclaiming has come. A crash between the two leaves a segment without a file,
 * which the next run's survey finds. Segment blocks are never allocated twice, so nothing that is
 * punched late can hit newer data.
 *
 * Before-images are found by walking the history family, whose keys end with the seq at which the
 * value ended, in bounded pieces: events do not tell the keys of the extents that they replaced.
 */

import type { Clock } from '../io/clock.ts';
import type { DiskSpace } from '../io/disk.ts';
import type { FreedItem, Mutation, TimeMarkItem } from '../index/items.ts';
import { decodeNumber, FAMILY, freedKey, timeMarkKey } from '../index/keys.ts';
import { BLOCK_BYTES, NO_SEQ, segmentNumber, seq as seqOf } from '../model/ids.ts';
import type { SegmentNumber, Seq } from '../model/ids.ts';
import { cutoffSecond, lastExpendable, policyHorizon, type Bounds } from './horizon.ts';
import { collect, familyEnd, refRange, VOLUME_KEY, withSnapshot } from './item-source.ts';
import type { ItemSnapshot, MutableItems } from './item-source.ts';
import { historyFloorBytes } from './space.ts';
import type { Place } from './types.ts';

/** The segment files, as `SegmentStore` offers them. */
export interface ReclaimedFiles {
  isOpen(segment: SegmentNumber): boolean;
  /** Idempotent; a segment that is gone is fine. */
  punch(segment: SegmentNumber, block: number, count: number): Promise<void>;
  /** Idempotent. */
  remove(segment: SegmentNumber): Promise<void>;
}

export interface ReclaimerOptions {
  readonly items: MutableItems;
  readonly files: ReclaimedFiles;
  readonly clock: Clock;
  readonly diskSpace: () => Promise<DiskSpace>;
  /** What must not be destroyed, now. */
  readonly bounds: () => Bounds;
  /** The horizon that an earlier run had reached; NO_SEQ for none. */
  readonly horizon: Seq;
  /**
   * Told the new horizon before anything is destroyed up to it, to note it down durably; `forced`
   * when want of space raised it beyond the policy.
   */
  readonly advance: (horizon: Seq, forced: boolean) => Promise<void>;
  /**
   * Logs that a segment's file is gone, which takes its items out of the index: the state at every
   * position must not tell how far this machine has come with reclaiming.
   */
  readonly removed: (segment: SegmentNumber) => Promise<void>;
  /** Punched ranges a second, when space is not short; 2,000 unless given. */
  readonly rangesPerSecond?: number;
}

const RANGES_PER_SECOND = 2000;
/** `freed` items of one step. */
const STEP_ITEMS = 1024;
/** History items looked at in one step. */
const HISTORY_ITEMS = 4096;
/** Segments looked at in one piece of the first survey. */
const SURVEY_ITEMS = 1024;
/** Passes over the history family in the time that it is kept. */
const HISTORY_PASSES = 16;
/** Least time between two passes, in milliseconds. */
const MIN_PASS_MS = 60_000;

interface FreedRange extends Place {
  readonly key: string;
  readonly seq: Seq;
}

export class Reclaimer {
  readonly #options: ReclaimerOptions;
  #horizon: Seq;
  #turn: Promise<unknown> = Promise.resolve();
  /** Segments that lost something, and may have lost everything. */
  readonly #emptied = new Set<SegmentNumber>();
  /**
   * Every `freed` item below this key is gone, for good: later ones are freed by later transactions.
   * A scan from here need not pass the deleted ones.
   */
  #freedFrom: string = FAMILY.freed;
  /** Next key of the survey that finds what earlier runs left; undefined once it is over. */
  #surveyFrom: string | undefined = FAMILY.segment;
  /** Next key of the pass over history; undefined between passes. */
  #historyFrom: string | undefined;
  /** Horizon of the last pass over history that began, and when. */
  #passedHorizon = NO_SEQ;
  #passedMs = Number.NEGATIVE_INFINITY;

  constructor(options: ReclaimerOptions) {
    this.#options = options;
    this.#horizon = options.horizon;
  }

  /** The oldest position that can be looked at. Never falls. */
  get horizon(): Seq {
    return this.#horizon;
  }

  /**
   * One bounded step; false when there is nothing more to do for now. Steps never overlap. Rejects
   * when the disk fails: nothing is lost, the step can be tried again.
   */
  step(): Promise<boolean> {
    return this.#inTurn(() => this.#step());
  }

  /**
   * Gives history up, oldest first and whatever the policy says, until `bytes` are freed or nothing
   * is left to give; false if nothing was freed.
   */
  makeSpace(bytes: number): Promise<boolean> {
    return this.#inTurn(async () => {
      let blocks = 0;
      while (blocks * BLOCK_BYTES < bytes) {
        const freed = await this.#reclaim(lastExpendable(this.#options.bounds()), true);
        if (freed === 0) break;
        blocks += freed;
      }
      return blocks > 0;
    });
  }

  /** Steps until `signal` aborts, `idleMs` apart when there is nothing to do. */
  async run(signal: AbortSignal, idleMs: number, failed: (error: Error) => void): Promise<void> {
    while (!signal.aborted) {
      let more = false;
      try {
        more = await this.step();
      } catch (error) {
        failed(error as Error);
      }
      if (!more) await this.#pause(idleMs, signal);
    }
    await this.#turn;
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(task, task);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #step(): Promise<boolean> {
    if (this.#surveyFrom !== undefined) await this.#survey(this.#surveyFrom);
    if ((await this.#reclaim(await this.#policyHorizon(), false)) > 0) return true;
    if (await this.#isShortOfSpace()) {
      const target = lastExpendable(this.#options.bounds());
      if ((await this.#reclaim(target, true)) > 0) return true;
    }
    if (await this.#pruneHistory()) return true;
    return (await this.#removeEmptied()) || this.#surveyFrom !== undefined;
  }

  async #isShortOfSpace(): Promise<boolean> {
    const space = await this.#options.diskSpace();
    return space.availableBytes < historyFloorBytes(space.totalBytes);
  }

  async #policyHorizon(): Promise<Seq> {
    const historyMicros = this.#options.items.volume()?.historyMicros ?? -1;
    const cutoff = cutoffSecond(historyMicros, this.#options.clock.micros());
    const markedSeq = cutoff === undefined ? undefined : await this.#markedSeq(cutoff);
    return policyHorizon({ ...this.#options.bounds(), historyMicros, markedSeq });
  }

  /** First seq of the newest second, up to `second`, that has a transaction. */
  #markedSeq(second: number): Promise<Seq | undefined> {
    return withSnapshot(this.#options.items, async (snapshot) => {
      const range = [timeMarkKey(0), timeMarkKey(second + 1)] as const;
      const marks = snapshot.scan('timeMark', ...range, { limit: 1, reverse: true });
      const [mark] = await collect(marks);
      return (mark?.value as TimeMarkItem | undefined)?.seq;
    });
  }

  /** Frees a run of what transactions up to `target` let go; resolves to the blocks freed. */
  async #reclaim(target: Seq, forced: boolean): Promise<number> {
    const from = this.#freedFrom;
    const freed = await withSnapshot(this.#options.items, (s) => freedUpTo(s, from, target));
    const complete = freed.length < STEP_ITEMS;
    const reached = complete ? target : (freed.at(-1) as FreedRange).seq;
    // Somebody may have begun to look at the past while the items were read.
    if (lastExpendable(this.#options.bounds()) < reached) return 0;
    // Forced, the horizon moves for what is given up, and not for nothing.
    const horizon = forced && complete ? (freed.at(-1)?.seq ?? NO_SEQ) : reached;
    if (horizon > this.#horizon) {
      this.#horizon = horizon;
      await this.#options.advance(horizon, forced);
    }
    if (freed.length === 0) return 0;
    await this.#punch(freed, forced);
    this.#forget(freed);
    return freed.reduce((blocks, range) => blocks + range.count, 0);
  }

  async #punch(freed: readonly FreedRange[], hurried: boolean): Promise<void> {
    const { clock, files } = this.#options;
    const ranges = coalesce(freed);
    const begun = clock.monotonicMs();
    for (const { segment, segmentBlock, count } of ranges) {
      await files.punch(segment, segmentBlock, count);
      this.#emptied.add(segment);
    }
    const rate = this.#options.rangesPerSecond ?? RANGES_PER_SECOND;
    const spare = (ranges.length / rate) * 1000 - (clock.monotonicMs() - begun);
    if (!hurried && spare > 0) await this.#pause(spare);
  }

  /** Deletes the items of what was punched. Synchronous: the volume item changes with them. */
  #forget(freed: readonly FreedRange[]): void {
    const { items } = this.#options;
    const mutations: Mutation[] = [];
    let blocks = 0;
    for (const { key, count } of freed) {
      mutations.push({ family: 'freed', key, value: undefined });
      blocks += count;
    }
    const volume = items.volume();
    if (volume !== undefined) {
      const value = { ...volume, heldBlocks: volume.heldBlocks - blocks };
      mutations.push({ family: 'meta', key: VOLUME_KEY, value });
    }
    items.applyUnlogged(mutations);
    const last = freed.at(-1);
    if (last !== undefined) this.#freedFrom = `${last.key}\0`;
  }

  /**
   * Deletes before-images up to the horizon, a piece of the family at a time; true if more is left.
   */
  async #pruneHistory(): Promise<boolean> {
    if (this.#historyFrom === undefined && !this.#beginsPass()) return false;
    const from = this.#historyFrom ?? FAMILY.history;
    const horizon = this.#passedHorizon;
    const items = await withSnapshot(this.#options.items, (snapshot) =>
      collect(snapshot.scan('history', from, familyEnd('history'), { limit: HISTORY_ITEMS })),
    );
    const mutations: Mutation[] = items
      .filter(({ key }) => decodeNumber(key, key.length - 8) <= horizon)
      .map(({ key }) => ({ family: 'history', key, value: undefined }));
    if (mutations.length > 0) this.#options.items.applyUnlogged(mutations);
    const last = items.at(-1);
    this.#historyFrom = items.length < HISTORY_ITEMS ? undefined : `${last?.key ?? ''}\0`;
    return this.#historyFrom !== undefined;
  }

  /** Whether the horizon has moved, and it is time for another pass over history. */
  #beginsPass(): boolean {
    if (this.#horizon <= this.#passedHorizon) return false;
    const keptMs = (this.#options.items.volume()?.historyMicros ?? 0) / 1000;
    const now = this.#options.clock.monotonicMs();
    if (now - this.#passedMs < Math.max(MIN_PASS_MS, keptMs / HISTORY_PASSES)) return false;
    this.#passedMs = now;
    this.#passedHorizon = this.#horizon;
    return true;
  }

  /** Finds segments that an earlier run emptied and did not remove. */
  async #survey(from: string): Promise<void> {
    const items = await withSnapshot(this.#options.items, (snapshot) =>
      collect(snapshot.scan('segment', from, familyEnd('segment'), { limit: SURVEY_ITEMS })),
    );
    for (const { key } of items) this.#emptied.add(segmentNumber(decodeNumber(key, 1)));
    const last = items.at(-1);
    this.#surveyFrom = items.length < SURVEY_ITEMS ? undefined : `${last?.key ?? ''}\0`;
  }

  /** Removes segments that hold nothing any more; true if it removed one. */
  async #removeEmptied(): Promise<boolean> {
    if (this.#emptied.size === 0) return false;
    // Before the snapshot is taken: what is written to an open segment may be logged after it.
    const closed = [...this.#emptied].filter((segment) => !this.#options.files.isOpen(segment));
    const dead = await withSnapshot(this.#options.items, (snapshot) =>
      this.#dead(snapshot, closed),
    );
    // Whatever fails, they are looked at again.
    for (const segment of dead) this.#emptied.add(segment);
    for (const segment of dead) {
      await this.#options.files.remove(segment);
      await this.#options.removed(segment);
      this.#emptied.delete(segment);
    }
    return dead.length > 0;
  }

  /** Of the closed ones those that nothing owns or holds; the others are looked at no more. */
  async #dead(snapshot: ItemSnapshot, closed: readonly SegmentNumber[]): Promise<SegmentNumber[]> {
    const unowned = new Set<SegmentNumber>();
    for (const segment of closed) {
      this.#emptied.delete(segment);
      const range = refRange(segment);
      const [owned] = await collect(snapshot.scan('ref', ...range, { limit: 1 }));
      if (owned === undefined) unowned.add(segment);
    }
    if (unowned.size === 0) return [];
    for await (const { key } of snapshot.scan('freed', this.#freedFrom, familyEnd('freed'))) {
      unowned.delete(segmentNumber(decodeNumber(key, 9)));
    }
    return [...unowned];
  }

  /** Waits; at once over when `signal` aborts. */
  #pause(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const end = (): void => {
        signal?.removeEventListener('abort', end);
        cancel();
        resolve();
      };
      const cancel = this.#options.clock.after(ms, end);
      signal?.addEventListener('abort', end);
    });
  }
}

/** The first STEP_ITEMS ranges from the key `from` that transactions up to `target` freed. */
async function freedUpTo(snapshot: ItemSnapshot, from: string, target: Seq): Promise<FreedRange[]> {
  const to = freedKey(seqOf(target + 1), segmentNumber(0), 0);
  if (from >= to) return [];
  const items = await collect(snapshot.scan('freed', from, to, { limit: STEP_ITEMS }));
  return items.map(({ key, value }) => ({
    key,
    seq: seqOf(decodeNumber(key, 1)),
    segment: segmentNumber(decodeNumber(key, 9)),
    segmentBlock: decodeNumber(key, 17),
    count: (value as FreedItem).count,
  }));
}

/** The same blocks in as few ranges as can be, in order. Pure. */
export function coalesce(ranges: readonly Place[]): Place[] {
  const sorted = ranges.toSorted(
    (a, b) => a.segment - b.segment || a.segmentBlock - b.segmentBlock,
  );
  const result: Place[] = [];
  for (const { segment, segmentBlock, count } of sorted) {
    const last = result.at(-1);
    if (last?.segment === segment && last.segmentBlock + last.count === segmentBlock) {
      result[result.length - 1] = { ...last, count: last.count + count };
    } else {
      result.push({ segment, segmentBlock, count });
    }
  }
  return result;
}

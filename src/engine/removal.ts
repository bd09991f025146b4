/**
 * What is removed in the background, and the end of orphans.
 *
 * Owns the queue of unfinished removals: truncations whose mark is set, and orphans that nobody
 * uses. Those with many extents go in steps (`remove-extents.ts`). What a crash or a close leaves:
 * the truncate mark or the orphan record, from which `resume` goes on when the volume is opened
 * again.
 *
 * An orphan is in use while it is open, or while a reference holder (the kernel's inode cache)
 * knows it. After a crash nobody does.
 */

import { decideRemoveStep, REMOVE_STEP_EXTENTS } from '../decide/contents.ts';
import { listXattrs, orphans, unfinishedTruncates } from '../index/views.ts';
import { isRefusal, refuse, type Refusal } from '../model/errno.ts';
import type { Event } from '../model/event.ts';
import type { ByteString, Ino } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import { DAEMON } from '../model/transaction.ts';
import type { ReferenceHolder } from './api.ts';
import type { Core } from './core.ts';
import { removeExtents } from './remove-extents.ts';
import { turn } from '../io/turn.ts';

/** Orphans without extents or xattrs to speak of are reaped this many in one transaction. */
const REAP_BATCH = 256;
/** Items (orphans, extents, attributes) that one transaction ends: a few ms. */
const REAP_ITEMS = 256;
/** Attributes that one step removes: their names may be 255 bytes long. */
const REMOVE_STEP_XATTRS = 512;
const BLOCK_LIMIT = 2 ** 51;
/** After an operating failure the reaper rests before it tries again. */
const RETRY_MS = 1000;

export class Removals {
  readonly #core: Core;
  readonly #holders = new Set<ReferenceHolder>();
  readonly #opens = new Map<Ino, number>();
  readonly #orphans = new Set<Ino>();
  readonly #truncates = new Map<Ino, Promise<void>>();
  readonly #temporaries = new Set<Ino>();
  readonly #doomed = new Set<Ino>();
  /** Doomed, with so many extents that they are removed first: one inode after the other. */
  readonly #large = new Set<Ino>();
  #reaping: Promise<void> | undefined;
  #shrinking: Promise<void> | undefined;
  #closed = false;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Takes up what the last run left unfinished. Nothing is open yet, so every orphan goes. */
  async resume(): Promise<void> {
    const snapshot = this.#core.index.snapshot();
    try {
      for await (const ino of orphans(snapshot)) {
        this.#orphans.add(ino);
        this.#doomed.add(ino);
      }
      // A failure is told by `finishTruncate` itself, and whoever needs the end waits for it anew.
      for await (const ino of unfinishedTruncates(snapshot)) void this.finishTruncate(ino);
    } finally {
      snapshot.close();
    }
    this.#wake();
  }

  addHolder(holder: ReferenceHolder): void {
    this.#holders.add(holder);
  }

  removeHolder(holder: ReferenceHolder): void {
    this.#holders.delete(holder);
    for (const ino of this.#orphans) this.unreferenced(ino);
  }

  opened(ino: Ino): void {
    this.#opens.set(ino, (this.#opens.get(ino) ?? 0) + 1);
  }

  closed(ino: Ino): void {
    const opens = (this.#opens.get(ino) ?? 1) - 1;
    if (opens > 0) {
      this.#opens.set(ino, opens);
      return;
    }
    this.#opens.delete(ino);
    if (this.#orphans.has(ino)) this.unreferenced(ino);
  }

  get openFiles(): number {
    return this.#opens.size;
  }

  isOpen(ino: Ino): boolean {
    return this.#opens.has(ino);
  }

  /** `ino` was made without a name and may get one (O_TMPFILE). */
  isTemporary(ino: Ino): boolean {
    return this.#temporaries.has(ino);
  }

  /**
   * `ino` was made without a name: it is reaped on its last close, unless it gets one, which only a
   * linkable one may.
   */
  temporary(ino: Ino, isLinkable: boolean): void {
    if (isLinkable) this.#temporaries.add(ino);
    this.#orphans.add(ino);
  }

  /** `ino` lost its last name. */
  orphaned(ino: Ino): void {
    this.#orphans.add(ino);
    this.unreferenced(ino);
  }

  /** `ino` got a name again (linkat of an O_TMPFILE). */
  adopted(ino: Ino): void {
    this.#temporaries.delete(ino);
    this.#orphans.delete(ino);
    this.#doomed.delete(ino);
    this.#large.delete(ino);
  }

  /** Somebody stopped using `ino`: it is reaped if it is an orphan and nobody else uses it. */
  unreferenced(ino: Ino): void {
    if (!this.#orphans.has(ino) || this.#inUse(ino)) return;
    this.#doomed.add(ino);
    this.#wake();
  }

  #inUse(ino: Ino): boolean {
    if (this.#opens.has(ino)) return true;
    for (const holder of this.#holders) if (holder.refersTo(ino)) return true;
    return false;
  }

  /**
   * Resolves when the extents beyond the truncate mark are gone; rejects where they cannot go, or
   * where the volume is closed first.
   */
  finishTruncate(ino: Ino): Promise<void> {
    let running = this.#truncates.get(ino);
    if (running === undefined) {
      running = this.#truncateToMark(ino).finally(() => this.#truncates.delete(ino));
      running.catch((error: Error) => {
        if (!this.#closed) this.#complain(`inode ${ino}: truncation`, error);
      });
      this.#truncates.set(ino, running);
    }
    return running;
  }

  async #truncateToMark(ino: Ino): Promise<void> {
    await this.#removeExtents(ino, true);
    const unfinished = this.#core.index.inode(ino)?.truncateMark !== undefined;
    if (unfinished) throw refusalError(refuse('EIO'));
  }

  /** Resolves once the queue is empty or nothing in it can make progress. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#truncates.values());
    while ((this.#shrinking ?? this.#reaping) !== undefined) {
      await Promise.all([this.#shrinking, this.#reaping]);
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.idle();
  }

  #wake(): void {
    this.#reaping ??= this.#reap();
  }

  /** Ends in the moment in which it finds nothing more, so that no waking is lost. */
  async #reap(): Promise<void> {
    try {
      // A turn of the loop first: unlinks that arrive together are reaped together.
      await turn();
      while (this.#doomed.size > 0 && !this.#closed) {
        await this.#reapBatch();
        await turn();
      }
    } catch (error) {
      this.#complain('reaping orphans', error as Error);
      this.#core.clock.after(RETRY_MS, () => this.#wake());
    } finally {
      this.#reaping = undefined;
    }
  }

  /**
   * Removes the extents of large orphans; then these are reaped like others. Beside the reaping,
   * which would else wait for them and have much to do at once when they are gone.
   */
  async #shrink(): Promise<void> {
    try {
      await turn();
      for (const ino of this.#large) {
        if (this.#closed) return;
        if (!this.#inUse(ino)) await this.#removeExtents(ino, false);
        if (this.#large.delete(ino)) this.unreferenced(ino);
      }
    } catch (error) {
      this.#complain('removing extents of orphans', error as Error);
      this.#core.clock.after(RETRY_MS, () => this.#wakeShrinking());
    } finally {
      this.#shrinking = undefined;
    }
  }

  #wakeShrinking(): void {
    this.#shrinking ??= this.#shrink();
  }

  #toShrink(ino: Ino): void {
    this.#doomed.delete(ino);
    this.#large.add(ino);
    this.#wakeShrinking();
  }

  async #reapBatch(): Promise<void> {
    const batch: Inode[] = [];
    for (const ino of this.#doomed) {
      const inode = this.#core.index.inode(ino);
      if (inode === undefined || this.#inUse(ino)) this.#doomed.delete(ino);
      else if (this.#core.dirty.shipped(ino).length > 0) await this.#placeShipped(ino);
      else if (inode.extents > REMOVE_STEP_EXTENTS) this.#toShrink(ino);
      else batch.push(inode);
      if (batch.length === REAP_BATCH) break;
    }
    const steps = await Promise.all(batch.map((inode) => this.#ending(inode)));
    let next = 0;
    while (next < steps.length) {
      if (next > 0) await turn();
      next = await this.#reapSome(steps, next);
    }
  }

  /** What has its place is logged first: then it is removed like everything else. */
  async #placeShipped(ino: Ino): Promise<void> {
    const refusal = await this.#core.committer.mutate(() => this.#core.dirty.place(ino));
    if (refusal !== undefined) throw refusalError(refusal);
  }

  /** Reaps orphans from `next` on, as many as one transaction may hold; returns the one after. */
  async #reapSome(steps: readonly Ending[], next: number): Promise<number> {
    let items = 0;
    let end = next;
    while (end < steps.length) {
      const step = steps[end]!;
      items += step.items;
      if (items > REAP_ITEMS && end > next) break;
      end++;
    }
    const some = steps.slice(next, end);
    const answer = await this.#core.committer.mutate(() => {
      const events = some.flatMap((step) => this.#endingEvents(step));
      return events.length === 0 ? undefined : this.#append(events);
    });
    if (isRefusal(answer)) throw refusalError(answer);
    for (const { ino, isLast } of some) {
      if (isLast || !this.#core.index.isOrphan(ino)) this.#doomed.delete(ino);
      if (this.#core.index.inode(ino) === undefined) {
        this.#orphans.delete(ino);
        this.#temporaries.delete(ino);
      }
    }
    return end;
  }

  async #ending(inode: Inode): Promise<Ending> {
    let names: ByteString[] = [];
    if (inode.xattrs > 0) {
      const snapshot = this.#core.index.snapshot();
      try {
        names = await listXattrs(snapshot, inode.ino, REMOVE_STEP_XATTRS + 1);
      } finally {
        snapshot.close();
      }
    }
    const xattrs = names.slice(0, REMOVE_STEP_XATTRS);
    const isLast = xattrs.length === names.length;
    return { ino: inode.ino, xattrs, isLast, items: 1 + inode.extents + xattrs.length };
  }

  /** The events that end an orphan, decided against the state of this moment. */
  #endingEvents(ending: Ending): Event[] {
    const { index, clock } = this.#core;
    const inode = index.inode(ending.ino);
    if (inode === undefined || this.#inUse(ending.ino) || !index.isOrphan(ending.ino)) return [];
    this.#core.dirty.discard(inode.ino);
    const extents = inode.extents === 0 ? [] : index.extents(inode.ino, 0, BLOCK_LIMIT);
    const events: Event[] = [...decideRemoveStep(inode, 0, extents, false)];
    const ctime = clock.now();
    for (const name of ending.xattrs) {
      if (index.xattr(inode.ino, name) === undefined) continue;
      events.push({ type: 'XattrRemoved', ino: inode.ino, name, ctime });
    }
    if (ending.isLast) events.push({ type: 'InodeDeleted', ino: inode.ino });
    return events;
  }

  /** Removes the extents beyond the truncate mark, or all, unless the volume is closed before. */
  async #removeExtents(ino: Ino, truncate: boolean): Promise<void> {
    const refused = await removeExtents(this.#core, ino, truncate, () => this.#closed);
    if (refused !== undefined) throw refusalError(refused);
  }

  #append(events: readonly Event[]): undefined | Refusal {
    const tx = this.#core.committer.append({
      cause: 'reap',
      actor: DAEMON,
      paths: [],
      events,
      privileged: true,
    });
    return isRefusal(tx) ? tx : undefined;
  }

  #complain(what: string, error: Error): void {
    this.#core.journal('error', `${what}: ${error.message}; tried again later`);
  }
}

interface Ending {
  readonly ino: Ino;
  readonly xattrs: readonly ByteString[];
  /** After these attributes there are no more, and the inode goes. */
  readonly isLast: boolean;
  readonly items: number;
}

const refusalError = (refusal: Refusal): Error =>
  Object.assign(new Error(refusal.name), { code: refusal.name });

/** For callers that wait on a truncation: its failure as a refusal. */
export const refusalOf = (error: unknown): Refusal =>
  error instanceof Error && (error as { code?: string }).code === 'ENOSPC'
    ? refuse('ENOSPC')
    : refuse('EIO');

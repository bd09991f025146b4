/**
 * Tells who keeps copies of what the filesystem showed (the kernels of its mounts) what has
 * changed, all but the one through whom the change came: that one knows.
 *
 * Owns the list of those holders. A change is told in the moment in which every read sees it: a
 * transaction once it is applied, a write once it is in memory (the transaction that logs it later
 * says nothing new). What the daemon does by itself changes nothing that is shown but counts of
 * blocks, and is not told. With one holder, through whom all changes come, nothing is computed.
 */

import type { Event } from '../model/event.ts';
import type { Ino } from '../model/ids.ts';
import { unreachable } from '../model/assert.ts';
import { DAEMON } from '../model/transaction.ts';
import type { CacheHolder, Caller, Change } from './api.ts';
import type { Decided } from './commit.ts';

export class Changes {
  #holders: readonly CacheHolder[] = [];

  add(holder: CacheHolder): void {
    this.#become([...this.#holders, holder]);
  }

  remove(holder: CacheHolder): void {
    this.#become(this.#holders.filter((other) => other !== holder));
  }

  #become(holders: readonly CacheHolder[]): void {
    this.#holders = holders;
    for (const holder of holders) holder.setAlone(holders.length === 1);
  }

  /** A transaction was applied. */
  applied({ actor, cause, events }: Decided): void {
    if (!this.#hasOthers(actor) || cause === 'write' || actor === DAEMON) return;
    this.#tell(changesOf(events), actor);
  }

  /** Bytes were written to `ino`, and are not logged yet. */
  written(ino: Ino, caller: Caller): void {
    if (this.#hasOthers(caller)) this.#tell([{ type: 'contents', ino }], caller);
  }

  /** Whether there is anybody but the one through whom `caller` came. */
  #hasOthers({ origin }: Caller): boolean {
    const holders = this.#holders;
    return holders.length > 1 || (holders.length === 1 && holders[0] !== origin?.holder);
  }

  #tell(changes: readonly Change[], { origin }: Caller): void {
    if (changes.length === 0) return;
    for (const holder of this.#holders) {
      if (holder === origin?.holder) continue;
      const told = holder.changed(changes);
      origin?.telling(changes, told);
    }
  }
}

/** What `events` mean for copies; each thing once. Pure. */
export function changesOf(events: readonly Event[]): Change[] {
  const changes: Change[] = [];
  const contents = new Set<Ino>();
  const attributes = new Set<Ino>();
  for (const event of events) {
    const change = changeOf(event);
    if (change?.type === 'contents') contents.add(change.ino);
    else if (change?.type === 'attributes') attributes.add(change.ino);
    else if (change !== undefined) changes.push(change);
  }
  for (const ino of attributes) if (!contents.has(ino)) changes.push({ type: 'attributes', ino });
  for (const ino of contents) changes.push({ type: 'contents', ino });
  return changes;
}

/**
 * What one event means: undefined where nobody can have a copy. A name that is added was not there,
 * and the kernel keeps no names that are not there (fuse.md 4.1).
 */
function changeOf(event: Event): Change | undefined {
  switch (event.type) {
    case 'AttributesChanged':
    case 'LinksChanged':
    case 'DirectoryChanged':
    case 'XattrSet':
    case 'XattrRemoved':
      return { type: 'attributes', ino: event.ino };
    case 'ContentsChanged':
    case 'ExtentsMapped':
    case 'ExtentsRemoved':
      return { type: 'contents', ino: event.ino };
    case 'DirentRemoved':
      return { type: 'entry', dir: event.dir, name: event.name, ino: event.ino };
    case 'VolumeFormatted':
    case 'FormatRaised':
    case 'InodeCreated':
    case 'InodeDeleted':
    case 'DirentAdded':
    case 'OrphanAdded':
    case 'OrphanRemoved':
    case 'TruncateFinished':
    case 'SegmentCreated':
    case 'SegmentRemoved':
    case 'BlocksChecksummed':
    case 'AccessTimeChanged':
      return undefined;
    default:
      return unreachable(event);
  }
}

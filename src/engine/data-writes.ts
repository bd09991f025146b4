/**
 * Data on its way to the disk, and what the log names of it.
 *
 * Owns which bytes a commit has to wait for: those that a transaction names and that are not
 * durable yet. A commit syncs the segments that hold such bytes and no others, so it waits for no
 * stream that is still to be logged. Owns also which segments were created and not logged: whoever
 * is the first to log a place of a segment logs its creation, whoever allocated from it first.
 *
 *   allocate   blocks of a segment, perhaps a new one: a crash leaves nothing that is named
 *   send       bytes are queued: the same
 *   logged     their transaction is in the log's tail: the next commit syncs what is not durable
 *   durable    the data layer says so: no commit waits for them any more
 */

import type { Allocation, DataStore, Place } from '../data/types.ts';
import type { Event } from '../model/event.ts';
import type { SegmentNumber } from '../model/ids.ts';
import { BLOCK_BYTES } from '../model/ids.ts';

/** What space without bytes counts for: there is something to sync, and nothing to write. */
const HELD_BYTES = 1;

/** Bytes that were sent together and will be named by one transaction. */
export class Flight {
  /** What of it is not durable, by segment. */
  readonly undurable = new Map<SegmentNumber, number>();
  undurableBytes = 0;
  isLogged = false;
  /** Called when the last byte is durable, if the flight is not logged by then. */
  readonly onDurable: () => void;

  constructor(onDurable: () => void = () => undefined) {
    this.onDurable = onDurable;
  }
}

export class DataWrites {
  readonly #data: DataStore;
  /** Segments that were created and that no transaction has told of. */
  readonly #unlogged = new Set<SegmentNumber>();
  /** Bytes that the log names and that are not durable, by segment. */
  readonly #named = new Map<SegmentNumber, number>();
  #namedBytes = 0;

  constructor(data: DataStore) {
    this.#data = data;
  }

  /** Bytes that a commit would have to wait for. */
  get namedBytes(): number {
    return this.#namedBytes;
  }

  /** See `DataStore.allocate`. */
  allocate(blocks: number, stream: number): Allocation | 'EIO' {
    const allocation = this.#data.allocate(blocks, stream);
    if (allocation === 'EIO') return allocation;
    for (const segment of allocation.created) this.#unlogged.add(segment);
    return allocation;
  }

  /** See `DataStore.unallocate`. */
  unallocate(allocation: Allocation): void {
    for (const segment of allocation.created) this.#unlogged.delete(segment);
    this.#data.unallocate(allocation);
  }

  /** The creations that a transaction must tell of before it names `places`. */
  creations(places: readonly Place[]): Event[] {
    const events: Event[] = [];
    if (this.#unlogged.size === 0) return events;
    const told = new Set<SegmentNumber>();
    for (const { segment } of places) {
      if (!this.#unlogged.has(segment) || told.has(segment)) continue;
      told.add(segment);
      events.push({ type: 'SegmentCreated', segment, rid: this.#data.rid });
    }
    return events;
  }

  /** Queues bytes for `place` as part of `flight`; `written` gives their memory back. */
  send(flight: Flight, place: Place, bytes: Buffer, written?: () => void): void {
    const { segment } = place;
    const count = place.count * BLOCK_BYTES;
    add(flight.undurable, segment, count);
    flight.undurableBytes += count;
    if (flight.isLogged) this.#name(segment, count);
    this.#data.write(place, bytes, written, () => this.#durable(flight, segment, count));
  }

  /** The space of `place`, which gets no bytes, becomes durable as part of `flight`. */
  hold(flight: Flight, place: Place): void {
    const { segment } = place;
    add(flight.undurable, segment, HELD_BYTES);
    flight.undurableBytes += HELD_BYTES;
    if (flight.isLogged) this.#name(segment, HELD_BYTES);
    this.#data.hold(place, () => this.#durable(flight, segment, HELD_BYTES));
  }

  /** A transaction that names `places`, the places of `flight`, was appended. */
  logged(flight: Flight, places: readonly Place[]): void {
    if (this.#unlogged.size > 0) for (const { segment } of places) this.#unlogged.delete(segment);
    flight.isLogged = true;
    for (const [segment, bytes] of flight.undurable) this.#name(segment, bytes);
  }

  /** Makes durable what the log names: for the commit. Rejects once writing is broken. */
  syncNamed(): Promise<void> {
    return this.#data.sync(new Set(this.#named.keys()));
  }

  /** Makes `flights` durable, and what the log names by now. Rejects once writing is broken. */
  sync(flights: readonly Flight[]): Promise<void> {
    const segments = new Set(this.#named.keys());
    for (const { undurable } of flights)
      for (const segment of undurable.keys()) segments.add(segment);
    return this.#data.sync(segments);
  }

  #name(segment: SegmentNumber, bytes: number): void {
    add(this.#named, segment, bytes);
    this.#namedBytes += bytes;
  }

  #durable(flight: Flight, segment: SegmentNumber, bytes: number): void {
    add(flight.undurable, segment, -bytes);
    flight.undurableBytes -= bytes;
    if (flight.isLogged) this.#name(segment, -bytes);
    else if (flight.undurableBytes === 0) flight.onDurable();
  }
}

/** Adds to a count that is kept only while it is not zero. */
function add(counts: Map<SegmentNumber, number>, segment: SegmentNumber, bytes: number): void {
  const sum = (counts.get(segment) ?? 0) + bytes;
  if (sum === 0) counts.delete(segment);
  else counts.set(segment, sum);
}

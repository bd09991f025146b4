/**
 * Which segment blocks a write gets. Pure accounting against space that is already reserved on the
 * disk below, so that promising and allocating are synchronous and the bytes will fit.
 *
 * Small files follow each other in one shared segment. A stream that has allocated STREAM_BLOCKS
 * gets a segment of its own, so that a large file written in order lies in order; when a stream
 * ends, the next one goes on behind it. A *span* is a segment that is being filled:
 *
 *     0 ......... next ............. reserved ......... limit
 *       allocated      room to allocate        to reserve
 *
 * 1. 0 <= next <= reserved <= limit; blocks below `next` are allocated once and never again.
 * 2. The room of all spans together is never below what is promised; so a promise is always kept,
 *    in one piece where its stream has the room, else wherever there is some.
 * 3. A span is announced in `Allocation.created` by the allocation that takes its first block.
 * 4. A span leaves when it is full, or when it has lost its user and its room is not needed; what
 *    it had reserved beyond `next` is given back by the owner of the file.
 *
 * Nothing here survives the process: a new run begins with new segments.
 */

import { assert, must } from '../model/assert.ts';
import type { SegmentNumber } from '../model/ids.ts';
import { SHARED_SEGMENT_BLOCKS, STREAM_SEGMENT_BLOCKS } from './segments.ts';
import type { Allocation, Place } from './types.ts';

/** A stream gets its own segment once it has allocated this many blocks: 4 MiB. */
export const STREAM_BLOCKS = 1024;
/** Streams that have a segment of their own at one time. */
export const MAX_STREAMS = 8;
/** Streams whose allocations are counted before they have a segment of their own. */
const MAX_COUNTED_STREAMS = 1024;
/** Reservations grow by this many blocks: 8 MiB. */
export const STEP_BLOCKS = 2048;
/** Room kept ahead of the shared segment's allocations: 8 MiB. */
const SHARED_AHEAD_BLOCKS = 2048;
/** Room kept ahead of each stream's allocations: 16 MiB. */
const STREAM_AHEAD_BLOCKS = 4096;
/** Room kept ahead of all promises: 40 MiB. With the step, an idle volume holds at most 56 MiB. */
export const POOL_BLOCKS = 10_240;
/** Segments kept ready, each with at least its first step reserved. */
const SPARES = 2;

/** A segment that is being filled. */
export interface Span {
  readonly segment: SegmentNumber;
  /** First block that is not allocated. */
  readonly next: number;
  /** First block that is not reserved on the disk. */
  readonly reserved: number;
}

/** What to reserve next: more of a span, or (span undefined) the first step of a new segment. */
export interface Reservation {
  readonly span: Span | undefined;
  readonly blocks: number;
}

interface OpenSpan extends Span {
  next: number;
  reserved: number;
  limit: number;
  announced: boolean;
}

/** Spans that one user fills, in order. */
interface Chain {
  readonly spans: OpenSpan[];
  readonly limit: number;
  readonly ahead: number;
}

const NOTHING_CREATED: readonly SegmentNumber[] = [];

export class Allocator {
  readonly #shared = chain(SHARED_SEGMENT_BLOCKS, SHARED_AHEAD_BLOCKS);
  /** Least recently used first. */
  readonly #streams = new Map<number, Chain>();
  /** Blocks that streams without a segment of their own have allocated. */
  readonly #counted = new Map<number, number>();
  /** Segments ready for use, never allocated from. */
  readonly #spares: OpenSpan[] = [];
  /** Segments of streams that ended or were evicted, for the next stream. */
  #idle: OpenSpan[] = [];
  readonly #bySegment = new Map<SegmentNumber, OpenSpan>();
  /** Reserved on the disk and not allocated. */
  #room = 0;
  #promised = 0;

  /** Blocks reserved on the disk and not allocated. */
  get aheadBlocks(): number {
    return this.#room;
  }

  /** Blocks that can be promised. */
  get freeBlocks(): number {
    return this.#room - this.#promised;
  }

  /** Promises `blocks` blocks if then `keep` are left; false when not so many are free. */
  promise(blocks: number, keep = 0): boolean {
    if (this.#room - this.#promised < blocks + keep) return false;
    this.#promised += blocks;
    return true;
  }

  /** Takes a promise of `blocks` blocks back. */
  unpromise(blocks: number): void {
    assert(blocks <= this.#promised, `${blocks} blocks unreserved of ${this.#promised}`);
    this.#promised -= blocks;
  }

  /** Redeems a promise of `blocks` (at least 1) blocks for `stream`, 0 being the small files. */
  allocate(blocks: number, stream: number): Allocation {
    assert(
      blocks > 0 && blocks <= this.#promised,
      `${blocks} blocks of ${this.#promised} promised`,
    );
    this.#promised -= blocks;
    this.#room -= blocks;
    const user = stream === 0 ? this.#shared : this.#chainOf(stream, blocks);
    const span = user.spans[0];
    if (span !== undefined && roomOf(span) >= blocks) {
      const created = announce(span);
      return { places: [take(span, blocks)], created: created ? [span.segment] : NOTHING_CREATED };
    }
    return this.#allocateFromMany(user, blocks);
  }

  /**
   * Undoes the newest of the allocations that have not been undone: its blocks are promised again.
   */
  unallocate(allocation: Allocation): void {
    for (const place of allocation.places.toReversed()) {
      const span = must(
        this.#bySegment.get(place.segment),
        'only an open segment gets blocks back',
      );
      assert(
        span.next === place.segmentBlock + place.count,
        `segment ${place.segment}: unallocated out of order`,
      );
      span.next = place.segmentBlock;
      this.#room += place.count;
      this.#promised += place.count;
    }
    for (const segment of allocation.created) {
      must(this.#bySegment.get(segment), 'a created segment is open').announced = false;
    }
  }

  /** The stream will allocate no more: the next one goes on in its segment. */
  endStream(stream: number): void {
    this.#counted.delete(stream);
    const user = this.#streams.get(stream);
    if (user === undefined) return;
    this.#streams.delete(stream);
    this.#idle.push(...user.spans);
  }

  /**
   * What to reserve next so that `blocks` can be promised and some room stays ahead of every user;
   * undefined when all is there. Answer with `extend` or `addSpare`, and ask again.
   */
  wanted(blocks: number): Reservation | undefined {
    for (const user of [this.#shared, ...this.#streams.values()]) {
      const grown = shortOfRoom(user);
      if (grown !== undefined) return extension(grown, grown.limit);
    }
    if (this.#spares.length < SPARES) return NEW_SEGMENT;
    if (this.freeBlocks >= Math.max(blocks, POOL_BLOCKS)) return undefined;
    const spare = this.#spares.find((span) => span.reserved < SHARED_SEGMENT_BLOCKS);
    return spare === undefined ? NEW_SEGMENT : extension(spare, SHARED_SEGMENT_BLOCKS);
  }

  /** `blocks` more blocks of an open segment are reserved. */
  extend(segment: SegmentNumber, blocks: number): void {
    must(this.#bySegment.get(segment), 'an open segment is extended').reserved += blocks;
    this.#room += blocks;
  }

  /** A new segment exists, and its first `blocks` blocks are reserved. */
  addSpare(segment: SegmentNumber, blocks: number): void {
    const limit = SHARED_SEGMENT_BLOCKS;
    const span = { segment, next: 0, reserved: blocks, limit, announced: false };
    this.#spares.push(span);
    this.#bySegment.set(segment, span);
    this.#room += blocks;
  }

  /**
   * Segments that nothing will be allocated from any more. They are out of this object's hands:
   * call it only between attempts, when no allocation will be undone, and while nothing is being
   * reserved.
   */
  takeRetired(): readonly Span[] {
    const retired: OpenSpan[] = [];
    for (const user of [this.#shared, ...this.#streams.values()]) {
      while (user.spans[0] !== undefined && isFull(user.spans[0])) {
        retired.push(user.spans.shift() as OpenSpan);
      }
    }
    this.#retireIdle(retired);
    for (const span of retired) {
      this.#bySegment.delete(span.segment);
      this.#room -= roomOf(span);
    }
    return retired;
  }

  /** Every open segment, for closing: allocation is over. */
  takeAll(): readonly Span[] {
    const spans = [...this.#bySegment.values()];
    this.#bySegment.clear();
    return spans;
  }

  /** Lets all idle spans go but the newest, as long as the promises can be kept without them. */
  #retireIdle(retired: OpenSpan[]): void {
    let free = this.freeBlocks;
    const newest = this.#idle.at(-1);
    this.#idle = this.#idle.filter((span) => {
      if (!isFull(span) && (span === newest || roomOf(span) > free)) return true;
      free -= roomOf(span);
      retired.push(span);
      return false;
    });
  }

  /** The chain of a stream: its own, a new one if it has earned one, or the shared one. */
  #chainOf(stream: number, blocks: number): Chain {
    const own = this.#streams.get(stream);
    if (own !== undefined) {
      this.#streams.delete(stream);
      this.#streams.set(stream, own);
      return own;
    }
    const counted = (this.#counted.get(stream) ?? 0) + blocks;
    const user = counted > STREAM_BLOCKS ? this.#openStream(stream, blocks) : undefined;
    if (user !== undefined) return user;
    this.#counted.delete(stream);
    this.#counted.set(stream, counted);
    if (this.#counted.size > MAX_COUNTED_STREAMS) {
      this.#counted.delete(this.#counted.keys().next().value as number);
    }
    return this.#shared;
  }

  /** Gives a stream its own segment, where one with enough room is ready. */
  #openStream(stream: number, blocks: number): Chain | undefined {
    const from = this.#idle.some((span) => roomOf(span) >= blocks) ? this.#idle : this.#spares;
    const at = from.findIndex((span) => roomOf(span) >= blocks);
    if (at < 0) return undefined;
    const [span] = from.splice(at, 1) as [OpenSpan];
    span.limit = STREAM_SEGMENT_BLOCKS;
    const user = chain(STREAM_SEGMENT_BLOCKS, STREAM_AHEAD_BLOCKS);
    user.spans.push(span);
    this.#counted.delete(stream);
    this.#streams.set(stream, user);
    if (this.#streams.size > MAX_STREAMS) {
      this.endStream(this.#streams.keys().next().value as number);
    }
    return user;
  }

  /** The slow path of `allocate`: from the user's spans, from spares, from wherever room is. */
  #allocateFromMany(user: Chain, blocks: number): Allocation {
    const places: Place[] = [];
    const created: SegmentNumber[] = [];
    let rest = takeFrom(user.spans, blocks, places, created);
    while (rest > 0 && this.#spares.length > 0) {
      const spare = this.#spares.shift() as OpenSpan;
      spare.limit = user.limit;
      user.spans.push(spare);
      rest = takeFrom([spare], rest, places, created);
    }
    if (rest > 0) rest = takeFrom(this.#bySegment.values(), rest, places, created);
    assert(rest === 0, `${rest} promised blocks have no room`);
    return { places, created };
  }
}

const NEW_SEGMENT: Reservation = { span: undefined, blocks: STEP_BLOCKS };

const chain = (limit: number, ahead: number): Chain => ({ spans: [], limit, ahead });

const roomOf = (span: Span): number => span.reserved - span.next;

const isFull = (span: OpenSpan): boolean => span.next >= span.limit;

const extension = (span: OpenSpan, limit: number): Reservation => ({
  span,
  blocks: Math.min(STEP_BLOCKS, limit - span.reserved),
});

/**
 * The span to extend if the user has too little room ahead; undefined if not, or if all are done.
 */
function shortOfRoom(user: Chain): OpenSpan | undefined {
  let room = 0;
  for (const span of user.spans) room += roomOf(span);
  if (room >= user.ahead) return undefined;
  return user.spans.find((span) => span.reserved < span.limit);
}

/** True the first time that a segment is allocated from. */
function announce(span: OpenSpan): boolean {
  const first = !span.announced;
  span.announced = true;
  return first;
}

function take(span: OpenSpan, count: number): Place {
  const place = { segment: span.segment, segmentBlock: span.next, count };
  span.next += count;
  return place;
}

/** Takes up to `blocks` blocks from spans in their order; returns how many are missing. */
function takeFrom(
  spans: Iterable<OpenSpan>,
  blocks: number,
  places: Place[],
  created: SegmentNumber[],
): number {
  let rest = blocks;
  for (const span of spans) {
    const count = Math.min(rest, roomOf(span));
    if (count === 0) continue;
    if (announce(span)) created.push(span.segment);
    places.push(take(span, count));
    rest -= count;
    if (rest === 0) break;
  }
  return rest;
}

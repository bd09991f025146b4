/**
 * The table of file locks against a naive one, under any operations of a few owners on few bytes,
 * at places where doubles would not be exact. After every step: who holds what is the same; what
 * was granted could be granted; nobody waits who could go on; nobody was refused who was not part
 * of a deadlock, and where processes have one thread, no deadlock is left. fast-check tells the
 * seed of what it finds.
 */

import {
  array,
  assert as check,
  bigInt,
  boolean,
  constantFrom,
  integer,
  property,
  record,
  type Arbitrary,
} from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FileLockTable, type LockRequest, type Waiter } from '../../src/locks/file-locks.ts';
import { LAST_BYTE } from '../../src/locks/ranges.ts';
import { isRefusal, type Refusal } from '../../src/model/errno.ts';
import { ino } from '../../src/model/ids.ts';
import { NaiveLocks } from './naive-locks.ts';

const test = suite('file locks, any operations');
const FILE = ino(7);
const BYTES = 10;
const OWNERS = 4;

const step = record({
  act: constantFrom('set', 'set', 'wait', 'wait', 'wait', 'unlock', 'unlock', 'giveUp', 'close'),
  owner: bigInt({ min: 1n, max: BigInt(OWNERS) }),
  write: boolean(),
  from: integer({ min: 0, max: BYTES - 1 }),
  length: integer({ min: 1, max: BYTES }),
  which: integer({ min: 0, max: 20 }),
});
type Step = typeof step extends Arbitrary<infer T> ? T : never;

interface Queued {
  readonly request: LockRequest;
  handle: Waiter | undefined;
}

/** Runs one step after the other on both tables, and compares. */
class Comparison {
  readonly #table = new FileLockTable();
  readonly #naive: NaiveLocks;
  readonly #first: bigint;
  readonly #space: LockRequest['space'];
  readonly #hasThreads: boolean;
  #queue: Queued[] = [];

  constructor(first: bigint, space: LockRequest['space'], hasThreads: boolean) {
    this.#first = first;
    this.#space = space;
    this.#hasThreads = hasThreads;
    this.#naive = new NaiveLocks(first, BYTES);
  }

  get #waiting(): LockRequest[] {
    return this.#queue.map(({ request }) => request);
  }

  #requestOf({ owner, write, from, length }: Step): LockRequest {
    const pid = Number(owner) + 1000;
    const of = { ino: FILE, space: this.#space, owner, pid, write };
    if (this.#space === 'flock') return { ...of, start: 0n, end: LAST_BYTE };
    const start = this.#first + BigInt(from);
    const end = this.#first + BigInt(Math.min(from + length, BYTES) - 1);
    return { ...of, start, end };
  }

  #granted(request: LockRequest): void {
    assert.is(this.#naive.stoppers(request).size, 0, 'granted against a lock of somebody else');
    this.#naive.take(request);
  }

  #settled(queued: Queued, refusal: Refusal | undefined): void {
    this.#queue = this.#queue.filter((other) => other !== queued);
    if (refusal === undefined) return this.#granted(queued.request);
    assert.is(refusal.name, 'EDEADLK');
    assert.ok(this.#naive.isDeadlock(queued.request, this.#waiting), 'no deadlock');
  }

  /** flock(2): a lock of the other kind is given up before anything else. */
  #convert(request: LockRequest): void {
    if (this.#space === 'record') return;
    const held = this.#naive.picture('flock', request.owner)[0];
    if (held === (request.write ? 'r' : 'w')) {
      this.#naive.unlock('flock', request.owner, 0n, LAST_BYTE);
    }
  }

  #set(request: LockRequest): void {
    this.#convert(request);
    const isFree = this.#naive.stoppers(request).size === 0;
    // Those who are let in by a downgrade are told within the call: the model goes first.
    if (isFree) this.#naive.take(request);
    const refusal = this.#table.set(request);
    assert.is(refusal?.name, isFree ? undefined : 'EAGAIN');
  }

  #wait(request: LockRequest): void {
    this.#convert(request);
    const isFree = this.#naive.stoppers(request).size === 0;
    const isDeadlock =
      this.#space === 'record' && !isFree && this.#naive.isDeadlock(request, this.#waiting);
    if (isFree) this.#naive.take(request);
    const queued: Queued = { request, handle: undefined };
    if (!isFree && !isDeadlock) this.#queue.push(queued);
    const outcome = this.#table.wait(request, (refusal) => this.#settled(queued, refusal));
    if (isFree) assert.is(outcome, undefined);
    else if (isDeadlock) assert.is(isRefusal(outcome) && outcome.name, 'EDEADLK');
    else {
      assert.ok(outcome !== undefined && !isRefusal(outcome), 'waits');
      queued.handle = outcome;
    }
  }

  run(one: Step): void {
    const request = this.#requestOf(one);
    const { owner, start, end, space } = request;
    const isWaiting = this.#queue.some((queued) => queued.request.owner === owner);
    if (one.act === 'giveUp') {
      const queued = this.#queue[one.which % Math.max(1, this.#queue.length)];
      if (queued?.handle === undefined) return;
      this.#queue = this.#queue.filter((other) => other !== queued);
      this.#table.giveUp(queued.handle);
    } else if (isWaiting && !this.#hasThreads) return;
    else if (one.act === 'set') this.#set(request);
    else if (one.act === 'wait') this.#wait(request);
    else if (one.act === 'unlock') {
      this.#naive.unlock(space, owner, start, end);
      assert.is(this.#table.unlock(FILE, space, owner, { start, end }), undefined);
    } else {
      this.#naive.unlock(space, owner, 0n, LAST_BYTE);
      this.#table.unlockAll(FILE, space, owner);
    }
    this.#compare();
  }

  #compare(): void {
    let held = 0;
    for (let owner = 1n; owner <= BigInt(OWNERS); owner++) {
      const picture = this.#naive.picture(this.#space, owner);
      assert.is(this.#picture(owner), picture, `what ${owner} holds`);
      held += this.#space === 'flock' ? Number(picture[0] !== '-') : runsOf(picture);
    }
    assert.is(this.#table.held, held, 'the number of locks');
    assert.is(this.#table.waiting, this.#queue.length);
    for (const { request } of this.#queue) {
      assert.ok(this.#naive.stoppers(request).size > 0, 'somebody waits for nothing');
      const isDeadlock = this.#naive.isDeadlock(request, this.#waiting);
      const mayBe = this.#hasThreads || this.#space === 'flock';
      assert.ok(mayBe || !isDeadlock, 'a deadlock that nobody was told of');
    }
  }

  /** What the table says that `owner` holds, asked byte by byte; a stranger asks the same. */
  #picture(owner: bigint): string {
    return Array.from({ length: BYTES }, (_, i) => {
      const byte = this.#first + BigInt(i);
      const range = { start: byte, end: byte };
      const lock = this.#table.own(FILE, this.#space, owner, range);
      const stranger = { ino: FILE, space: this.#space, owner: 99n, pid: 99, write: true };
      const blocker = this.#table.test({ ...stranger, ...range });
      assert.ok(lock === undefined || blocker !== undefined, 'a lock that stops nobody');
      if (lock === undefined) return '-';
      assert.is(lock.pid, Number(owner) + 1000);
      return lock.write ? 'w' : 'r';
    }).join('');
  }

  end(): void {
    for (const { handle } of this.#queue) if (handle !== undefined) this.#table.giveUp(handle);
    this.#queue = [];
    this.#table.endAll(() => true);
    assert.is(this.#table.held, 0);
    assert.is(this.#table.waiting, 0);
  }
}

/** Locks that a picture shows: neighbours of one kind are one lock. */
const runsOf = (picture: string): number => (picture.match(/r+|w+/g) ?? []).length;

const PLACES = {
  'the start of the file': 0n,
  '4 GiB': 2n ** 32n - 5n,
  'the end of what doubles know': 2n ** 53n - 5n,
  'the last bytes that there are': LAST_BYTE - BigInt(BYTES) + 1n,
};

const compare = (first: bigint, space: LockRequest['space'], hasThreads: boolean): void =>
  check(
    property(array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const comparison = new Comparison(first, space, hasThreads);
      for (const one of steps) comparison.run(one);
      comparison.end();
    }),
    { numRuns: 300 },
  );

for (const [name, first] of Object.entries(PLACES)) {
  test(`record locks at ${name}`, () => compare(first, 'record', false));
}
test('record locks of processes with threads', () => compare(0n, 'record', true));
test('flock', () => compare(0n, 'flock', false));
test('flock of one open used by threads', () => compare(0n, 'flock', true));

test.run();

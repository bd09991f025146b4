/** File locks: examples of fcntl(2) and flock(2), deadlocks, the bound, who goes on and when. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  FileLockTable,
  type LockRequest,
  type Owner,
  type Waiter,
} from '../../src/locks/file-locks.ts';
import { LAST_BYTE } from '../../src/locks/ranges.ts';
import { isRefusal, type Refusal } from '../../src/model/errno.ts';
import { ino, type Ino } from '../../src/model/ids.ts';

const test = suite('file locks');
const FILE = ino(7);
const OTHER = ino(8);

/** A table that is spoken to in one line each; `log` is who was told what, in order. */
class Told {
  readonly table: FileLockTable;
  readonly log: string[] = [];

  constructor(limit?: number) {
    this.table = new FileLockTable(limit);
  }

  #request(owner: number, kind: 'r' | 'w', range: readonly [number, number?], file: Ino) {
    return recordLock(BigInt(owner), kind, range, file);
  }

  set(owner: number, kind: 'r' | 'w', range: readonly [number, number?], file = FILE): string {
    return nameOf(this.table.set(this.#request(owner, kind, range, file)));
  }

  wait(owner: number, kind: 'r' | 'w', range: readonly [number, number?], file = FILE): string {
    const request = this.#request(owner, kind, range, file);
    return this.#waitFor(request, `${owner}`);
  }

  unlock(owner: number, [start, end]: readonly [number, number?], file = FILE): string {
    const range = { start: BigInt(start), end: end === undefined ? LAST_BYTE : BigInt(end) };
    return nameOf(this.table.unlock(file, 'record', BigInt(owner), range));
  }

  close(owner: number, file = FILE): void {
    this.table.unlockAll(file, 'record', BigInt(owner));
  }

  flock(owner: number, kind: 'r' | 'w', mayWait = false): string {
    const request = { ...recordLock(BigInt(owner), kind, [0], FILE), space: 'flock' as const };
    return mayWait ? this.#waitFor(request, `${owner}`) : nameOf(this.table.set(request));
  }

  unflock(owner: number): void {
    this.table.unlockAll(FILE, 'flock', BigInt(owner));
  }

  #waitFor(request: LockRequest, name: string): string {
    const told = (refusal: Refusal | undefined): void =>
      void this.log.push(`${name} ${nameOf(refusal)}`);
    const outcome = this.table.wait(request, told);
    if (outcome === undefined || isRefusal(outcome)) return nameOf(outcome);
    this.last = outcome;
    return 'waits';
  }

  /** The newest waiter. */
  last: Waiter | undefined;

  /** What stops a write lock of a stranger on the range: "START-END KIND PID". */
  blocker(range: readonly [number, number?]): string {
    const lock = this.table.test(recordLock(99n, 'w', range, FILE));
    if (lock === undefined) return 'free';
    const last = lock.end === LAST_BYTE ? '' : String(lock.end);
    return `${lock.start}-${last} ${lock.write ? 'w' : 'r'} ${lock.pid}`;
  }
}

const nameOf = (refusal: Refusal | undefined): string => refusal?.name ?? 'locked';

function recordLock(
  owner: Owner,
  kind: 'r' | 'w',
  [start, end]: readonly [number, number?],
  file: Ino,
): LockRequest {
  return {
    ino: file,
    space: 'record',
    owner,
    pid: 100 + Number(owner),
    write: kind === 'w',
    start: BigInt(start),
    end: end === undefined ? LAST_BYTE : BigInt(end),
  };
}

test('read locks are shared, a write lock is exclusive', () => {
  const it = new Told();
  assert.is(it.set(1, 'r', [0, 9]), 'locked');
  assert.is(it.set(2, 'r', [5, 20]), 'locked');
  assert.is(it.set(3, 'w', [20, 30]), 'EAGAIN');
  assert.is(it.set(3, 'w', [21, 30]), 'locked');
  assert.is(it.set(1, 'r', [30]), 'EAGAIN');
  assert.is(it.set(1, 'r', [0, 9], OTHER), 'locked');
});

test('a refused request changes nothing', () => {
  const it = new Told();
  it.set(1, 'r', [0, 9]);
  it.set(2, 'r', [5, 14]);
  assert.is(it.set(2, 'w', [0, 14]), 'EAGAIN');
  assert.is(it.set(1, 'w', [0, 4]), 'locked', 'only 5-14 was read locked by 2');
  assert.is(it.blocker([10, 14]), '5-14 r 102');
});

test('unlocking the middle leaves two locks; locking it again joins them', () => {
  const it = new Told();
  it.set(1, 'w', [0, 99]);
  it.unlock(1, [40, 59]);
  assert.is(it.table.held, 2);
  assert.is(it.blocker([40, 59]), 'free');
  assert.is(it.blocker([0]), '0-39 w 101');
  assert.is(it.blocker([40]), '60-99 w 101');
  it.set(1, 'w', [40, 59]);
  assert.is(it.table.held, 1);
  assert.is(it.blocker([50, 50]), '0-99 w 101');
});

test('locking a part in the other kind makes three, and back again one', () => {
  const it = new Told();
  it.set(1, 'w', [0]);
  it.set(1, 'r', [10, 19]);
  assert.is(it.table.held, 3);
  assert.is(it.set(2, 'r', [10, 19]), 'locked');
  assert.is(it.set(2, 'r', [10, 20]), 'EAGAIN');
  assert.is(it.set(1, 'w', [10, 19]), 'EAGAIN', 'an upgrade against another reader');
  it.close(2);
  it.set(1, 'w', [10, 19]);
  assert.is(it.blocker([15, 15]), '0- w 101');
});

test('locks that touch are joined, those of others are not', () => {
  const it = new Told();
  it.set(1, 'r', [0, 9]);
  it.set(1, 'r', [10, 19]);
  it.set(1, 'r', [21, 30]);
  it.set(2, 'r', [20, 20]);
  assert.is(it.table.held, 3);
});

test('a lock to the end of the file covers every later byte, exactly', () => {
  const { table } = new Told();
  const at = (start: bigint, end: bigint): LockRequest => ({
    ...recordLock(1n, 'w', [0], FILE),
    start,
    end,
  });
  table.set(at(2n ** 53n + 1n, LAST_BYTE));
  const stranger = (byte: bigint) => table.test({ ...at(byte, byte), owner: 2n })?.start;
  assert.is(stranger(2n ** 53n), undefined);
  assert.is(stranger(2n ** 53n + 1n), 2n ** 53n + 1n);
  assert.is(stranger(LAST_BYTE), 2n ** 53n + 1n);
});

test('F_GETLK tells the blocker that starts first, whoever locked first', () => {
  const it = new Told();
  it.set(1, 'r', [50, 59]);
  it.set(2, 'r', [10, 19]);
  assert.is(it.blocker([0]), '10-19 r 102');
  assert.is(it.blocker([0, 5]), 'free');
  const reader = recordLock(3n, 'r', [0], FILE);
  assert.is(it.table.test(reader), undefined);
});

test('closing any descriptor ends all locks of the process on that file, and no others', () => {
  const it = new Told();
  it.set(1, 'w', [0, 9]);
  it.set(1, 'w', [20, 29]);
  it.set(1, 'w', [0], OTHER);
  it.set(2, 'w', [40, 49]);
  it.close(1);
  assert.is(it.blocker([0]), '40-49 w 102');
  assert.is(it.set(3, 'w', [0], OTHER), 'EAGAIN');
});

test('those who wait go on in the order in which they came', () => {
  const it = new Told();
  it.set(1, 'w', [0]);
  for (const owner of [2, 3, 4]) assert.is(it.wait(owner, 'w', [0]), 'waits');
  it.close(1);
  assert.equal(it.log, ['2 locked']);
  it.close(2);
  it.close(3);
  assert.equal(it.log, ['2 locked', '3 locked', '4 locked']);
  assert.is(it.table.waiting, 0);
});

test('readers that waited go on together, and a writer behind them when the last is gone', () => {
  const it = new Told();
  it.set(1, 'w', [0]);
  it.wait(2, 'r', [0, 5]);
  it.wait(3, 'w', [0]);
  it.wait(4, 'r', [3, 9]);
  it.close(1);
  assert.equal(it.log, ['2 locked', '4 locked']);
  it.close(2);
  assert.is(it.log.length, 2);
  it.close(4);
  assert.equal(it.log, ['2 locked', '4 locked', '3 locked']);
});

test('a wait ends when the range that it needs is free, not before and not later', () => {
  const it = new Told();
  it.set(1, 'w', [0, 99]);
  it.wait(2, 'w', [50, 60]);
  it.unlock(1, [0, 49]);
  it.unlock(1, [50, 59]);
  assert.equal(it.log, []);
  it.unlock(1, [60, 60]);
  assert.equal(it.log, ['2 locked']);
});

test('a downgrade lets readers in', () => {
  const it = new Told();
  it.set(1, 'w', [0, 9]);
  it.wait(2, 'r', [0, 9]);
  it.set(1, 'r', [0, 9]);
  assert.equal(it.log, ['2 locked']);
});

test('a waiter that is let in and gives a write lock up for it lets others in, in turn', () => {
  const it = new Told();
  it.set(2, 'w', [20, 29]);
  it.set(1, 'w', [30, 39]);
  it.wait(3, 'r', [20, 25]);
  it.wait(2, 'r', [20, 39]);
  it.close(1);
  assert.equal(it.log, ['2 locked', '3 locked']);
});

test('who gives up is out of the queue and holds nothing', () => {
  const it = new Told();
  it.set(1, 'w', [0]);
  it.wait(2, 'w', [0]);
  const second = it.last;
  it.wait(3, 'w', [0]);
  assert.ok(second !== undefined);
  it.table.giveUp(second);
  assert.is(it.table.waiting, 1);
  it.close(1);
  assert.equal(it.log, ['3 locked']);
  it.table.giveUp(second);
  assert.is(it.table.held, 1, 'giving up once more does nothing');
});

test('an upgrade waits with its read lock in place', () => {
  const it = new Told();
  it.set(1, 'r', [0]);
  it.set(2, 'r', [0]);
  assert.is(it.wait(1, 'w', [0]), 'waits');
  assert.is(it.set(3, 'w', [0]), 'EAGAIN');
  it.close(2);
  assert.equal(it.log, ['1 locked']);
  assert.is(it.blocker([0]), '0- w 101');
});

test('EDEADLK: two processes that wait for each other', () => {
  const it = new Told();
  it.set(1, 'w', [0, 0]);
  it.set(2, 'w', [1, 1]);
  assert.is(it.wait(1, 'w', [1, 1]), 'waits');
  assert.is(it.wait(2, 'w', [0, 0]), 'EDEADLK');
  it.close(2);
  assert.equal(it.log, ['1 locked'], 'the other one goes on');
});

test('EDEADLK: three processes over two files', () => {
  const it = new Told();
  it.set(1, 'w', [0, 0]);
  it.set(2, 'w', [1, 1]);
  it.set(3, 'w', [0, 0], OTHER);
  assert.is(it.wait(1, 'r', [1, 1]), 'waits');
  assert.is(it.wait(2, 'r', [0, 0], OTHER), 'waits');
  assert.is(it.wait(3, 'r', [0, 0]), 'EDEADLK');
  assert.is(it.wait(4, 'w', [0, 1]), 'waits', 'nobody waits for 4');
});

test('EDEADLK: two readers that both upgrade', () => {
  const it = new Told();
  it.set(1, 'r', [0]);
  it.set(2, 'r', [0]);
  assert.is(it.wait(1, 'w', [0]), 'waits');
  assert.is(it.wait(2, 'w', [0]), 'EDEADLK');
});

test('EDEADLK: all who are in the way count, not only the first', () => {
  const it = new Told();
  it.set(1, 'r', [0, 0]);
  it.set(2, 'r', [0, 0]);
  it.set(3, 'w', [5, 5]);
  assert.is(it.wait(2, 'w', [5, 5]), 'waits');
  assert.is(it.wait(3, 'w', [0, 0]), 'EDEADLK', '1 is in the way too, and waits for nobody');
});

test('EDEADLK: a waiter whose new blocker waits for it is told', () => {
  const it = new Told();
  it.set(1, 'r', [0, 0]);
  it.set(2, 'w', [5, 5]);
  assert.is(it.wait(2, 'w', [0, 0]), 'waits');
  assert.is(it.wait(3, 'w', [5, 5]), 'waits', 'a thread of 3 waits for 2');
  assert.is(it.set(3, 'r', [0, 0]), 'locked', 'and another locks what 2 waits for');
  it.close(1);
  assert.equal(it.log, ['2 EDEADLK']);
  it.close(2);
  assert.equal(it.log, ['2 EDEADLK', '3 locked']);
});

test('flock: shared and exclusive, one lock for each open, apart from record locks', () => {
  const it = new Told();
  assert.is(it.flock(1, 'r'), 'locked');
  assert.is(it.flock(2, 'r'), 'locked');
  assert.is(it.flock(3, 'w'), 'EAGAIN');
  assert.is(it.set(3, 'w', [0]), 'locked', 'record locks do not see it');
  it.unflock(1);
  it.unflock(2);
  assert.is(it.flock(3, 'w'), 'locked');
  assert.is(it.flock(3, 'w'), 'locked', 'again');
});

test('flock: a conversion gives up first, so a refused one leaves nothing', () => {
  const it = new Told();
  it.flock(1, 'r');
  it.flock(2, 'r');
  assert.is(it.flock(1, 'w'), 'EAGAIN');
  assert.is(it.flock(2, 'w'), 'locked', '1 has lost its shared lock');
  assert.is(it.flock(2, 'r'), 'locked');
  assert.is(it.flock(1, 'r'), 'locked');
});

test('flock: a conversion that waits lets others in meanwhile', () => {
  const it = new Told();
  it.flock(1, 'r');
  it.flock(2, 'r');
  assert.is(it.flock(1, 'w', true), 'waits');
  assert.is(it.flock(2, 'w', true), 'locked', 'no deadlock: 1 holds nothing');
  it.unflock(2);
  assert.equal(it.log, ['1 locked']);
});

test('flock: a downgrade lets those in who wait for a shared lock', () => {
  const it = new Told();
  it.flock(1, 'w');
  it.flock(2, 'r', true);
  it.flock(1, 'r');
  assert.equal(it.log, ['2 locked']);
});

test('flock: no deadlock is detected, as in Linux', () => {
  const it = new Told();
  it.flock(1, 'w');
  it.set(2, 'w', [0]);
  assert.is(it.wait(1, 'w', [0]), 'waits');
  assert.is(it.flock(2, 'w', true), 'waits');
});

test('ENOLCK beyond the bound, for locks, for waits and for an unlock that splits', () => {
  const it = new Told(3);
  it.set(1, 'w', [0, 9]);
  it.set(1, 'w', [20, 29]);
  it.set(2, 'w', [40, 49]);
  assert.is(it.set(2, 'w', [60, 69]), 'ENOLCK');
  assert.is(it.wait(2, 'w', [0, 9]), 'ENOLCK');
  assert.is(it.unlock(1, [5, 5]), 'ENOLCK');
  assert.is(it.blocker([5, 5]), '0-9 w 101', 'nothing was unlocked');
  assert.is(it.set(1, 'w', [10, 19]), 'locked', 'what joins needs no more');
  assert.is(it.table.held, 2);
  assert.is(it.set(2, 'w', [60, 69]), 'locked');
  it.close(1);
  assert.is(it.table.held, 2);
});

test('the end of a mount ends its locks and its waits, and lets others in', () => {
  const it = new Told();
  it.set(1, 'w', [0, 9]);
  it.flock(1, 'w');
  it.set(2, 'w', [20, 29]);
  it.wait(1, 'w', [20, 29]);
  it.wait(2, 'w', [0, 9]);
  it.wait(3, 'w', [0, 9]);
  it.flock(3, 'r', true);
  it.table.endAll((owner) => owner === 1n);
  assert.equal(it.log, ['3 locked', '3 locked']);
  assert.is(it.table.waiting, 0);
  it.table.endAll(() => true);
  assert.is(it.table.held, 0);
});

test('a thousand writers wait for one file: each is let in once, in order', () => {
  const it = new Told();
  it.set(0, 'w', [0]);
  for (let owner = 1; owner <= 1000; owner++) it.wait(owner, 'w', [0]);
  for (let owner = 0; owner <= 1000; owner++) it.close(owner);
  assert.equal(
    it.log,
    Array.from({ length: 1000 }, (_, i) => `${i + 1} locked`),
  );
  assert.is(it.table.held + it.table.waiting, 0);
});

test.run();

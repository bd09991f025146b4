import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Clock } from '../../src/io/clock.ts';
import { decodeTransactions } from '../../src/log/codec.ts';
import { MemoryLogStore, type MemoryLogOptions } from '../../src/log/memory-store.ts';
import { emptyEnd } from '../../src/log/recovery.ts';
import type { Batch } from '../../src/log/store.ts';
import { MIN_INNER_BLOCK_BYTES } from '../../src/log/torn-tail.ts';
import { LogWriter, type LogWriterOptions } from '../../src/log/writer.ts';
import { rid, seq } from '../../src/model/ids.ts';
import { MAX_ITEMS, type Transaction } from '../../src/model/transaction.ts';
import { bulky, FSID, ONE_OF_EACH, sample, unsealed } from './samples.ts';
import { failureOf } from './volumes.ts';

const test = suite('log/writer');

/** A clock that stands still, and whose timers run out when told. */
class TestClock implements Clock {
  wallMicros = 1_000_000;
  readonly timers = new Set<() => void>();

  now(): { sec: number; nsec: number } {
    return { sec: 1, nsec: 0 };
  }

  micros(): number {
    return this.wallMicros;
  }

  monotonicMs(): number {
    return 0;
  }

  after(_ms: number, task: () => void): () => void {
    const timer = (): void => {
      this.timers.delete(timer);
      task();
    };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  runOut(): void {
    for (const timer of this.timers) timer();
  }
}

/** A promise that is settled from outside. */
class Gate {
  open: () => void = () => {};
  fail: (error: Error) => void = () => {};
  readonly passed = new Promise<void>((resolve, reject) => {
    this.open = resolve;
    this.fail = reject;
  });
}

interface Rig {
  readonly writer: LogWriter;
  readonly store: MemoryLogStore;
  readonly clock: TestClock;
  readonly batches: Batch[];
  /** What happened, in order. */
  readonly trace: string[];
}

function rig(options: Partial<LogWriterOptions> = {}, memory: MemoryLogOptions = {}): Rig {
  const batches: Batch[] = [];
  const trace: string[] = [];
  const clock = new TestClock();
  const store = new MemoryLogStore({
    ...memory,
    beforeAppend: async (batch) => {
      trace.push(`append ${batch.firstSeq}-${batch.lastSeq}`);
      batches.push(batch);
      await memory.beforeAppend?.(batch);
    },
  });
  const writer = new LogWriter({
    store,
    clock,
    node: rid(5),
    last: emptyEnd(FSID),
    beforeCommit: async () => void trace.push('data'),
    onDurable: (n) => void trace.push(`durable ${n}`),
    onFailure: (error) => void trace.push(`failed: ${error.message}`),
    ...options,
  });
  return { writer, store, clock, batches, trace };
}

const add = (writer: LogWriter, make = sample): boolean =>
  writer.append(make(writer.nextSeq), false);

async function stored(store: MemoryLogStore): Promise<Transaction[]> {
  const all: Transaction[] = [];
  for await (const chunk of store.read(seq(1))) all.push(...decodeTransactions(chunk));
  return all;
}

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

test('stamping has no effect, and time never falls', () => {
  const { writer, clock } = rig();
  const { cause, actor, paths, events } = sample(1);
  const draft = { cause, actor, paths, events };
  const first = writer.stamp(draft);
  assert.equal(first, writer.stamp(draft));
  assert.is(first.seq, 1);
  assert.is(first.node, 5);
  assert.is(first.time, 1_000_000);
  writer.append(first, false);
  clock.wallMicros = 500;
  assert.is(writer.stamp(draft).time, 1_000_000);
  assert.is(writer.stamp(draft).seq, 2);
  clock.wallMicros = 2_000_000;
  assert.is(writer.stamp(draft).time, 2_000_000);
});

test('data before log before durable before the answer', async () => {
  const { writer, trace } = rig();
  add(writer);
  add(writer);
  assert.is(writer.durable, 0);
  assert.is(writer.lastSeq, 2);
  await writer.commit().then(() => trace.push('answered'));
  assert.equal(trace, ['data', 'append 1-2', 'durable 2', 'answered']);
  assert.is(writer.durable, 2);
  assert.is(writer.tailBytes, 0);
});

test('what is committed is what was appended, with one seal on the last record', async () => {
  const { writer, store } = rig();
  for (let i = 0; i < 5; i++) add(writer);
  await writer.commit();
  const read = await stored(store);
  assert.equal(
    read.map(unsealed),
    [1, 2, 3, 4, 5].map((n) => sample(n)),
  );
  assert.equal(
    read.map((tx) => tx.seal?.count),
    [undefined, undefined, undefined, undefined, 5],
  );
});

test('callers at the same time share commits', async () => {
  const gate = new Gate();
  let first = true;
  const { writer, batches } = rig(
    {},
    {
      beforeAppend: async () => {
        if (first) await gate.passed;
        first = false;
      },
    },
  );
  const callers = Array.from({ length: 32 }, () => {
    add(writer);
    return writer.commit();
  });
  gate.open();
  await Promise.all(callers);
  assert.equal(
    batches.map((batch) => batch.count),
    [1, 31],
  );
});

test('callers in a loop need one commit a round', async () => {
  const { writer, batches } = rig({}, { beforeAppend: settle });
  const caller = async (): Promise<void> => {
    for (let round = 0; round < 10; round++) {
      add(writer);
      await writer.commit();
    }
  };
  await Promise.all(Array.from({ length: 32 }, caller));
  assert.is(writer.durable, 320);
  assert.ok(batches.length <= 12, `${batches.length} commits for 10 rounds`);
});

test('a transaction appended while its commit is under way belongs to the next one', async () => {
  const gate = new Gate();
  const { writer, batches } = rig({ beforeCommit: () => gate.passed });
  add(writer);
  const first = writer.commit();
  add(writer);
  const second = writer.commit();
  gate.open();
  await first;
  assert.is(writer.durable, 1);
  await second;
  assert.equal(
    batches.map(({ firstSeq, lastSeq }) => [firstSeq, lastSeq]),
    [
      [1, 1],
      [2, 2],
    ],
  );
});

test('commit up to a durable seq waits for nothing', async () => {
  const { writer, trace } = rig();
  await writer.commit();
  add(writer);
  await writer.commit();
  add(writer);
  trace.length = 0;
  await writer.commit(seq(1));
  assert.equal(trace, []);
  assert.throws(() => void writer.commit(seq(9)), /the last one is 2/);
});

test('a caller in the instant after a commit is not forgotten', async () => {
  const { writer } = rig();
  for (let depth = 0; depth < 6; depth++) {
    add(writer);
    let later: Promise<void> = writer.commit();
    for (let hop = 0; hop < depth; hop++) later = later.then(() => undefined);
    await later;
    add(writer);
    await writer.commit();
  }
  assert.is(writer.durable, writer.lastSeq);
});

test('the timer commits what nobody asks for, and an idle log has none', async () => {
  const { writer, clock } = rig();
  assert.is(clock.timers.size, 0);
  add(writer);
  add(writer);
  assert.is(clock.timers.size, 1, 'one timer for all');
  clock.runOut();
  await settle();
  assert.is(writer.durable, 2);
  assert.is(clock.timers.size, 0);
  add(writer);
  await writer.commit();
  assert.is(clock.timers.size, 0, 'a commit takes the timer with it');
});

test('a tail of 4 MiB commits by itself, in blocks of the right size', async () => {
  const { writer, batches, store } = rig();
  const made: Transaction[] = [];
  while (writer.tailBytes < 4 * 1024 * 1024) {
    const tx = bulky(writer.nextSeq, 300_000);
    made.push(tx);
    writer.append(tx, false);
  }
  await settle();
  assert.is(writer.durable, made.length);
  assert.is(batches.length, 1);
  const sizes = batches[0]?.records.map(({ bytes }) => bytes.length) ?? [];
  assert.ok(sizes.length >= 4);
  assert.ok(sizes.slice(0, -1).every((bytes) => bytes >= MIN_INNER_BLOCK_BYTES));
  assert.equal((await stored(store)).map(unsealed), made);
});

test('chunks are used again, and never while a commit reads them', async () => {
  const { writer, store } = rig({}, { beforeAppend: settle });
  const made: Transaction[] = [];
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 5; i++) {
      const tx = bulky(writer.nextSeq, 450_000);
      made.push(tx);
      writer.append(tx, false);
      if (i === 2) void writer.commit();
    }
    if (round % 2 === 1) await writer.commit();
  }
  await writer.commit();
  assert.equal((await stored(store)).map(unsealed), made);
});

test('at the bound of the tail it is full, and has room again after commits', async () => {
  const gate = new Gate();
  const { writer } = rig({ beforeCommit: () => gate.passed });
  while (!writer.full) add(writer, (n) => bulky(n, 500_000));
  assert.ok(writer.tailBytes >= 32 * 1024 * 1024);
  let room = false;
  const waiting = writer.whenRoom().then(() => (room = true));
  await settle();
  assert.is(room, false);
  gate.open();
  await waiting;
  assert.is(writer.full, false);
  await writer.whenRoom();
});

test('no space: append says so and changes nothing; privileged records have the reserve', async () => {
  const { writer, store } = rig({}, { spaceBytes: 700, reserveBytes: 300 });
  let ordinary = 0;
  while (add(writer)) ordinary++;
  const { lastSeq, tailBytes } = writer;
  assert.is(add(writer), false);
  assert.is(writer.lastSeq, lastSeq);
  assert.is(writer.tailBytes, tailBytes);
  let privileged = 0;
  while (writer.append(sample(writer.nextSeq), true)) privileged++;
  assert.ok(ordinary >= 1 && privileged >= 1);
  await writer.commit();
  assert.is((await stored(store)).length, ordinary + privileged);
});

test('no space for the first record of a chunk leaves no empty block', async () => {
  const { writer, store } = rig({}, { spaceBytes: 900_000 });
  assert.is(writer.append(bulky(1, 450_000), false), true);
  assert.is(writer.append(bulky(2, 440_000), false), true);
  assert.is(writer.append(bulky(3, 450_000), false), false);
  await writer.commit();
  assert.equal((await stored(store)).map(unsealed), [bulky(1, 450_000), bulky(2, 440_000)]);
});

for (const where of ['data', 'log'] as const) {
  test(`a failed commit (${where}) is final: all who wait and all who come are refused`, async () => {
    const broken = new Error(`${where} is gone`);
    const fails = async (): Promise<void> => {
      await settle();
      throw broken;
    };
    const { writer, trace, clock } = rig(
      where === 'data' ? { beforeCommit: fails } : {},
      where === 'log' ? { beforeAppend: fails } : {},
    );
    add(writer);
    const first = failureOf(writer.commit());
    while (!writer.full) add(writer, (n) => bulky(n, 500_000));
    const second = failureOf(writer.commit());
    const room = failureOf(writer.whenRoom());
    for (const failed of [first, second, room]) assert.is(await failed, broken);
    assert.is(writer.failure, broken);
    assert.is(writer.durable, 0);
    assert.throws(() => add(writer), /is gone/);
    for (const refused of [writer.commit(), writer.whenRoom(), writer.close()]) {
      assert.is(await failureOf(refused), broken);
    }
    assert.equal(
      trace.filter((line) => line.startsWith('failed')),
      [`failed: ${where} is gone`],
    );
    assert.not.ok(trace.some((line) => line.startsWith('durable')));
    assert.is(clock.timers.size, 0);
  });
}

test('close commits what is left', async () => {
  const { writer, clock } = rig();
  add(writer);
  await writer.close();
  assert.is(writer.durable, 1);
  assert.is(clock.timers.size, 0);
  assert.throws(() => add(writer), /closed/);
  const { writer: idle } = rig();
  await idle.close();
});

test('the rules of a transaction are asserted', () => {
  const { writer } = rig();
  const seal = { count: 1, hash: Buffer.alloc(32) };
  assert.throws(() => writer.append(sample(2), false), /transaction 2 after 0/);
  assert.throws(() => writer.append({ ...sample(1), seal }, false), /sealed before/);
  assert.throws(() => writer.append({ ...sample(1), events: [] }, false), /without events/);
  assert.throws(() => writer.append(bulky(1, 600_000), false), /too large/);
  const many = Array.from({ length: MAX_ITEMS + 1 }, () => ONE_OF_EACH.OrphanAdded);
  assert.throws(() => writer.append({ ...sample(1), events: many }, false), /4097 items/);
});

test.run();

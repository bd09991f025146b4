import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { MemoryLogStore } from '../../src/log/memory-store.ts';
import { emptyEnd } from '../../src/log/recovery.ts';
import { seq } from '../../src/model/ids.ts';
import { logStoreSuite } from '../suites/log-store-suite.ts';
import { appendCommits, FSID } from './samples.ts';

const test = suite('log/memory-store');

logStoreSuite(test, async () => {
  const store = new MemoryLogStore();
  return { store, last: emptyEnd(FSID), discard: () => store.close() };
});

test('a failed append breaks the store, and reading goes on', async () => {
  const broken = new Error('the disk is gone');
  let failing = false;
  const store = new MemoryLogStore({
    beforeAppend: async () => {
      if (failing) throw broken;
    },
  });
  await appendCommits(store, emptyEnd(FSID), [2]);
  failing = true;
  const batch = { firstSeq: seq(3), lastSeq: seq(3), count: 1, records: [] };
  const failed = (): Promise<unknown> => store.append(batch).catch((error: unknown) => error);
  assert.is(await failed(), broken);
  failing = false;
  assert.is(await failed(), broken);
  assert.is(store.failure, broken);
  assert.is(store.durable, 2);
  let chunks = 0;
  for await (const _ of store.read(seq(1))) chunks++;
  assert.is(chunks, 1);
});

test('space has an end, and the reserve is for the privileged', () => {
  const store = new MemoryLogStore({ spaceBytes: 100, reserveBytes: 40 });
  assert.is(store.reserve(60, false), true);
  assert.is(store.reserve(1, false), false);
  assert.is(store.reserve(40, true), true);
  assert.is(store.reserve(1, true), false);
});

test('what is stored does not share the memory of what was appended', async () => {
  const store = new MemoryLogStore();
  const bytes = Buffer.alloc(100, 7);
  const batch = { firstSeq: seq(1), lastSeq: seq(1), count: 1, records: [{ count: 1, bytes }] };
  await store.append(batch);
  bytes.fill(0);
  for await (const chunk of store.read(seq(1))) assert.equal(chunk.bytes, Buffer.alloc(100, 7));
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Descriptors } from '../../src/data/descriptors.ts';
import type { File } from '../../src/io/disk.ts';
import { segmentNumber } from '../../src/model/ids.ts';
import { settle } from '../sim/clock.ts';

interface Opened {
  readonly files: (File & { closed: number })[];
  readonly descriptors: Descriptors;
}

function descriptors(limit: number): Opened {
  const files: (File & { closed: number })[] = [];
  const open = async (): Promise<File> => {
    await settle();
    const file = { closed: 0, close: async () => void (await Promise.resolve(file.closed++)) };
    files.push(file as unknown as (typeof files)[number]);
    return file as unknown as File;
  };
  return { files, descriptors: new Descriptors(limit, open) };
}

const n = segmentNumber;

test('one open serves all who ask meanwhile and later', async () => {
  const { files, descriptors: d } = descriptors(4);
  await Promise.all([d.use(n(1), settle), d.use(n(1), settle), d.use(n(1), settle)]);
  assert.is(d.peek(n(1)), files[0]);
  assert.is(files.length, 1);
  assert.is(d.peek(n(2)), undefined);
});

test('the least recently used is closed, never one in use', async () => {
  const { files, descriptors: d } = descriptors(2);
  const held = await d.acquire(n(1));
  await d.use(n(2), settle);
  await d.use(n(3), settle);
  await settle();
  assert.equal(
    files.map((f) => f.closed),
    [0, 1, 0],
  );
  assert.is(d.peek(n(2)), undefined);
  held.release();
  await d.use(n(4), settle);
  await settle();
  assert.equal(
    files.map((f) => f.closed),
    [1, 1, 0, 0],
  );
});

test('a forgotten file is closed after its last use, and opened anew if asked for', async () => {
  const { files, descriptors: d } = descriptors(2);
  const held = await d.acquire(n(1));
  d.forget(n(1));
  assert.is(files[0]?.closed, 0);
  assert.is(d.peek(n(1)), undefined);
  const other = await d.acquire(n(1));
  assert.is(other.file, files[1]);
  held.release();
  other.release();
  await settle();
  assert.equal(
    files.map((f) => f.closed),
    [1, 0],
  );
});

test('many who open at once with no room each get an open file', async () => {
  const { files, descriptors: d } = descriptors(1);
  const uses = Array.from({ length: 20 }, (_, i) =>
    d.use(n(i), async (file) => {
      await settle();
      assert.is((file as (typeof files)[number]).closed, 0);
    }),
  );
  await Promise.all(uses);
  await d.close();
  assert.ok(files.every((file) => file.closed === 1));
});

test('a failed open is told to all who waited, and tried again', async () => {
  let fail = true;
  const d = new Descriptors(2, () =>
    fail ? Promise.reject(new Error('EMFILE')) : Promise.resolve({ close: settle } as never),
  );
  const results = await Promise.allSettled([d.use(n(1), settle), d.use(n(1), settle)]);
  assert.equal(
    results.map((r) => r.status),
    ['rejected', 'rejected'],
  );
  fail = false;
  await d.use(n(1), settle);
  await d.close();
});

test.run();

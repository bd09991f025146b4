/**
 * A disk that is full below one part of a volume only: below the log, or below the index. Reads go
 * on, what needs space gets ENOSPC, what frees space works, and all recovers without a reopening.
 */

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SimVolume } from './sim-volume.ts';

const run = promisify(execFile);
const test = suite('full disk');
/** Mounting a small disk for the index needs root. */
const testAsRoot = process.getuid?.() === 0 ? test : test.skip;

/** Far more than is ever needed: a full disk that never refuses fails the test, and ends it. */
const MOST_FILES = 400_000;
const PATIENCE_MS = 60_000;

const nameOf = (n: number): string => `file-${n}-${'n'.repeat(200)}`;

/** Creates empty files from `first` on until one is refused; the number of the refused one. */
async function fill(it: SimVolume, first: number): Promise<{ next: number; refusal: string }> {
  for (let n = first; n < MOST_FILES; n++) {
    const made = await it.create(nameOf(n));
    if (typeof made === 'string') return { next: n, refusal: made };
    it.volume.filesystem.close(made.file);
    // The engine's own work gets its turn, as it does between requests of the kernel.
    if (n % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return { next: MOST_FILES, refusal: 'never refused' };
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    assert.ok(performance.now() < deadline, `${what}: never`);
    await sleep(50);
  }
}

/**
 * Closes and opens the volume again, and asserts that it is the same. Once before: what is left to
 * be done (access times, removed files) is in the log then. With `lost`, the index is lost between.
 */
async function assertSame(it: SimVolume, lost?: 'lost'): Promise<void> {
  await it.volume.close();
  await it.open();
  await it.volume.close();
  await it.open();
  const digest = await it.volume.digest();
  await it.volume.close();
  if (lost !== undefined) await rm(it.indexDir, { recursive: true });
  await it.open();
  assert.is(await it.volume.digest(), digest);
}

test('when the log is full, creating is refused and removing works', async () => {
  const it = await SimVolume.create({ logReserveBytes: 2 ** 20 });
  try {
    assert.is(await it.put('early', Buffer.from('early')), undefined);
    it.disk.faults = ({ kind, path }) =>
      kind === 'reserve' && path.includes('/log/') ? { kind: 'error', code: 'ENOSPC' } : undefined;
    const { next, refusal } = await fill(it, 0);
    assert.is(refusal, 'ENOSPC');
    assert.equal(await it.get('early'), Buffer.from('early'));
    assert.equal(await it.get(nameOf(next - 1)), Buffer.alloc(0));
    assert.is(await it.get(nameOf(next)), 'ENOENT', 'what was refused is not there');
    assert.is(
      await it.openAndWrite('early', Buffer.from('later'), 0),
      undefined,
      'space was there',
    );
    for (let n = 0; n < 500; n++) assert.is(await it.remove(nameOf(n)), undefined, `rm ${n}`);
    await it.volume.sync();
    assert.equal(it.failures, []);
    // A commit gives back what its records were charged above their size: a few more fit, not all.
    const more = await fill(it, next);
    assert.is(more.refusal, 'ENOSPC', 'the log is full still');
    assert.ok(more.next - next < next / 10, `${more.next - next} more after ${next}`);

    it.disk.faults = () => undefined;
    await until('creating works again', async () => typeof (await it.create('again')) !== 'string');
    await assertSame(it, 'lost');
    assert.equal(await it.get('early'), Buffer.from('later'));
  } finally {
    await it.dispose();
  }
});

testAsRoot(
  'when the index cannot be written, changes are taken until its memory is full',
  async () => {
    const scratch = await mkdtemp(join(tmpdir(), 'small-index-'));
    await run('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', scratch]);
    const it = await SimVolume.create({ indexDir: join(scratch, 'index') });
    try {
      assert.is(await it.put('early', Buffer.from('early')), undefined);
      const { next, refusal } = await fill(it, 0);
      assert.is(refusal, 'ENOSPC');
      assert.ok(it.journal.some((line) => line.includes('index cannot be written')));
      assert.equal(await it.get('early'), Buffer.from('early'));
      assert.equal(await it.get(nameOf(next - 1)), Buffer.alloc(0));
      assert.equal(it.failures, [], 'the log is well');
      const { index } = await it.volume.status();
      assert.ok(index.persisted < index.applied);

      await run('mount', ['-o', 'remount,size=1g', scratch]);
      await until(
        'creating works again',
        async () => typeof (await it.create('again')) !== 'string',
      );
      const isHealed = () => it.journal.some((line) => line.includes('index can be written again'));
      await until('the index is written again', () => Promise.resolve(isHealed()));
      await assertSame(it);
      assert.equal(await it.get(nameOf(next - 1)), Buffer.alloc(0));
    } finally {
      await it.dispose();
      await run('umount', ['-l', scratch]);
      await rm(scratch, { recursive: true, force: true });
    }
  },
);

test.run();

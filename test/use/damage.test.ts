/**
 * One flipped bit: in a sealed log segment, in the last commit, in a data segment. Each is detected
 * and told with its place and what it concerns; nothing else is lost.
 *
 * @limit 600 s
 */

import { mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ledgerfs, type Ran } from '../tools/run.ts';
import { canMount, MountedVolume, run } from './mounted-volume.ts';

const tests = suite('damage');
const test = canMount ? tests : tests.skip;

const FILES = 40;
const BLOCK_BYTES = 4096;

const nameOf = (n: number): string => `file-${String(n).padStart(3, '0')}`;
/** Two blocks and a bit of a file's own bytes. */
const contentsOf = (n: number): Buffer => Buffer.alloc(2 * BLOCK_BYTES + 100, `contents ${n}, `);

/** A volume whose log has several segments: each run that ended in a crash leaves a sealed one. */
async function volumeWithSegments(runs: number): Promise<MountedVolume> {
  const it = await MountedVolume.make();
  for (let r = 0; r < runs; r++) {
    await it.mount();
    await mkdir(join(it.path, `run-${r}`));
    for (let n = 0; n < FILES; n++) {
      await writeFile(join(it.path, `run-${r}`, nameOf(n)), contentsOf(r * FILES + n));
    }
    if (r < runs - 1) await crash(it);
  }
  await it.unmount();
  return it;
}

/** Everything is durable, and then the daemon dies. */
async function crash(it: MountedVolume): Promise<void> {
  await it.succeed('sync', it.path);
  const { pid } = JSON.parse(await it.succeed('status', '--json', it.dir)) as { pid: number };
  process.kill(pid, 'SIGKILL');
  await it.succeed('umount', it.path);
}

async function segmentsOf(it: MountedVolume): Promise<string[]> {
  const names = (await readdir(join(it.dir, 'log'))).filter((name) => name.endsWith('.avro'));
  return names.toSorted().map((name) => join(it.dir, 'log', name));
}

async function flipBit(path: string, offset: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, offset);
    byte[0] = (byte[0] ?? 0) ^ 0x04;
    await file.write(byte, 0, 1, offset);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The positions that a message names as lost or unreadable. */
function positionsIn(text: string): { from: number; to: number } {
  const [, from, to] = /transactions? (\d+)(?: to (\d+))?/.exec(text) ?? [];
  assert.ok(from !== undefined, text);
  return { from: Number(from), to: Number(to ?? from) };
}

const byName = (a: string, b: string): number => (a < b ? -1 : 1);

/** The names in the mount with their contents checked; how many there are in each run's folder. */
async function countWhole(it: MountedVolume, runs: number): Promise<number[]> {
  const counts: number[] = [];
  for (let r = 0; r < runs; r++) {
    const dir = join(it.path, `run-${r}`);
    const names = await readdir(dir).catch(() => []);
    for (const [n, name] of names.toSorted(byName).entries()) {
      assert.equal(await readFile(join(dir, name)), contentsOf(r * FILES + n), `${dir}/${name}`);
    }
    counts.push(names.length);
  }
  return counts;
}

/** Asserts that a command fails and names the damaged segment. */
function assertNamed(ran: Ran, segment: string): void {
  assert.is(ran.status, 1, ran.stdout);
  const place = new RegExp(`log segment ${basename(segment)}, byte \\d+: [^;]+; transactions? `);
  const said = ran.stdout + ran.stderr;
  assert.match(said, place, said);
}

/** Flips a bit, asserts that it is found, and goes the way that is named; the files left. */
async function accept(
  it: MountedVolume,
  segment: string,
  offset: number,
  runs: number,
): Promise<number[]> {
  await flipBit(segment, offset);
  assertNamed(await ledgerfs('log', 'verify', it.dir), segment);
  assertNamed(await ledgerfs('fsck', it.dir), segment);
  // An index that is sound spares the mount the old segments; without it every one is read.
  await rm(join(it.dir, 'index'), { recursive: true });
  for (let i = 0; i < 2; i++) {
    const refusal = await it.tryMount();
    assertNamed(refusal, segment);
    const command = `ledgerfs fsck ${it.dir} --rebuild --accept-loss`;
    assert.ok(refusal.stderr.includes(command), refusal.stderr);
  }

  const accepted = await it.succeed('fsck', it.dir, '--rebuild', '--accept-loss');
  const { from, to } = positionsIn(/transactions? \d+.* (?:is|are) lost/.exec(accepted)?.[0] ?? '');
  assert.ok(from <= to, accepted);
  await it.mount();
  const left = await countWhole(it, runs);
  await writeFile(join(it.path, 'afterwards'), 'x');
  await it.unmount();
  await it.assertWhole();
  const shown = await it.succeed('log', 'show', it.dir, '--json');
  const lines = shown.trim().split('\n');
  const seqs = lines.map((line) => (JSON.parse(line) as { seq: number }).seq);
  assert.ok(seqs.includes(from - 1) && !seqs.some((n) => n >= from && n <= to), 'named exactly');
  assert.ok((seqs.at(-1) ?? 0) > to, 'lost positions are never given again');
  return left;
}

async function withVolume(runs: number, body: (it: MountedVolume) => Promise<void>) {
  const it = await volumeWithSegments(runs);
  try {
    await body(it);
  } finally {
    await it.dispose();
  }
}

test('in a sealed log segment', () =>
  withVolume(3, async (it) => {
    const segments = await segmentsOf(it);
    assert.ok(segments.length >= 3, segments.join());
    const damaged = segments[1] ?? '';
    const left = await accept(it, damaged, (await stat(damaged)).size - 2000, 3);
    assert.is(left[0], FILES, 'the run before the damage is whole');
    assert.is(left[2], 0, 'what stood behind it is set aside');
    const aside = (await readdir(join(it.dir, 'log'))).filter((name) => name.endsWith('.lost'));
    assert.ok(aside.length >= 2, 'and not deleted');
  }));

test('in the last commit', () =>
  withVolume(2, async (it) => {
    const last = (await segmentsOf(it)).at(-1) ?? '';
    const left = await accept(it, last, (await stat(last)).size - 40, 2);
    assert.is(left[0], FILES);
  }));

/** The data segments with their contents. */
async function dataOf(it: MountedVolume): Promise<{ path: string; bytes: Buffer }[]> {
  const names = await readdir(join(it.dir, 'data'), { recursive: true });
  const paths = names.filter((name) => name.endsWith('.seg')).map((n) => join(it.dir, 'data', n));
  return Promise.all(paths.map(async (path) => ({ path, bytes: await readFile(path) })));
}

test('in a data segment: one file gives EIO, and the scrub names it', () =>
  withVolume(2, async (it) => {
    const victim = contentsOf(7).subarray(0, 2 * BLOCK_BYTES);
    const found = (await dataOf(it)).find(({ bytes }) => bytes.includes(victim));
    assert.ok(found);
    const offset = (found?.bytes.indexOf(victim) ?? 0) + BLOCK_BYTES;
    const segment = Number(/(\d+)\.seg$/.exec(found?.path ?? '')?.[1]);
    await flipBit(found?.path ?? '', offset + 17);

    await it.mount();
    const path = join(it.path, 'run-0', nameOf(7));
    // Not Node's readFile: that takes the good bytes before the bad block for the whole file.
    const failure = await run('cat', path).catch((error: Error) => error.message);
    assert.match(failure, /Input\/output error/);
    const others = [0, 1].map((r) => `run-${r}`);
    for (const [r, dir] of others.entries()) {
      for (let n = 0; n < FILES; n++) {
        if (r === 0 && n === 7) continue;
        assert.equal(await readFile(join(it.path, dir, nameOf(n))), contentsOf(r * FILES + n));
      }
    }
    const complaints = await it.complaints();
    assert.ok(complaints.length > 0);
    for (const line of complaints)
      assert.match(line, `/run-0/${nameOf(7)}: data segment ${segment}`);

    for (const where of [it.path, it.dir]) {
      if (where === it.dir) await it.unmount();
      const scrubbed = await ledgerfs('scrub', where);
      assert.is(scrubbed.status, 1);
      const block = offset / BLOCK_BYTES;
      assert.match(scrubbed.stdout, `bad: data segment ${segment}, block ${block} +1: checksum`);
      assert.match(scrubbed.stdout, `"/run-0/${nameOf(7)}", byte ${BLOCK_BYTES} +${BLOCK_BYTES}\n`);
      assert.match(scrubbed.stderr, /1 damaged range.*EIO/);
    }
    const json = JSON.parse((await ledgerfs('scrub', it.dir, '--json')).stdout) as {
      bad: { files: { paths: string[] }[] }[];
    };
    assert.equal(json.bad[0]?.files[0]?.paths, [`/run-0/${nameOf(7)}`]);

    await it.mount();
    await writeFile(path, contentsOf(7));
    assert.equal(await readFile(path), contentsOf(7), 'written anew it is good again');
    await it.unmount();
    await it.assertWhole();
  }));

tests.run();

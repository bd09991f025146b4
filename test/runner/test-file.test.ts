/** The runner counts what ran, and believes nothing else. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Outcome } from './outcome.ts';
import { parseSummary, runTestFile } from './test-file.ts';

const test = suite<{ dir: string }>('test-file', { dir: '' });
const root = resolve('.');
const uvu = resolve('node_modules/uvu/dist/index.mjs');

test.before(async (context) => {
  context.dir = await mkdtemp(join(tmpdir(), 'runner-'));
});
test.after(({ dir }) => rm(dir, { recursive: true, force: true }));

/** Runs a test file with this body. */
async function run(dir: string, body: string): Promise<Outcome> {
  const path = join(dir, 'some.test.ts');
  await writeFile(path, `import { test } from '${uvu}';\n${body}\n`);
  return runTestFile(root, relative(root, path));
}

const counts = ({ passed, failed, skipped }: Outcome): number[] => [passed, failed, skipped];

test('passed, failed and skipped tests are counted', async ({ dir }) => {
  const outcome = await run(
    dir,
    `test('a', () => {}); test('b', () => { throw new Error('boom'); });
     test.skip('c', () => {}); test('d', () => {}); test.run();`,
  );
  assert.equal(counts(outcome), [2, 1, 1]);
  assert.match(outcome.output, 'boom');
});

test('a file that forgets to run its tests has failed', async ({ dir }) => {
  const outcome = await run(dir, `test('a', () => {});`);
  assert.equal(counts(outcome), [0, 1, 0]);
});

test('so has one without tests', async ({ dir }) => {
  assert.equal(counts(await run(dir, 'test.run();')), [0, 1, 0]);
});

test('so has one whose test never settles', async ({ dir }) => {
  const outcome = await run(dir, `test('a', () => new Promise(() => {})); test.run();`);
  assert.equal(counts(outcome), [0, 1, 0]);
});

test('so has one that is over its limit', async ({ dir }) => {
  const outcome = await run(
    dir,
    `// @limit 1 s\nsetInterval(() => {}, 1000); test('a', () => {}); test.run();`,
  );
  assert.is(outcome.failed, 1);
  assert.match(outcome.output, 'limit of 1 s');
});

test('so has one that exits with another status than its tests say', async ({ dir }) => {
  const outcome = await run(
    dir,
    `test('a', () => {}); test.run(); process.on('exit', () => { process.exitCode = 3; });`,
  );
  assert.equal(counts(outcome), [1, 1, 0]);
});

test('a process left behind is a failure, and is ended', async ({ dir }) => {
  const outcome = await run(
    dir,
    `import { spawn } from 'node:child_process';
     const child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
     child.unref(); console.log('pid', child.pid);
     test('a', () => {}); test.run();`,
  );
  assert.equal(counts(outcome), [1, 1, 0]);
  assert.match(outcome.output, /left behind: process \d+: sleep 1000/);
  const pid = Number(/pid (\d+)/.exec(outcome.output)?.[1]);
  // A killed orphan may stay a zombie until its new parent looks; that one runs no more.
  const { status } = await stateOf(pid);
  assert.ok(status === 'gone' || status === 'Z', status);
});

async function stateOf(pid: number): Promise<{ readonly status: string }> {
  const { readFile } = await import('node:fs/promises');
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return { status: stat === undefined ? 'gone' : (/\) (\w) /.exec(stat)?.[1] ?? '?') };
}

test('only the last summary counts', () => {
  const summary = (n: number): string =>
    `  Total:     ${n}\n  Passed:    ${n}\n  Skipped:   0\n  Duration:  1ms\n`;
  assert.equal(parseSummary(summary(5) + summary(3)), { total: 3, passed: 3, skipped: 0 });
  assert.is(parseSummary('Total: 5'), undefined);
});

test.run();

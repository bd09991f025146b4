import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  isLockedElsewhere,
  isVolumeLocked,
  takeVolumeLock,
  type VolumeLock,
} from '../../src/io/volume-lock.ts';

const test = suite<{ dir: string; path: string }>('volume-lock');

test.before.each((context) => {
  context.dir = mkdtempSync(`${tmpdir()}/ledgerfs-lock-`);
  context.path = `${context.dir}/lock`;
});
test.after.each(({ dir }) => rmSync(dir, { recursive: true }));

function taken(path: string): VolumeLock {
  const result = takeVolumeLock(path);
  if (isLockedElsewhere(result)) throw new Error('locked elsewhere');
  return result;
}

test('is held once, and free after its release', ({ path }) => {
  assert.is(isVolumeLocked(path), false, 'no file, no lock');
  assert.is(existsSync(path), false);
  const lock = taken(path);
  assert.is(isVolumeLocked(path), true);
  assert.equal(takeVolumeLock(path), { pid: process.pid });
  lock.release();
  assert.is(isVolumeLocked(path), false);
  taken(path).release();
});

/** Takes the lock, says so, and waits to be killed. */
const HOLDER = `
  import { takeVolumeLock } from '${import.meta.dirname}/../../src/io/volume-lock.ts';
  takeVolumeLock(process.argv[2]);
  console.log('held');
  setInterval(() => undefined, 1000);
`;

test('dies with its holder, and names it while it lives', async ({ path }) => {
  const args = ['--import', 'tsx', '--input-type=module', '-e', HOLDER, '--', '-', path];
  const holder = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  assert.equal(takeVolumeLock(path), { pid: holder.pid });
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  taken(path).release();
});

test('says what is wrong with the file', ({ dir }) => {
  assert.throws(
    () => takeVolumeLock(`${dir}/none/lock`),
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
});

test.run();

/**
 * What a test leaves behind: mounts below its scratch folder, and processes that carry the folder's
 * name in their environment. Both are found in /proc and ended one by one, by mount point and pid.
 */

import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A daemon that was told to stop may still be writing its last words. */
const GRACE_MS = 3000;
const POLL_MS = 100;

async function processesOf(scratch: string): Promise<number[]> {
  const mark = `LEDGERFS_TEST_SCRATCH=${scratch}\0`;
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const marked = await Promise.all(
    pids.map(async (pid) => {
      // A process that is gone or not ours cannot be read, and is none of ours.
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      return `${environment}\0`.includes(mark) ? Number(pid) : undefined;
    }),
  );
  return marked.filter((pid) => pid !== undefined && pid !== process.pid) as number[];
}

async function mountsBelow(scratch: string): Promise<string[]> {
  const table = await readFile('/proc/self/mounts', 'utf8');
  return table
    .split('\n')
    .map((line) => (line.split(' ')[1] ?? '').replace(/\\040/g, ' '))
    .filter((point) => point.startsWith(`${scratch}/`))
    .reverse();
}

async function commandOf(pid: number): Promise<string> {
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return line.replaceAll('\0', ' ').trim();
}

/** Ends and removes what is left of a test after a short grace; returns a line about each. */
export async function clearLeftovers(scratch: string): Promise<string[]> {
  const deadline = performance.now() + GRACE_MS;
  let pids = await processesOf(scratch);
  let mounts = await mountsBelow(scratch);
  while ((pids.length > 0 || mounts.length > 0) && performance.now() < deadline) {
    await sleep(POLL_MS);
    pids = await processesOf(scratch);
    mounts = await mountsBelow(scratch);
  }
  const found: string[] = [];
  for (const pid of pids) {
    found.push(`process ${pid}: ${await commandOf(pid)}`);
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself meanwhile.
    }
  }
  for (const point of mounts) {
    found.push(`mount ${point}`);
    await run('umount', ['-l', point]).catch(() => undefined);
  }
  return found;
}

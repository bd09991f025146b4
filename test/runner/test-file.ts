/**
 * One test file in a process of its own, with its own folder for temporary files and a mark in its
 * environment that daemons inherit: so whatever it leaves behind can be told from everything else
 * on the machine, named, counted as a failure and removed.
 */

import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runToEnd } from './child.ts';
import type { Exit } from './child.ts';
import { clearLeftovers } from './leftovers.ts';
import type { Outcome } from './outcome.ts';

/** A file that needs longer says so in its opening comment: `@limit 300 s`. */
const DEFAULT_LIMIT_SECONDS = 120;

interface Summary {
  readonly total: number;
  readonly passed: number;
  readonly skipped: number;
}

/** Reads the summary that uvu prints last; undefined where the run never came to its end. */
export function parseSummary(output: string): Summary | undefined {
  const all = [
    ...output.matchAll(/^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n {2}Skipped: +(\d+)$/gm),
  ];
  const last = all.at(-1);
  if (last === undefined) return undefined;
  return { total: Number(last[1]), passed: Number(last[2]), skipped: Number(last[3]) };
}

/** Turns an exit into counts: whatever was not counted as passed or skipped has failed. */
export function judge(exit: Exit, leftovers: readonly string[], limitSeconds: number): Outcome {
  const { seconds } = exit;
  const summary = parseSummary(exit.output);
  const complaints = leftovers.map((what) => `left behind: ${what}`);
  if (exit.timedOut) complaints.push(`stopped after its limit of ${limitSeconds} s`);
  else if (summary === undefined) complaints.push('ended without a summary: a test never settled');
  if (summary?.total === 0 && summary.skipped === 0) complaints.push('it ran no test');

  const passed = summary?.passed ?? 0;
  const failedTests = (summary?.total ?? 0) - passed;
  if (exit.status !== 0 && failedTests === 0 && complaints.length === 0) {
    complaints.push(`exit status ${exit.status ?? 'of a signal'} with no failed test`);
  }
  const output = [exit.output.trimEnd(), ...complaints].join('\n');
  const failed = failedTests + complaints.length;
  return { passed, failed, skipped: summary?.skipped ?? 0, seconds, output };
}

async function limitOf(path: string): Promise<number> {
  const source = await readFile(path, 'utf8');
  const limit = /@limit (\d+) s/.exec(source.slice(0, 2000));
  return limit === null ? DEFAULT_LIMIT_SECONDS : Number(limit[1]);
}

export async function runTestFile(root: string, file: string): Promise<Outcome> {
  const limitSeconds = await limitOf(join(root, file));
  const scratch = await mkdtemp(join(tmpdir(), 'ledgerfs-test-'));
  // Tests act as other users too, who must reach what is theirs.
  await chmod(scratch, 0o755);
  const env = { ...process.env, TMPDIR: scratch, LEDGERFS_TEST_SCRATCH: scratch, NO_COLOR: '1' };
  const exit = await runToEnd([process.execPath, '--import', 'tsx', file], {
    cwd: root,
    env,
    limitSeconds,
  });
  const leftovers = await clearLeftovers(scratch);
  await rm(scratch, { recursive: true, force: true });
  return judge(exit, leftovers, limitSeconds);
}

/**
 * `npm test`: the checks (types, lint, format, dead code), then every `*.test.ts` in a process of
 * its own, two at a time, and last the true totals on a line of their own: `N passed, N failed`.
 *
 *   npm test -- [PATTERN]     only the checks and files whose name matches (regular expression)
 *
 * uvu passes what it does not run, so nothing is believed here that was not counted: a file without
 * a summary, with zero tests, over its time limit, or that leaves a mount or a process behind, has
 * failed; so has a run of zero tests.
 */

import { existsSync, readdirSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CHECKS, runCheck } from './runner/checks.ts';
import type { Outcome } from './runner/outcome.ts';
import { add, NOTHING } from './runner/outcome.ts';
import { runTestFile } from './runner/test-file.ts';

/** The machines that this runs on have two processors, and daemons under test want one of them. */
const PARALLEL = 2;

const root = fileURLToPath(new URL('..', import.meta.url));

interface Job {
  readonly name: string;
  run(): Promise<Outcome>;
}

function jobs(pattern: RegExp): Job[] {
  const files = readdirSync(`${root}/test`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => relative(root, `${root}/test/${name}`))
    .sort();
  return [
    ...CHECKS.map((check) => ({ name: `check ${check.name}`, run: () => runCheck(root, check) })),
    ...files.map((file) => ({ name: file, run: () => runTestFile(root, file) })),
  ].filter((job) => pattern.test(job.name));
}

async function work(queue: Job[], done: (job: Job, outcome: Outcome) => void): Promise<void> {
  for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
    done(job, await job.run());
  }
}

function report(job: Job, outcome: Outcome): void {
  const { passed, failed, skipped, seconds } = outcome;
  const counts = `${passed} passed${failed > 0 ? `, ${failed} FAILED` : ''}${skipped > 0 ? `, ${skipped} skipped` : ''}`;
  process.stdout.write(
    `${failed > 0 ? '✘' : '•'} ${job.name}: ${counts} (${seconds.toFixed(1)} s)\n`,
  );
  if (failed > 0) process.stdout.write(`${outcome.output.replace(/^/gm, '    ')}\n`);
}

async function main(pattern: RegExp): Promise<void> {
  let total = NOTHING;
  const queue = jobs(pattern);
  const workers = Array.from({ length: PARALLEL }, () =>
    work(queue, (job, outcome) => {
      report(job, outcome);
      total = add(total, outcome);
    }),
  );
  await Promise.all(workers);
  if (total.passed + total.failed === 0) {
    process.stdout.write(`no test ran: nothing matches ${String(pattern)}\n`);
    total = add(total, { ...NOTHING, failed: 1 });
  }
  if (!existsSync('/dev/fuse'))
    process.stdout.write('no /dev/fuse: tests that mount were skipped\n');
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : '';
  process.stdout.write(`\n${total.passed} passed, ${total.failed} failed${skipped}\n`);
  process.exitCode = total.failed > 0 ? 1 : 0;
}

await main(new RegExp(process.argv[2] ?? ''));

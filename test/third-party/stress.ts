/**
 * stress-ng's filesystem stressors, all at once, with --verify. What fails is tried again alone, on
 * the mount and on the disk below: what fails there too is not ours, and what passes on the mount
 * waited too long for its turn. The daemon's memory is afterwards what it was after a shorter run.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Report, Site, Suite } from './site.ts';

const STRESS = 'stress-ng --class filesystem --all 1 --timeout "$2" --verify --temp-path "$1" 2>&1';
/** What failed, alone. */
const AGAIN = 'stress-ng --"$3" 1 --timeout "$2" --verify --temp-path "$1" 2>&1';
const AGAIN_SECONDS = 10;
/** Garbage is collected and caches are given back in this time. */
const SETTLE_MS = 20_000;
/** Growth that is no leak: the caches have a size of their own, reached by then or not. */
const GROWTH_MB = 96;

/** `name: what` of each kind of failure that stress-ng told. */
function failuresIn(output: string): Map<string, string> {
  const failures = new Map<string, string>();
  for (const line of output.split('\n')) {
    const [, name = '', what = ''] =
      /fail: +\[\d+\] (?:stress-ng-)?([\w-]+): (.*)/.exec(line) ?? [];
    if (name !== '' && !failures.has(name)) failures.set(name, what);
  }
  return failures;
}

interface Judged {
  readonly findings: string[];
  /** Failed on the disk below as well. */
  readonly alsoOnDisk: number;
  /** Failed only while all others ran. */
  readonly onlyTogether: number;
}

async function judge(
  site: Site,
  dir: string,
  failures: ReadonlyMap<string, string>,
): Promise<Judged> {
  const below = await mkdtemp(join(tmpdir(), 'stress-'));
  const failsAlone = async (where: string, name: string): Promise<boolean> =>
    failuresIn(await site.shell(AGAIN, where, String(AGAIN_SECONDS), name)).has(name);
  const findings: string[] = [];
  let alsoOnDisk = 0;
  let onlyTogether = 0;
  try {
    for (const [name, what] of failures) {
      if (!(await failsAlone(dir, name))) onlyTogether++;
      else if (await failsAlone(below, name)) alsoOnDisk++;
      else findings.push(`stress-ng ${name}: ${what}`);
    }
  } finally {
    await rm(below, { recursive: true, force: true });
  }
  return { findings, alsoOnDisk, onlyTogether };
}

async function check(site: Site): Promise<Report> {
  const dir = await site.directory('stress');
  // A first run fills the caches.
  await site.shell(STRESS, dir, String(Math.ceil(site.seconds / 3)));
  await sleep(SETTLE_MS);
  const beforeMB = await site.daemonMB();
  const output = await site.shell(STRESS, dir, String(site.seconds));
  const peakMB = await site.daemonMB();
  await sleep(SETTLE_MS);
  const afterMB = await site.daemonMB();
  const failures = failuresIn(output);
  const { findings, alsoOnDisk, onlyTogether } = await judge(site, dir, failures);
  const stressors = /dispatching hogs: (.*)/.exec(output)?.[1]?.split(',').length ?? 0;
  if (stressors === 0) findings.push(`stress-ng did not run: ${output.slice(0, 500)}`);
  if (afterMB - beforeMB > GROWTH_MB) {
    findings.push(`the daemon grew from ${Math.round(beforeMB)} to ${Math.round(afterMB)} MB`);
  }
  const round = Math.round;
  return {
    counts: {
      stressors,
      seconds: site.seconds,
      failedAlsoOnDisk: alsoOnDisk,
      failedOnlyTogether: onlyTogether,
      beforeMB: round(beforeMB),
      endMB: round(peakMB),
      afterMB: round(afterMB),
    },
    findings,
  };
}

export const stress: Suite = {
  name: 'stress-ng',
  version: 'as Debian has it',
  command: 'stress-ng --class filesystem --all 1 --verify, as root',
  programs: ['stress-ng'],
  check,
};

/**
 * stress-ng's filesystem stressors, all at once, with --verify: nothing fails that does not fail on
 * the disk below as well, and the daemon's memory is afterwards what it was.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Report, Site, Suite } from './site.ts';

const STRESS = 'stress-ng --class filesystem --all 1 --timeout "$2" --verify --temp-path "$1" 2>&1';
/** What failed on the mount, alone, so long on the disk below. */
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

/** Those failures that the disk below does not show. */
async function oursAlone(site: Site, failures: ReadonlyMap<string, string>): Promise<string[]> {
  const elsewhere = await mkdtemp(join(tmpdir(), 'stress-'));
  try {
    const ours: string[] = [];
    for (const [name, what] of failures) {
      const there = failuresIn(await site.shell(AGAIN, elsewhere, String(AGAIN_SECONDS), name));
      if (!there.has(name)) ours.push(`stress-ng ${name}: ${what}`);
    }
    return ours;
  } finally {
    await rm(elsewhere, { recursive: true, force: true });
  }
}

async function check(site: Site): Promise<Report> {
  const dir = await site.directory('stress');
  // A first, short run fills the caches.
  await site.shell(STRESS, dir, '10');
  await sleep(SETTLE_MS);
  const beforeMB = await site.daemonMB();
  const output = await site.shell(STRESS, dir, String(site.seconds));
  const peakMB = await site.daemonMB();
  await sleep(SETTLE_MS);
  const afterMB = await site.daemonMB();
  const failures = failuresIn(output);
  const findings = await oursAlone(site, failures);
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
      failedAlsoOnDisk: failures.size - findings.length,
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

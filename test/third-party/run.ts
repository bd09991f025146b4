/**
 * `npm run test:third-party -- [--only NAME]... [--source NAME=URL]... [--seconds N]
 * [--evidence FILE]`: POSIX suites of others, run on a mount and never committed: pjdfstest,
 * libfuse's test_syscalls, stress-ng (for --seconds, 300). Each gets a fresh volume, which is
 * checked with fsck and a replay afterwards. Their sources come from their homes, or from
 * --source. Exit status 1 where anything was found. Needs root, /dev/fuse, cc, autoconf, automake,
 * perl, stress-ng.
 */

import { parseArgs } from 'node:util';
import { commitNow, writeEvidence } from '../runner/evidence.ts';
import { hasProgram } from '../use/mounted-volume.ts';
import { pjdfstest } from './pjdfstest.ts';
import { Site, type Report, type Suite } from './site.ts';
import { stress } from './stress.ts';
import { syscalls } from './syscalls.ts';

const SUITES: readonly Suite[] = [pjdfstest, syscalls, stress];

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    source: { type: 'string', multiple: true, default: [] },
    seconds: { type: 'string', default: '300' },
    evidence: { type: 'string' },
  },
});

const say = (line: string): void => void process.stdout.write(`${line}\n`);
/** Taken at the start: others may commit meanwhile. */
const commit = commitNow();

type Result = Report & Pick<Suite, 'name' | 'version' | 'command'> & { readonly seconds: number };

async function runSuite(suite: Suite): Promise<Result> {
  const { name, version, command, programs } = suite;
  const missing = programs.filter((program) => !hasProgram(program));
  if (missing.length > 0) throw new Error(`${name} needs ${missing.join(', ')}: install them`);
  const elsewhere = new Map(values.source.map((pair) => pair.split('=', 2) as [string, string]));
  const begun = performance.now();
  const site = await Site.open(Number(values.seconds), elsewhere);
  let report: Report = { counts: {}, findings: [] };
  let left: string[] = [];
  try {
    report = await suite.check(site);
  } catch (error) {
    report = { counts: {}, findings: [`${name} failed: ${(error as Error).message}`] };
  } finally {
    left = await site.close();
  }
  const seconds = Math.round((performance.now() - begun) / 1000);
  return { name, version, command, ...report, findings: [...report.findings, ...left], seconds };
}

function record(path: string, results: readonly Result[]): void {
  writeEvidence(path, {
    commit,
    command: `npm run test:third-party -- ${process.argv.slice(2).join(' ')}`,
    seeds: [],
    counts: { suites: results.length },
    durationSeconds: results.reduce((sum, { seconds }) => sum + seconds, 0),
    findings: results.flatMap(({ name, findings }) => findings.map((what) => `${name}: ${what}`)),
    suites: results,
  });
}

const results: Result[] = [];
for (const suite of SUITES) {
  if (values.only.length > 0 && !values.only.includes(suite.name)) continue;
  say(`${suite.name} ${suite.version}`);
  const result = await runSuite(suite);
  say(`  ${JSON.stringify(result.counts)}, ${result.seconds} s`);
  for (const finding of result.findings) say(`  FINDING: ${finding}`);
  results.push(result);
  if (values.evidence !== undefined) record(values.evidence, results);
}
if (results.length === 0) throw new Error('no suite of that name');
process.exitCode = results.some(({ findings }) => findings.length > 0) ? 1 : 0;

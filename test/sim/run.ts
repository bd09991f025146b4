/**
 * The power-loss test at length:
 *
 *   npm run test:power -- --seeds 10000        seeds 0 to 9999, and the evidence of it
 *   npm run test:power -- --seeds 100 --from 500
 *   npm run test:power -- --seed 4711          one seed, with all that happened in it
 *
 * Exit status 1 where anything was found. A run of several seeds writes `docs/evidence/power-loss.json`.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { playSeed, type SeedReport } from './power/simulation.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const EVIDENCE = `${ROOT}docs/evidence`;
const DEFAULT_SEEDS = 1000;
const PROGRESS_SEEDS = 500;
/** Of each finding, this much goes into the evidence: the seed brings back the rest. */
const FINDING_CHARS = 2000;

interface Totals {
  seeds: number;
  operations: number;
  powerLosses: number;
  kills: number;
  readonly findings: { readonly seed: number; readonly finding: string }[];
}

function naturalOf(text: string | undefined, otherwise: number): number {
  const n = Number(text ?? otherwise);
  if (Number.isSafeInteger(n) && n >= 0) return n;
  process.stderr.write(`not a natural number: ${text}\n`);
  return process.exit(2);
}

function addReport(totals: Totals, report: SeedReport): void {
  totals.seeds++;
  totals.operations += report.operations;
  totals.powerLosses += report.powerLosses;
  totals.kills += report.kills;
  if (report.finding === undefined) return;
  totals.findings.push({ seed: report.seed, finding: report.finding.slice(0, FINDING_CHARS) });
  const first = report.finding.split('\n', 1)[0];
  process.stdout.write(`seed ${report.seed}: ${first}\n`);
}

function git(...args: readonly string[]): string {
  return execFileSync('git', ['-C', ROOT, ...args], { encoding: 'utf8' }).trim();
}

function writeEvidence(totals: Totals, from: number, seconds: number): void {
  const evidence = {
    name: 'power-loss',
    commit: git('rev-parse', 'HEAD'),
    uncommittedChanges: git('status', '--porcelain', '--', 'src', 'test/sim') !== '',
    date: new Date().toISOString(),
    again: 'npm run test:power -- --seed N',
    firstSeed: from,
    ...totals,
    seconds: Math.round(seconds),
  };
  mkdirSync(EVIDENCE, { recursive: true });
  writeFileSync(`${EVIDENCE}/power-loss.json`, `${JSON.stringify(evidence, null, 2)}\n`);
}

async function playOne(seed: number): Promise<boolean> {
  const report = await playSeed(seed);
  process.stdout.write(`${report.finding ?? `seed ${seed}: nothing found`}\n`);
  return report.finding === undefined;
}

async function playMany(from: number, count: number): Promise<boolean> {
  const totals: Totals = { seeds: 0, operations: 0, powerLosses: 0, kills: 0, findings: [] };
  const started = performance.now();
  for (let seed = from; seed < from + count; seed++) {
    addReport(totals, await playSeed(seed));
    if (totals.seeds % PROGRESS_SEEDS === 0) process.stdout.write(`${totals.seeds} seeds\n`);
  }
  const seconds = (performance.now() - started) / 1000;
  writeEvidence(totals, from, seconds);
  process.stdout.write(
    `${totals.seeds} seeds, ${totals.operations} operations, ${totals.powerLosses} power losses, ` +
      `${totals.kills} kills, ${totals.findings.length} findings in ${seconds.toFixed(0)} s\n`,
  );
  return totals.findings.length === 0;
}

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string' },
    seed: { type: 'string' },
  },
});
const passed =
  values.seed === undefined
    ? await playMany(naturalOf(values.from, 0), naturalOf(values.seeds, DEFAULT_SEEDS))
    : await playOne(naturalOf(values.seed, 0));
process.exitCode = passed ? 0 : 1;

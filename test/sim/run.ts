/**
 * The power-loss test at length:
 *
 *   npm run test:power -- --seeds 10000        seeds 0 to 9999, and the evidence of it
 *   npm run test:power -- --seeds 100 --from 500
 *   npm run test:power -- --seed 4711          one seed, with all that happened in it
 *
 * Exit status 1 where anything was found. A run of several seeds writes `docs/evidence/power-loss.json`.
 */

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { commitNow, writeEvidence } from '../runner/evidence.ts';
import { playSeed, type SeedReport } from './power/simulation.ts';

const EVIDENCE = fileURLToPath(new URL('../../docs/evidence/power-loss.json', import.meta.url));
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

function record(commit: string, totals: Totals, from: number, seconds: number): void {
  const { findings, ...counts } = totals;
  writeEvidence(EVIDENCE, {
    commit,
    command: `npm run test:power -- --seeds ${counts.seeds} --from ${from}`,
    again: 'npm run test:power -- --seed N',
    seeds: [from, from + counts.seeds - 1],
    counts,
    durationSeconds: Math.round(seconds),
    findings,
  });
}

async function playOne(seed: number): Promise<boolean> {
  const report = await playSeed(seed);
  process.stdout.write(`${report.finding ?? `seed ${seed}: nothing found`}\n`);
  return report.finding === undefined;
}

async function playMany(from: number, count: number): Promise<boolean> {
  const totals: Totals = { seeds: 0, operations: 0, powerLosses: 0, kills: 0, findings: [] };
  // Taken at the start: others may commit meanwhile.
  const commit = commitNow();
  const started = performance.now();
  for (let seed = from; seed < from + count; seed++) {
    addReport(totals, await playSeed(seed));
    if (totals.seeds % PROGRESS_SEEDS === 0) process.stdout.write(`${totals.seeds} seeds\n`);
  }
  const seconds = (performance.now() - started) / 1000;
  record(commit, totals, from, seconds);
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

/**
 * What a run leaves in the repository: docs/evidence/bench.json and the table of
 * docs/benchmarks.md.
 */

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Figure } from './figure.ts';
import { formatMarkdown } from './report.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const EVIDENCE = `${ROOT}/docs/evidence/bench.json`;
const PAGE = `${ROOT}/docs/benchmarks.md`;
const [BEGIN, END] = ['<!-- measured: begin -->', '<!-- measured: end -->'];

export interface Run {
  readonly command: string;
  readonly startedAt: Date;
  readonly durationSeconds: number;
  readonly rounds: number;
  readonly disk: string;
  /** Processes that wanted a processor when the run began, over the minute before. */
  readonly loadBefore: number;
  readonly figures: readonly Figure[];
}

const output = (program: string, ...args: readonly string[]): string =>
  execFileSync(program, args, { cwd: ROOT, encoding: 'utf8' }).trim();

/** The commit measured; "+" where sources differ from it. */
function commitMeasured(): string {
  const isDirty = output('git', 'status', '--porcelain', '--', 'src', 'tools', 'bench') !== '';
  return `${output('git', 'rev-parse', '--short=12', 'HEAD')}${isDirty ? '+' : ''}`;
}

const machine = (disk: string): string =>
  `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${(totalmem() / 1e9).toFixed(0)} GB, ` +
  `Linux ${release()}, Node ${process.version}, ${disk}`;

/** The type of the filesystem that holds `dir`. */
export const diskOf = (dir: string): string =>
  output('findmnt', '-n', '-o', 'FSTYPE,SOURCE', '-T', dir).replace(/\s+/g, ' ');

export function record(run: Run): void {
  const commit = commitMeasured();
  writeEvidence(run, commit);
  writePage(run, commit);
}

function writeEvidence(
  { startedAt, disk, figures, loadBefore, ...run }: Run,
  commit: string,
): void {
  mkdirSync(`${ROOT}/docs/evidence`, { recursive: true });
  const missed = figures.filter(({ target }) => target?.isMet === false);
  const evidence = {
    commit,
    date: startedAt.toISOString(),
    command: run.command,
    seeds: [],
    counts: { figures: figures.length, rounds: run.rounds },
    durationSeconds: Math.round(run.durationSeconds),
    machine: machine(disk),
    loadBefore,
    findings: missed.map(({ name, ours, unit, target }) => {
      return `${name}: ${ours.toPrecision(4)} ${unit}, to reach ${target?.text ?? ''}`;
    }),
    figures,
  };
  writeFileSync(EVIDENCE, `${JSON.stringify(evidence, undefined, 2)}\n`);
}

/** Replaces what stands between the two marks of the page. */
function writePage(run: Run, commit: string): void {
  const { startedAt, rounds, disk, figures, command, loadBefore } = run;
  const page = readFileSync(PAGE, 'utf8');
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) {
    throw new Error(`${PAGE}: the marks ${BEGIN} and ${END} are missing`);
  }
  const day = startedAt.toISOString().slice(0, 10);
  const median = rounds === 1 ? 'one round' : `median of ${rounds} interleaved rounds`;
  const measured = [
    `Commit ${commit}, ${day}, \`${command}\`, ${median}.`,
    `Machine: ${machine(disk)}; load before the run ${loadBefore.toFixed(1)}.`,
    '',
    formatMarkdown(figures),
  ].join('\n');
  writeFileSync(PAGE, `${before}${BEGIN}\n${measured}\n${END}${after}`);
}

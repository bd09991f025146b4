/**
 * `npm run test:crash -- [--rounds N] [--seed S] [--keep] [--ledgerfs PATH] [--mutant NAME]
 * [--evidence FILE]`: rounds of the kill test (`rounds.ts`) until all are done or one fails; exit
 * status 1 then, with the seed, and the volume kept. `--ledgerfs` tests another build; `--mutant` a
 * daemon that breaks one rule (`mutants.ts`), and must fail.
 */

import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { systemRandom } from '../../src/io/system-random.ts';
import { commitNow, writeEvidence } from '../runner/evidence.ts';
import { programsOf } from './programs.ts';
import { runRounds, type RunResult } from './rounds.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    seed: { type: 'string' },
    keep: { type: 'boolean', default: false },
    ledgerfs: { type: 'string', default: 'bin/ledgerfs' },
    mutant: { type: 'string' },
    evidence: { type: 'string' },
  },
});

const say = (line: string): void => void process.stdout.write(`${line}\n`);

interface Run {
  readonly commit: string;
  readonly seed: number;
  readonly seconds: number;
}

function record(path: string, { commit, seed, seconds }: Run, result: RunResult): void {
  const { counts, finding } = result;
  writeEvidence(path, {
    commit,
    command: `npm run test:crash -- ${process.argv.slice(2).join(' ')}`,
    seeds: [seed],
    counts,
    durationSeconds: Math.round(seconds),
    findings: finding === undefined ? [] : [finding],
  });
}

async function main(): Promise<void> {
  const seed = values.seed === undefined ? systemRandom.integer(2 ** 32) : Number(values.seed);
  const rounds = Number(values.rounds);
  const { mutant } = values;
  say(`seed ${seed}, ${rounds} rounds${mutant === undefined ? '' : `, mutant ${mutant}`}`);
  // Taken at the start: others may commit meanwhile.
  const commit = values.evidence === undefined ? '' : commitNow();
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
  const started = performance.now();
  const result = await runRounds({
    seed,
    rounds,
    programs: programsOf(values.ledgerfs, mutant),
    scratch: tmpdir(),
    stop: stop.signal,
    onRound: (round, what) => say(`round ${round + 1}/${rounds}: ${what}`),
  });
  const seconds = (performance.now() - started) / 1000;
  if (values.evidence !== undefined) {
    record(values.evidence, { commit, seed, seconds }, result);
  }
  const { finding, directory } = result;
  if (finding !== undefined) {
    say(`round ${finding.round + 1} FAILED with seed ${seed}:\n${finding.text}`);
    process.exitCode = 1;
  }
  if (finding !== undefined || values.keep) say(`kept: ${directory}`);
  else await rm(directory, { recursive: true });
  say(`${JSON.stringify(result.counts)} in ${seconds.toFixed(0)} s`);
}

await main();

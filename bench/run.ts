/**
 * `npm run bench`: everything that is fast or slow about ledgerfs, each figure beside its floor or
 * a peer measured in the same run, in turns. Ends with one table.
 *
 *   npm run bench -- [--quick] [--only NAME]... [--dir DIRECTORY] [--no-record]
 *
 * --quick tries everything once and small; its figures mean little and are not recorded. --only
 * runs single benchmarks, which are not recorded either. DIRECTORY (default: that for temporary
 * files) says which disk is measured. Needs root, /dev/fuse, cc and bindfs. Nothing is left behind,
 * but docs/evidence/bench.json and the table of docs/benchmarks.md.
 */

import { loadavg, tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { engine } from './engine.ts';
import { fsyncTail } from './fsync-tail.ts';
import type { Benchmark, Figure } from './lab/figure.ts';
import { Lab } from './lab/lab.ts';
import { diskOf, record } from './lab/record.ts';
import { formatTable } from './lab/report.ts';
import { FULL, QUICK } from './lab/scale.ts';
import { logCommit } from './log-commit.ts';
import { million } from './million.ts';
import { names } from './names.ts';
import { replay } from './replay.ts';
import { stat } from './stat.ts';
import { stream } from './streaming.ts';
import { unpack } from './unpack.ts';
import { walk } from './walk.ts';

const BENCHMARKS: readonly Benchmark[] = [
  logCommit,
  engine,
  stat,
  names,
  unpack,
  stream,
  fsyncTail,
  replay,
  million,
  walk,
];

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    dir: { type: 'string', default: tmpdir() },
    'no-record': { type: 'boolean', default: false },
  },
});

function chosen(): readonly Benchmark[] {
  const known = BENCHMARKS.map(({ name }) => name);
  const unknown = values.only.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new Error(`no benchmark is called ${unknown}; there are ${known.join(', ')}`);
  }
  return BENCHMARKS.filter(({ name }) => values.only.length === 0 || values.only.includes(name));
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** Runs one after the other; one that fails is reported, and the others run all the same. */
async function runAll(lab: Lab, benchmarks: readonly Benchmark[]): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { name, run } of benchmarks) {
    const begun = performance.now();
    try {
      const found = await run(lab);
      figures.push(...found);
      say(`${name}: ${((performance.now() - begun) / 1000).toFixed(0)} s`);
      say(formatTable(found));
    } catch (error) {
      process.exitCode = 1;
      say(`${name}: failed: ${String(error)}`);
    }
  }
  return figures;
}

/** An interrupted run takes away what it made, too. */
function closeOnSignal(lab: Lab): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      say(`${signal}: cleaning up`);
      void lab.close().then(() => process.exit(1));
    });
  }
}

const startedAt = new Date();
const [loadBefore = 0] = loadavg();
const begun = performance.now();
const benchmarks = chosen();
const scale = values.quick ? QUICK : FULL;
const disk = diskOf(values.dir);
say(`building, and measuring ${disk} in ${values.dir}`);
const lab = await Lab.open(values.dir, scale);
closeOnSignal(lab);
const figures = await runAll(lab, benchmarks);
await lab.close();
const durationSeconds = (performance.now() - begun) / 1000;
process.stdout.write(`\n${formatTable(figures)}\n\n${durationSeconds.toFixed(0)} s\n`);
const isWhole = !values.quick && values.only.length === 0 && process.exitCode === undefined;
if (isWhole && !values['no-record']) {
  record({
    command: 'npm run bench',
    startedAt,
    durationSeconds,
    rounds: scale.rounds,
    disk,
    loadBefore,
    figures,
  });
}

/**
 * Log commit: transactions made durable by 1 and by 32 callers, each waiting for its own, through
 * the log writer and the file store, beside the same bytes appended raw and fdatasynced.
 */

import { figureOf, median, type Benchmark, type Figure } from './lab/figure.ts';
import type { Lab } from './lab/lab.ts';

const FLOOR = 'append + fdatasync';

interface Committed {
  readonly ours: readonly number[];
  readonly floor: readonly number[];
  /** Per transaction. */
  readonly syncs: readonly number[];
}

async function committing(lab: Lab, callers: number): Promise<Figure> {
  const { rounds, durableSeconds } = lab.scale;
  const dir = await lab.directory('log');
  const run = await lab.program<Committed>(
    'programs/commit-log.js',
    dir,
    callers,
    rounds,
    durableSeconds * 1000,
  );
  await lab.remove(dir);
  const samples = (rates: readonly number[]) => rates.map((rate) => ({ rate }));
  return figureOf(
    { ledgerfs: samples(run.ours), [FLOOR]: samples(run.floor) },
    {
      key: 'rate',
      name: `log commit, ${callers} ${callers === 1 ? 'caller' : 'callers'}`,
      unit: '/s',
      against: [FLOOR],
      note: `${median(run.syncs).toFixed(3)} commits per transaction`,
    },
  );
}

export const logCommit: Benchmark = {
  name: 'log-commit',
  run: async (lab) => [await committing(lab, 1), await committing(lab, 32)],
};

/**
 * The worst waits of a small writer beside a large one: one thread appends 4 KiB and syncs, again
 * and again, while another writes a large file as fast as it is let. The 99th percentile of the
 * fsyncs, and what the large writer got through meanwhile.
 */

import { figureOf, interleave, type Benchmark } from './lab/figure.ts';
import { bindfs, ext4, ledgerfs } from './lab/subjects.ts';

const AGAINST = ['bindfs', 'ext4'];

export const fsyncTail: Benchmark = {
  name: 'fsync-tail',
  async run(lab) {
    const subjects = [await ledgerfs(lab), await bindfs(lab), await ext4(lab)];
    const contestants = subjects.map(({ name, path }) => {
      const measure = async () => {
        const load = await lab.load('tail', path, lab.scale.tailSeconds);
        return { p99: load.p99us / 1000, writer: load.mibPerSecond };
      };
      return [name, measure] as const;
    });
    const results = await interleave(lab.scale.rounds, Object.fromEntries(contestants));
    for (const subject of subjects) await subject.stop();
    return [
      figureOf(results, {
        key: 'p99',
        name: 'fsync p99 beside a writer',
        unit: 'ms',
        against: AGAINST,
      }),
      figureOf(results, { key: 'writer', name: '  that writer', unit: 'MiB/s', against: AGAINST }),
    ];
  },
};

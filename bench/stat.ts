/**
 * stat(2) of one path where the kernel may remember nothing: a LOOKUP and a GETATTR each. Against
 * the null filesystem on the same transport, and bindfs, all with timeouts of 0.
 */

import { figureOf, interleave, type Benchmark, type Sample, type Target } from './lab/figure.ts';
import type { Lab } from './lab/lab.ts';
import { bindfs, ledgerfsWithoutTimeouts, nullfs, type Subject } from './lab/subjects.ts';

const MOST = 1.3;

const target = (ours: number, peer: (name: string) => number): Target => ({
  text: `time <= ${MOST} x null`,
  isMet: peer('null') / ours <= MOST,
});

async function statting(lab: Lab, { path }: Subject): Promise<() => Promise<Sample>> {
  const dir = `${path}/d`;
  await lab.load('create', dir, 1, 1, 0, 0, 0);
  return async () => {
    const { perSecond } = await lab.load('stat', `${dir}/fc0000000`, lab.scale.stats);
    return { stat: perSecond };
  };
}

export const stat: Benchmark = {
  name: 'stat',
  async run(lab) {
    const ours = await ledgerfsWithoutTimeouts(lab);
    const floor = await nullfs(lab, 0);
    const peer = await bindfs(lab, 'attr_timeout=0', 'entry_timeout=0');
    const results = await interleave(lab.scale.rounds, {
      ledgerfs: await statting(lab, ours),
      null: await statting(lab, floor),
      bindfs: await statting(lab, peer),
    });
    for (const subject of [ours, floor, peer]) await subject.stop();
    return [
      figureOf(results, {
        key: 'stat',
        name: 'stat, timeouts 0',
        unit: '/s',
        against: ['null', 'bindfs'],
        target,
        note: 'one file, again and again',
      }),
    ];
  },
};

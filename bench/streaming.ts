/**
 * Streaming of one file in calls of 1 MiB: written to a new file; written and synced; read with
 * warm caches (the second reading of an unchanged file) and cold ones (after drop_caches).
 *
 * The null filesystem throws away what it is given and has nothing to read from a disk: it is the
 * floor of the writing only.
 */

import { figureOf, interleave, type Benchmark, type FigureOf, type Sample } from './lab/figure.ts';
import type { Lab } from './lab/lab.ts';
import { allSubjects, type Subject } from './lab/subjects.ts';

const WRITE_SHARE = 0.6;
const READ_SHARE = 0.8;

const FIGURES: readonly FigureOf[] = [
  {
    key: 'write',
    name: 'streaming write',
    unit: 'MiB/s',
    against: ['null', 'bindfs', 'ext4'],
    target: (ours, peer) => ({
      text: `>= ${WRITE_SHARE} x null`,
      isMet: ours >= WRITE_SHARE * peer('null'),
    }),
  },
  {
    key: 'synced',
    name: 'streaming write and fsync',
    unit: 'MiB/s',
    against: ['bindfs', 'ext4'],
  },
  {
    key: 'warm',
    name: 'streaming read, warm',
    unit: 'MiB/s',
    against: ['bindfs', 'ext4'],
    target: (ours, peer) => ({
      text: `>= ${READ_SHARE} x bindfs`,
      isMet: ours >= READ_SHARE * peer('bindfs'),
    }),
  },
  { key: 'cold', name: 'streaming read, cold', unit: 'MiB/s', against: ['bindfs', 'ext4'] },
];

function streaming(lab: Lab, { name, path }: Subject): (round: number) => Promise<Sample> {
  return async (round) => {
    const file = (kind: string): string => `${path}/${kind}${round}`;
    const { streamMiB } = lab.scale;
    const write = await lab.load('write', file('w'), streamMiB, 0);
    if (name === 'null') return { write: write.mibPerSecond };
    const synced = await lab.load('write', file('s'), streamMiB, 1);
    await lab.load('read', file('s'));
    const warm = await lab.load('read', file('s'));
    await lab.dropCaches(3);
    const cold = await lab.load('read', file('s'));
    await lab.run('rm', file('w'), file('s'));
    return {
      write: write.mibPerSecond,
      synced: synced.mibPerSecond,
      warm: warm.mibPerSecond,
      cold: cold.mibPerSecond,
    };
  };
}

export const stream: Benchmark = {
  name: 'streaming',
  async run(lab) {
    const subjects = await allSubjects(lab);
    const contestants = subjects.map((subject) => [subject.name, streaming(lab, subject)] as const);
    const results = await interleave(lab.scale.rounds, Object.fromEntries(contestants));
    for (const subject of subjects) await subject.stop();
    return FIGURES.map((figure) => figureOf(results, figure));
  },
};

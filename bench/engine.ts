/**
 * Creates per second of the engine alone: a million calls of `mknod` on an open volume, no FUSE. The
 * clock stops when the log is durable and the index is written, which closing the volume does. Its
 * peer is ext4: mknod(2) from C and one syncfs, of fewer files.
 */

import type { Lab } from './lab/lab.ts';
import { atLeast, figureOf, interleave, type Benchmark, type Sample } from './lab/figure.ts';
import { fillVolume, keepLargeVolume } from './lab/subjects.ts';

const TARGET = 40_000;
const PER_DIRECTORY = 1000;
/** The volumes with the default history serve the later benchmarks. */
const KEPT_HISTORY = '7d';

async function fill(lab: Lab, history: string): Promise<Sample> {
  const { applied, volume } = await fillVolume(lab, history);
  if (history === KEPT_HISTORY) await keepLargeVolume(lab, volume);
  else await lab.remove(volume);
  return { [history]: lab.scale.million / applied };
}

async function fillPeer(lab: Lab): Promise<Sample> {
  const path = await lab.directory('ext4');
  const { perSecond } = await lab.load('tree', path, lab.scale.peerFiles, PER_DIRECTORY);
  await lab.remove(path);
  return { none: perSecond, '7d': perSecond };
}

export const engine: Benchmark = {
  name: 'engine',
  async run(lab) {
    const results = await interleave(lab.scale.rounds, {
      ledgerfs: async () => ({ ...(await fill(lab, 'none')), ...(await fill(lab, '7d')) }),
      ext4: () => fillPeer(lab),
    });
    return ['none', '7d'].map((key) =>
      figureOf(results, {
        key,
        name: `engine creates, history ${key}`,
        unit: '/s',
        against: ['ext4'],
        target: (ours) => atLeast(`>= ${TARGET}/s`, ours, TARGET),
        note: `${lab.scale.million} creates, durable and indexed at the end; ext4 with ${lab.scale.peerFiles}`,
      }),
    );
  },
};

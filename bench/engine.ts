/**
 * Creates per second of the engine alone: a million calls of `mknod` on an open volume, no FUSE. The
 * clock stops when the log is durable and the index is written, which closing the volume does. Its
 * peer is ext4: mknod(2) from C and one syncfs, of fewer files.
 */

import type { Lab } from './lab/lab.ts';
import { atLeast, figureOf, interleave, type Benchmark, type Figure } from './lab/figure.ts';
import { fillVolume, keepLargeVolume } from './lab/subjects.ts';

const TARGET = 40_000;
const PER_DIRECTORY = 1000;

async function creates(lab: Lab): Promise<Figure> {
  const { million, peerFiles, rounds } = lab.scale;
  const results = await interleave(rounds, {
    ledgerfs: async () => {
      const { applied, volume } = await fillVolume(lab, 'none');
      await lab.remove(volume);
      return { creates: million / applied };
    },
    ext4: async () => {
      const path = await lab.directory('ext4');
      const { perSecond } = await lab.load('tree', path, peerFiles, PER_DIRECTORY);
      await lab.remove(path);
      return { creates: perSecond };
    },
  });
  return figureOf(results, {
    key: 'creates',
    name: 'engine creates',
    unit: '/s',
    against: ['ext4'],
    target: (ours) => atLeast(`>= ${TARGET}/s`, ours, TARGET),
    note: `${million}, durable and indexed at the end, history none; ext4 with ${peerFiles}`,
  });
}

/** With the default history, once: this volume serves the later benchmarks. */
async function createsWithHistory(lab: Lab): Promise<Figure> {
  const { applied, volume } = await fillVolume(lab, '7d');
  await keepLargeVolume(lab, volume);
  const ours = lab.scale.million / applied;
  const name = 'engine creates, history 7d';
  return { name, unit: '/s', ours, peers: [], note: 'measured once', rounds: [ours] };
}

export const engine: Benchmark = {
  name: 'engine',
  run: async (lab) => [await creates(lab), await createsWithHistory(lab)],
};

/**
 * Programs that walk a tree: `ls -lR` and `find` over 100,000 files in directories of 1,000. Warm:
 * the walk before was the same, a moment ago. Cold: the kernel has forgotten names, attributes
 * and pages (drop_caches 3), ours and those of the disk below; what a daemon keeps in its own
 * memory stays.
 */

import { below, figureOf, interleave, type Benchmark, type Sample } from './lab/figure.ts';
import type { Lab } from './lab/lab.ts';
import { bindfs, ext4, ledgerfs, type Subject } from './lab/subjects.ts';

const PER_DIRECTORY = 1000;

const WALKS = {
  ls: { script: 'ls -lR "$1" > /dev/null', name: 'ls -lR' },
  find: { script: 'find "$1" > /dev/null', name: 'find' },
};
type Walk = keyof typeof WALKS;

async function seconds(lab: Lab, walk: Walk, tree: string): Promise<number> {
  const begun = performance.now();
  await lab.run('sh', '-c', WALKS[walk].script, 'sh', tree);
  return (performance.now() - begun) / 1000;
}

async function walking(lab: Lab, { path }: Subject): Promise<() => Promise<Sample>> {
  const tree = `${path}/tree`;
  await lab.load('tree', tree, lab.scale.listed, PER_DIRECTORY);
  return async () => {
    const sample: Record<string, number> = {};
    for (const walk of Object.keys(WALKS) as Walk[]) {
      await lab.dropCaches(3);
      sample[`${walk} cold`] = await seconds(lab, walk, tree);
      sample[`${walk} warm`] = await seconds(lab, walk, tree);
    }
    return sample;
  };
}

export const walk: Benchmark = {
  name: 'walk',
  async run(lab) {
    const subjects = [await ledgerfs(lab), await bindfs(lab), await ext4(lab)];
    const contestants: Record<string, () => Promise<Sample>> = {};
    for (const subject of subjects) contestants[subject.name] = await walking(lab, subject);
    const results = await interleave(lab.scale.rounds, contestants);
    for (const subject of subjects) await subject.stop();
    return (Object.keys(WALKS) as Walk[]).flatMap((each) =>
      ['warm', 'cold'].map((how) =>
        figureOf(results, {
          key: `${each} ${how}`,
          name: `${WALKS[each].name} over ${lab.scale.listed} files, ${how}`,
          unit: 's',
          against: ['bindfs', 'ext4'],
          target: (ours, peer) => below('faster than bindfs', ours, peer('bindfs')),
        }),
      ),
    );
  },
};

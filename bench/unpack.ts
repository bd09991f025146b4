/**
 * Unpacking a real tree through the mount: tar of this project's `node_modules` (some thousand files,
 * from a few bytes to some MiB), extracted into a new directory. The archive is in the page cache.
 */

import { fileURLToPath } from 'node:url';
import { figureOf, interleave, type Benchmark, type Sample } from './lab/figure.ts';
import type { Lab } from './lab/lab.ts';
import { allSubjects, type Subject } from './lab/subjects.ts';

const PARENT = fileURLToPath(new URL('../', import.meta.url));

function unpacking(lab: Lab, { path }: Subject, archive: string) {
  return async (round: number): Promise<Sample> => {
    const into = `${path}/unpacked${round}`;
    await lab.run('mkdir', into);
    const begun = performance.now();
    await lab.run('tar', '-xf', archive, '-C', into);
    return { seconds: (performance.now() - begun) / 1000 };
  };
}

export const unpack: Benchmark = {
  name: 'unpack',
  async run(lab) {
    const archive = `${lab.dir}/tree.tar`;
    await lab.run('tar', '-cf', archive, '-C', PARENT, 'node_modules');
    const listed = await lab.run('tar', '-tf', archive);
    const files = listed.split('\n').filter((name) => name !== '' && !name.endsWith('/')).length;
    const subjects = await allSubjects(lab);
    const contestants = subjects.map(
      (subject) => [subject.name, unpacking(lab, subject, archive)] as const,
    );
    const results = await interleave(lab.scale.rounds, Object.fromEntries(contestants));
    for (const subject of subjects) await subject.stop();
    await lab.remove(archive);
    return [
      figureOf(results, {
        key: 'seconds',
        name: `unpack of ${files} files`,
        unit: 's',
        against: ['null', 'bindfs', 'ext4'],
        note: 'tar of node_modules',
      }),
    ];
  },
};

/**
 * What happens to names through the mount, from one thread: create, create with 4 KiB, rename,
 * unlink; and durable creates (create, fsync, close), from one thread and from 32, each in a
 * directory of its own. Timeouts are 1 s everywhere.
 */

import {
  atLeast,
  figureOf,
  interleave,
  type Benchmark,
  type FigureOf,
  type Sample,
} from './lab/figure.ts';
import type { Lab } from './lab/lab.ts';
import { allSubjects, type Subject } from './lab/subjects.ts';

const CALLERS = 32;
const BLOCK = 4096;
const AGAINST = ['null', 'bindfs', 'ext4'];
const CREATES = 8000;
const DURABLE_CREATES = 2000;
const DURABLE_CREATES_OF_MANY = 10_000;

const FIGURES: readonly FigureOf[] = [
  {
    key: 'create',
    name: 'create',
    unit: '/s',
    against: AGAINST,
    target: (ours, peer) => ({
      text: `>= ${CREATES}/s, ahead of bindfs`,
      isMet: ours >= CREATES && ours > peer('bindfs'),
    }),
  },
  { key: 'write', name: 'create, 4 KiB, close', unit: '/s', against: AGAINST },
  { key: 'rename', name: 'rename', unit: '/s', against: AGAINST },
  { key: 'unlink', name: 'unlink', unit: '/s', against: AGAINST },
  {
    key: 'durable1',
    name: 'durable create, 1 caller',
    unit: '/s',
    against: AGAINST,
    target: (ours) => atLeast(`>= ${DURABLE_CREATES}/s`, ours, DURABLE_CREATES),
    note: 'null syncs nothing',
  },
  {
    key: 'durable32',
    name: `durable create, ${CALLERS} callers`,
    unit: '/s',
    against: AGAINST,
    target: (ours) => atLeast(`>= ${DURABLE_CREATES_OF_MANY}/s`, ours, DURABLE_CREATES_OF_MANY),
    note: 'a directory each; bindfs is single-threaded',
  },
];

function working(lab: Lab, { path }: Subject): (round: number) => Promise<Sample> {
  const { files, durableSeconds } = lab.scale;
  const unbounded = files * CALLERS;
  return async (round) => {
    const dir = (name: string): string => `${path}/${name}${round}`;
    const create = await lab.load('create', dir('c'), files, 1, 0, 0, 0);
    const write = await lab.load('create', dir('w'), files, 1, BLOCK, 0, 0);
    const rename = await lab.load('rename', dir('c'), files);
    const unlink = await lab.load('unlink', dir('c'), files);
    const one = await lab.load('create', dir('s'), unbounded, 1, 0, 1, durableSeconds);
    const many = await lab.load('create', dir('m'), unbounded, CALLERS, 0, 1, durableSeconds);
    return {
      create: create.perSecond,
      write: write.perSecond,
      rename: rename.perSecond,
      unlink: unlink.perSecond,
      durable1: one.perSecond,
      durable32: many.perSecond,
    };
  };
}

export const names: Benchmark = {
  name: 'names',
  async run(lab) {
    const subjects = await allSubjects(lab);
    const contestants = subjects.map((subject) => [subject.name, working(lab, subject)] as const);
    const results = await interleave(lab.scale.rounds, Object.fromEntries(contestants));
    for (const subject of subjects) await subject.stop();
    return FIGURES.map((figure) => figureOf(results, figure));
  },
};

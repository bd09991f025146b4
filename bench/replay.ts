/**
 * How fast an index is made from a log. Replay: a log of creates only, into a new index, beside
 * the reading and decoding of the same log alone. Rebuild: `ledgerfs fsck --rebuild` as a user calls
 * it, start of the command and verification of the log included, of a log of mixed work.
 */

import { atLeast, figureOf, interleave, type Benchmark, type Figure } from './lab/figure.ts';
import type { Lab } from './lab/lab.ts';
import { largeVolume, makeVolume } from './lab/subjects.ts';

const TARGET = 60_000;

interface Replayed {
  readonly transactions: number;
  readonly read: number;
  readonly built: number;
}

async function replayCreates(lab: Lab): Promise<Figure> {
  const { replayed, rounds } = lab.scale;
  const volume = await largeVolume(lab);
  const floors: number[] = [];
  const results = await interleave(rounds, {
    ledgerfs: async () => {
      const into = await lab.directory('replayed');
      const run = await lab.program<Replayed>('programs/replay-log.js', volume, replayed, into);
      await lab.remove(into);
      floors.push(run.transactions / run.read);
      return { replay: run.transactions / run.built };
    },
  });
  const floor = floors.map((rate) => ({ replay: rate }));
  return figureOf(
    { ...results, 'the log read alone': floor },
    {
      key: 'replay',
      name: 'replay, creates only',
      unit: '/s',
      against: ['the log read alone'],
      target: (ours) => atLeast(`>= ${TARGET}/s`, ours, TARGET),
      note: `${replayed} transactions into an empty index`,
    },
  );
}

async function rebuildMixed(lab: Lab): Promise<Figure> {
  const { mixed, rounds } = lab.scale;
  const volume = await makeVolume(lab);
  const { transactions } = await lab.program<{ transactions: number }>(
    'programs/mix-volume.js',
    volume,
    mixed,
  );
  const timed = async (...command: string[]): Promise<number> => {
    const begun = performance.now();
    await lab.ledgerfs(...command);
    return (transactions / (performance.now() - begun)) * 1000;
  };
  const results = await interleave(rounds, {
    ledgerfs: async () => ({ rebuild: await timed('fsck', volume, '--rebuild') }),
    'log verify': async () => ({ rebuild: await timed('log', 'verify', volume) }),
  });
  await lab.remove(volume);
  return figureOf(results, {
    key: 'rebuild',
    name: 'fsck --rebuild, mixed',
    unit: '/s',
    against: ['log verify'],
    note: 'transactions; of 10 operations 4 creates, 2 writes of 4 KiB, 2 chmods, 1 rename, 1 unlink',
  });
}

export const replay: Benchmark = {
  name: 'replay',
  run: async (lab) => [await replayCreates(lab), await rebuildMixed(lab)],
};

/**
 * A volume of a million files: how long a mount takes after a clean stop; readdir and stat of its
 * largest directory; what the daemon weighs once `find` has seen every file; and what it costs while
 * nobody asks for anything.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { below, figureOf, interleave, type Benchmark, type Figure } from './lab/figure.ts';
import type { Lab } from './lab/lab.ts';
import {
  bindfs,
  cpuSeconds,
  largeVolume,
  makeVolume,
  mountVolume,
  nullfs,
  memoryOf,
  type MountedVolume,
  type Subject,
} from './lab/subjects.ts';

const MOUNT_SECONDS = 1;
const DAEMON_MB = 350;
const IDLE_PERCENT = 1;
/** What the work before left to be written is written by then. */
const SETTLE_MS = 3000;

/** Seconds for `ledgerfs mount`, of a volume that was stopped cleanly. */
async function mountSeconds(lab: Lab, volume: string): Promise<number> {
  const path = await lab.directory('mnt');
  lab.defer(() => lab.run('umount', '-i', '-l', path).catch(() => undefined));
  const begun = performance.now();
  await lab.ledgerfs('mount', volume, path);
  const seconds = (performance.now() - begun) / 1000;
  await lab.ledgerfs('umount', path);
  return seconds;
}

async function mounting(lab: Lab, volume: string): Promise<Figure> {
  const empty = await makeVolume(lab);
  const results = await interleave(lab.scale.rounds, {
    ledgerfs: async () => ({ seconds: await mountSeconds(lab, volume) }),
    'an empty volume': async () => ({ seconds: await mountSeconds(lab, empty) }),
  });
  await lab.remove(empty);
  return figureOf(results, {
    key: 'seconds',
    name: `mount of ${lab.scale.million} files`,
    unit: 's',
    against: ['an empty volume'],
    target: (ours) => below(`< ${MOUNT_SECONDS} s`, ours, MOUNT_SECONDS),
    note: 'after a clean stop',
  });
}

/** The null filesystem lists what ours holds at full scale; of less, its figure says little. */
async function listing(lab: Lab, ours: Subject): Promise<Figure> {
  const { listed, rounds } = lab.scale;
  const [floor, peer] = [await nullfs(lab), await bindfs(lab)];
  await lab.load('tree', `${peer.path}/tree`, listed, listed);
  const list = (dir: string) => async () => {
    await lab.dropCaches(2);
    const load = await lab.load('list', dir);
    return { entries: load.perSecond };
  };
  const results = await interleave(rounds, {
    ledgerfs: list(`${ours.path}/big`),
    null: list(`${floor.path}/big`),
    bindfs: list(`${peer.path}/tree/d0000000`),
  });
  for (const subject of [floor, peer]) await subject.stop();
  return figureOf(results, {
    key: 'entries',
    name: `readdir and stat of ${listed} entries`,
    unit: '/s',
    against: ['null', 'bindfs'],
    note: 'entries; the kernel has forgotten its names before',
  });
}

/** Once, not five times: memory is not noise. */
async function memory(lab: Lab, volume: string): Promise<Figure> {
  const mounted = await mountVolume(lab, volume);
  const fresh = await memoryOf(mounted.pid);
  await lab.run('find', mounted.path, '-size', '+1');
  const ours = await memoryOf(mounted.pid);
  await mounted.unmount();
  return {
    name: `daemon after find over ${lab.scale.million} files`,
    unit: 'MB',
    ours: ours.resident,
    peers: [{ name: 'just mounted', value: fresh.resident }],
    target: below(`< ${DAEMON_MB} MB`, ours.resident, DAEMON_MB),
    note:
      `resident, ${ours.own.toFixed(0)} MB without the index files that it maps; ` +
      'each file looked up; measured once',
    rounds: [ours.resident],
  };
}

async function idlePercent({ pid }: Subject, seconds: number): Promise<number> {
  const before = await cpuSeconds(pid);
  await sleep(seconds * 1000);
  return (((await cpuSeconds(pid)) - before) / seconds) * 100;
}

/** Ours and the null filesystem at the same time: those who rest do not disturb one another. */
async function idle(lab: Lab, ours: MountedVolume): Promise<Figure> {
  const floor = await nullfs(lab);
  await sleep(SETTLE_MS);
  const { idleSeconds } = lab.scale;
  const both = [idlePercent(ours, idleSeconds), idlePercent(floor, idleSeconds)];
  const [percent = Number.NaN, nothing = Number.NaN] = await Promise.all(both);
  await floor.stop();
  return {
    name: `idle daemon, over ${idleSeconds} s`,
    unit: '%',
    ours: percent,
    peers: [{ name: 'null', value: nothing }],
    target: below(`< ${IDLE_PERCENT} % of a core`, percent, IDLE_PERCENT),
    note: 'of a core, in ticks of 10 ms; measured once',
    rounds: [percent],
  };
}

export const million: Benchmark = {
  name: 'million',
  async run(lab) {
    const volume = await largeVolume(lab);
    const mount = await mounting(lab, volume);
    const weight = await memory(lab, volume);
    const mounted = await mountVolume(lab, volume);
    const list = await listing(lab, mounted);
    const resting = await idle(lab, mounted);
    await mounted.unmount();
    return [mount, list, weight, resting];
  },
};

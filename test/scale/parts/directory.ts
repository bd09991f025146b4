/**
 * One directory of ten million entries: filled and emptied through the engine, in between worked
 * with through a mount, by a kernel that knows none of its names yet.
 */

import { join } from 'node:path';
import type { MountedVolume } from '../../../bench/lab/subjects.ts';
import { runProgram } from '../child.ts';
import { volumeUse, type VolumeUse } from '../disk-use.ts';
import { checkVolume, unmount } from '../ending.ts';
import { megabytes, round, type Figures, type Part, type Site } from '../site.ts';

/** Files, one name each, made in a volume that weighed `before`. */
function perFile(count: number, before: VolumeUse, after: VolumeUse): Figures {
  return {
    logBytesPerFile: round((after.logBytes - before.logBytes) / count),
    indexBytesPerFile: round((after.indexBytes - before.indexBytes) / count),
    logMB: megabytes(after.logBytes),
    indexMB: megabytes(after.indexBytes),
    checkpointsMB: megabytes(after.checkpointBytes),
  };
}

async function fill(site: Site, volume: string): Promise<void> {
  const { entries } = site.sizes;
  const before = await volumeUse(volume);
  const program = 'bench/programs/fill-volume.js';
  const filled = await runProgram(site, program, volume, entries, entries);
  const use = perFile(entries, before, await volumeUse(volume));
  const perSecond = Math.round(entries / Number(filled['durable']));
  site.figure('fill', { ...filled, perSecond, ...use });
}

/** All names twice, since the first listing reads what nobody has read yet. */
async function list(site: Site, mounted: MountedVolume, dir: string): Promise<void> {
  const { entries } = site.sizes;
  for (const which of ['first readdir', 'second readdir']) {
    const listed = JSON.parse(
      await site.lab.run(join(site.lab.dir, 'load'), 'names', dir),
    ) as Figures;
    site.figure(which, await site.withMemory(mounted, listed));
    const seen = listed['entries'];
    if (seen !== entries) site.finding(`${which}: ${JSON.stringify(seen)} names of ${entries}`);
  }
}

async function lookUp(site: Site, mounted: MountedVolume, dir: string): Promise<void> {
  const { entries, sampled } = site.sizes;
  const found = await site.lab.load('random', dir, sampled, entries);
  site.figure('lookup and stat at random', await site.withMemory(mounted, { ...found }));
}

/** Names come and go in the large directory; each stage is on disk before it is weighed. */
async function change(site: Site, mounted: MountedVolume, dir: string): Promise<void> {
  const { sampled } = site.sizes;
  let before = await site.synced(mounted);
  const stages = { create: ['create', dir, sampled, 1, 0, 0, 0], unlink: ['unlink', dir, sampled] };
  for (const [name, args] of Object.entries(stages)) {
    if (name === 'unlink') await site.lab.load('rename', dir, sampled);
    if (name === 'unlink') before = await site.synced(mounted);
    const load = await site.lab.load(...args);
    const after = await site.synced(mounted);
    const logBytesEach = round((after.logBytes - before.logBytes) / sampled);
    site.figure(`${name} in it`, await site.withMemory(mounted, { ...load, logBytesEach }));
    before = after;
  }
}

async function empty(site: Site, volume: string): Promise<void> {
  const { entries } = site.sizes;
  const before = await volumeUse(volume);
  const removed = await runProgram(site, 'test/scale/programs/remove-all.js', volume, entries + 1);
  const after = await volumeUse(volume);
  const logBytesEach = round((after.logBytes - before.logBytes) / entries);
  const { indexBytes, logBytes } = after;
  const left = { logMB: megabytes(logBytes), indexMB: megabytes(indexBytes) };
  site.figure('remove all', { ...removed, logBytesEach, ...left });
}

export const directory: Part = {
  name: 'directory',
  async run(site) {
    const volume = await site.volume();
    await fill(site, volume);
    const mounted = await site.mount(volume);
    const dir = join(mounted.path, 'big');
    await list(site, mounted, dir);
    await lookUp(site, mounted, dir);
    await change(site, mounted, dir);
    await unmount(site, mounted);
    await empty(site, volume);
    await checkVolume(site, volume, {
      items: site.sizes.entries,
      transactions: 2 * site.sizes.entries,
    });
  },
};

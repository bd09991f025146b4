/**
 * Twenty thousand files open at once in one process, through a mount; half of them lose their name
 * meanwhile. Of those nothing is left in the end: neither inodes nor blocks.
 */

import { mkdir, readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { MountedVolume } from '../../../bench/lab/subjects.ts';
import { runStages } from '../child.ts';
import { throughOneMount } from '../ending.ts';
import type { Part, Site } from '../site.ts';

/** Orphans are reaped in the background. */
const REAP_MS = 10_000;
const POLL_MS = 100;

async function inodes(mounted: MountedVolume): Promise<number> {
  const { files, ffree } = await statfs(mounted.path);
  return files - ffree;
}

/** Inodes once no more go away, or there are as few as before. */
async function inodesLeft(mounted: MountedVolume, before: number): Promise<number> {
  const deadline = performance.now() + REAP_MS;
  let now = await inodes(mounted);
  while (now > before && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    now = await inodes(mounted);
  }
  return now;
}

async function work(site: Site, mounted: MountedVolume): Promise<void> {
  const dir = join(mounted.path, 'files');
  await mkdir(dir);
  const before = await inodes(mounted);
  const { openFiles: wanted } = site.sizes;
  await runStages(site, site.programs.handles, [dir, wanted], async (stage) => {
    if (stage.stage === 'open' && stage.operations < wanted) {
      site.cut(`${stage.operations} open files of ${wanted}: the limit that this machine sets`);
    }
    const daemonFds = (await readdir(`/proc/${mounted.pid}/fd`)).length;
    site.figure(stage.stage, await site.withMemory(mounted, { ...stage, daemonFds }));
  });
  const left = (await inodesLeft(mounted, before)) - before;
  site.figure('inodes left', left);
  if (left !== 0) site.finding(`${left} inodes are left of files that are gone`);
}

export const openFiles: Part = {
  name: 'open-files',
  run(site) {
    const { openFiles: items } = site.sizes;
    return throughOneMount(site, work, { items, transactions: 4 * items });
  },
};

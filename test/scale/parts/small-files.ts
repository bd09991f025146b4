/**
 * Five million files of 1 KiB: what each costs on the disk, a sample of them read back through a
 * mount, and, once all are removed, whether their space comes back.
 */

import type { MountedVolume } from '../../../bench/lab/subjects.ts';
import { runProgram, runStages } from '../child.ts';
import { volumeUse } from '../disk-use.ts';
import { checkVolume, unmount } from '../ending.ts';
import { megabytes, round, type Part, type Site } from '../site.ts';

const PER_DIRECTORY = 1000;
/** The issue: no more blocks of data than this remain after all is deleted. */
const DATA_BYTES_LEFT = 64 * 1024 * 1024;

async function fill(site: Site, volume: string): Promise<void> {
  const { files } = site.sizes;
  const before = await volumeUse(volume);
  const program = 'test/scale/programs/fill-files.js';
  const filled = await runProgram(site, program, volume, files, PER_DIRECTORY);
  const after = await volumeUse(volume);
  site.figure('fill', {
    ...filled,
    logBytesPerFile: round((after.logBytes - before.logBytes) / files),
    dataBytesPerFile: round(after.dataBytes / files),
    indexBytesPerFile: round(after.indexBytes / files),
    logMB: megabytes(after.logBytes),
    dataMB: megabytes(after.dataBytes),
    indexMB: megabytes(after.indexBytes),
    checkpointsMB: megabytes(after.checkpointBytes),
  });
}

async function readSample(site: Site, mounted: MountedVolume): Promise<void> {
  const { files, sampled } = site.sizes;
  const args = [mounted.path, sampled, files, PER_DIRECTORY];
  await runStages(site, site.programs.sample, args, async (stage) => {
    site.figure('open, read, compare at random', await site.withMemory(mounted, stage));
  });
}

async function removeAll(site: Site, volume: string): Promise<void> {
  const { files } = site.sizes;
  const names = files + Math.ceil(files / PER_DIRECTORY);
  const before = await volumeUse(volume);
  const removed = await runProgram(site, 'test/scale/programs/remove-all.js', volume, names);
  const closed = await volumeUse(volume);
  const logBytesEach = round((closed.logBytes - before.logBytes) / names);
  site.figure('remove all', {
    ...removed,
    logBytesEach,
    logMB: megabytes(closed.logBytes),
    indexMB: megabytes(closed.indexBytes),
    dataBytesLeftClosed: closed.dataBytes,
  });
  const left = Math.max(Number(removed['dataBytesLeft']), closed.dataBytes);
  if (left > DATA_BYTES_LEFT) {
    site.finding(`${left} bytes of data remain after all is deleted, more than ${DATA_BYTES_LEFT}`);
  }
}

export const smallFiles: Part = {
  name: 'small-files',
  async run(site) {
    const volume = await site.volume();
    await fill(site, volume);
    const mounted = await site.mount(volume);
    await readSample(site, mounted);
    await unmount(site, mounted);
    await removeAll(site, volume);
    await checkVolume(site, volume, {
      items: site.sizes.files,
      transactions: 3 * site.sizes.files,
    });
  },
};

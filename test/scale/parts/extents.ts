/**
 * Files of a million extents, and what their end costs others. A prober works in the mount all the
 * while; each of the three files ends in another way:
 *
 *   unlinked    its last name goes, while nobody has it open
 *   truncated   to a half, then to nothing
 *   killed      unlinked, and the daemon gets SIGKILL when half of it is gone; the next one takes
 *               up what the log says is to be done, with the prober at work from its first moment
 */

import { statfs, truncate, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mountVolume, type MountedVolume } from '../../../bench/lab/subjects.ts';
import { runProgram } from '../child.ts';
import { diskUse, volumeUse } from '../disk-use.ts';
import { checkVolume, unmount } from '../ending.ts';
import { noteProbe, probed, startProbe, watched } from '../probing.ts';
import { megabytes, round, type Figures, type Part, type Site } from '../site.ts';

const BLOCK_BYTES = 4096;
const POLL_MS = 20;
/** A removal that takes longer does not end. */
const REMOVAL_MS = 15 * 60_000;
/** Space is given back at a rate of its own; after so long without progress it has ended. */
const RECLAIM_QUIET_MS = 20_000;
const DATA_BYTES_LEFT = 64 * 1024 * 1024;

/** Written in these orders (`programs/fill-extents.ts`). */
const FILES = ['unlinked:scattered', 'truncated:spaced', 'killed:reversed'];

async function fill(site: Site, volume: string): Promise<void> {
  const { extents } = site.sizes;
  const program = 'test/scale/programs/fill-extents.js';
  const filled = await runProgram(site, program, volume, extents, ...FILES);
  const { logBytes, indexBytes, dataBytes } = await volumeUse(volume);
  const total = extents * FILES.length;
  site.figure('fill', {
    ...filled,
    logBytesPerExtent: round(logBytes / total),
    indexBytesPerExtent: round(indexBytes / total),
    dataMB: megabytes(dataBytes),
  });
  for (const found of filled['extents'] as readonly number[]) {
    if (found !== extents) site.finding(`a file has ${found} extents instead of ${extents}`);
  }
}

/** Blocks that the files of the volume have, and how many inodes there are. */
async function usage(mounted: MountedVolume): Promise<{ blocks: number; inodes: number }> {
  const { bfree, blocks, ffree, files } = await statfs(mounted.path);
  return { blocks: blocks - bfree, inodes: files - ffree };
}

type Usage = Awaited<ReturnType<typeof usage>>;

/** Resolves to the seconds until `isReached`. */
async function until(mounted: MountedVolume, isReached: (use: Usage) => boolean): Promise<number> {
  const begun = performance.now();
  while (!isReached(await usage(mounted))) {
    if (performance.now() - begun > REMOVAL_MS) throw new Error('a removal does not end');
    await sleep(POLL_MS);
  }
  return round((performance.now() - begun) / 1000);
}

/** Runs `work`; the milliseconds until it was answered, and the seconds until it was done. */
async function removal(
  mounted: MountedVolume,
  work: () => Promise<void>,
  isDone: (before: Usage, now: Usage) => boolean,
): Promise<Figures> {
  const before = await usage(mounted);
  const begun = performance.now();
  await work();
  const answeredMs = round(performance.now() - begun);
  return { answeredMs, seconds: await until(mounted, (now) => isDone(before, now)) };
}

async function baseline(site: Site, mounted: MountedVolume): Promise<void> {
  await watched(site, mounted, 'nothing else', async () => {
    await sleep(site.sizes.baselineSeconds * 1000);
    return {};
  });
}

async function unlinking(site: Site, mounted: MountedVolume): Promise<void> {
  const file = join(mounted.path, 'unlinked');
  const { extents } = site.sizes;
  await probed(site, mounted, 'unlink', async () => {
    const done = (before: Usage, now: Usage) => now.blocks <= before.blocks - extents + 16;
    const figures = await removal(mounted, () => unlink(file), done);
    return site.withMemory(mounted, figures);
  });
}

async function truncating(site: Site, mounted: MountedVolume): Promise<void> {
  const file = join(mounted.path, 'truncated');
  const half = Math.floor(site.sizes.extents / 2);
  const cuts = { half: half * 2 * BLOCK_BYTES, nothing: 0 };
  for (const [name, size] of Object.entries(cuts)) {
    await probed(site, mounted, `truncate to ${name}`, async () => {
      const done = (before: Usage, now: Usage) => now.blocks <= before.blocks - half + 16;
      const figures = await removal(mounted, () => truncate(file, size), done);
      return site.withMemory(mounted, figures);
    });
  }
}

/** Kills the daemon when half of the file is gone; what the prober saw until then. */
async function killInTheMiddle(site: Site, mounted: MountedVolume): Promise<void> {
  const before = await usage(mounted);
  const half = site.sizes.extents / 2;
  const probe = await startProbe(site, mounted);
  await unlink(join(mounted.path, 'killed'));
  const seconds = await until(mounted, ({ blocks }) => blocks <= before.blocks - half);
  process.kill(mounted.pid, 'SIGKILL');
  noteProbe(site, 'unlink until killed', { seconds }, await probe.stop());
}

/** Over the dead mount; the prober starts with the mount, and the removal goes on by itself. */
async function resuming(site: Site, volume: string, at: string): Promise<MountedVolume> {
  const mounted = await mountVolume(site.lab, volume, at);
  const found = await usage(mounted);
  const probe = await startProbe(site, mounted);
  const seconds = await until(mounted, ({ blocks }) => blocks <= 64);
  await sleep(site.sizes.baselineSeconds * 100);
  const mountSeconds = round(mounted.mountSeconds);
  const figures = { mountSeconds, blocksFoundAtMount: found.blocks, seconds };
  noteProbe(site, 'resumed after the kill', figures, await probe.stop());
  if (found.blocks < site.sizes.extents / 8) {
    site.figure('note', 'the removal had all but ended when the daemon was killed');
  }
  return mounted;
}

/** Waits until the data files take no more than they may, or take no less any more. */
async function reclaiming(site: Site, volume: string): Promise<void> {
  const begun = performance.now();
  let [least, changed] = [Number.POSITIVE_INFINITY, begun];
  while (least > DATA_BYTES_LEFT && performance.now() - changed < RECLAIM_QUIET_MS) {
    const { allocatedBytes } = await diskUse(join(volume, 'data'));
    if (allocatedBytes < least) [least, changed] = [allocatedBytes, performance.now()];
    await sleep(1000);
  }
  const seconds = round((performance.now() - begun) / 1000);
  site.figure('reclaimed', { seconds, dataBytesLeft: least });
  if (least > DATA_BYTES_LEFT) site.finding(`${least} bytes of data remain of files that are gone`);
}

export const extents: Part = {
  name: 'extents',
  async run(site) {
    const volume = await site.volume();
    await fill(site, volume);
    const mounted = await site.mount(volume);
    await baseline(site, mounted);
    await unlinking(site, mounted);
    await truncating(site, mounted);
    await killInTheMiddle(site, mounted);
    const again = await resuming(site, volume, mounted.path);
    await reclaiming(site, volume);
    await unmount(site, again);
    await checkVolume(site, volume, {
      items: site.sizes.extents * FILES.length,
      transactions: site.sizes.extents,
    });
  },
};

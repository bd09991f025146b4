/**
 * Extended attributes as large as they may be (a byte less than 64 KiB) on ten thousand files,
 * through a mount: what each costs in log, index and memory, and what is left of them.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { MountedVolume } from '../../../bench/lab/subjects.ts';
import { XATTR_VALUE_MAX } from '../../../src/model/xattr.ts';
import { runStages } from '../child.ts';
import { throughOneMount } from '../ending.ts';
import { megabytes, round, type Part, type Site } from '../site.ts';

async function work(site: Site, mounted: MountedVolume): Promise<void> {
  const dir = join(mounted.path, 'files');
  await mkdir(dir);
  let before = await site.synced(mounted);
  const args = [dir, site.sizes.xattrs, XATTR_VALUE_MAX];
  await runStages(site, site.programs.xattrs, args, async (stage) => {
    const after = await site.synced(mounted);
    const logBytesEach = round((after.logBytes - before.logBytes) / stage.operations);
    const use = { logBytesEach, indexMB: megabytes(after.indexBytes) };
    site.figure(stage.stage, await site.withMemory(mounted, { ...stage, ...use }));
    before = after;
  });
}

export const xattrs: Part = {
  name: 'xattrs',
  run(site) {
    const { xattrs: items } = site.sizes;
    return throughOneMount(site, work, { items, transactions: 6 * items });
  },
};

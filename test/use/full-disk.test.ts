/**
 * A volume on a small real disk (ext4 in a file), filled through its mount until nothing fits,
 * again and again: only open and write are refused, with ENOSPC; what was taken reads back; `rm`
 * works at once and brings space back, without a remount; so does cutting files short.
 *
 * @limit 1200 s
 */

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { canMount, MountedVolume, run, shell } from './mounted-volume.ts';

const FILL = fileURLToPath(new URL('./fill.py', import.meta.url));
const DISK_BYTES = 512 * 1024 * 1024;
const SEED = 20_261_122;
/** Space must be back within this, on a busy machine too. */
const PATIENCE_SECONDS = 120;

/** Whether this machine has loop devices to give: containers often have none. */
const hasLoopDevices = async (): Promise<boolean> =>
  canMount && (await run('losetup', '-f').catch(() => '')) !== '';

const tests = suite('full disk');
const can = await hasLoopDevices();
if (!can) process.stdout.write('no loop device: the full disk is simulated only\n');
const test = can ? tests : tests.skip;

/** Runs `body` with the path of a directory on a small disk of its own. */
async function onSmallDisk(body: (disk: string) => Promise<void>): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'small-disk-'));
  const disk = join(scratch, 'disk');
  const image = join(scratch, 'image');
  try {
    await mkdir(disk);
    await shell(
      `truncate -s ${DISK_BYTES} "$1" && mkfs.ext4 -q -m 0 -F "$1" && mount -o loop "$1" "$2"`,
      image,
      disk,
    );
    await body(disk);
  } finally {
    await run('umount', disk).catch(() => run('umount', '-l', disk).catch(() => ''));
    await rm(scratch, { recursive: true, force: true });
  }
}

for (const [history, rounds] of [
  ['none', 2],
  ['7d', 1],
] as const) {
  test(`with history ${history}: fill, remove, fill again, cut files on a full disk`, () =>
    onSmallDisk(async (disk) => {
      const at = join(disk, 'volume');
      const it = await MountedVolume.make({ at, mkfs: ['--history', history] });
      try {
        await it.mount();
        const told = await run(
          'python3',
          FILL,
          it.path,
          String(rounds),
          String(SEED),
          String(PATIENCE_SECONDS),
        );
        assert.match(told, /refused [1-9]/, 'the disk was full');
        await it.unmount();
        await it.assertWhole();
        assert.equal(await it.complaints(), []);
      } finally {
        await it.dispose();
      }
    }));
}

tests.run();

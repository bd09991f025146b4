/**
 * `ledgerfs umount MOUNTPOINT`: the daemon commits and unmounts, and ends with its last mount. A
 * mount whose daemon is dead is taken away by umount(8).
 */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { connect } from '../../src/control/client.ts';
import { mountAt, mountTable } from '../../src/io/mount-table.ts';
import { byteStringOf } from '../../src/model/ids.ts';
import { CommandFailure } from '../console/failure.ts';
import { MOUNT_TYPE, mountPointPath, textOf } from '../volumes.ts';

const run = promisify(execFile);

async function umount(path: string): Promise<void> {
  const mountPoint = await mountPointPath(path);
  const mount = mountAt(mountTable(), byteStringOf(mountPoint));
  if (mount?.type !== MOUNT_TYPE) {
    throw new CommandFailure(`${path}: not a mount point of ledgerfs`, 'EINVAL');
  }
  const client = await connect(textOf(mount.source));
  if (client !== undefined) await client.removeMount(mountPoint, false);
  else await removeStale(mountPoint);
}

async function removeStale(mountPoint: string): Promise<void> {
  const [program, ...args] =
    process.getuid?.() === 0 ? ['umount', mountPoint] : ['fusermount3', '-u', mountPoint];
  try {
    await run(program ?? '', args);
  } catch (cause) {
    const { stderr } = cause as { readonly stderr?: string };
    const why = stderr?.trim() ?? '';
    throw new CommandFailure(`${mountPoint}: ${why === '' ? 'umount failed' : why}`, 'EBUSY', {
      cause,
    });
  }
}

export function define(command: Command): void {
  command
    .argument('<MOUNTPOINT>', 'where the volume is mounted')
    .addHelpText('after', '\nExample:\n  ledgerfs umount /mnt\n')
    .action(umount);
}

/**
 * `ledgerfs umount MOUNTPOINT`: the daemon commits and unmounts, and ends with its last mount. A
 * mount whose daemon is dead is taken away by umount(8), or fusermount3 for an ordinary user.
 */

import type { Command } from 'commander';
import { connect } from '../../src/control/client.ts';
import { isDeadMount, unmountAt } from '../../src/fuse/kernel/mount.ts';
import { mountAt, mountTable } from '../../src/io/mount-table.ts';
import { byteStringOf } from '../../src/model/ids.ts';
import { CommandFailure } from '../console/failure.ts';
import { MOUNT_TYPE, mountPointPath, textOf } from '../volumes.ts';

async function umount(path: string): Promise<void> {
  const mountPoint = await mountPointPath(path);
  const mount = mountAt(mountTable(), byteStringOf(mountPoint));
  if (mount?.type !== MOUNT_TYPE) {
    throw new CommandFailure(`${path}: not a mount point of ledgerfs`, 'EINVAL');
  }
  // Nothing can be lost with a dead mount, even if somebody still stands in it. Its volume may be
  // served at another place again, by a daemon that does not know of it.
  if (await isDeadMount(mountPoint)) return unmountAt(mountPoint, true);
  const client = await connect(textOf(mount.source));
  if (client === undefined) await unmountAt(mountPoint, false);
  else await client.removeMount(mountPoint, false);
}

export function define(command: Command): void {
  command
    .argument('<MOUNTPOINT>', 'where the volume is mounted')
    .addHelpText('after', '\nExample:\n  ledgerfs umount /mnt\n')
    .action(umount);
}

/**
 * What is checked before a daemon is started, so that a failure has one clear line and no traces.
 */

import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import type { TransportName } from '../../src/control/protocol.ts';
import { readDescription } from '../../src/engine/volume-files.ts';
import { isDeadMount } from '../../src/fuse/kernel/mount.ts';
import { nodeDisk } from '../../src/io/node-disk.ts';
import { mountAt, mountTable } from '../../src/io/mount-table.ts';
import { byteStringOf } from '../../src/model/ids.ts';
import { CommandFailure } from '../console/failure.ts';
import { MOUNT_TYPE, textOf } from '../volumes.ts';

const codeOf = (cause: unknown): string | undefined => (cause as NodeJS.ErrnoException).code;

export interface MountPlace {
  /** Both absolute, without symlinks. */
  readonly volume: string;
  readonly mountPoint: string;
  /** 'kernel' unless said. */
  readonly transport?: TransportName | undefined;
}

/** Throws unless this is a volume, the device is there and the mount point is a free directory. */
export async function prepareMount(place: MountPlace): Promise<void> {
  await readDescription(nodeDisk, place.volume);
  await checkDevice();
  await checkMountPoint(place);
  if (place.transport === 'fuse-native') await checkLibfuse();
}

/** Throws where the package or libfuse 2 is not there: before a daemon is started for nothing. */
async function checkLibfuse(): Promise<void> {
  const { loadNativeMounter } = await import('../../src/fuse/native/package.ts');
  await loadNativeMounter();
}

async function checkDevice(): Promise<void> {
  try {
    await access('/dev/fuse', constants.R_OK | constants.W_OK);
  } catch (cause) {
    const isAbsent = codeOf(cause) === 'ENOENT';
    const why = isAbsent ? 'no such device; try: modprobe fuse' : 'no permission to use it';
    throw new CommandFailure(`/dev/fuse: ${why}`, codeOf(cause), { cause });
  }
}

/**
 * A stale mount of ours (its daemon is dead) is no obstacle: starting the session takes it away. A
 * mount point inside the volume would make the daemon wait for itself.
 */
async function checkMountPoint({ volume, mountPoint }: MountPlace): Promise<void> {
  if (mountPoint === volume || mountPoint.startsWith(`${volume}/`)) {
    throw new CommandFailure(`${mountPoint}: lies in the volume itself`, 'EINVAL');
  }
  const there = mountAt(mountTable(), byteStringOf(mountPoint));
  if (there?.type === MOUNT_TYPE && (await isDeadMount(mountPoint))) return;
  const info = await stat(mountPoint);
  if (!info.isDirectory()) throw new CommandFailure(`${mountPoint}: not a directory`, 'ENOTDIR');
  if (there === undefined) return;
  const isSame = there.type === MOUNT_TYPE && textOf(there.source) === volume;
  const what = isSame ? 'this volume is mounted there already' : 'something else is mounted there';
  throw new CommandFailure(`${mountPoint}: ${what}`, 'EBUSY');
}

/**
 * What is checked before a daemon is started, so that a failure has one clear line and no traces.
 */

import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import type { TransportName } from '../../src/control/protocol.ts';
import { readOwnDescription } from '../../src/engine/volume-files.ts';
import { FUSERMOUNT } from '../../src/fuse/kernel/fusermount.ts';
import { isDeadMount, isRoot } from '../../src/fuse/kernel/mount.ts';
import { isInstalled } from '../../src/fuse/kernel/programs.ts';
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
  /** For the kernel. */
  readonly options: readonly string[];
}

/**
 * Throws unless this is a volume, the device is there and the mount point is a free directory; for
 * an ordinary user also unless fusermount3 is there and will agree.
 */
export async function prepareMount(place: MountPlace): Promise<void> {
  await readOwnDescription(nodeDisk, place.volume);
  await checkDevice();
  if (!isRoot()) await checkUserMay(place.options);
  await checkMountPoint(place);
  if (place.transport === 'fuse-native') await checkLibfuse();
}

/** Throws where the package or libfuse 2 is not there: before a daemon is started for nothing. */
async function checkLibfuse(): Promise<void> {
  const { loadNativeMounter } = await import('../../src/fuse/native/package.ts');
  await loadNativeMounter();
}

/** fusermount3 would leave out what it does not allow, and go on. */
async function checkUserMay(options: readonly string[]): Promise<void> {
  if (!(await isInstalled(FUSERMOUNT))) {
    const what = `${FUSERMOUNT}: not found; mounting without root needs it (Debian: fuse3)`;
    throw new CommandFailure(what, 'ENOENT');
  }
  const forbidden = options.find((option) => option === 'suid' || option === 'dev');
  if (forbidden !== undefined) throw new CommandFailure(`-o ${forbidden}: root only`, 'EPERM');
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
  if (there === undefined) {
    if (!isRoot()) await checkWritable(mountPoint);
    return;
  }
  const isSame = there.type === MOUNT_TYPE && textOf(there.source) === volume;
  const what = isSame ? 'this volume is mounted there already' : 'something else is mounted there';
  throw new CommandFailure(`${mountPoint}: ${what}`, 'EBUSY');
}

/** fusermount3 asks for a directory that its user may write to. */
async function checkWritable(mountPoint: string): Promise<void> {
  try {
    await access(mountPoint, constants.W_OK);
  } catch (cause) {
    const why = 'not yours; without root the mount point must be a directory that you may write to';
    throw new CommandFailure(`${mountPoint}: ${why}`, 'EACCES', { cause });
  }
}

/**
 * From what people name (a volume's directory, or any path in a mount) to the volume and to whoever
 * serves it: a running daemon, or this process with the volume opened for one piece of work.
 */

import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { ControlClient } from '../src/control/client.ts';
import { connect } from '../src/control/client.ts';
import type { OnProgress } from '../src/control/protocol.ts';
import type { Volume } from '../src/engine/volume.ts';
import { silent } from '../src/io/logger.ts';
import type { Mount } from '../src/io/mount-table.ts';
import { mountOf, mountTable } from '../src/io/mount-table.ts';
import { byteStringOf, bytesOf, type ByteString } from '../src/model/ids.ts';
import { CommandFailure } from './console/failure.ts';

/** The type that our mounts carry in the mount table. */
export const MOUNT_TYPE = 'fuse.ledgerfs';

const isOurs = (mount: Mount | undefined): mount is Mount => mount?.type === MOUNT_TYPE;

/** Text of a byte string from the mount table; bytes that are not UTF-8 cannot be named. */
export const textOf = (name: ByteString): string => bytesOf(name).toString('utf8');

/** All mounts of ours, in mount order. */
export const ledgerfsMounts = (): Mount[] => mountTable().filter(isOurs);

/** `path` without symlinks; of a stale mount point, which nobody can look at, those above it. */
export async function mountPointPath(path: string): Promise<string> {
  const whole = resolve(path);
  return await realpath(whole).catch(async () =>
    join(await realpath(dirname(whole)), basename(whole)),
  );
}

/** The mount of ours that `path` lies in, if any. */
export async function mountHolding(path: string): Promise<Mount | undefined> {
  const whole = await mountPointPath(path);
  const mount = mountOf(mountTable(), byteStringOf(whole));
  return isOurs(mount) ? mount : undefined;
}

/** Throws for `nats://` volumes, which this version cannot open. */
export function refuseShared(path: string): void {
  if (!path.startsWith('nats://')) return;
  throw new CommandFailure(`${path}: this version has no shared logs`, 'EOPNOTSUPP');
}

/**
 * The directory of the volume that `path` names: the volume that a mount shows, for a path in one;
 * else `path` itself, which must be a directory. Throws a system error or `CommandFailure`.
 */
export async function volumeDirectory(path: string): Promise<string> {
  refuseShared(path);
  const mount = await mountHolding(path);
  if (mount !== undefined) return textOf(mount.source);
  const directory = await realpath(path);
  if (!(await stat(directory)).isDirectory()) {
    throw new CommandFailure(`${path}: not a directory`, 'ENOTDIR');
  }
  return directory;
}

/** The daemon of the mount that `path` lies in. Throws where there is none. */
export async function daemonOf(path: string): Promise<ControlClient> {
  const directory = await volumeDirectory(path);
  const client = await connect(directory);
  if (client === undefined) {
    throw new CommandFailure(`${path}: not in a mounted ledgerfs volume`, 'ENODEV');
  }
  return client;
}

/** Throws EBUSY if a daemon serves `directory`. `what` cannot be done then. */
export async function refuseIfMounted(directory: string, what: string): Promise<void> {
  if ((await connect(directory)) === undefined) return;
  throw new CommandFailure(`${directory}: is mounted; unmount it to ${what}`, 'EBUSY');
}

/**
 * Does a piece of work on a volume: through its daemon if one runs, else with the volume opened by
 * this process, which commits and closes it again however the work ends.
 */
export async function onVolume<T>(
  path: string,
  onProgress: OnProgress,
  work: {
    readonly mounted: (client: ControlClient) => Promise<T>;
    readonly opened: (volume: Volume) => Promise<T>;
  },
): Promise<T> {
  const directory = await volumeDirectory(path);
  const client = await connect(directory);
  if (client !== undefined) return work.mounted(client);
  // Loaded only now: most commands talk to a daemon, and start faster without the engine.
  const { openVolume } = await import('../src/engine/volume.ts');
  let failure: Error | undefined;
  const volume = await openVolume({
    dir: directory,
    quiet: true,
    log: silent,
    onProgress,
    onFailure: (error) => (failure ??= error),
  });
  try {
    return await work.opened(volume);
  } catch (cause) {
    throw failure ?? cause;
  } finally {
    await volume.close();
  }
}

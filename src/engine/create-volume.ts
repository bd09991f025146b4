/**
 * Making a volume (mkfs).
 *
 * Order: lock, directories, the log with its first commit (the volume's facts and the root
 * directory), `state.json`, and `volume.json` last. Until that one is durable the directory is no
 * volume; mkfs may then simply be run again.
 */

import { FileLogStore } from '../log/file-store.ts';
import { FORMAT_VERSION } from '../log/schema.ts';
import { LogWriter } from '../log/writer.ts';
import type { Event } from '../model/event.ts';
import { generation, NO_SEQ, rid, ROOT_INO } from '../model/ids.ts';
import { S_IFDIR } from '../model/inode.ts';
import { systemPorts, type VolumePorts } from './ports.ts';
import { VolumeError } from './volume-error.ts';
import {
  VOLUME_FILE,
  VOLUME_NAMES,
  volumePaths,
  writeDescription,
  writeState,
  type VolumePaths,
} from './volume-files.ts';

export interface CreateOptions {
  /** Absolute. Created if it is missing. */
  readonly dir: string;
  /** How long the past is kept, in microseconds; 0 none, -1 forever. */
  readonly historyMicros: number;
  /** Limit of data blocks; 0 for the disk's own. */
  readonly sizeLimitBlocks: number;
  /** Replace a volume that is there. Files that are not a volume's are never touched. */
  readonly force: boolean;
  /** Owner of the root directory; the caller unless given. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly ports?: VolumePorts;
}

/**
 * Of the volume's directory: everybody may reach the control socket in it, where the daemon asks who
 * comes; all else in it is private. The mode of a directory that was there already is its owner's.
 */
const PASSABLE = 0o711;

/** Throws `VolumeError`: ENOTEMPTY, ENOTDIR, EBUSY (mounted), or the disk's own errors. */
export async function createVolume(options: CreateOptions): Promise<{ fsid: string }> {
  const ports = options.ports ?? systemPorts;
  const paths = volumePaths(options.dir);
  await prepareDirectory(ports, paths, options.force);
  const lock = ports.takeLock(paths.lock);
  try {
    if (options.force) await removeVolume(ports, paths);
    const fsid = ports.random.bytes(16).toString('hex');
    for (const dir of [paths.log, paths.data, paths.checkpoints]) await ports.disk.mkdir(dir);
    await writeFirstCommit(ports, paths, fsid, options);
    await ports.disk.syncDir(paths.dir);
    await writeDescription(ports.disk, paths.dir, { fsid, format: FORMAT_VERSION });
    return { fsid };
  } finally {
    lock.release();
  }
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';

async function prepareDirectory(ports: VolumePorts, paths: VolumePaths, force: boolean) {
  const { disk } = ports;
  const info = await disk.info(paths.dir);
  if (info === undefined) {
    await disk.mkdir(paths.dir);
    await disk.chmod(paths.dir, PASSABLE);
    await disk.syncDir(parentOf(paths.dir));
    return;
  }
  if (!info.isDirectory) throw new VolumeError(`${paths.dir}: not a directory`, 'ENOTDIR');
  const names = await disk.list(paths.dir);
  const foreign = names.find((name) => !VOLUME_NAMES.has(name));
  if (foreign !== undefined) {
    throw new VolumeError(`${paths.dir}: not empty (it has ${foreign})`, 'ENOTEMPTY');
  }
  if (names.includes(VOLUME_FILE) && !force) {
    throw new VolumeError(`${paths.dir}: holds a volume already; --force replaces it`, 'ENOTEMPTY');
  }
  // Without volume.json these are the leavings of an mkfs that was cut off.
  if (!force && names.length > 0) await removeVolume(ports, paths);
}

/** Its description goes first and durably: half a volume must not look like one. */
async function removeVolume(ports: VolumePorts, paths: VolumePaths): Promise<void> {
  const { disk } = ports;
  if ((await disk.info(`${paths.dir}/${VOLUME_FILE}`)) !== undefined) {
    await disk.unlink(`${paths.dir}/${VOLUME_FILE}`);
    await disk.syncDir(paths.dir);
  }
  for (const name of await disk.list(paths.dir)) {
    if (name !== 'lock') await ports.removeTree(`${paths.dir}/${name}`);
  }
}

async function writeFirstCommit(
  ports: VolumePorts,
  paths: VolumePaths,
  fsid: string,
  options: CreateOptions,
): Promise<void> {
  const { disk, clock, random } = ports;
  const { store, last } = await FileLogStore.create({
    disk,
    dir: paths.log,
    fsid,
    clock,
    ...(ports.logReserveBytes === undefined ? {} : { reserveBytes: ports.logReserveBytes }),
  });
  const writer = new LogWriter({
    store,
    clock,
    node: rid(1 + random.integer(2 ** 40)),
    last,
    beforeCommit: () => Promise.resolve(),
    onDurable: () => {},
    onFailure: () => {},
    commitMs: 1000,
  });
  const owner = options.owner ?? ports.owner;
  const actor = { ...owner, pid: process.pid };
  const events = firstEvents(ports, fsid, options, owner);
  const tx = writer.stamp({ cause: 'mkfs', actor, paths: [], events });
  if (!writer.append(tx, true)) throw new VolumeError(`${paths.dir}: disk full`, 'ENOSPC');
  await writer.close();
  await writeState(disk, paths.dir, {
    bootId: ports.bootId,
    cleanSeq: tx.seq,
    horizon: NO_SEQ,
  });
}

function firstEvents(
  ports: VolumePorts,
  fsid: string,
  options: CreateOptions,
  owner: { readonly uid: number; readonly gid: number },
): Event[] {
  const { historyMicros, sizeLimitBlocks } = options;
  return [
    { type: 'VolumeFormatted', fsid, format: FORMAT_VERSION, historyMicros, sizeLimitBlocks },
    {
      type: 'InodeCreated',
      ino: ROOT_INO,
      generation: generation(ports.random.integer(2 ** 32)),
      mode: S_IFDIR | 0o755,
      nlink: 2,
      uid: owner.uid,
      gid: owner.gid,
      rdev: 0,
      time: ports.clock.now(),
      projectId: 0n,
      parent: ROOT_INO,
      target: undefined,
    },
  ];
}

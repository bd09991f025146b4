/**
 * Mounting and unmounting: as root through mount(8) and umount(8), as an ordinary user through
 * fusermount3 (`fusermount.ts`).
 *
 * Order of a mount: a dead mount at the place is taken away; /dev/fuse is opened; mount(8) gets the
 * descriptor and returns; the kernel's INIT is waiting on the descriptor by then. A crash after that
 * leaves a dead mount (every call on it fails with ENOTCONN), which the next start takes away.
 *
 * Nothing here may touch the mount's own files from the serving thread synchronously: the answer
 * would have to come from the thread that waits for it.
 */

import { closeSync, constants, openSync } from 'node:fs';
import { realpath, statfs, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { mountAt, mountTable, type Mount } from '../../io/mount-table.ts';
import { byteStringOf } from '../../model/ids.ts';
import { within } from '../waiting.ts';
import { FUSERMOUNT, fusermount } from './fusermount.ts';
import { MAX_IO_BYTES } from './layout.ts';
import { MountError, runProgram } from './programs.ts';

const DEVICE = '/dev/fuse';
/** Read-ahead of the page cache: one READ of the largest size. The kernel's default is 128. */
const READ_AHEAD_KB = MAX_IO_BYTES / 1024;
/** Longest wait for an answer from a mount that may be dead. */
const PROBE_MS = 5000;
/** Dead mounts may lie on top of each other, after repeated crashes; more is somebody's doing. */
const STALE_LAYERS = 16;

export interface MountRequest {
  /** Absolute, without symlinks: see `resolveMountPoint`. */
  readonly mountPoint: string;
  /** Shown in /proc/mounts. */
  readonly source: string;
  /** Shown there as `fuse.` and this. */
  readonly fsType: string;
  readonly readOnly: boolean;
  /** Further options; those that contradict a default take its place. */
  readonly options: readonly string[];
}

/**
 * The absolute path of a mount point, without symlinks and without touching what is mounted there,
 * which may be dead.
 */
export async function resolveMountPoint(path: string): Promise<string> {
  const absolute = resolve(path);
  if (absolute === '/') return absolute;
  return join(await realpath(dirname(absolute)), basename(absolute));
}

/** Opens /dev/fuse, non-blocking. */
export function openDevice(): number {
  try {
    return openSync(DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'EIO';
    const why = code === 'ENOENT' ? 'is the fuse module loaded?' : 'root is needed';
    throw new MountError(code, `cannot open ${DEVICE}: ${why}`, error);
  }
}

/** Defaults, and the options that take their place. */
const DEFAULTS: readonly (readonly [string, string])[] = [
  ['nosuid', 'suid'],
  ['nodev', 'dev'],
];

/** The option string for mount(8). Pure. */
export function mountOptions(request: MountRequest, fd: number): string {
  const asked = request.options.flatMap((option) => option.split(',')).filter((o) => o !== '');
  const defaults = DEFAULTS.filter(([, contrary]) => !asked.includes(contrary)).map(([o]) => o);
  const all = [
    `fd=${fd}`,
    'rootmode=40000',
    'user_id=0',
    'group_id=0',
    'allow_other',
    'default_permissions',
    `max_read=${MAX_IO_BYTES}`,
    ...defaults,
    ...(request.readOnly ? ['ro'] : []),
    ...asked,
  ];
  return [...new Set(all)].join(',');
}

/** Whether mount(8) is ours to call: all others mount through fusermount3. */
export const isRoot = (): boolean => process.geteuid?.() === 0;

/**
 * Mounts; resolves to the descriptor (non-blocking) on which the kernel's requests come, INIT first.
 * Throws `MountError`.
 */
export async function mountDevice(request: MountRequest): Promise<number> {
  if (!isRoot()) return fusermount(request);
  const fd = openDevice();
  try {
    const options = mountOptions(request, 3);
    const type = `fuse.${request.fsType}`;
    const args = ['-i', '-t', type, '-o', options, request.source, request.mountPoint];
    const { status, stderr } = await runProgram('mount', args, fd);
    if (status !== 0) throw new MountError('EINVAL', `mount failed: ${stderr}`);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The command that unmounts, for this user; `lazy` detaches a mount that is in use. */
export function unmountCommand(
  mountPoint: string,
  lazy: boolean,
): readonly [string, readonly string[]] {
  return isRoot()
    ? ['umount', ['-i', '-c', ...(lazy ? ['-l'] : []), mountPoint]]
    : [FUSERMOUNT, ['-u', ...(lazy ? ['-z'] : []), '--', mountPoint]];
}

/**
 * Unmounts. `lazy` detaches a mount that is in use. EBUSY; EINVAL if nothing is mounted there, or
 * not by this user.
 */
export async function unmountAt(mountPoint: string, lazy: boolean): Promise<void> {
  const [program, args] = unmountCommand(mountPoint, lazy);
  const { status, stderr } = await runProgram(program, args);
  if (status === 0) return;
  const isBusy = stderr.includes('busy');
  throw new MountError(isBusy ? 'EBUSY' : 'EINVAL', `umount failed: ${stderr}`);
}

/** One mount of ours, told from others that may stand at its place before or after it. */
export interface Place {
  /** Absolute, without symlinks. */
  readonly mountPoint: string;
  /** The filesystem's own number, from the mount table; undefined if it was not found there. */
  readonly device: string | undefined;
}

const mountsAt = ({ mountPoint }: Place): Mount[] =>
  mountTable().filter((mount) => mount.mountPoint === byteStringOf(mountPoint));

/** Whether the mount table still has it: not after `umount -l`, though somebody may use it yet. */
export const isAttached = (place: Place): boolean =>
  mountsAt(place).some((mount) => mount.device === place.device);

/**
 * Unmounts one mount of ours and no other. One that was detached from outside is left to its users:
 * EINVAL unless `lazy`. Throws as `unmountAt`, and EBUSY where something else is mounted over it.
 */
export async function unmountOwn(place: Place, lazy: boolean): Promise<void> {
  if (!isAttached(place)) {
    if (lazy) return;
    throw new MountError('EINVAL', `${place.mountPoint}: detached, and still in use`);
  }
  if (mountsAt(place).at(-1)?.device === place.device) return unmountAt(place.mountPoint, lazy);
  throw new MountError('EBUSY', 'something else is mounted over it');
}

/** The mount of ours on top of `mountPoint` (resolved), dead or alive. */
export function ownMountAt(mountPoint: string, fsType: string): Mount | undefined {
  const mount = mountAt(mountTable(), byteStringOf(mountPoint));
  return mount?.type === `fuse.${fsType}` ? mount : undefined;
}

/**
 * Whether whoever served the mount at `mountPoint` is gone. Asks in the background: the mount may be
 * our own. By statfs(2), since stat(2) is answered from the kernel's cache for as long as attributes
 * are valid, dead or not.
 */
export async function isDeadMount(mountPoint: string): Promise<boolean> {
  const probe = statfs(mountPoint).then(
    () => false,
    ({ code }: NodeJS.ErrnoException) => code === 'ENOTCONN' || code === 'ECONNABORTED',
  );
  return within(PROBE_MS, probe, false);
}

/**
 * Takes away the dead mounts that crashed daemons left at `mountPoint`; true if there were any.
 * Living mounts and those of others are left alone.
 */
export async function cleanStaleMount(mountPoint: string, fsType = 'ledgerfs'): Promise<boolean> {
  const place = await resolveMountPoint(mountPoint);
  let cleaned = false;
  for (let layer = 0; layer < STALE_LAYERS; layer++) {
    if (ownMountAt(place, fsType) === undefined || !(await isDeadMount(place))) return cleaned;
    await unmountAt(place, true);
    cleaned = true;
  }
  return cleaned;
}

/** Lets the kernel read ahead in requests of the largest size. */
export async function raiseReadAhead(mount: Mount): Promise<void> {
  await writeFile(`/sys/class/bdi/${mount.device}/read_ahead_kb`, String(READ_AHEAD_KB));
}

/**
 * The life of a mount through the package fuse-native: the portable fallback, on libfuse 2.
 *
 * Order: the package is loaded -> a dead mount is cleaned -> libfuse mounts -> INIT answered -> the
 * connection is watched: usable. The end comes from `unmount`, or from outside: open files are
 * closed, later requests get ENOTCONN, then `onUnmounted`. A crash at any moment loses nothing but
 * this state, and leaves at most a dead mount, which the next start cleans, and names
 * `.fuse_hidden...` of files that were unlinked while open.
 *
 * Nothing here may touch the mount's own files synchronously, nor wait for the package's threads:
 * all their requests are answered on this one.
 */

import { notedAccesses } from '../access.ts';
import type { Notifier } from '../notifier.ts';
import { isAttached, ownMountAt, unmountAt, unmountOwn, type Place } from '../kernel/mount.ts';
import { MountError } from '../kernel/programs.ts';
import {
  freeMountPoint,
  INIT_MS,
  LAST_USER_MS,
  type Session,
  type SessionOptions,
} from '../session.ts';
import { deferred, within } from '../waiting.ts';
import { claimDescriptors, watchConnection } from './connection.ts';
import { fileOperations, xattrOperations } from './files.ts';
import { nativeMountOptions } from './options.ts';
import { loadNativeMounter, type NativeMount } from './package.ts';
import { NativeService } from './service.ts';
import { treeOperations } from './tree.ts';

/**
 * libfuse 2 gives us no way to tell the kernel of a change. So, unless asked for, the kernel keeps
 * no names and no attributes; contents it reads anew at each open.
 */
const NO_NOTIFIER: Notifier = {
  contents: () => Promise.resolve(),
  attributes: () => Promise.resolve(),
  entry: () => Promise.resolve(),
};

/**
 * Mounts under way: one at a time, since the descriptor that libfuse opens is told from others by
 * being the only one of its kind.
 */
let lastStart: Promise<unknown> = Promise.resolve();

function inTurn<T>(start: () => Promise<T>): Promise<T> {
  const mine = lastStart.then(start);
  lastStart = mine.catch(() => undefined);
  return mine;
}

class NativeSession implements Session {
  readonly mountPoint: string;
  readonly invalidate = NO_NOTIFIER;
  readonly #place: Place;
  readonly #mount: NativeMount;
  readonly #service: NativeService;
  readonly #options: SessionOptions;
  readonly #stopWatching: () => void;
  readonly #ended = deferred<void>();
  #isLeaving = false;

  constructor(
    place: Place,
    fd: number,
    mount: NativeMount,
    service: NativeService,
    options: SessionOptions,
  ) {
    this.mountPoint = place.mountPoint;
    this.#place = place;
    this.#mount = mount;
    this.#service = service;
    this.#options = options;
    this.#stopWatching = watchConnection(fd, () => this.#end());
  }

  async unmount(options: { readonly lazy?: boolean } = {}): Promise<void> {
    if (this.#service.isOver) return;
    const wasLeaving = this.#isLeaving;
    this.#isLeaving = true;
    try {
      await unmountOwn(this.#place, options.lazy ?? false);
    } catch (error) {
      this.#isLeaving = wasLeaving;
      if (this.#service.isOver) return;
      throw error;
    }
    await within(LAST_USER_MS, this.#ended.promise, undefined);
    this.#end();
  }

  isAttached(): boolean {
    return !this.#service.isOver && isAttached(this.#place);
  }

  stats(): Record<string, number> {
    return this.#service.stats();
  }

  #end(): void {
    if (this.#service.isOver) return;
    this.#service.end();
    this.#stopWatching();
    this.#mount.close().catch((error: unknown) => {
      this.#options.log('debug', 'the addon was not closed', { error: String(error) });
    });
    this.#ended.resolve();
    if (!this.#isLeaving) this.#options.onUnmounted('the connection ended');
  }
}

/** Mounts, and finds the descriptor that libfuse serves the mount through. */
async function mountInTurn(mount: NativeMount, mountPoint: string): Promise<number> {
  // A mount that failed may have left one behind.
  claimDescriptors();
  try {
    const failed = await within(
      INIT_MS,
      mount.mount().then(
        () => undefined,
        (error: Error) => new MountError('EINVAL', `libfuse: ${error.message}`, error),
      ),
      new MountError('ENOTCONN', 'the kernel sent no INIT'),
    );
    if (failed !== undefined) throw failed;
    const [fd, ...more] = claimDescriptors();
    if (fd !== undefined && more.length === 0) return fd;
    throw new MountError('EIO', "libfuse's descriptor of the device was not found");
  } catch (error) {
    await unmountAt(mountPoint, true).catch(() => undefined);
    throw error;
  }
}

/**
 * Mounts `filesystem` through libfuse 2 and serves it. Resolves when the mount is usable. Throws
 * `MountError`: ENOENT without libfuse 2, EBUSY where a living mount of ours is at that place,
 * EINVAL for an option that libfuse does not know.
 */
export async function startNativeSession(options: SessionOptions): Promise<Session> {
  const { fsType = 'ledgerfs', filesystem, log } = options;
  if (process.getuid?.() !== 0) throw new MountError('EPERM', 'mounting needs root');
  const newMount = await loadNativeMounter();
  const mountPoint = await freeMountPoint(options.mountPoint, fsType, log);
  const text = nativeMountOptions({
    mountPoint,
    source: options.source,
    fsType,
    readOnly: options.readOnly ?? false,
    options: options.mountOptions ?? [],
    entryTimeoutMs: options.entryTimeoutMs ?? 0,
    attrTimeoutMs: options.attrTimeoutMs ?? 0,
  });
  const caller = { uid: process.getuid(), gid: process.getgid?.() ?? 0, pid: 0 };
  const service = new NativeService({
    filesystem,
    caller,
    noted: notedAccesses(options.mountOptions ?? [], options.readOnly === true),
    log,
  });
  const operations = {
    ...treeOperations(service),
    ...fileOperations(service),
    ...xattrOperations(service),
  };
  const mount = newMount(mountPoint, operations, text);
  const fd = await inTurn(() => mountInTurn(mount, mountPoint));
  try {
    const place = { mountPoint, device: ownMountAt(mountPoint, fsType)?.device };
    return new NativeSession(place, fd, mount, service, options);
  } catch (error) {
    await unmountAt(mountPoint, true).catch(() => undefined);
    await mount.close().catch(() => undefined);
    throw error;
  }
}

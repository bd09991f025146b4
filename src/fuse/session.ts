/**
 * The life of one mount.
 *
 * Owns the transport, the lookup counts, open handles and file locks of the mount. Order: clean a
 * dead mount -> open the device -> mount -> serve -> INIT answered: usable. The end comes from
 * `unmount`, or from outside (umount(8), an abort): requests stop, then every handle that the
 * kernel did not close is closed and every reference it held is given up, so that orphans are
 * reaped; then `onUnmounted`. A crash at any moment loses nothing but this state, and leaves at
 * most a dead mount, which the next start cleans.
 */

import { availableParallelism } from 'node:os';
import type { FilesystemApi } from '../engine/api.ts';
import type { LogFunction } from '../io/logger.ts';
import { chooseWatcher, type Watcher } from '../io/watcher.ts';
import { KernelChannel } from './kernel/channel.ts';
import { deferred, within } from './waiting.ts';
import {
  cleanStaleMount,
  isAttached,
  mountDevice,
  ownMountAt,
  raiseReadAhead,
  resolveMountPoint,
  unmountOwn,
  type Place,
} from './kernel/mount.ts';
import { notedAccesses } from './access.ts';
import { MountError } from './kernel/programs.ts';
import { MountService } from './service.ts';
import type { Notifier } from './notifier.ts';

export interface SessionOptions {
  readonly filesystem: FilesystemApi;
  readonly mountPoint: string;
  /** Shown in /proc/mounts. */
  readonly source: string;
  /** /proc/mounts shows the type as `fuse.` and this; 'ledgerfs' unless said. */
  readonly fsType?: string | undefined;
  readonly readOnly?: boolean | undefined;
  /** Further options for mount(8); noatime and nodiratime are honoured by us. */
  readonly mountOptions?: readonly string[] | undefined;
  /** How long the kernel may keep names, in milliseconds; 1000 unless said. */
  readonly entryTimeoutMs?: number | undefined;
  /** How long the kernel may keep attributes, in milliseconds; 1000 unless said. */
  readonly attrTimeoutMs?: number | undefined;
  /** How the descriptor is watched; what works on this machine unless said. */
  readonly watcher?: Watcher | undefined;
  readonly log: LogFunction;
  /** The mount ended, and not by `unmount`. */
  readonly onUnmounted: (reason: string) => void;
}

export interface Session {
  /** Absolute, without symlinks. */
  readonly mountPoint: string;
  /** For changes that did not come through this mount. */
  readonly invalidate: Notifier;
  /**
   * Unmounts and gives up what the mount held. Throws `MountError` EBUSY while files in it are in
   * use; `lazy` detaches it all the same. Done already: nothing happens.
   */
  unmount(options?: { readonly lazy?: boolean }): Promise<void>;
  /** Whether the mount table still has it: not after `umount -l`, while somebody uses it. */
  isAttached(): boolean;
  /** Requests served, by the name of their operation. */
  stats(): Record<string, number>;
}

/** Longest wait for the kernel's INIT after the mount. */
export const INIT_MS = 10_000;
/** Longest wait, after umount(8), for the connection to end: another namespace may hold it. */
export const LAST_USER_MS = 2000;

/** A mount whose INIT is still to come: usable once `ready` has resolved. */
class KernelSession implements Session {
  readonly mountPoint: string;
  readonly invalidate: Notifier;
  /** INIT was answered; rejects when it could not be. */
  readonly ready: Promise<void>;
  readonly #channel: KernelChannel;
  readonly #service: MountService;
  readonly #place: Place;
  readonly #onUnmounted: (reason: string) => void;
  readonly #ended = deferred<void>();
  #isUsable = false;
  #isEnded = false;
  #isLeaving = false;

  constructor(fd: number, place: Place, options: SessionOptions, watcher: Watcher) {
    this.mountPoint = place.mountPoint;
    this.#place = place;
    this.#onUnmounted = options.onUnmounted;
    this.#channel = new KernelChannel(fd, {
      watcher,
      log: options.log,
      isAwaiting: () => this.#service.serving.pending.size > 0,
      spin: availableParallelism() > 1,
    });
    const initialized = deferred<string | undefined>();
    const noted = notedAccesses(options.mountOptions ?? [], options.readOnly === true);
    const served = { ...options, noted };
    this.#service = new MountService(this.#channel, served, initialized.resolve, (reason) => {
      initialized.resolve(`the mount ended before it was usable: ${reason}`);
      this.#end(reason);
    });
    this.invalidate = this.#service.notifier;
    this.ready = this.#untilReady(initialized.promise);
    this.#channel.start(this.#service);
  }

  async unmount(options: { readonly lazy?: boolean } = {}): Promise<void> {
    if (this.#isEnded) return;
    const wasLeaving = this.#isLeaving;
    this.#isLeaving = true;
    try {
      await unmountOwn(this.#place, options.lazy ?? false);
    } catch (error) {
      this.#isLeaving = wasLeaving;
      if (this.#isEnded) return;
      throw error;
    }
    await within(LAST_USER_MS, this.#ended.promise, undefined);
    await this.#channel.close();
  }

  isAttached(): boolean {
    return !this.#isEnded && isAttached(this.#place);
  }

  stats(): Record<string, number> {
    return this.#service.stats();
  }

  /** Gives up a session that never became usable. */
  async abandon(): Promise<void> {
    this.#isLeaving = true;
    await this.#channel.close();
    await unmountOwn(this.#place, true).catch(() => undefined);
  }

  async #untilReady(initialized: Promise<string | undefined>): Promise<void> {
    const problem = await within(INIT_MS, initialized, 'the kernel sent no INIT');
    if (problem !== undefined) throw new MountError('ENOTCONN', problem);
    this.#isUsable = true;
  }

  #end(reason: string): void {
    this.#isEnded = true;
    this.#ended.resolve();
    if (this.#isUsable && !this.#isLeaving) this.#onUnmounted(reason);
  }
}

/**
 * The mount point, resolved, once no mount of ours is there: a dead one is taken away. Throws
 * `MountError` EBUSY where a living one is.
 */
export async function freeMountPoint(
  path: string,
  fsType: string,
  log: LogFunction,
): Promise<string> {
  const mountPoint = await resolveMountPoint(path);
  if (await cleanStaleMount(mountPoint, fsType)) {
    log('warn', 'took away the dead mount of a crashed daemon', { mountPoint });
  }
  if (ownMountAt(mountPoint, fsType) !== undefined) {
    throw new MountError('EBUSY', `${mountPoint} is mounted already`);
  }
  return mountPoint;
}

/**
 * Mounts `filesystem` through the kernel transport and serves it. Resolves when the mount is usable.
 * Throws `MountError`: EBUSY where a living mount of ours is at that place, or what mount(8) or
 * fusermount3 said.
 */
export async function startSession(options: SessionOptions): Promise<Session> {
  const { fsType = 'ledgerfs', readOnly = false } = options;
  const mountPoint = await freeMountPoint(options.mountPoint, fsType, options.log);
  const watcher = options.watcher ?? (await chooseWatcher());
  const { source, mountOptions = [] } = options;
  const request = { mountPoint, source, fsType, readOnly, options: mountOptions };
  const fd = await mountDevice(request);
  const place = { mountPoint, device: ownMountAt(mountPoint, fsType)?.device };
  const session = new KernelSession(fd, place, options, watcher);
  try {
    await session.ready;
  } catch (error) {
    await session.abandon();
    throw error;
  }
  await readAheadFar(mountPoint, fsType, options.log);
  return session;
}

/** Worth a log line when it fails, not the mount: reads are smaller then. */
async function readAheadFar(mountPoint: string, fsType: string, log: LogFunction): Promise<void> {
  const mount = ownMountAt(mountPoint, fsType);
  if (mount === undefined) return;
  try {
    await raiseReadAhead(mount);
  } catch (error) {
    log('debug', 'read-ahead stays at the default', { error: String(error) });
  }
}

/**
 * The daemon of one volume: the mounts that show it and its orderly end. It owns the open volume
 * and the mount sessions.
 *
 * Order of events of an end (asked for by a signal, by the last `umount`, or because the last mount
 * was taken away from outside): no new mounts are taken; all answered changes are committed; each
 * mount is taken away, lazily where it is busy; the volume is closed, which commits what came
 * meanwhile and releases its lock; `ended` resolves. A crash in between leaves at worst stale
 * mounts, which the next mount removes, and an unclean volume, which the next open recovers.
 */

import type { ControlledDaemon } from '../../src/control/routes.ts';
import type {
  DaemonStatus,
  MountRequest,
  MountStatus,
  OnProgress,
} from '../../src/control/protocol.ts';
import { ControlError, TRANSPORTS } from '../../src/control/protocol.ts';
import type { LogFunction } from '../../src/io/logger.ts';
import { seq, type Seq } from '../../src/model/ids.ts';
import { usersOf } from './users.ts';

/** One mount of the volume, served until it ends. */
export interface MountSession {
  /** Resolves when nothing is served any more: unmounted by us or from outside. */
  readonly ended: Promise<void>;
  /** False once it was detached (`umount -l`), while somebody uses it yet. */
  isAttached(): boolean;
  /** Throws with code EBUSY where the mount is in use and `lazy` is not set. */
  unmount(lazy: boolean): Promise<void>;
}

/** What the daemon needs of an open volume; `engine/volume.ts` has the real one. */
export interface ServedVolume {
  readonly dir: string;
  readonly fsid: string;
  status(): Promise<Pick<DaemonStatus, 'log' | 'index' | 'space' | 'openFiles' | 'failure'>>;
  sync(): Promise<Seq>;
  digest(): Promise<string>;
  checkpoint(): Promise<Seq>;
  trim(before: Seq): Promise<Seq>;
  scrub(onProgress: OnProgress): Promise<unknown>;
  check(onProgress: OnProgress): Promise<unknown>;
  close(): Promise<void>;
}

export interface ServiceOptions {
  readonly volume: ServedVolume;
  readonly version: string;
  readonly ownerUid: number;
  /** What the volume was opened with; undefined is the engine's own. */
  readonly commitMs?: number | undefined;
  readonly log: LogFunction;
  /** Told who uses a mount that is taken away all the same at the end. */
  readonly onBusy?: ((message: string) => void) | undefined;
  /** Mounts the volume; resolves when the mount is usable. */
  readonly startSession: (request: MountRequest) => Promise<MountSession>;
}

interface ActiveMount extends MountStatus {
  readonly session: MountSession;
}

export class Service implements ControlledDaemon {
  readonly ownerUid: number;
  readonly uid = process.geteuid?.() ?? 0;
  /** Resolves when the volume is closed; rejects if closing it failed. */
  readonly ended: Promise<void>;
  readonly #options: ServiceOptions;
  readonly #mounts = new Set<ActiveMount>();
  /** Mounts being made: they keep the daemon alive, and their mount points are taken. */
  readonly #starting = new Set<string>();
  #stopping: Promise<void> | undefined;
  #settleEnd: { resolve: () => void; reject: (cause: unknown) => void } | undefined;

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.ownerUid = options.ownerUid;
    this.ended = new Promise((resolve, reject) => {
      this.#settleEnd = { resolve, reject };
    });
    // Whoever stops the service sees the failure too; that `ended` is not awaited yet is no bug.
    this.ended.catch(() => undefined);
  }

  async status(): Promise<DaemonStatus> {
    const { volume, version } = this.#options;
    const { fsid, dir } = volume;
    const figures = await volume.status();
    const mounts = [...this.#mounts].map(({ mountPoint, options, transport }) => ({
      mountPoint,
      options,
      transport,
    }));
    return { ...figures, fsid, pid: process.pid, version, volume: dir, mounts };
  }

  sync(): Promise<number> {
    return this.#options.volume.sync();
  }

  async addMount(request: MountRequest): Promise<void> {
    const { mountPoint, options, transport = TRANSPORTS[0] } = request;
    if (this.#stopping !== undefined) throw new ControlError('the daemon is ending', 'ESHUTDOWN');
    if (this.#mountAt(mountPoint) !== undefined || this.#starting.has(mountPoint)) {
      throw new ControlError(`${mountPoint}: already mounted`, 'EBUSY');
    }
    this.#checkCommit(request.commitMs);
    this.#starting.add(mountPoint);
    try {
      const session = await this.#options.startSession(request);
      const mount = { mountPoint, options, transport, session };
      this.#mounts.add(mount);
      this.#options.log('info', `mounted at ${mountPoint}`, { options, transport });
      // That closing the volume failed is said by `stop` to the journal and through `ended`.
      session.ended.then(() => this.#mountEnded(mount)).catch(() => undefined);
    } finally {
      this.#starting.delete(mountPoint);
    }
  }

  /** The log is one for all mounts: what the first one asked for holds, and is not passed over. */
  #checkCommit(asked: number | undefined): void {
    const { commitMs } = this.#options;
    if (asked === undefined || asked === commitMs) return;
    const is = commitMs === undefined ? 'its default' : `commit=${commitMs / 1000}`;
    const what = `the volume is mounted already, with ${is}`;
    throw new ControlError(`-o commit=${asked / 1000}: ${what}`, 'EINVAL');
  }

  async removeMount(mountPoint: string, lazy: boolean): Promise<void> {
    const mount = this.#mountAt(mountPoint);
    if (mount === undefined) throw new ControlError(`${mountPoint}: not mounted here`, 'EINVAL');
    await this.sync();
    await this.#unmount(mount, lazy);
    await this.#mountEnded(mount);
  }

  digest(): Promise<string> {
    return this.#options.volume.digest();
  }

  checkpoint(): Promise<number> {
    return this.#options.volume.checkpoint();
  }

  trim(before: number): Promise<number> {
    return this.#options.volume.trim(seq(before));
  }

  scrub(onProgress: OnProgress): Promise<unknown> {
    return this.#options.volume.scrub(onProgress);
  }

  check(onProgress: OnProgress): Promise<unknown> {
    return this.#options.volume.check(onProgress);
  }

  /** Ends the daemon; see the opening comment. Further calls wait for the same end. */
  stop(): Promise<void> {
    this.#stopping ??= this.#end();
    return this.#stopping;
  }

  /** The mount that people see at `mountPoint`; the place of one that was detached is free. */
  #mountAt(mountPoint: string): ActiveMount | undefined {
    const there = [...this.#mounts].filter((mount) => mount.mountPoint === mountPoint);
    return there.find(({ session }) => session.isAttached());
  }

  async #mountEnded(mount: ActiveMount): Promise<void> {
    if (this.#mounts.delete(mount)) {
      this.#options.log('info', `unmounted from ${mount.mountPoint}`);
    }
    // Also for the mount whose end came first from outside: then this waits for the end under way.
    if (this.#mounts.size === 0 && this.#starting.size === 0) await this.stop();
  }

  /** Unmounts; a refusal because of EBUSY says who uses it. */
  async #unmount({ mountPoint, session }: ActiveMount, lazy: boolean): Promise<void> {
    try {
      await session.unmount(lazy);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EBUSY') throw cause;
      const users = await usersOf(mountPoint);
      const names = users.map(({ pid, command }) => `${command} (pid ${pid})`).join(', ');
      const by = names === '' ? '' : ` by ${names}`;
      throw new ControlError(`${mountPoint}: in use${by}`, 'EBUSY', { cause });
    }
  }

  async #end(): Promise<void> {
    const { volume, log } = this.#options;
    try {
      // A volume that failed cannot commit; its mounts go all the same, and closing reports why.
      await volume.sync().catch((cause: unknown) => log('error', 'last commit failed', { cause }));
      for (const mount of this.#mounts) await this.#unmountAnyway(mount);
      this.#mounts.clear();
      await volume.close();
      log('info', 'volume closed');
      this.#settleEnd?.resolve();
    } catch (cause) {
      log('error', 'closing the volume failed', { cause });
      this.#settleEnd?.reject(cause);
      throw cause;
    }
  }

  async #unmountAnyway(mount: ActiveMount): Promise<void> {
    const { log } = this.#options;
    try {
      await this.#unmount(mount, false);
    } catch (busy) {
      log('warn', `${(busy as Error).message}; unmounting lazily`);
      this.#options.onBusy?.((busy as Error).message);
      await mount.session
        .unmount(true)
        .catch((cause: unknown) => log('error', `${mount.mountPoint}: not unmounted`, { cause }));
    }
  }
}

/**
 * What the kernel behind one mount may have copies of, and how they are dropped when a change comes
 * from elsewhere: another mount of the volume, or the daemon's own commands.
 *
 * Owns two sets of inodes, of whose attributes or pages the kernel was told and has been given none
 * since: of these it needs not be told again, so a file that is written through one mount costs the
 * other one a single notification until somebody there looks. A member leaves when the kernel is
 * given attributes, when it asks for bytes (before they are read: an answer under way holds old
 * ones), and when it forgets the inode. With one mount both sets are empty.
 *
 * An answer waits until the kernels of other mounts were told of what it changed (`RequestOrigin`).
 */

import type { CacheHolder, Change, ChangeOrigin } from '../engine/api.ts';
import type { Ino } from '../model/ids.ts';
import type { Lookups } from './lookups.ts';
import type { QueuedNotifier } from './notifier.ts';

export class KernelCopies implements CacheHolder {
  /** Nobody else has copies: nothing has to be waited for. */
  isAlone = true;
  /** The origin of all calls while this is so. */
  readonly alone: ChangeOrigin = { holder: this, telling: () => undefined };
  readonly #lookups: Lookups;
  readonly #notifier: QueuedNotifier;
  readonly #noAttributes = new Set<Ino>();
  readonly #noPages = new Set<Ino>();

  constructor(lookups: Lookups, notifier: QueuedNotifier) {
    this.#lookups = lookups;
    this.#notifier = notifier;
  }

  setAlone(isAlone: boolean): void {
    this.isAlone = isAlone;
    if (!isAlone) this.#notifier.expected();
  }

  changed(changes: readonly Change[]): Promise<void> | undefined {
    const drops: Promise<void>[] = [];
    for (const change of changes) {
      const dropped = this.#drop(change);
      if (dropped !== undefined) drops.push(dropped);
    }
    // Whoever changes something does not wait for a kernel that does not get on.
    if (drops.length === 0 || this.#notifier.isStuck) return undefined;
    return drops.length === 1 ? drops[0] : Promise.all(drops).then(() => undefined);
  }

  /** The access time of `ino` moved without a request that makes the kernel drop it. */
  accessMoved(ino: Ino): void {
    void this.#notifier.attributes(ino);
  }

  /** The kernel was given attributes of `ino`, or is about to be. */
  gaveAttributes(ino: Ino): void {
    if (this.#noAttributes.size > 0) this.#noAttributes.delete(ino);
  }

  /** The kernel asked for bytes of `ino`, or has written some. */
  gavePages(ino: Ino): void {
    if (this.#noPages.size > 0) this.#noPages.delete(ino);
  }

  forgot(ino: Ino): void {
    this.gaveAttributes(ino);
    this.gavePages(ino);
  }

  /**
   * Whether the kernel may be waiting, in a notification, for the answer to a request that holds
   * its locks on one of `inos`.
   */
  isWaitingFor(inos: ReadonlySet<Ino>): boolean {
    for (const ino of inos) if (this.#notifier.mayWaitFor(ino)) return true;
    return false;
  }

  #drop(change: Change): Promise<void> | undefined {
    const { ino } = change;
    // A name leads nowhere in a kernel that does not know the inode behind it.
    if (!this.#lookups.refersTo(ino)) return undefined;
    if (change.type === 'entry') return this.#notifier.entry(change.dir, change.name);
    if (change.type === 'attributes' || this.#noPages.has(ino)) return this.#dropAttributes(ino);
    this.#noPages.add(ino);
    this.#noAttributes.add(ino);
    return this.#notifier.contents(ino);
  }

  #dropAttributes(ino: Ino): Promise<void> | undefined {
    if (this.#noAttributes.has(ino)) return this.#notifier.underWay(ino);
    this.#noAttributes.add(ino);
    return this.#notifier.attributes(ino);
  }
}

/**
 * One request that may change something, while there are several mounts: collects what its answer
 * has to wait for.
 *
 * Two mounts that wait for each other would never answer: our answer waits for a notification to
 * their kernel, which waits for the lock of a request of theirs, whose answer waits for a
 * notification to our kernel, which waits for the lock that our request holds. So an answer is not
 * held back while a notification to its own kernel about one of its inodes is under way. Who waits,
 * then, is waited for by none that began earlier, and no circle can close.
 */
export class RequestOrigin implements ChangeOrigin {
  readonly holder: KernelCopies;
  /** What the kernel may have locked for this request. */
  readonly #inos: Set<Ino>;
  #told: Promise<void>[] = [];

  /** A request to `ino` through the mount of `holder`. */
  constructor(holder: KernelCopies, ino: Ino) {
    this.holder = holder;
    this.#inos = new Set([ino]);
  }

  telling(changes: readonly Change[], told: Promise<void> | undefined): void {
    for (const change of changes) {
      this.#inos.add(change.ino);
      if (change.type === 'entry') this.#inos.add(change.dir);
    }
    if (told !== undefined) this.#told.push(told);
  }

  /** Resolves when the others know what was changed so far; undefined if there is no waiting. */
  takeHold(): Promise<unknown> | undefined {
    const told = this.#told;
    if (told.length === 0) return undefined;
    this.#told = [];
    return this.holder.isWaitingFor(this.#inos) ? undefined : Promise.all(told);
  }
}

/**
 * Random operations on a mounted volume, and on the oracle's tree beside it. Only operations that
 * must succeed are asked for, so any refusal is a finding.
 *
 * Operations follow one another, but syncs may run beside those that come after them. One that was
 * under way when the power was cut counts as possible: its state is recorded, and nothing promised.
 */

import type { Answer } from '../../../src/engine/api.ts';
import { isRefusal, type Refusal } from '../../../src/model/errno.ts';
import { ino } from '../../../src/model/ids.ts';
import { CUT, type Drive } from './drive.ts';
import { removeXattr, setAttributes, setXattr } from './operations/attributes.ts';
import {
  allocate,
  close,
  flush,
  openExisting,
  read,
  truncate,
  write,
} from './operations/contents.ts';
import { create, link, mkdir, rename, rmdir, symlink, unlink } from './operations/names.ts';
import { Finding, Scene, type Operation, type SceneParts } from './scene.ts';
import type { Node } from './tree.ts';

/** Share of the steps in which nothing happens but time. */
const PASS_SHARE = 0.12;
/** Share of the syncs that run beside the operations after them. */
const BACKGROUND_SHARE = 0.3;

type Maker = (scene: Scene) => Operation | undefined;

/** How often each operation is tried, of all that are. */
const MAKERS: readonly (readonly [weight: number, make: Maker | 'sync'])[] = [
  [10, create],
  [4, mkdir],
  [2, symlink],
  [3, link],
  [6, unlink],
  [3, rmdir],
  [8, rename],
  [20, write],
  [5, truncate],
  [5, allocate],
  [4, setAttributes],
  [4, setXattr],
  [2, removeXattr],
  [3, openExisting],
  [3, close],
  [4, flush],
  [6, read],
  [8, 'sync'],
];

export interface WorkloadParts extends SceneParts {
  readonly drive: Drive;
  /** Whether the disk may fail; with the first operation that says EIO this life is over. */
  readonly mayFail: boolean;
}

export class Workload {
  readonly #scene: Scene;
  readonly #drive: Drive;
  readonly #mayFail: boolean;
  readonly #syncs: Promise<unknown>[] = [];
  /** What was done, for people. */
  readonly journal: string[] = [];

  constructor(parts: WorkloadParts) {
    this.#scene = new Scene(parts);
    this.#drive = parts.drive;
    this.#mayFail = parts.mayFail;
  }

  get step(): number {
    return this.#scene.step;
  }

  /** All files and directories, also those that are open and have no name. */
  nodes(): Iterable<Node> {
    return this.#scene.nodes();
  }

  /** Does `count` operations, fewer if the power is cut. Throws `Finding`. */
  async run(count: number): Promise<void> {
    for (let i = 0; i < count && !this.#drive.isCut; i++) await this.#once();
    if (!this.#drive.isCut) await this.#awaitSyncs();
  }

  async #awaitSyncs(): Promise<void> {
    for (const sync of this.#syncs.splice(0)) {
      const answer = await this.#outcome(() => sync as Promise<unknown>);
      if (isRefusal(answer)) throw this.#refused('a sync in the background', answer);
    }
  }

  async #once(): Promise<void> {
    this.#scene.step++;
    if (this.#scene.random.chance(PASS_SHARE)) return this.#pass();
    const operation = this.#choose();
    if (operation === undefined) return;
    this.journal.push(`${this.#scene.step} ${operation.what}`);
    const answer = await this.#outcome(() => operation.call());
    if (isRefusal(answer)) throw this.#refused(operation.what, answer);
    if (answer === CUT) this.journal.push('... and no more');
    operation.apply?.(answer);
    if (operation.places !== undefined && answer !== CUT) {
      this.#scene.history.placed(operation.places, this.#scene.step);
    }
    if (operation.changes === undefined) return;
    this.#scene.history.changed(this.#scene.step, operation.changes);
  }

  /**
   * The answer; CUT where the power was cut, or the disk failed: whether it was done is unknown.
   */
  async #outcome(call: () => Answer<unknown>): Promise<unknown> {
    try {
      const answer = await this.#drive.until(call());
      if (!this.#mayFail || !isRefusal(answer) || answer.name !== 'EIO') return answer;
    } catch (error) {
      if (!this.#mayFail || (error as NodeJS.ErrnoException).code !== 'EIO') throw error;
    }
    this.#drive.cut();
    return CUT;
  }

  #refused(what: string, refusal: Refusal): Finding {
    return new Finding(`step ${this.#scene.step}: ${what}: refused with ${refusal.name}`);
  }

  #choose(): Operation | undefined {
    const make = this.#scene.random.weighted(MAKERS);
    return make === 'sync' ? this.#sync() : make(this.#scene);
  }

  /** A sync of a file, a directory or all; sometimes beside the operations that follow. */
  #sync(): Operation {
    const { what, promise, call } = anySync(this.#scene);
    if (!this.#scene.random.chance(BACKGROUND_SHARE)) {
      return { what, call, apply: (answer) => answer !== CUT && this.#scene.history.keep(promise) };
    }
    const keep = (refused: unknown): unknown => {
      if (this.#drive.isCut) return undefined;
      if (isRefusal(refused)) return refused;
      return this.#scene.history.keep(promise);
    };
    return {
      what: `${what}, in the background`,
      call: () => {
        const sync = Promise.resolve(call()).then(keep);
        // It is waited for at the end, and may fail before.
        sync.catch(() => undefined);
        this.#syncs.push(sync);
      },
    };
  }

  async #pass(): Promise<void> {
    const ms = this.#scene.random.pick([1, 20, 300, 1200]);
    this.journal.push(`${this.#scene.step} ${ms} ms pass`);
    await this.#drive.pass(ms);
  }
}

/** An fsync of a file or a directory, or a sync of everything, and what it promises. */
function anySync(scene: Scene) {
  const open = scene.anyOpen();
  const kind = scene.random.weighted([
    [6, 'file'],
    [2, 'directory'],
    [1, 'all'],
  ]);
  if (kind === 'file' && open !== undefined) {
    const promise = scene.history.promise(open.node);
    return { what: `fsync of ${open.node.ino}`, promise, call: () => scene.fs.fsync(open.file) };
  }
  if (kind === 'directory') {
    const dir = scene.anyDirectory();
    const promise = scene.history.promise(dir);
    const call = () => scene.fs.fsyncDirectory(ino(dir.ino));
    return { what: `fsync of directory ${dir.ino}`, promise, call };
  }
  const promise = scene.history.promiseAll(scene.nodes());
  return { what: 'sync', promise, call: () => scene.fs.sync() };
}

/**
 * What the random operations of a workload act on: the engine, the oracle's tree beside it, the files
 * that are open; and how they choose among what there is.
 */

import type { Answer, Caller, FilesystemApi, OpenFile } from '../../../src/engine/api.ts';
import type { SimRandom } from '../random.ts';
import type { History } from './history.ts';
import { walk, type Node } from './tree.ts';

export const CALLER: Caller = { uid: 0, gid: 0, pid: 1 };
export const O_RDWR = 2;
export const O_DSYNC = 0o10000;

/** Few names, so that operations meet. */
export const NAMES = ['a', 'b', 'c', 'dd', 'ee', 'x'.repeat(40)];
const MOST_NAMES = 40;
const MOST_OPEN = 8;

/** An operation that was refused although it must not be, or whose answer is wrong. */
export class Finding extends Error {
  override readonly name = 'Finding';
}

export interface Open {
  readonly node: Node;
  readonly file: OpenFile;
}

export interface Named {
  readonly dir: Node;
  readonly name: string;
  readonly node: Node;
}

/** Something to do that must succeed. */
export interface Operation {
  readonly what: string;
  readonly call: () => Answer<unknown>;
  /** The change of the tree, given the answer; CUT if the power was cut before one came. */
  readonly apply?: (answer: unknown) => unknown;
  /** Files and directories whose names or attributes it changes. */
  readonly changes?: readonly Node[];
  /** A file whose pending writes the operation puts into the log. */
  readonly places?: Node | undefined;
}

export interface SceneParts {
  readonly fs: FilesystemApi;
  readonly random: SimRandom;
  readonly root: Node;
  readonly history: History;
  /** Number of the step before the first. */
  readonly step: number;
  /** A close puts what was written into the log, however much it is. */
  readonly closePlaces: boolean;
}

export class Scene {
  readonly fs: FilesystemApi;
  readonly random: SimRandom;
  readonly root: Node;
  readonly history: History;
  readonly open: Open[] = [];
  readonly closePlaces: boolean;
  step: number;

  constructor({ fs, random, root, history, step, closePlaces }: SceneParts) {
    this.fs = fs;
    this.random = random;
    this.root = root;
    this.history = history;
    this.step = step;
    this.closePlaces = closePlaces;
  }

  /** All files and directories, also those that are open and have no name. */
  *nodes(): Generator<Node> {
    for (const [, node] of walk(this.root)) yield node;
    for (const { node } of this.open) yield node;
  }

  /** One of the names that `wanted` accepts; undefined if there is none. */
  pick(wanted: (named: Named) => boolean): Named | undefined {
    const fitting = this.#named().filter(wanted);
    return fitting.length > 0 ? this.random.pick(fitting) : undefined;
  }

  anyDirectory(): Node {
    const directories = [...walk(this.root)].filter(([, node]) => node.kind === 'directory');
    return this.random.pick(directories)[1];
  }

  /** A directory and a name that is free in it; undefined if there is enough already. */
  free(): { readonly dir: Node; readonly name: string } | undefined {
    if (this.#named().length >= MOST_NAMES) return undefined;
    const dir = this.anyDirectory();
    const name = this.random.pick(NAMES);
    return dir.entries.has(name) ? undefined : { dir, name };
  }

  anyOpen(): Open | undefined {
    return this.open.length > 0 ? this.random.pick(this.open) : undefined;
  }

  /** Whether one more file may be opened. */
  get mayOpen(): boolean {
    return this.open.length < MOST_OPEN;
  }

  #named(): Named[] {
    const found: Named[] = [];
    for (const [, dir] of walk(this.root)) {
      for (const [name, node] of dir.entries) found.push({ dir, name, node });
    }
    return found;
  }
}

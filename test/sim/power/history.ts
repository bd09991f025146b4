/**
 * Which states a crash may leave. An operation is atomic and the log is one sequence, so what is
 * found must be:
 *
 * 1. exactly the names and attributes after some operation, none of those that a sync covered being
 *    missing;
 * 2. for each file, contents that it once had: not older than what was synced, not older than what
 *    was placed in the log before that operation, and not newer than the one after it.
 *
 * Writes are coalesced, so a file's contents may lag behind the names: but by no more than 2 allows.
 */

import { describeTree, digestOf, walk, type ContentHistory, type Node } from './tree.ts';

interface State {
  /** Number of the operation that made it. */
  readonly step: number;
  readonly text: string;
  /** The files of that moment. */
  readonly files: ReadonlyMap<string, ContentHistory>;
}

/** What a sync promises once it is reported, fixed when it was asked for. */
export interface SyncPromise {
  readonly state: number;
  readonly versions: readonly (readonly [ContentHistory, number])[];
}

const lastVersion = (history: ContentHistory): number => history.versions.length - 1;

export class History {
  readonly #root: Node;
  readonly #states: State[] = [];
  /** Position in `#states` of the oldest one that may be found. */
  #durable = 0;

  constructor(root: Node, step: number) {
    this.#root = root;
    this.#record(step);
  }

  /** Notes that operation `step` changed names or attributes, of `nodes`. */
  changed(step: number, nodes: readonly Node[]): void {
    this.#record(step);
    for (const node of nodes) node.changedIn = this.#states.length - 1;
  }

  /** Notes that what was written to `node` is in the log, since operation `step` needed that. */
  placed(node: Node, step: number): void {
    node.contents.placed.push({ step, version: lastVersion(node.contents) });
  }

  /**
   * What an fsync of `node` asked for now promises: its names, attributes and contents, and with them
   * all that came before in the log, which `refutation` sees to.
   */
  promise(node: Node): SyncPromise {
    return { state: node.changedIn, versions: [[node.contents, lastVersion(node.contents)]] };
  }

  /** What a sync of everything promises, where `nodes` are all there are. */
  promiseAll(nodes: Iterable<Node>): SyncPromise {
    const versions = Array.from(
      nodes,
      ({ contents }) => [contents, lastVersion(contents)] as const,
    );
    return { state: this.#states.length - 1, versions };
  }

  /** The sync was reported. */
  keep(promise: SyncPromise): void {
    this.#durable = Math.max(this.#durable, promise.state);
    for (const [contents, version] of promise.versions) {
      contents.durable = Math.max(contents.durable, version);
    }
  }

  /** Why `found` cannot be what a crash left; undefined if it can. */
  refutation(found: Node): string | undefined {
    const text = describeTree(found);
    let reason = `no state since ${this.#durable} of ${this.#states.length} has these names:\n${text}`;
    for (let i = this.#states.length - 1; i >= this.#durable; i--) {
      if (this.#states[i]?.text !== text) continue;
      const wrong = this.#wrongContents(i, found);
      if (wrong === undefined) return undefined;
      reason = wrong;
    }
    return `${reason}\nlast state:\n${this.#states.at(-1)?.text}`;
  }

  #wrongContents(i: number, found: Node): string | undefined {
    const state = this.#states[i] as State;
    const next = this.#states[i + 1]?.step ?? Infinity;
    for (const [path, node] of walk(found)) {
      if (node.kind !== 'file') continue;
      const history = state.files.get(path) as ContentHistory;
      const placed = history.placed.findLast(({ step }) => step <= state.step)?.version ?? 0;
      const oldest = Math.max(history.durable, placed);
      const allowed = history.versions.filter(({ step }, v) => v >= oldest && step < next);
      const digest = digestOf(node.bytes);
      if (allowed.some((version) => version.digest === digest)) continue;
      const versions = history.versions.map((v) => `${v.step}=${v.digest}`).join(' ');
      return `${path}: found ${digest}; version ${oldest} or later before step ${next} of ${versions}`;
    }
    return undefined;
  }

  #record(step: number): void {
    const files = new Map<string, ContentHistory>();
    for (const [path, node] of walk(this.#root)) {
      if (node.kind === 'file') files.set(path, node.contents);
    }
    this.#states.push({ step, text: describeTree(this.#root), files });
  }
}

/**
 * The directories of a simulated disk: which names programs see, which are durable, and the changes
 * between the two in order. Knows no calls and no faults; `FileNode` is its counterpart for bytes.
 *
 * A power loss keeps an arbitrary subset of the pending changes. A rename is two of them, and its
 * old name goes only if its new one came, so that it is found undone, half done (both names) or
 * done, and never loses the file.
 */

import { FileNode } from './file-node.ts';
import type { SimRandom } from './random.ts';

export class DirectoryNode {
  readonly live = new Map<string, SimNode>();
  readonly durable = new Map<string, SimNode>();
}

export type SimNode = FileNode | DirectoryNode;

interface NameChange {
  readonly order: number;
  readonly dir: DirectoryNode;
  readonly name: string;
  /** What the name leads to now; undefined where it was removed. */
  readonly node: SimNode | undefined;
  /** The change without which this one does not survive. */
  readonly onlyAfter: NameChange | undefined;
  isDurable: boolean;
}

export class NameTree {
  readonly root = new DirectoryNode();
  #pending: NameChange[] = [];
  #order = 0;

  /** What `path` (absolute) leads to; undefined for nothing. */
  find(path: string): SimNode | undefined {
    let node: SimNode | undefined = this.root;
    for (const name of path.split('/').filter((part) => part !== '')) {
      if (!(node instanceof DirectoryNode)) return undefined;
      node = node.live.get(name);
    }
    return node;
  }

  /** Sets a name in a directory, or removes it; returns the change, for a rename's second half. */
  set(
    dir: DirectoryNode,
    name: string,
    node: SimNode | undefined,
    onlyAfter?: NameChange,
  ): NameChange {
    put(dir.live, name, node);
    const order = this.#order++;
    const change: NameChange = { order, dir, name, node, onlyAfter, isDurable: false };
    this.#pending.push(change);
    return change;
  }

  /** Marks this moment, for a syncDir issued now. */
  mark(): number {
    return this.#order;
  }

  /** A syncDir of `dir` that was issued at `mark` succeeded. */
  makeDurable(dir: DirectoryNode, mark: number): void {
    for (const change of this.#pending) {
      if (change.dir === dir && change.order < mark) this.#persist(change);
    }
    this.#pending = this.#pending.filter((change) => !change.isDurable);
  }

  /** A syncDir of `dir` failed: some of its changes are durable, the others stay pending. */
  persistSome(dir: DirectoryNode, mark: number, random: SimRandom): void {
    for (const change of this.#pending) {
      if (change.dir === dir && change.order < mark && random.chance(0.5)) this.#persist(change);
    }
    this.#pending = this.#pending.filter((change) => !change.isDurable);
  }

  /** The tree as found after a power loss in which `share` of the pending changes survived. */
  afterPowerLoss(random: SimRandom, share: number): NameTree {
    for (const change of this.#pending) {
      const isPossible = change.onlyAfter === undefined || change.onlyAfter.isDurable;
      if (isPossible && random.chance(share)) this.#persist(change);
    }
    this.#pending = [];
    const found = new NameTree();
    copyDurable(this.root, found.root, random, share, new Map());
    return found;
  }

  /** All files that a name leads to, once each. */
  files(): Set<FileNode> {
    return new Set(filesBelow(this.root));
  }

  #persist(change: NameChange): void {
    if (change.isDurable) return;
    if (change.onlyAfter !== undefined) this.#persist(change.onlyAfter);
    change.isDurable = true;
    put(change.dir.durable, change.name, change.node);
    // Earlier changes of the same name are overtaken, and must not come back over this one.
    for (const earlier of this.#pending) {
      const isOvertaken = earlier.dir === change.dir && earlier.name === change.name;
      if (isOvertaken && earlier.order < change.order) earlier.isDurable = true;
    }
  }
}

/** All files at or below `node`, once for each name. */
export function* filesBelow(node: SimNode): Generator<FileNode> {
  if (node instanceof FileNode) yield node;
  else for (const child of node.live.values()) yield* filesBelow(child);
}

function put(names: Map<string, SimNode>, name: string, node: SimNode | undefined): void {
  if (node === undefined) names.delete(name);
  else names.set(name, node);
}

/** Copies the durable names below `from`; a file with two names (a half rename) stays one file. */
function copyDurable(
  from: DirectoryNode,
  into: DirectoryNode,
  random: SimRandom,
  share: number,
  seen: Map<FileNode, FileNode>,
): void {
  for (const [name, node] of from.durable) {
    const copy = copyNode(node, random, share, seen);
    into.live.set(name, copy);
    into.durable.set(name, copy);
  }
}

function copyNode(
  node: SimNode,
  random: SimRandom,
  share: number,
  seen: Map<FileNode, FileNode>,
): SimNode {
  if (node instanceof DirectoryNode) {
    const copy = new DirectoryNode();
    copyDurable(node, copy, random, share, seen);
    return copy;
  }
  const known = seen.get(node);
  if (known !== undefined) return known;
  const copy = new FileNode(node.afterPowerLoss(random, share));
  seen.set(node, copy);
  return copy;
}

/**
 * The model of one lane: what a POSIX filesystem does with the same operations, written without a
 * look at the engine. Owns the tree of nodes, the workers' open files, and for each file which of its
 * recent contents a crash may still leave (`contents.ts`).
 *
 * Nodes are numbered in the order of their making, so that two models given the same operations
 * number them alike.
 */

import { assert, must, unreachable } from '../../src/model/assert.ts';
import { Contents } from './contents.ts';
import { pattern, type Operation, type PathOperation, type SlotOperation } from './operation.ts';
import type { FoundNode, FoundTree } from './tree.ts';

interface Attributes {
  readonly id: number;
  mode: number;
  /** Undefined where the daemon's clock set it. */
  mtime: number | undefined;
  readonly xattrs: Map<string, string>;
}

export interface FileNode extends Attributes {
  readonly kind: 'file';
  readonly contents: Contents;
  links: number;
}

export interface DirectoryNode extends Attributes {
  readonly kind: 'directory';
  readonly entries: Map<string, ModelNode>;
}

export interface SymlinkNode extends Attributes {
  readonly kind: 'symlink';
  readonly target: string;
  links: number;
}

export type ModelNode = FileNode | DirectoryNode | SymlinkNode;

interface OpenFile {
  readonly file: FileNode;
  readonly append: boolean;
  readonly synchronous: boolean;
}

/** What an operation did. */
export interface Effect {
  readonly refused: boolean;
  /** Nodes that it changed. */
  readonly touched: readonly ModelNode[];
  /** The node that is durable once the operation is answered. */
  readonly synced?: ModelNode;
}

const REFUSED: Effect = { refused: true, touched: [] };
const NOTHING: Effect = { refused: false, touched: [] };

const changed = (...touched: readonly ModelNode[]): Effect => ({ refused: false, touched });

interface Place {
  readonly parent: DirectoryNode;
  readonly name: string;
  readonly node: ModelNode | undefined;
}

export class LaneModel {
  readonly root: DirectoryNode;
  readonly #sizesOfInterest: ReadonlySet<number>;
  readonly #open = new Map<string, OpenFile>();
  #nextId = 0;

  /** Begins as `baseline`; `sizesOfInterest`: see `Contents`. */
  constructor(baseline: FoundTree, sizesOfInterest: ReadonlySet<number>) {
    this.#sizesOfInterest = sizesOfInterest;
    const byIno = new Map<number, ModelNode>();
    const root = this.#adopt(must(baseline.get(''), 'a lane has a directory'), byIno);
    assert(root.kind === 'directory', 'a lane is a directory');
    this.root = root;
    for (const [path, found] of baseline) {
      if (path === '') continue;
      const node = byIno.get(found.ino) ?? this.#adopt(found, byIno);
      const place = must(this.#at(path), `${path} has a parent`);
      place.parent.entries.set(place.name, node);
      if (node.kind !== 'directory') node.links++;
    }
  }

  #adopt(found: FoundNode, byIno: Map<number, ModelNode>): ModelNode {
    const node = this.#asNode(found);
    byIno.set(found.ino, node);
    return node;
  }

  #asNode(found: FoundNode): ModelNode {
    const { mtime } = found;
    if (found.kind === 'symlink') {
      return { ...this.#attributes(0o777, mtime), kind: 'symlink', target: found.target, links: 0 };
    }
    const attributes = this.#attributes(found.mode, mtime);
    for (const [name, value] of found.xattrs) attributes.xattrs.set(name, value);
    if (found.kind === 'directory') return { ...attributes, kind: 'directory', entries: new Map() };
    const contents = new Contents(found.bytes, this.#sizesOfInterest);
    return { ...attributes, kind: 'file', contents, links: 0 };
  }

  #attributes(mode: number, mtime?: number): Attributes {
    return { id: this.#nextId++, mode, mtime, xattrs: new Map() };
  }

  /** Carries out what `worker` did; it is refused where the system must have refused it. */
  apply(worker: number, operation: Operation): Effect {
    switch (operation.type) {
      case 'write':
      case 'ftruncate':
      case 'fallocate':
      case 'fsync':
      case 'close':
        return this.#onSlot(`${worker}/${operation.slot}`, operation);
      default:
        return this.#onPath(worker, operation);
    }
  }

  /** All that was written so far is in the log. */
  settleAll(): void {
    for (const node of this.nodes()) if (node.kind === 'file') node.contents.settle();
  }

  /** Every node that has a name or is open. */
  nodes(): Set<ModelNode> {
    const found = new Set<ModelNode>([this.root]);
    for (const node of found) {
      if (node.kind === 'directory') for (const child of node.entries.values()) found.add(child);
    }
    for (const { file } of this.#open.values()) found.add(file);
    return found;
  }

  #onSlot(key: string, operation: SlotOperation): Effect {
    const open = this.#open.get(key);
    if (open === undefined) return REFUSED;
    const { file } = open;
    switch (operation.type) {
      case 'write':
        return this.#write(open, operation.offset, pattern(operation.fill, operation.bytes));
      case 'ftruncate':
        return this.#truncate(file, operation.size);
      case 'fallocate':
        file.contents.allocate(operation.mode, operation.offset, operation.bytes);
        file.mtime = undefined;
        return changed(file);
      case 'fsync':
        return { refused: false, touched: [], synced: file };
      case 'close':
        this.#open.delete(key);
        file.contents.settle();
        return NOTHING;
      default:
        return unreachable(operation);
    }
  }

  #write({ file, append, synchronous }: OpenFile, offset: number, bytes: Buffer): Effect {
    file.contents.write(append ? file.contents.size : offset, bytes);
    file.mtime = undefined;
    return synchronous ? { ...changed(file), synced: file } : changed(file);
  }

  #truncate(file: FileNode, size: number): Effect {
    file.contents.truncate(size);
    file.mtime = undefined;
    return changed(file);
  }

  #onPath(worker: number, operation: PathOperation): Effect {
    switch (operation.type) {
      case 'open':
        return this.#openFile(worker, operation);
      case 'mkdir':
        return this.#make(operation.path, () => ({
          ...this.#attributes(operation.mode),
          kind: 'directory',
          entries: new Map(),
        }));
      case 'symlink':
        return this.#make(operation.path, () => ({
          ...this.#attributes(0o777),
          kind: 'symlink',
          target: operation.target,
          links: 1,
        }));
      case 'link':
        return this.#link(operation.from, operation.path);
      case 'rename':
        return this.#rename(operation);
      case 'rmdir':
      case 'unlink':
        return this.#remove(operation.type, operation.path);
      default:
        return this.#onNode(operation);
    }
  }

  #onNode(
    operation: Extract<
      PathOperation,
      { type: 'truncate' | 'chmod' | 'utimes' | 'setxattr' | 'removexattr' | 'fsyncdir' }
    >,
  ): Effect {
    const node = this.#nodeAt(operation.path);
    if (node === undefined) return REFUSED;
    if (operation.type === 'utimes') {
      node.mtime = operation.mtime;
      return this.#settled(node);
    }
    // All others follow symlinks, and ours lead nowhere.
    if (node.kind === 'symlink') return REFUSED;
    switch (operation.type) {
      case 'truncate':
        return node.kind === 'file' ? this.#truncate(node, operation.size) : REFUSED;
      case 'chmod':
        node.mode = operation.mode;
        return this.#settled(node);
      case 'setxattr':
        node.xattrs.set(
          operation.name,
          pattern(operation.fill, operation.bytes).toString('latin1'),
        );
        return this.#settled(node);
      case 'removexattr':
        return node.xattrs.delete(operation.name) ? this.#settled(node) : REFUSED;
      case 'fsyncdir':
        return node.kind === 'directory' ? { refused: false, touched: [], synced: node } : REFUSED;
      default:
        return unreachable(operation);
    }
  }

  /** A transaction on a node: what was written to it before is in the log first. */
  #settled(...nodes: readonly ModelNode[]): Effect {
    for (const node of nodes) if (node.kind === 'file') node.contents.settle();
    return changed(...nodes);
  }

  #openFile(worker: number, open: Extract<PathOperation, { type: 'open' }>): Effect {
    const place = this.#at(open.path);
    if (place === undefined) return REFUSED;
    const { node } = place;
    if (node === undefined ? !open.create : open.exclusive || node.kind !== 'file') return REFUSED;
    const file = node === undefined ? this.#newFile() : (node as FileNode);
    const { append, synchronous } = open;
    this.#open.set(`${worker}/${open.slot}`, { file, append, synchronous });
    if (node === undefined) return this.#enter(place, file);
    return open.truncate ? this.#truncate(file, 0) : NOTHING;
  }

  #newFile(): FileNode {
    const contents = new Contents(Buffer.alloc(0), this.#sizesOfInterest);
    return { ...this.#attributes(0o644), kind: 'file', contents, links: 1 };
  }

  #make(path: string, make: () => ModelNode): Effect {
    const place = this.#at(path);
    if (place === undefined || place.node !== undefined) return REFUSED;
    return this.#enter(place, make());
  }

  #enter({ parent, name }: Place, node: ModelNode): Effect {
    parent.entries.set(name, node);
    parent.mtime = undefined;
    return changed(parent, node);
  }

  #link(from: string, to: string): Effect {
    const node = this.#nodeAt(from);
    const place = this.#at(to);
    if (node === undefined || node.kind === 'directory') return REFUSED;
    if (place === undefined || place.node !== undefined) return REFUSED;
    node.links++;
    this.#settled(node);
    return this.#enter(place, node);
  }

  #remove(type: 'rmdir' | 'unlink', path: string): Effect {
    const place = this.#at(path);
    if (place?.node === undefined) return REFUSED;
    const { parent, name, node } = place;
    if ((node.kind === 'directory') !== (type === 'rmdir')) return REFUSED;
    if (node.kind === 'directory' && node.entries.size > 0) return REFUSED;
    parent.entries.delete(name);
    parent.mtime = undefined;
    this.#loseName(node);
    return changed(parent, node);
  }

  #loseName(node: ModelNode): void {
    this.#settled(node);
    if (node.kind !== 'directory') node.links--;
  }

  #rename({ from, path, kind }: Extract<PathOperation, { type: 'rename' }>): Effect {
    const source = this.#at(from);
    const target = this.#at(path);
    if (source?.node === undefined || target === undefined) return REFUSED;
    if (kind === 'exchange' && target.node === undefined) return REFUSED;
    if (kind === 'noreplace' && target.node !== undefined) return REFUSED;
    // A directory into itself, or over one that holds it.
    if (isInside(source.node, target.parent)) return REFUSED;
    if (target.node !== undefined && isInside(target.node, source.parent)) return REFUSED;
    if (source.node === target.node) return NOTHING;
    if (kind === 'exchange') return this.#exchange(source, target);
    if (target.node !== undefined && !mayReplace(source.node, target.node)) return REFUSED;
    return this.#move(source, target, source.node);
  }

  #move(source: Place, target: Place, node: ModelNode): Effect {
    source.parent.entries.delete(source.name);
    target.parent.entries.set(target.name, node);
    this.#settled(node);
    source.parent.mtime = undefined;
    target.parent.mtime = undefined;
    if (target.node === undefined) return changed(source.parent, target.parent, node);
    this.#loseName(target.node);
    return changed(source.parent, target.parent, node, target.node);
  }

  #exchange(source: Place, target: Place): Effect {
    const [moved, other] = [source.node as ModelNode, target.node as ModelNode];
    source.parent.entries.set(source.name, other);
    target.parent.entries.set(target.name, moved);
    source.parent.mtime = undefined;
    target.parent.mtime = undefined;
    this.#settled(moved, other);
    return changed(source.parent, target.parent, moved, other);
  }

  #nodeAt(path: string): ModelNode | undefined {
    return path === '' ? this.root : this.#at(path)?.node;
  }

  /** Where `path` (not '') leads; undefined if its directory does not exist. */
  #at(path: string): Place | undefined {
    const steps = path.split('/');
    const name = must(steps.pop(), 'a path has a name');
    let parent: ModelNode = this.root;
    for (const step of steps) {
      const next: ModelNode | undefined = parent.entries.get(step);
      if (next?.kind !== 'directory') return undefined;
      parent = next;
    }
    return { parent, name, node: parent.entries.get(name) };
  }
}

/** Whether `directory` is `node` or lies below it. */
function isInside(node: ModelNode, directory: DirectoryNode): boolean {
  if (node === directory) return true;
  if (node.kind !== 'directory') return false;
  return [...node.entries.values()].some((child) => isInside(child, directory));
}

function mayReplace(source: ModelNode, target: ModelNode): boolean {
  if (source.kind === 'directory' || target.kind === 'directory') {
    return source.kind === target.kind && (target as DirectoryNode).entries.size === 0;
  }
  return true;
}

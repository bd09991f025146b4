/**
 * The oracle's filesystem: what the operations of a run amount to, kept so simply that it is right
 * by inspection. It knows no log, no index and no disk, and shares no code with the engine.
 */

import { createHash } from 'node:crypto';
import { ROOT_INO } from '../../../src/model/ids.ts';

/** Contents as a short name for them. */
export const digestOf = (bytes: Uint8Array): string =>
  `${bytes.length}:${createHash('sha1').update(bytes).digest('hex').slice(0, 16)}`;

/** The contents that a file had one after another, and what is promised about them. */
export interface ContentHistory {
  /** Every state of the contents, with the number of the operation that made it. */
  readonly versions: { readonly step: number; readonly digest: string }[];
  /** Moments at which everything written before had to be in the log. */
  readonly placed: { readonly step: number; readonly version: number }[];
  /** The oldest version that may be found: what an fsync reported. */
  durable: number;
}

export interface Node {
  readonly kind: 'file' | 'directory' | 'symlink';
  mode: number;
  uid: number;
  gid: number;
  readonly xattrs: Map<string, string>;
  /** Directories. */
  readonly entries: Map<string, Node>;
  /** Symbolic links. */
  readonly target: string;
  /** Files: the contents now. */
  bytes: Buffer;
  readonly contents: ContentHistory;
  /** The engine's number for it; 0 while unknown. */
  ino: number;
  /** Position among the recorded states of the last one that changed its names or attributes. */
  changedIn: number;
}

export function newNode(kind: Node['kind'], mode: number, step: number, target = ''): Node {
  const bytes = Buffer.alloc(0);
  const versions = [{ step, digest: digestOf(bytes) }];
  return {
    kind,
    mode,
    uid: 0,
    gid: 0,
    xattrs: new Map(),
    entries: new Map(),
    target,
    bytes,
    contents: { versions, placed: [], durable: 0 },
    ino: 0,
    changedIn: 0,
  };
}

/** Gives a file new contents, as a version of their own. */
export function setBytes(node: Node, bytes: Buffer, step: number): void {
  node.bytes = bytes;
  node.contents.versions.push({ step, digest: digestOf(bytes) });
}

/** `node`'s bytes with `bytes` written at `offset`. */
export function overwritten(before: Buffer, offset: number, bytes: Buffer): Buffer {
  const after = Buffer.alloc(Math.max(before.length, offset + bytes.length));
  before.copy(after);
  bytes.copy(after, offset);
  return after;
}

/** `node`'s bytes cut or extended with zeros to `length`. */
export function resized(before: Buffer, length: number): Buffer {
  const after = Buffer.alloc(length);
  before.copy(after, 0, 0, Math.min(length, before.length));
  return after;
}

/** All names in a tree with what they lead to, parents first, names sorted. */
export function* walk(node: Node, path = ''): Generator<readonly [path: string, node: Node]> {
  yield [path === '' ? '/' : path, node];
  const names = [...node.entries.keys()].sort();
  for (const name of names) yield* walk(node.entries.get(name) as Node, `${path}/${name}`);
}

/** What a file of a tree shows besides its contents, as one line. */
function describeNode(path: string, node: Node, sameAs: string): string {
  const xattrs = [...node.xattrs]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`);
  const owner = `${node.uid}:${node.gid}`;
  return [path, node.kind, node.mode.toString(8), owner, sameAs, node.target, ...xattrs].join(' ');
}

/** A tree without its contents, as text: equal texts, equal trees. Hard links are told apart. */
export function describeTree(root: Node): string {
  const firstPath = new Map<Node, string>();
  const lines: string[] = [];
  for (const [path, node] of walk(root)) {
    const first = firstPath.get(node) ?? path;
    firstPath.set(node, first);
    lines.push(describeNode(path, node, first));
  }
  return lines.join('\n');
}

/** The root of a fresh volume. */
export function newRoot(mode: number): Node {
  const root = newNode('directory', mode, 0);
  root.ino = ROOT_INO;
  return root;
}

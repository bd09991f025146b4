/**
 * Reads a lane back through the mount, without ever blocking this process on a daemon that hangs.
 */

import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { digestOf } from './contents.ts';
import { xattrsOf } from './libc.ts';
import type { FoundNode, FoundTree } from './tree.ts';

const PERMISSIONS = 0o7777;

/** The tree at `root`. Throws what the filesystem answers: nothing in it may fail. */
export async function observe(root: string): Promise<FoundTree> {
  const found = new Map<string, FoundNode>();
  const visit = async (relative: string): Promise<void> => {
    const path = relative === '' ? root : `${root}/${relative}`;
    const node = await nodeAt(path, await lstat(path));
    found.set(relative, node);
    if (node.kind !== 'directory') return;
    for (const name of (await readdir(path)).sort()) {
      await visit(relative === '' ? name : `${relative}/${name}`);
    }
  };
  await visit('');
  return found;
}

async function nodeAt(path: string, stats: Stats): Promise<FoundNode> {
  const { ino, nlink } = stats;
  const mtime = Math.floor(stats.mtimeMs / 1000);
  const common = { ino, nlink, mtime };
  if (stats.isSymbolicLink()) return { kind: 'symlink', ...common, target: await readlink(path) };
  const xattrs = await xattrsOf(path);
  const mode = stats.mode & PERMISSIONS;
  if (stats.isDirectory()) return { kind: 'directory', ...common, mode, xattrs };
  const bytes = await readFile(path);
  if (bytes.length !== stats.size)
    throw new Error(`${path}: ${bytes.length} bytes of ${stats.size}`);
  return { kind: 'file', ...common, mode, xattrs, bytes, digest: digestOf(bytes) };
}

/** Typed reads of a snapshot: what the engine and the tools ask of ranges. */

import { asByteString, type ByteString, type Ino, type Position } from '../model/ids.ts';
import type { Inode } from '../model/inode.ts';
import { backrefKey, decodeNumber, FAMILY, positionKey, xattrKey } from './keys.ts';
import { afterPrefix } from './layer.ts';
import type { IndexSnapshot } from './snapshot.ts';

const FIRST = 1;
const SECOND = 9;
const THIRD = 17;

export interface ListedEntry {
  readonly name: ByteString;
  readonly ino: Ino;
  readonly kind: number;
  readonly position: Position;
  /** For whoever asked for the list: nothing here looks it up. */
  inode: Inode | undefined;
}

export interface Backref {
  readonly dir: Ino;
  readonly position: Position;
  readonly name: ByteString;
}

/** Up to `limit` entries of `dir` with position >= `from`, in position order; none is the end. */
export async function readDirectory(
  snapshot: IndexSnapshot,
  dir: Ino,
  from: Position,
  limit: number,
): Promise<ListedEntry[]> {
  const group = positionKey(dir, 0 as Position).slice(0, SECOND);
  const lt = afterPrefix(group);
  const rows = await snapshot.scanBatch('position', positionKey(dir, from), lt, { limit });
  return rows.map(({ key, value }) => ({
    name: value.name,
    ino: value.ino,
    kind: value.kind,
    position: decodeNumber(key, SECOND) as Position,
    inode: undefined,
  }));
}

/** Names of the first `limit` or all extended attributes of `ino`, sorted. */
export async function listXattrs(
  snapshot: IndexSnapshot,
  ino: Ino,
  limit = Infinity,
): Promise<ByteString[]> {
  const group = xattrKey(ino, asByteString(''));
  const rows = await snapshot.scanBatch('xattr', group, afterPrefix(group), { limit });
  return rows.map(({ key }) => asByteString(key.slice(SECOND)));
}

/** Every name of `ino`. */
export async function backrefs(snapshot: IndexSnapshot, ino: Ino): Promise<Backref[]> {
  const group = backrefKey(ino, 0 as Ino, 0 as Position).slice(0, SECOND);
  const rows = await snapshot.scanBatch('backref', group, afterPrefix(group));
  return rows.map(({ key, value }) => ({
    dir: decodeNumber(key, SECOND) as Ino,
    position: decodeNumber(key, THIRD) as Position,
    name: value.name,
  }));
}

/** Inodes without a name, in order. */
export const orphans = (snapshot: IndexSnapshot): AsyncIterable<Ino> => inos(snapshot, 'orphan');

/** Inodes whose truncation is not finished, in order. */
export const unfinishedTruncates = (snapshot: IndexSnapshot): AsyncIterable<Ino> =>
  inos(snapshot, 'truncating');

async function* inos(snapshot: IndexSnapshot, family: 'orphan' | 'truncating'): AsyncIterable<Ino> {
  const rows = snapshot.scan(family, FAMILY[family], afterPrefix(FAMILY[family]));
  for await (const { key } of rows) yield decodeNumber(key, FIRST) as Ino;
}

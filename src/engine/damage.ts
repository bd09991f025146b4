/**
 * From damaged data to the files that have it: bad ranges of data segments are looked for in the
 * extents, and inodes are named by walking their back references up to the root.
 *
 * There is no way back from a segment to its files, since nothing but damage asks for it: so naming
 * scans all extents, on a snapshot, while work goes on. What it finds is the state of that moment.
 */

import type { BadRange } from '../data/scrub.ts';
import { DamagedBlock, MissingSegment, type Place } from '../data/types.ts';
import type { Index, IndexSnapshot } from '../index/index.ts';
import { decodeNumber, FAMILY } from '../index/keys.ts';
import { afterPrefix } from '../index/layer.ts';
import { backrefs } from '../index/views.ts';
import { clip, isUnwritten, type Extent } from '../model/extent.ts';
import {
  asByteString,
  bytesOf,
  ROOT_INO,
  type ByteString,
  type Ino,
  type SegmentNumber,
} from '../model/ids.ts';
import type { Core } from './core.ts';

/** Blocks of a file. */
export interface BlockRange {
  readonly block: number;
  readonly count: number;
}

export interface DamagedFile {
  readonly ino: Ino;
  /** All its names, from the root; none for a file that was removed and is still open. */
  readonly paths: readonly ByteString[];
  readonly blocks: readonly BlockRange[];
}

/** A bad range and who has it. No files: only the past does. */
export interface NamedRange extends BadRange {
  readonly files: readonly DamagedFile[];
  /** Files beyond those that are listed. */
  readonly moreFiles: number;
}

/** Files that are listed for one range (shared blocks may have any number). */
const MAX_FILES = 100;
/** Names that are listed for one file. */
const MAX_NAMES = 16;
/** No path that anybody can use is deeper; and the walk ends whatever the index holds. */
const MAX_DEPTH = 4096;

/** The blocks of a file that `extent` maps into `bad`; undefined if there are none. */
export function damagedBlocks(extent: Extent, bad: Place): BlockRange | undefined {
  if (extent.segment !== bad.segment || isUnwritten(extent)) return undefined;
  const from = extent.block + Math.max(0, bad.segmentBlock - extent.segmentBlock);
  const to = extent.block + bad.segmentBlock + bad.count - extent.segmentBlock;
  if (to <= from || from >= extent.block + extent.count) return undefined;
  const { block, count } = clip(extent, from, to);
  return { block, count };
}

/** One file's damage in a range, while it is being collected. */
interface Found {
  readonly ino: Ino;
  readonly blocks: BlockRange[];
}

/** Collects the files of bad ranges, extent by extent in key order: pure. */
export class DamageMap {
  readonly #ranges: readonly BadRange[];
  readonly #files: Found[][];
  readonly #more: number[];
  readonly #bySegment = new Map<SegmentNumber, number[]>();

  constructor(ranges: readonly BadRange[]) {
    this.#ranges = ranges;
    this.#files = ranges.map(() => []);
    this.#more = ranges.map(() => 0);
    for (const [i, { segment }] of ranges.entries()) {
      const inSegment = this.#bySegment.get(segment);
      if (inSegment === undefined) this.#bySegment.set(segment, [i]);
      else inSegment.push(i);
    }
  }

  /** Takes the next extent of `ino`; all of an inode's come one after another. */
  add(ino: Ino, extent: Extent): void {
    for (const i of this.#bySegment.get(extent.segment) ?? []) {
      const blocks = damagedBlocks(extent, this.#ranges[i]!);
      if (blocks !== undefined) this.#found(i, ino, blocks);
    }
  }

  #found(range: number, ino: Ino, blocks: BlockRange): void {
    const files = this.#files[range]!;
    const last = files.at(-1);
    if (last?.ino === ino) last.blocks.push(blocks);
    else if (files.length < MAX_FILES) files.push({ ino, blocks: [blocks] });
    else this.#more[range]!++;
  }

  /** The ranges with their files, named by `pathsOf`. */
  async named(pathsOf: (ino: Ino) => Promise<readonly ByteString[]>): Promise<NamedRange[]> {
    const named: NamedRange[] = [];
    for (const [i, range] of this.#ranges.entries()) {
      const files: DamagedFile[] = [];
      for (const { ino, blocks } of this.#files[i]!) {
        files.push({ ino, paths: await pathsOf(ino), blocks });
      }
      named.push({ ...range, files, moreFiles: this.#more[i]! });
    }
    return named;
  }
}

/** The files that have `ranges`. Scans all extents; `onProgress` is told how many so far. */
export async function nameFiles(
  index: Index,
  ranges: readonly BadRange[],
  onProgress: (extents: number) => void,
): Promise<NamedRange[]> {
  if (ranges.length === 0) return [];
  const map = new DamageMap(ranges);
  const snapshot = index.snapshot();
  try {
    let extents = 0;
    const rows = snapshot.scan('extent', FAMILY.extent, afterPrefix(FAMILY.extent));
    for await (const { key, value } of rows) {
      map.add(decodeNumber(key, 1) as Ino, { ...value, block: decodeNumber(key, 9) });
      if (++extents % 100_000 === 0) onProgress(extents);
    }
    return await map.named((ino) => pathsOf(snapshot, ino));
  } finally {
    snapshot.close();
  }
}

/** The paths of `ino` from the root, one for each of its names. */
async function pathsOf(snapshot: IndexSnapshot, ino: Ino): Promise<ByteString[]> {
  const paths: ByteString[] = [];
  for (const { dir, name } of (await backrefs(snapshot, ino)).slice(0, MAX_NAMES)) {
    const parent = await directoryPath(snapshot, dir);
    if (parent !== undefined) paths.push(asByteString(`${parent}/${name}`));
  }
  return paths;
}

/** Without a slash at its end; undefined for one that was removed. */
async function directoryPath(snapshot: IndexSnapshot, dir: Ino): Promise<string | undefined> {
  let path = '';
  let at = dir;
  for (let depth = 0; at !== ROOT_INO && depth < MAX_DEPTH; depth++) {
    const [above] = await backrefs(snapshot, at);
    if (above === undefined) return undefined;
    path = `/${above.name}${path}`;
    at = above.dir;
  }
  return path;
}

/** Whether `error` is damage below one file (EIO for its reader), and not a bug. */
export const isDamage = (error: unknown): error is Error =>
  error instanceof DamagedBlock ||
  error instanceof MissingSegment ||
  (error instanceof Error && 'code' in error);

/** Tells the journal about damage that a read of `ino` met, with the file's paths. */
export function tellDamage(core: Core, ino: Ino, error: Error): void {
  const snapshot = core.index.snapshot();
  const tell = (paths: readonly ByteString[]): void => {
    const named = paths.map((path) => bytesOf(path).toString('utf8'));
    const which = [`inode ${ino}`, ...named].join(', ');
    core.journal('error', `${which}: ${error.message}`, { ino, paths: named });
  };
  // Without the paths the damage is told all the same: the index may be closing just now.
  void pathsOf(snapshot, ino)
    .catch(() => [])
    .then(tell)
    .finally(() => snapshot.close());
}

/**
 * The sweep: after an unclean stop or a rebuild, gives back what earlier runs left in the data
 * directory and no transaction names. Runs before this run's store is opened, on an index that has
 * caught up with the whole log: what that does not know was never acknowledged.
 *
 * - A file whose segment the index does not know is deleted: it was made ready and never used, or a
 *   crash came before its first commit. So is one in another run's folder than the index says: its
 *   removal was lost with the power, and its number, never used, was given again.
 * - A known segment is cut after the last block that an extent or the past refers to: what lies
 *   behind was reserved, or written and never committed. That block's own bytes are synced by now.
 * Both can be repeated; a crash between them leaves the rest to the next sweep. Folders of runs
 * stay.
 */

import type { Disk } from '../io/disk.ts';
import type { FreedItem, RefItem } from '../index/items.ts';
import { decodeNumber, FAMILY } from '../index/keys.ts';
import { BLOCK_BYTES, segmentNumber, type Rid, type SegmentNumber } from '../model/ids.ts';
import { collect, familyEnd, refRange, withSnapshot } from './item-source.ts';
import type { ItemSnapshot, ItemSource } from './item-source.ts';
import { parseFolder, parseSegmentName, segmentFolder, segmentPath } from './segments.ts';

export interface SweepOptions {
  readonly disk: Disk;
  /** The volume's data directory. */
  readonly dir: string;
  readonly items: ItemSource & {
    segment(segment: SegmentNumber): { readonly rid: Rid } | undefined;
  };
  /** Runs whose segments may have been left unclean; all unless given (after a rebuild). */
  readonly rids?: ReadonlySet<Rid>;
}

export interface SweepReport {
  readonly deletedFiles: number;
  readonly cutFiles: number;
  /** Bytes that the disk below got back. */
  readonly freedBytes: number;
}

/** Sweeps the data directory; throws the disk's errors. */
export async function sweep(options: SweepOptions): Promise<SweepReport> {
  const found = await segmentFiles(options);
  const report = { deletedFiles: 0, cutFiles: 0, freedBytes: 0 };
  await withSnapshot(options.items, async (snapshot) => {
    const heldEnds = await endsOfFreed(snapshot);
    for (const { rid, segment } of found) {
      const path = segmentPath(options.dir, rid, segment);
      const before = (await options.disk.info(path))?.allocatedBytes ?? 0;
      if (options.items.segment(segment)?.rid !== rid) {
        await options.disk.unlink(path);
        report.deletedFiles++;
        report.freedBytes += before;
        continue;
      }
      const end = Math.max(await endOfOwned(snapshot, segment), heldEnds.get(segment) ?? 0);
      const after = await cut(options.disk, path, end);
      if (after < before) report.cutFiles++;
      report.freedBytes += before - after;
    }
  });
  return report;
}

async function segmentFiles(
  options: SweepOptions,
): Promise<{ readonly rid: Rid; readonly segment: SegmentNumber }[]> {
  const { disk, dir, rids } = options;
  const files: { rid: Rid; segment: SegmentNumber }[] = [];
  for (const folder of await disk.list(dir)) {
    const rid = parseFolder(folder);
    if (rid === undefined || rids?.has(rid) === false) continue;
    for (const name of await disk.list(segmentFolder(dir, rid))) {
      const segment = parseSegmentName(name);
      if (segment !== undefined) files.push({ rid, segment });
    }
  }
  return files;
}

/** For each segment that the past refers to: the block after the last such one. */
async function endsOfFreed(snapshot: ItemSnapshot): Promise<Map<SegmentNumber, number>> {
  const ends = new Map<SegmentNumber, number>();
  for await (const { key, value } of snapshot.scan('freed', FAMILY.freed, familyEnd('freed'))) {
    const segment = segmentNumber(decodeNumber(key, 9));
    const end = decodeNumber(key, 17) + (value as FreedItem).count;
    if (end > (ends.get(segment) ?? 0)) ends.set(segment, end);
  }
  return ends;
}

/** The block after the last one of a segment that an extent maps; 0 if there is none. */
async function endOfOwned(snapshot: ItemSnapshot, segment: SegmentNumber): Promise<number> {
  const range = refRange(segment);
  const [last] = await collect(snapshot.scan('ref', ...range, { limit: 1, reverse: true }));
  return last === undefined ? 0 : decodeNumber(last.key, 9) + (last.value as RefItem).count;
}

/**
 * Cuts a segment's file after block `end`; resolves to the bytes that it still occupies. The size
 * is set even where the file is no longer: that gives back what was reserved behind its end.
 */
async function cut(disk: Disk, path: string, end: number): Promise<number> {
  const file = await disk.open(path, 'write');
  try {
    await file.truncate(end * BLOCK_BYTES);
    return (await file.info()).allocatedBytes;
  } finally {
    await file.close();
  }
}

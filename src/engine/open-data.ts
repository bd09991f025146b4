/** The data layer at the opening of a volume: what no transaction names goes, then it opens. */

import { SegmentStore } from '../data/segment-store.ts';
import { sweep } from '../data/sweep.ts';
import type { Rid, SegmentNumber } from '../model/ids.ts';
import type { Maintenance } from './maintenance.ts';
import type { Opened } from './volume.ts';

/** After an unclean stop: data that was written and is not in the log. */
export async function sweepData({ ports, paths, index, options }: Opened): Promise<void> {
  const report = await sweep({ disk: ports.disk, dir: paths.data, items: index });
  if (report.deletedFiles + report.cutFiles === 0) return;
  options.log('info', 'swept data that no transaction names', report);
}

/** The segments, and a folder of this run for new ones. */
export function openData(
  { index, paths, ports }: Opened,
  run: Rid,
  nextSegment: SegmentNumber,
  maintenance: Maintenance,
): Promise<SegmentStore> {
  return SegmentStore.open({
    disk: ports.disk,
    clock: ports.clock,
    dir: paths.data,
    rid: run,
    nextSegment,
    segmentRid: (segment) => index.segment(segment)?.rid,
    makeSpace: (bytes) => maintenance.makeSpace(bytes),
  });
}

/**
 * What a filesystem offers beyond the calls that every one has, found by asking it. A random test
 * leaves out what the mount does not offer, since the contents would differ from there on, and says
 * so in its result.
 */

import type { Actor } from './actor.ts';
import { FALLOC, O, SEEK } from './numbers.ts';

const { KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE } = FALLOC;

export type Feature =
  | 'preallocation'
  | 'punch'
  | 'zero-range'
  | 'seek-holes'
  | 'tmpfile'
  | 'acl'
  | 'xattr-names';

/** rwx for the owner and nobody else (linux/posix_acl_xattr.h). */
const MINIMAL_ACL =
  '%02%00%00%00%01%00%07%00%FF%FF%FF%FF%04%00%00%00%FF%FF%FF%FF%20%00%00%00%FF%FF%FF%FF';

/** Each: operations of which the last one answers as told where the feature is offered. */
const PROBES: Readonly<Record<Feature, readonly [operation: string, expected: RegExp]>> = {
  preallocation: ['fallocate 0 0 0 65536', /^ok/],
  punch: [`fallocate 0 ${PUNCH_HOLE | KEEP_SIZE} 0 4096`, /^ok/],
  'zero-range': [`fallocate 0 ${ZERO_RANGE} 0 4096`, /^ok/],
  'seek-holes': [`lseek 1 0 ${SEEK.DATA}`, /^ok 65536/],
  tmpfile: [`open 2 . ${O.TMPFILE | O.RDWR} 384`, /^ok/],
  acl: [`putxattr probe system.posix_acl_access ${MINIMAL_ACL} 0`, /^ok/],
  // Names that no filesystem keeps are refused as such, as on others.
  'xattr-names': ['getxattr probe nonsense', /^EOPNOTSUPP/],
};

/** What the filesystem offers on which `actor` (of root) stands. Leaves nothing behind. */
export async function featuresOf(actor: Actor): Promise<ReadonlySet<Feature>> {
  await actor.askAll([
    `open 0 probe ${O.RDWR | O.CREAT} 384`,
    'write 0 1 8192',
    `open 1 sparse ${O.RDWR | O.CREAT} 384`,
    'pwrite 1 65536 1 1',
    'fsync 1',
  ]);
  const found = new Set<Feature>();
  for (const [feature, [operation, expected]] of Object.entries(PROBES)) {
    if (expected.test(await actor.ask(operation))) found.add(feature as Feature);
  }
  await actor.askAll(['close 0', 'close 1', 'close 2', 'unlink probe', 'unlink sparse']);
  return found;
}

export const ALL_FEATURES = Object.keys(PROBES) as readonly Feature[];

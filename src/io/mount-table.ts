/**
 * The mount table of this process's namespace, from /proc/self/mountinfo (proc(5)): how a mount of
 * ours is found from a path, a stale one noticed, and a busy mount point refused.
 */

import { readFileSync } from 'node:fs';
import { byteString, type ByteString } from '../model/ids.ts';

export interface Mount {
  readonly mountId: number;
  /** Decimal "major:minor" of the filesystem's st_dev. */
  readonly device: string;
  /** The directory of the filesystem that is mounted; "/" but for bind mounts. */
  readonly root: ByteString;
  readonly mountPoint: ByteString;
  /** 'ext4', 'fuse.ledgerfs' ... */
  readonly type: string;
  /** What was named as source: for ours, the volume's directory. */
  readonly source: ByteString;
  /** Per-mount options ('rw', 'nosuid' ...), then those of the filesystem ('user_id=0' ...). */
  readonly options: readonly string[];
}

/** Bytes that the kernel escapes in these fields stand as a backslash and three octal digits. */
const unescape = (field: string): ByteString =>
  field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8) & 255),
  ) as ByteString;

/**
 * One line: `ID PARENT MAJ:MIN ROOT MOUNTPOINT OPTIONS [TAG ...] - TYPE SOURCE SUPEROPTIONS`.
 * Undefined for one that does not have this shape.
 */
function parseLine(line: string): Mount | undefined {
  const fields = line.split(' ');
  const dash = fields.indexOf('-', 6);
  const [id, , device, root, mountPoint, options] = fields;
  if (dash < 0 || id === undefined || device === undefined || root === undefined) return undefined;
  if (mountPoint === undefined || options === undefined) return undefined;
  const [type = '', source = '', superOptions = ''] = fields.slice(dash + 1);
  return {
    mountId: Number(id),
    device,
    root: unescape(root),
    mountPoint: unescape(mountPoint),
    type: unescape(type),
    source: unescape(source),
    options: [...options.split(','), ...superOptions.split(',').filter((o) => o !== '')],
  };
}

/** Parses a mountinfo file; one char a byte. In mount order: a later one hides an earlier one. */
export function parseMountTable(text: ByteString): Mount[] {
  return text
    .split('\n')
    .map(parseLine)
    .filter((mount) => mount !== undefined);
}

/** The mounts that this process sees, in mount order. */
export const mountTable = (): Mount[] =>
  parseMountTable(byteString(readFileSync('/proc/self/mountinfo')));

/** The mount that is on top at exactly `mountPoint` (an absolute path without symlinks). */
export const mountAt = (mounts: readonly Mount[], mountPoint: ByteString): Mount | undefined =>
  mounts.findLast((mount) => mount.mountPoint === mountPoint);

/** The mount that holds `path` (absolute, without symlinks): the deepest, topmost one above it. */
export function mountOf(mounts: readonly Mount[], path: ByteString): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) {
    const isAbove =
      mount.mountPoint === '/' ||
      path === mount.mountPoint ||
      path.startsWith(`${mount.mountPoint}/`);
    if (isAbove && mount.mountPoint.length >= (found?.mountPoint.length ?? 0)) found = mount;
  }
  return found;
}

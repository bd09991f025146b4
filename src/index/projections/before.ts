/** What projection reads: the current state of the index, synchronously. */

import type { ByteString, Ino, SegmentNumber } from '../../model/ids.ts';
import type { Inode } from '../../model/inode.ts';
import type { ChecksumItem, DirentItem, VolumeItem, XattrItem } from '../items.ts';
import type { PlacedExtent, PlacedRef } from '../placed.ts';

/**
 * The state that a transaction is projected against. `extents` and `refs` answer with the items that
 * overlap [from, to), sorted and not clipped, or throw `Miss`.
 */
export interface Before {
  volume(): VolumeItem | undefined;
  inode(ino: Ino): Inode | undefined;
  dirent(dir: Ino, name: ByteString): DirentItem | undefined;
  xattr(ino: Ino, name: ByteString): XattrItem | undefined;
  checksums(segment: SegmentNumber, run: number): ChecksumItem | undefined;
  extents(ino: Ino, from: number, to: number): readonly PlacedExtent[];
  refs(segment: SegmentNumber, from: number, to: number): readonly PlacedRef[];
}

/**
 * Projection: a transaction and the state before it, to the mutations of the index. Pure,
 * synchronous, and it cannot refuse: an event that does not fit the state means that index or code
 * is corrupt, and is asserted.
 *
 * Later events of a transaction see what earlier ones did (`projections/working.ts`). The result has
 * at most one mutation per key, and an item that was made and removed within the transaction leaves
 * nothing. Mutations of extents stand before that of their inode, those of a segment before its
 * references: `Index.apply` relies on it.
 */

import { unreachable } from '../model/assert.ts';
import type { Event } from '../model/event.ts';
import type { Transaction } from '../model/transaction.ts';
import type { Mutation } from './items.ts';
import type { Before } from './projections/before.ts';
import { blocksChecksummed, segmentRemoved } from './projections/checksum.ts';
import { direntAdded, direntRemoved } from './projections/dirent.ts';
import { extentsMapped, extentsRemoved, finishExtents } from './projections/extent.ts';
import * as inode from './projections/inode.ts';
import { finishOwnership } from './projections/reference.ts';
import * as volume from './projections/volume.ts';
import { Working } from './projections/working.ts';
import { xattrRemoved, xattrSet } from './projections/xattr.ts';

/** The mutations that `transaction` makes to the state `before`. Throws what `before` throws (`Miss`). */
export function project(transaction: Transaction, before: Before): readonly Mutation[] {
  const work = new Working(transaction, before);
  for (const event of transaction.events) projectEvent(work, event);
  finishExtents(work);
  finishOwnership(work);
  volume.timePassed(work);
  return work.finish();
}

function projectEvent(work: Working, event: Event): void {
  switch (event.type) {
    case 'VolumeFormatted':
      return volume.volumeFormatted(work, event);
    case 'FormatRaised':
      return volume.formatRaised(work, event);
    case 'InodeCreated':
      return inode.inodeCreated(work, event);
    case 'AttributesChanged':
      return inode.attributesChanged(work, event);
    case 'LinksChanged':
      return inode.linksChanged(work, event);
    case 'DirectoryChanged':
      return inode.directoryChanged(work, event);
    case 'DirentAdded':
      return direntAdded(work, event);
    case 'DirentRemoved':
      return direntRemoved(work, event);
    case 'OrphanAdded':
      return inode.orphanAdded(work, event);
    case 'OrphanRemoved':
      return inode.orphanRemoved(work, event);
    case 'InodeDeleted':
      return inode.inodeDeleted(work, event);
    case 'ContentsChanged':
      return inode.contentsChanged(work, event);
    case 'TruncateFinished':
      return inode.truncateFinished(work, event);
    case 'ExtentsMapped':
      return extentsMapped(work, event);
    case 'ExtentsRemoved':
      return extentsRemoved(work, event);
    case 'SegmentCreated':
      return volume.segmentCreated(work, event);
    case 'SegmentRemoved':
      return segmentRemoved(work, event);
    case 'BlocksChecksummed':
      return blocksChecksummed(work, event);
    case 'XattrSet':
      return xattrSet(work, event);
    case 'XattrRemoved':
      return xattrRemoved(work, event);
    case 'AccessTimeChanged':
      return inode.accessTimeChanged(work, event);
    default:
      return unreachable(event);
  }
}

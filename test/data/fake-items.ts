/** An index of plain sorted items, for testing what walks it. */

import type { Item, Mutation, VolumeItem } from '../../src/index/items.ts';
import { checksumKey, FAMILY, freedKey, refKey, segmentKey } from '../../src/index/keys.ts';
import type { ItemSnapshot, MutableItems, ScannedItem } from '../../src/data/item-source.ts';
import { VOLUME_KEY } from '../../src/data/item-source.ts';
import { packedChecksum } from '../../src/data/checksum.ts';
import type { Place } from '../../src/data/types.ts';
import { NO_SEGMENT, rid, segmentNumber, seq, type Rid } from '../../src/model/ids.ts';
import type { Ino, SegmentNumber } from '../../src/model/ids.ts';

const VOLUME: VolumeItem = {
  fsid: '',
  format: 1,
  historyMicros: 0,
  sizeLimitBlocks: 0,
  nextIno: 1024 as Ino,
  nextSegment: NO_SEGMENT,
  inodes: 1,
  usedBlocks: 0,
  heldBlocks: 0,
  lastTime: 0,
};

export class FakeItems implements MutableItems {
  /** The family and the first key of every scan. */
  readonly scans: (readonly [family: string, gte: string])[] = [];
  #items = new Map<string, Item>();

  constructor(volume: Partial<VolumeItem> = {}) {
    this.#items.set(VOLUME_KEY, { ...VOLUME, ...volume });
  }

  /** A copy, as a restart without a lost index finds it. */
  copy(): FakeItems {
    const copy = new FakeItems();
    copy.#items = new Map(this.#items);
    return copy;
  }

  volume(): VolumeItem {
    return this.#items.get(VOLUME_KEY) as VolumeItem;
  }

  segment(n: SegmentNumber): { rid: Rid } | undefined {
    return this.#items.get(segmentKey(n)) as { rid: Rid } | undefined;
  }

  snapshot(): ItemSnapshot {
    const keys = [...this.#items.keys()].toSorted((a, b) => (a < b ? -1 : 1));
    const items = new Map(this.#items);
    const { scans } = this;
    return {
      // oxlint-disable-next-line require-await
      async *scan(family, gte, lt, options = {}): AsyncGenerator<ScannedItem> {
        scans.push([family, gte]);
        const found = keys.filter((key) => key >= gte && key < lt);
        if (options.reverse === true) found.reverse();
        for (const key of found.slice(0, options.limit)) {
          yield { key, value: items.get(key) as Item };
        }
      },
      close: () => undefined,
    };
  }

  applyUnlogged(mutations: readonly Mutation[]): void {
    for (const { key, value } of mutations) {
      if (value === undefined) this.#items.delete(key);
      else this.#items.set(key, value);
    }
  }

  put(key: string, value: Item): void {
    this.#items.set(key, value);
  }

  delete(key: string): void {
    this.#items.delete(key);
  }

  /** Keys of a family, in order. */
  keys(family: keyof typeof FAMILY): string[] {
    return [...this.#items.keys()].filter((key) => key.startsWith(FAMILY[family])).toSorted();
  }

  addSegment(n: number, writer = 1): void {
    this.put(segmentKey(segmentNumber(n)), { rid: rid(writer) });
  }

  /** What projecting `SegmentRemoved` does. */
  removeSegment(n: number): void {
    this.delete(segmentKey(segmentNumber(n)));
    this.delete(checksumKey(segmentNumber(n), 0));
  }

  /** Current extents map the place. */
  own(place: Place): void {
    this.put(refKey(place.segment, place.segmentBlock), { count: place.count, owners: 1 });
    const volume = this.volume();
    this.put(VOLUME_KEY, { ...volume, usedBlocks: volume.usedBlocks + place.count });
  }

  /** A transaction let the place go. */
  free(at: number, place: Place): void {
    this.delete(refKey(place.segment, place.segmentBlock));
    this.put(freedKey(seq(at), place.segment, place.segmentBlock), { count: place.count });
    const volume = this.volume();
    this.put(VOLUME_KEY, { ...volume, heldBlocks: volume.heldBlocks + place.count });
  }

  /** Notes the packed checksums of a place that lies in the first run of its segment. */
  addChecksums(place: Place, packed: Buffer): void {
    const key = checksumKey(place.segment, 0);
    const known = this.#items.get(key) as { checksums: Buffer } | undefined;
    const checksums = Buffer.alloc(1024);
    known?.checksums.copy(checksums);
    packed.copy(checksums, place.segmentBlock * 4);
    this.put(key, { checksums });
  }

  checksum(segment: SegmentNumber, block: number): number | undefined {
    const item = this.#items.get(checksumKey(segment, 0)) as { checksums: Buffer } | undefined;
    const stored = item === undefined ? 0 : packedChecksum(item.checksums, block);
    return stored === 0 ? undefined : stored;
  }
}

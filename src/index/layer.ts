/**
 * A layer of the overlay: the mutations of some consecutive transactions. The newest layer is open;
 * a frozen one never changes any more.
 *
 * Most families have at most one entry a key here. Families that nobody reads by key before they
 * are in LevelDB are only listed, in order of application, so that a create costs no map operations
 * and no objects for them; where a key comes twice the later one counts.
 */

import { assert, AssertionError } from '../model/assert.ts';
import { NO_SEQ, type Seq } from '../model/ids.ts';
import { isRegular, type Inode } from '../model/inode.ts';
import type { Item } from './items.ts';
import { dataSeqKey, FAMILY, metaSeqKey, type Family } from './keys.ts';

/** A key and its value, or undefined where a layer deletes it. */
export interface Row {
  readonly key: string;
  readonly value: Item | undefined;
}

/** The row of a key that is read and replaced in memory. */
export interface Entry extends Row {
  readonly family: Family;
  readonly layer: Layer;
  value: Item | undefined;
  /** The entry of a newer layer under the same key. */
  newer: Entry | undefined;
  /** Position in the layer's list of the family. */
  at: number;
}

/** Families without entries: listed only. */
export const LISTED: { readonly [F in Family]?: true } = {
  position: true,
  backref: true,
  metaSeq: true,
  dataSeq: true,
  history: true,
  freed: true,
  timeMark: true,
};

/**
 * How many chars of a family's keys name the group that range reads stay within: prefix and first
 * number, and for history the kept item's prefix too. 0: the family is one group.
 */
const GROUP_CHARS: { readonly [F in Family]: number } = {
  meta: 0,
  inode: 0,
  dirent: 9,
  position: 9,
  backref: 9,
  extent: 9,
  xattr: 9,
  metaSeq: 0,
  dataSeq: 0,
  orphan: 0,
  truncating: 0,
  segment: 0,
  checksum: 9,
  ref: 9,
  freed: 0,
  timeMark: 0,
  history: 10,
};

/**
 * Families whose puts follow from the inodes of the same layer, each inode's last value giving one
 * key: only deletions of keys from before the layer are listed. An inode that changes a thousand
 * times in a layer, as a directory does, costs one key then, not two thousand.
 */
export const isSeqFamily = (family: Family): family is 'metaSeq' | 'dataSeq' =>
  family === 'metaSeq' || family === 'dataSeq';

/** The keys that `inode` has in the seq families, as far as they are newer than `base`. */
export function seqKeys(inode: Inode, base: Seq, add: (key: string) => void): void {
  if (inode.metaSeq > base) add(metaSeqKey(inode.metaSeq, inode.ino));
  if (isRegular(inode.mode) && inode.dataSeq > base) add(dataSeqKey(inode.dataSeq, inode.ino));
}

type Lists = { [F in Family]: Row[] };
type Groups = Map<string, Row[]>;

const EMPTY: readonly Row[] = [];

export class Layer {
  readonly number: number;
  /** Last transaction before it. */
  readonly baseSeq: Seq;
  /** Last transaction in it; set when it is frozen. */
  lastSeq: Seq = NO_SEQ;
  /** Approximate memory. */
  bytes = 0;
  /** Number of entries. */
  size = 0;
  readonly #lists: Lists;
  /** Built when a frozen layer is first scanned: each group sorted by key. */
  readonly #groups = new Map<Family, Groups>();
  #frozen = false;

  constructor(number: number, baseSeq: Seq) {
    this.number = number;
    this.baseSeq = baseSeq;
    const lists: Partial<Lists> = {};
    for (const family of Object.keys(FAMILY) as Family[]) lists[family] = [];
    this.#lists = lists as Lists;
  }

  freeze(lastSeq: Seq): void {
    this.#frozen = true;
    this.lastSeq = lastSeq;
  }

  /** Appends a row of a listed family. */
  list(family: Family, row: Row, bytes: number): void {
    if (this.#frozen) throw new AssertionError(`layer ${this.number} is frozen`);
    this.#lists[family].push(row);
    this.bytes += bytes;
    this.size++;
  }

  /** Adds the entry of a key that has none here yet. */
  add(family: Family, key: string, value: Item | undefined, bytes: number): Entry {
    if (this.#frozen) throw new AssertionError(`layer ${this.number} is frozen`);
    const list = this.#lists[family];
    const entry: Entry = { key, family, layer: this, value, newer: undefined, at: list.length };
    list.push(entry);
    this.bytes += bytes;
    this.size++;
    return entry;
  }

  /** The rows of a family in order of application; entries unless the family is listed. */
  rows(family: Family): readonly Row[] {
    return this.#lists[family];
  }

  /** The row under `key`. Frozen layers only. */
  find(family: Family, key: string): Row | undefined {
    const group = this.#groupsOf(family).get(key.slice(0, GROUP_CHARS[family])) ?? EMPTY;
    const at = firstAtOrAfter(group, key);
    return group[at]?.key === key ? group[at] : undefined;
  }

  /** Rows with gte <= key < lt, sorted. Frozen layers only. */
  range(family: Family, gte: string, lt: string): readonly Row[] {
    if (this.#lists[family].length === 0 && !isSeqFamily(family)) return EMPTY;
    const chars = GROUP_CHARS[family];
    const name = gte.slice(0, chars);
    if (gte.length >= chars && lt <= afterPrefix(name)) {
      const group = this.#groupsOf(family).get(name) ?? EMPTY;
      return group.slice(firstAtOrAfter(group, gte), firstAtOrAfter(group, lt));
    }
    const found = this.#scanned(family).filter(({ key }) => key >= gte && key < lt);
    return sorted(found, family);
  }

  #groupsOf(family: Family): Groups {
    assert(this.#frozen, () => `layer ${this.number} is still open`);
    let groups = this.#groups.get(family);
    if (groups === undefined) {
      groups = groupsOf(this.#scanned(family), family);
      this.#groups.set(family, groups);
    }
    return groups;
  }

  /** All rows of a family, those included that follow from inodes. */
  #scanned(family: Family): readonly Row[] {
    if (!isSeqFamily(family)) return this.#lists[family];
    const rows = Array.from(this.#lists[family]);
    for (const { value } of this.#lists.inode) {
      if (value === undefined) continue;
      seqKeys(value as Inode, this.baseSeq, (key) => {
        if (key.startsWith(FAMILY[family])) rows.push({ key, value: true });
      });
    }
    return rows;
  }
}

function groupsOf(rows: readonly Row[], family: Family): Groups {
  const groups: Groups = new Map();
  for (const row of rows) {
    const name = row.key.slice(0, GROUP_CHARS[family]);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [row]);
    else group.push(row);
  }
  for (const [name, group] of groups) groups.set(name, sorted(group, family));
  return groups;
}

/** Sorts in place; of several rows of one key the last one applied stays. */
function sorted(rows: Row[], family: Family): Row[] {
  rows.sort(byKey);
  if (LISTED[family] === undefined) return rows;
  return rows.filter((row, i) => row.key !== rows[i + 1]?.key);
}

export const byKey = (a: Row, b: Row): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

/** Position of the first of `rows` (sorted) with a key at or behind `key`. */
export function firstAtOrAfter(rows: readonly Row[], key: string): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((rows[middle] as Row).key >= key) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The least string above every key that starts with `prefix`; keys hold chars up to 255 only. */
export const afterPrefix = (prefix: string): string =>
  prefix === ''
    ? '\u0100'
    : prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);

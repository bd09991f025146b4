/** How much of everything the scale run makes: the numbers, and a part of them for trying. */

export interface Sizes {
  /** Entries of the one directory. */
  readonly entries: number;
  /** Files of 1 KiB. */
  readonly files: number;
  /** Extents of each of the fragmented files. */
  readonly extents: number;
  readonly openFiles: number;
  /** Files with an extended attribute of 64 KiB. */
  readonly xattrs: number;
  /** Files looked up or read at random, and names made in the large directory. */
  readonly sampled: number;
  /** Seconds that the prober works while nothing else goes on. */
  readonly baselineSeconds: number;
  /** Transactions of a log beyond which fsck, which replays it, would take too long. */
  readonly fsckLimit: number;
}

export type SizeName = keyof Sizes;

export const FULL: Sizes = {
  entries: 10_000_000,
  files: 5_000_000,
  extents: 1_000_000,
  openFiles: 20_000,
  xattrs: 10_000,
  sampled: 10_000,
  baselineSeconds: 30,
  fsckLimit: 16_000_000,
};

const SIZE_NAMES = Object.keys(FULL) as readonly SizeName[];

/** Less than this says nothing, however small the scale. */
const LEAST: Sizes = {
  entries: 1000,
  files: 1000,
  extents: 2000,
  openFiles: 100,
  xattrs: 50,
  sampled: 200,
  baselineSeconds: 3,
  fsckLimit: 16_000_000,
};

/** `FULL` times `scale`, but for what was asked for by name. */
export function sizesAt(scale: number, asked: Partial<Sizes>): Sizes {
  const size = (name: SizeName): number =>
    asked[name] ?? Math.max(LEAST[name], Math.round(FULL[name] * scale));
  return Object.fromEntries(SIZE_NAMES.map((name) => [name, size(name)])) as unknown as Sizes;
}

/** What differs from the numbers, a line each. */
export const cutSizes = (sizes: Sizes): string[] =>
  SIZE_NAMES.filter((name) => sizes[name] < FULL[name]).map(
    (name) => `${name}: ${sizes[name]} instead of ${FULL[name]}`,
  );

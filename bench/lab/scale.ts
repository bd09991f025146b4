/** How much each benchmark does: all of it, or little, for trying the benchmarks themselves. */

export interface Scale {
  /** Interleaved rounds, of which the median counts. */
  readonly rounds: number;
  /** Operations of the engine, and files of the large volume. */
  readonly million: number;
  /** Transactions that are replayed of them. */
  readonly replayed: number;
  /** Operations of the mixed log that `fsck --rebuild` starts from. */
  readonly mixed: number;
  /** Files that ext4 is given as the engine's peer. */
  readonly peerFiles: number;
  /** Entries of the large directory. */
  readonly listed: number;
  readonly stats: number;
  /** Files created, renamed and unlinked. */
  readonly files: number;
  /** Longest time for the durable creates of one round, in seconds. */
  readonly durableSeconds: number;
  readonly streamMiB: number;
  readonly tailSeconds: number;
  readonly idleSeconds: number;
}

export const FULL: Scale = {
  rounds: 5,
  million: 1_000_000,
  replayed: 500_000,
  mixed: 200_000,
  peerFiles: 100_000,
  listed: 100_000,
  stats: 20_000,
  files: 8000,
  durableSeconds: 1,
  streamMiB: 512,
  tailSeconds: 2,
  idleSeconds: 10,
};

/** Figures of this size are noise: no median, too short. */
export const QUICK: Scale = {
  rounds: 1,
  million: 50_000,
  replayed: 25_000,
  mixed: 10_000,
  peerFiles: 5000,
  listed: 5000,
  stats: 2000,
  files: 500,
  durableSeconds: 0.3,
  streamMiB: 64,
  tailSeconds: 0.5,
  idleSeconds: 2,
};

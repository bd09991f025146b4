/** Mount options (`-o a,b=c`): those that are ours, and the rest, which the kernel is given. */

import { UsageFailure } from '../console/failure.ts';

export interface MountOptions {
  /** Longest time that an answered change stays undurable, in ms; undefined is the engine's own. */
  readonly commitMs: number | undefined;
  /** For the kernel: 'ro' if read-only, then the others in the order given, 'noatime' too. */
  readonly kernel: readonly string[];
}

const MAX_COMMIT_SECONDS = 3600;

function commitMs(value: string): number {
  const seconds = Number(value);
  if (!/^[\d.]+$/.test(value) || !(seconds > 0 && seconds <= MAX_COMMIT_SECONDS)) {
    throw new UsageFailure(`-o commit=${value}: seconds above 0, up to ${MAX_COMMIT_SECONDS}`);
  }
  return Math.max(1, Math.round(seconds * 1000));
}

/**
 * Parses the values of all `-o`. A later option wins over an earlier one. Throws `UsageFailure`.
 */
export function parseMountOptions(values: readonly string[]): MountOptions {
  const options = values.flatMap((value) => value.split(',')).filter((option) => option !== '');
  const commits = options.filter((option) => option.startsWith('commit='));
  const last = commits.at(-1);
  const readOnly = options.findLast((option) => option === 'ro' || option === 'rw') === 'ro';
  const others = options.filter((option) => !/^(?:ro|rw|commit=.*)$/.test(option));
  return {
    commitMs: last === undefined ? undefined : commitMs(last.slice('commit='.length)),
    kernel: readOnly ? ['ro', ...others] : others,
  };
}

/**
 * Where the mount may differ from ext4, one by one, each with its reason. A difference that is not
 * here is a finding. Pure.
 */

export interface Outcome {
  readonly operation: string;
  /** The answer of ext4, and that of the mount. */
  readonly reference: string;
  readonly mine: string;
}

export interface Difference {
  readonly name: string;
  readonly reason: string;
  /** The outcome without the difference. */
  readonly without: (outcome: Outcome) => Outcome;
}

/** The same change to both answers. */
const both =
  (change: (answer: string) => string) =>
  ({ operation, reference, mine }: Outcome): Outcome => ({
    operation,
    reference: change(reference),
    mine: change(mine),
  });

export const DIFFERENCES: readonly Difference[] = [
  {
    name: 'size of a directory',
    reason: 'Each filesystem has its own idea of it: ext4 counts blocks of names.',
    without: both((answer) => answer.replaceAll(/(t=d [^|]*? )s=\d+/g, '$1')),
  },
  {
    name: 'number of blocks',
    reason:
      'ext4 also counts blocks of extent trees and of xattrs, and those that it allocates late. ' +
      'Which ranges are allocated is compared by SEEK_DATA and SEEK_HOLE.',
    without: both((answer) => answer.replaceAll(/ b=\d+/g, '')),
  },
  {
    name: 'access time of a read',
    reason: 'ext4 is mounted with relatime; explicit access times are compared.',
    without: both((answer) => answer.replaceAll(/ a=[n=+<]/g, '')),
  },
];

/** The outcome as it is judged. */
export function judged(outcome: Outcome): Outcome {
  return DIFFERENCES.reduce((o, difference) => difference.without(o), outcome);
}

export const agrees = (outcome: Outcome): boolean => {
  const { reference, mine } = judged(outcome);
  return reference === mine;
};

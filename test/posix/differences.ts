/**
 * Where the mount may differ from ext4, one by one, each with its reason. A difference that is not
 * here is a finding. Pure.
 */

import type { Feature } from './features.ts';

export interface Outcome {
  readonly operation: string;
  /** The answer of ext4, and that of the mount. */
  readonly reference: string;
  readonly mine: string;
}

export interface Difference {
  readonly name: string;
  readonly reason: string;
  /** With this on the mount, there is no such difference. */
  readonly unless?: Feature;
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

const ATIME = / a=[^ |]+/;

/** Without the access times of objects that one of the sides has seen read or made. */
function withoutAccesses({ operation, reference, mine }: Outcome): Outcome {
  const [theirs, ours] = [reference.split(' | '), mine.split(' | ')];
  const moved = (object: string | undefined): boolean => / a=[n=+<]/.test(object ?? '');
  const rest = (objects: string[], others: string[]): string =>
    objects
      .map((object, i) => (moved(object) || moved(others[i]) ? object.replace(ATIME, '') : object))
      .join(' | ');
  return { operation, reference: rest(theirs, ours), mine: rest(ours, theirs) };
}

function idleGroupBitCleared(octal: string): string {
  const mode = Number.parseInt(octal, 8);
  const isIdle = (mode & 0o2000) !== 0 && (mode & 0o010) === 0;
  return (isIdle ? mode & ~0o2000 : mode).toString(8).padStart(4, '0');
}

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
    reason:
      'The kernel answers reads from its page cache, and some without asking at all: not each is ' +
      'noted. An access time is compared where both sides still have one that was set.',
    without: withoutAccesses,
  },
  {
    name: 'place in a directory',
    reason: 'Each filesystem has its own numbers for it; ext4 has hashes of names.',
    without: (outcome) => {
      const isPlace = outcome.operation.startsWith('lseek') && / t=d /.test(outcome.mine);
      const change = both((answer) => answer.replace(/^\w+( \d+)?/, ''));
      return isPlace ? change(outcome) : outcome;
    },
  },
  {
    name: 'chown(-1, -1) by another than the owner',
    reason:
      'On ext4 it moves ctime, or is refused where there are set-id bits. The kernel asks FUSE for ' +
      'the same before a write that clears them, so that we cannot tell: nothing happens.',
    without: (outcome) => {
      const isNothing = /^(?:chown|lchown) \S+ -1 -1$|^fchown \S+ -1 -1$/.test(outcome.operation);
      const change = both((answer) => answer.replaceAll(/^\w+( 0)?| c=[^ |]+/g, ''));
      return isNothing ? change(outcome) : outcome;
    },
  },
  {
    name: 'setxattr of the value that is there',
    reason: 'ext4 writes nothing then and leaves ctime; here it is a change like another.',
    without: (outcome) => {
      const isSame = / c==(?: |$)/.test(outcome.reference) && / c=\+(?: |$)/.test(outcome.mine);
      const change = both((answer) => answer.replace(/ c=[=+]/, ''));
      return outcome.operation.startsWith('setxattr') && isSame ? change(outcome) : outcome;
    },
  },
  {
    name: 'times of a FIFO',
    reason: 'The kernel tells FUSE nothing of what goes through a FIFO.',
    without: both((answer) => answer.replaceAll(/(t=p [^|]*) m=[^ |]+ c=[^ |]+/g, '$1')),
  },
  {
    name: 'set-group-ID without group execution, at a write',
    reason:
      'FUSE asks to clear that bit only where the group may execute (FUSE_HANDLE_KILLPRIV_V2 in ' +
      'linux/fuse.h). Linux 6.2 clears it here also for those outside of the group; the bit means ' +
      'nothing without execution.',
    without: both((answer) =>
      answer.replaceAll(/t=f p=(\d+)/g, (_, mode: string) => `t=f p=${idleGroupBitCleared(mode)}`),
    ),
  },
  {
    name: 'where data stands in a file',
    reason: 'Without SEEK_DATA, a file is one piece of data (lseek(2)).',
    unless: 'seek-holes',
    without: both((answer) => answer.replaceAll(/ map=[\d,-]*/g, '')),
  },
];

/** The outcome as it is judged on a mount with `features`. */
export function judged(outcome: Outcome, features: ReadonlySet<Feature>): Outcome {
  return DIFFERENCES.filter(({ unless }) => unless === undefined || !features.has(unless)).reduce(
    (o, difference) => difference.without(o),
    outcome,
  );
}

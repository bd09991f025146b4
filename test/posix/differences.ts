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
    reason:
      'Each filesystem has its own numbers for it; ext4 has hashes of names. read(2), which fails on ' +
      'both, fails otherwise where a place is out of range.',
    without: (outcome) => {
      const isPlace =
        /^(?:lseek|seek|map|read) /.test(outcome.operation) && / t=d /.test(outcome.mine);
      const change = both((answer) => answer.replace(/^\w+( \d+)?( map=[\d,-]*)?/, ''));
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
    name: 'setxattr of the value, or of an ACL, that is there',
    reason: 'ext4 writes nothing then and leaves ctime; here it is a change like another.',
    without: (outcome) => {
      const isSame = / c==(?: |$)/.test(outcome.reference) && / c=\+(?: |$)/.test(outcome.mine);
      const change = both((answer) => answer.replace(/ c=[=+]/, ''));
      return /^(?:set|put)xattr /.test(outcome.operation) && isSame ? change(outcome) : outcome;
    },
  },
  {
    name: 'times of a FIFO',
    reason: 'The kernel tells FUSE nothing of what goes through a FIFO.',
    without: both((answer) =>
      answer
        .split(' | ')
        .map((object) =>
          object.includes('t=p ') ? object.replaceAll(/ [mc]=[^ |]+/g, '') : object,
        )
        .join(' | '),
    ),
  },
  {
    name: 'where data stands in a file',
    reason: 'Without SEEK_DATA, a file is one piece of data (lseek(2)).',
    unless: 'seek-holes',
    without: both((answer) => answer.replaceAll(/ map=[\d,-]*/g, '')),
  },
];

/** Those that have a history: what `Judge` keeps account of. */
export const REMEMBERED: readonly Omit<Difference, 'without'>[] = [
  {
    name: 'set-group-ID without group execution, at a write',
    reason:
      'FUSE asks to clear that bit only where the group may execute (FUSE_HANDLE_KILLPRIV_V2 in ' +
      'linux/fuse.h). Linux 6.2 clears it here also for those outside of the group; the bit means ' +
      'nothing without execution. It may then be there until the mode is set.',
  },
  {
    name: 'mtime of an allocation',
    reason:
      'fallocate(2) that changes neither bytes nor size moves ctime only; ext4 moves mtime too ' +
      '(docs/posix.md). Until both have moved or set it, mtime of that file is not compared.',
  },
  {
    name: 'holes of a file that was allocated, zeroed, mapped for writing or copied into',
    reason:
      'ext4 calls an unwritten block data while a page of it is cached, writes all of a large folio ' +
      'of which a mapping touched one page, and copies holes as zeros; here, the first are holes, ' +
      'and a copy has the holes of its source. That a hole holds nothing but zeros is looked at on ' +
      'both sides all the same.',
  },
];

const MTIME = / m=([^ |]+)/;
const MAP = / map=[\d,-]*/;
const NUMBER = / i=(\d+)/;
const FILE_MODE = /t=f p=(\d+)/;
const S_ISGID = 0o2000;
const S_IXGRP = 0o010;
/** They set a mode; before others, a file may have been written to that no answer told of. */
const SETS_MODE = /^(?:f?chmod|[fl]?chown|mkdir|mknod) /;

/** Judges the outcomes of one script, in their order. */
export class Judge {
  readonly #differences: readonly Difference[];
  /** Numbers of the files whose set-group-ID bit, mtime, or holes may differ. */
  readonly #groupBits = new Set<string>();
  readonly #mtimes = new Set<string>();
  readonly #holes = new Set<string>();

  /** `features`: what the mount offers. */
  constructor(features: ReadonlySet<Feature>) {
    this.#differences = DIFFERENCES.filter(
      ({ unless }) => unless === undefined || !features.has(unless),
    );
  }

  /** The outcome without what may differ. */
  judged(outcome: Outcome): Outcome {
    this.#remember(outcome);
    const rest = this.#differences.reduce((o, difference) => difference.without(o), outcome);
    const bitless = this.#withoutGroupBits(rest);
    return this.#holes.size === 0 ? bitless : this.#withoutRemembered(bitless);
  }

  /** Notes the file that is allocated, mapped or copied into: the last that the answer tells of. */
  #remember({ operation, reference }: Outcome): void {
    const made = /^(?:copy|mwrite|fallocate \S+ (0|1|16|17)) /.exec(operation);
    const file = / \| t=f [^|]* i=(\d+)[^|]*$/.exec(reference)?.[1];
    if (made === null || file === undefined) return;
    this.#holes.add(file);
    if (made[1] === '0' || made[1] === '1') this.#mtimes.add(file);
  }

  /** Where only we have a set-group-ID bit, since a write without group execution left it there. */
  #withoutGroupBits(outcome: Outcome): Outcome {
    const { operation, reference, mine } = outcome;
    if (reference === mine && this.#groupBits.size === 0) return outcome;
    const setsMode = SETS_MODE.test(operation) && reference.startsWith('ok');
    const theirs = reference.split(' | ');
    const ours = mine.split(' | ').map((object, i) => {
      const [a, b] = [theirs[i] ?? '', object].map((o) => FILE_MODE.exec(o)?.[1]);
      const file = NUMBER.exec(object)?.[1];
      if (a === undefined || b === undefined || file === undefined) return object;
      const [expected, actual] = [Number.parseInt(a, 8), Number.parseInt(b, 8)];
      const isIdle = (actual & S_IXGRP) === 0;
      if (expected === actual) this.#groupBits.delete(file);
      if (actual !== (expected | S_ISGID) || expected === actual) return object;
      if (isIdle && !setsMode) this.#groupBits.add(file);
      return this.#groupBits.has(file) ? object.replace(FILE_MODE, `t=f p=${a}`) : object;
    });
    return { operation, reference, mine: ours.join(' | ') };
  }

  #withoutRemembered({ operation, reference, mine }: Outcome): Outcome {
    const [theirs, ours] = [reference.split(' | '), mine.split(' | ')];
    for (const [i, object] of theirs.entries()) {
      const file = NUMBER.exec(object)?.[1] ?? '';
      const without = (what: RegExp, at: number): void => {
        theirs[at] = theirs[at]?.replace(what, '') ?? '';
        ours[at] = ours[at]?.replace(what, '') ?? '';
      };
      if (this.#holes.has(file)) {
        without(MAP, i);
        // The answer itself stands before the object.
        if (i === 1 && operation.startsWith('map ')) without(MAP, 0);
        if (i === 1 && operation.startsWith('seek ')) without(/^.*/, 0);
      }
      if (!this.#mtimes.has(file)) continue;
      const [a, b] = [MTIME.exec(object)?.[1], MTIME.exec(ours[i] ?? '')?.[1]];
      if (a === b && a !== '=') this.#mtimes.delete(file);
      without(MTIME, i);
    }
    return { operation, reference: theirs.join(' | '), mine: ours.join(' | ') };
  }
}

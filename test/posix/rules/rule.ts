/**
 * A rule of POSIX as a script, and what it must come to. Each line is
 *
 *     WHO: OPERATION -> EXPECTED
 *
 * WHO is a process: `root` and `root2`, and `alice`, `bob` and `carol`, each with a user of its own.
 * OPERATION is one of `actor.c`, with flags by their names. EXPECTED are words that must stand in the
 * answer; after "|" those about the objects that the operation named, in its order: the object, then
 * its directory, then the next. "-" is an object that is not there.
 */

import { AT, FALLOC, O, RENAME, S, SEEK, XATTR } from '../numbers.ts';

export interface Rule {
  readonly name: string;
  readonly script: string;
  /** Why the engine alone cannot be asked; undefined where it can. */
  readonly kernel?: string;
  /** Why ext4 cannot be asked; undefined where it can. */
  readonly own?: string;
}

export interface Step {
  readonly who: string;
  readonly operation: string;
  /** By part of the answer: words that stand in it. */
  readonly expected: readonly (readonly string[])[];
}

/** uid, gid and further groups. */
export const USERS: Readonly<Record<string, string>> = {
  root: '0 0',
  root2: '0 0',
  alice: '1000 1000 2000',
  bob: '1001 1001 2000 3000',
  carol: '1002 1002',
};

const named = (prefix: string, values: Readonly<Record<string, number>>): [string, number][] =>
  Object.entries(values).map(([name, value]) => [`${prefix}${name}`, value]);

const NUMBERS = new Map<string, number>([
  ...named('O_', O),
  ...named('S_', S),
  ...named('AT_', AT),
  ...named('SEEK_', SEEK),
  ...named('XATTR_', XATTR),
  ...named('RENAME_', RENAME),
  ...named('FALLOC_', FALLOC),
]);

/** A word with names of flags in it, as the number that they make. */
function numbered(word: string): string {
  const parts = word.split('|');
  if (!parts.some((part) => NUMBERS.has(part))) return word;
  const values = parts.map((part) => NUMBERS.get(part) ?? Number(part.replace(/^0(?=\d)/, '0o')));
  if (values.some((value) => !Number.isInteger(value))) throw new Error(`no flags: ${word}`);
  return String(values.reduce((all, value) => all | value, 0));
}

/** The steps of a rule's script. */
export function stepsOf({ name, script }: Rule): Step[] {
  const lines = script.split('\n').map((line) => line.trim());
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const parts = /^(\w+): (.*?) +-> (.*)$/.exec(line);
      const [, who = '', operation = '', expected = ''] = parts ?? [];
      if (USERS[who] === undefined) throw new Error(`${name}: no step: ${line}`);
      return {
        who,
        operation: operation.trim().split(/ +/).map(numbered).join(' '),
        expected: expected.split('|').map((part) => part.trim().split(/ +/)),
      };
    });
}

/** What of `expected` is not in an answer; undefined if nothing. */
export function missing(expected: Step['expected'], answer: string): string | undefined {
  const parts = answer.split(' | ').map((part) => part.trim().split(' '));
  for (const [i, words] of expected.entries()) {
    for (const word of words) {
      const isThere = word === '-' ? parts[i]?.[0] === 'ENOENT' : parts[i]?.includes(word);
      if (isThere !== true && word !== '') return `${word} in part ${i}`;
    }
  }
  return undefined;
}

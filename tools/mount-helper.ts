/**
 * The ways in which mount(8) calls us, as the command line of `ledgerfs mount`. Pure.
 *
 *   /sbin/mount.fuse.ledgerfs SPEC DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]
 *       a link to bin/ledgerfs, called by mount(8) for `-t fuse.ledgerfs` (mount.ledgerfs: for
 *       `-t ledgerfs`); its arguments are those of "External helpers" in mount(8)
 *   ledgerfs SPEC DIR [-o OPTIONS]
 *       where there is no such link, mount(8) calls the mount.fuse of libfuse, which calls the
 *       program that the type names after its dot (mount.fuse3(8))
 */

import { basename } from 'node:path';
import { UsageFailure } from './console/failure.ts';

const HELPERS = new Set(['mount.ledgerfs', 'mount.fuse.ledgerfs']);

/** Whether this command line is one of a mount helper: no command of ours has a slash in it. */
export const isHelperCall = (program: string, args: readonly string[]): boolean =>
  HELPERS.has(basename(program)) || args[0]?.includes('/') === true;

/** Options with a value, of which only -o says something to us. */
const WITH_VALUE = 'oNt';

/**
 * The arguments of `ledgerfs mount` that a helper's `args` mean. -f only checks, -s passes over
 * options that it does not know; -n and -v change nothing here. Throws `UsageFailure`.
 */
export function mountArguments(args: readonly string[]): string[] {
  const operands: string[] = [];
  const options: string[] = [];
  const rest = [...args];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (!/^-./.test(word)) operands.push(word);
    else options.push(...flagsOf(word, rest));
  }
  if (operands.length !== 2) throw new UsageFailure('needs a volume and a mount point');
  return ['mount', ...options, '--', ...operands];
}

/** The letters of one word; a letter with a value takes the rest of its word, or the next one. */
function flagsOf(word: string, rest: string[]): string[] {
  const found: string[] = [];
  for (let at = 1; at < word.length; at++) {
    const letter = word.charAt(at);
    if (WITH_VALUE.includes(letter)) {
      const value = word.slice(at + 1) || rest.shift();
      if (value === undefined) throw new UsageFailure(`-${letter} needs a value`);
      if (letter === 'o') found.push('-o', value);
      return found;
    }
    if (letter === 's') found.push('--sloppy');
    else if (letter === 'f') found.push('--fake');
    else if (!'nvrw'.includes(letter)) throw new UsageFailure(`-${letter}: no such option`);
    if (letter === 'r') found.push('-o', 'ro');
  }
  return found;
}

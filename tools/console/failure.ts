/**
 * How failures are said: one line, `ledgerfs: COMMAND: what failed: why (ERRNO NAME)`, exit 1; for
 * a wrong use of the command line `ledgerfs: COMMAND: what is wrong`, exit 64.
 */

import { constants } from 'node:os';

export const EXIT_FAILURE = 1;
/** EX_USAGE of sysexits.h. */
export const EXIT_USAGE = 64;

/** A failure that a command words itself. `code` is an errno name, EIO without one. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
  readonly code: string | undefined;

  constructor(message: string, code?: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The command line is wrong. */
export class UsageFailure extends Error {
  override readonly name = 'UsageFailure';
}

/** Errors of the layers below that carry no errno of their own. */
const CODES: Readonly<Record<string, string>> = { LogUnusable: 'EINVAL', LogTrimmed: 'ENODATA' };

/** `22 EINVAL`. What has no errno is a failure of the disk or a bug: EIO. */
function errnoText(error: NodeJS.ErrnoException): string {
  const numbers = constants.errno as Readonly<Record<string, number>>;
  const known = error.code !== undefined && error.code in numbers ? error.code : undefined;
  const code = known ?? CODES[error.name] ?? 'EIO';
  return `${numbers[code] ?? 0} ${code}`;
}

/** Node's wording: `ENOENT: no such file or directory, open '/x'`. */
const SYSTEM_ERROR = /^E[A-Z0-9]+: (.+?), \w+(?: '(.*?)'(?: -> '.*')?)?$/s;

/** What a system error says of itself, without the code before and the system call behind it. */
function reasonOf(error: NodeJS.ErrnoException): string {
  const match = SYSTEM_ERROR.exec(error.message);
  if (match === null) return error.message;
  const [, why = '', path] = match;
  return path === undefined ? why : `${path}: ${why}`;
}

/** The one line, without a line end, that tells of `cause`. Line breaks in it become spaces. */
export function describeFailure(program: string, command: string, cause: unknown): string {
  const error: NodeJS.ErrnoException = cause instanceof Error ? cause : new Error(String(cause));
  const what = reasonOf(error)
    .trim()
    .replace(/\s*\n\s*/g, ' ');
  return `${program}: ${command}: ${what} (${errnoText(error)})`;
}

/** The stack, and those of all causes: what `--debug` adds. */
export function stackOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const stack = cause.stack ?? cause.message;
  return cause.cause === undefined ? stack : `${stack}\ncaused by: ${stackOf(cause.cause)}`;
}

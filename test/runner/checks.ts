/** The checks that keep the main branch honest; each counts as one test. */

import { runToEnd } from './child.ts';
import type { Outcome } from './outcome.ts';

export interface Check {
  readonly name: string;
  readonly command: readonly string[];
}

const bin = (name: string, ...args: string[]): string[] => [`node_modules/.bin/${name}`, ...args];
const SOURCES = ['src', 'test', 'tools', 'bench'];

export const CHECKS: readonly Check[] = [
  { name: 'types', command: bin('tsc', '-p', '.', '--noEmit') },
  { name: 'lint', command: bin('oxlint', '--deny-warnings', ...SOURCES) },
  { name: 'format', command: bin('oxfmt', '--check', ...SOURCES) },
  { name: 'unused', command: bin('knip', '--no-progress') },
];

const LIMIT_SECONDS = 120;

export async function runCheck(cwd: string, check: Check): Promise<Outcome> {
  const exit = await runToEnd(check.command, {
    cwd,
    env: process.env,
    limitSeconds: LIMIT_SECONDS,
  });
  const passed = exit.status === 0;
  return {
    passed: passed ? 1 : 0,
    failed: passed ? 0 : 1,
    skipped: 0,
    seconds: exit.seconds,
    output: exit.output,
  };
}

/** What a long run leaves in the repository: `docs/evidence/NAME.json`. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What is to be measured; "+" where sources differ from it. Asked at the start of a run. */
export function commitNow(): string {
  const git = (...args: readonly string[]): string =>
    execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
  const isDirty = git('status', '--porcelain', '--', 'src', 'tools', 'test', 'bench') !== '';
  return `${git('rev-parse', 'HEAD')}${isDirty ? '+' : ''}`;
}

export interface Evidence {
  readonly commit: string;
  /** Does the same again. */
  readonly command: string;
  readonly seeds: readonly number[];
  readonly counts: object;
  readonly durationSeconds: number;
  readonly findings: readonly unknown[];
  readonly [more: string]: unknown;
}

export function writeEvidence(path: string, { commit, ...rest }: Evidence): void {
  const evidence = { commit, date: new Date().toISOString(), ...rest };
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(evidence, undefined, 2)}\n`);
}

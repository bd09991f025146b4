/** Runs the command as people do: bin/ledgerfs, as bin/setup built it. */

import { execFile } from 'node:child_process';
import { resolve } from 'node:path';

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const BIN = resolve('bin/ledgerfs');

/** `ledgerfs ARGS`; resolves whatever its exit status is. */
export const ledgerfs = (...args: readonly string[]): Promise<Ran> =>
  new Promise((done) => {
    const child = execFile(BIN, args, { maxBuffer: 64 * 1024 * 1024 }, (_, stdout, stderr) => {
      done({ status: child.exitCode ?? -1, stdout, stderr });
    });
  });

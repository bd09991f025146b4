/** Running the programs that mount and unmount for us, and how their failures are told. */

import { spawn, type StdioOptions } from 'node:child_process';

/** Why mounting or unmounting failed; `code` is an errno's name. */
export class MountError extends Error {
  override readonly name = 'MountError';
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

export interface Outcome {
  readonly status: number | null;
  readonly stderr: string;
}

/** Runs a program; `fd`, where given, is its descriptor 3. `environment` is added to ours. */
export function runProgram(
  program: string,
  args: readonly string[],
  fd?: number,
  environment: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const stdio: StdioOptions = ['ignore', 'ignore', 'pipe'];
  if (fd !== undefined) stdio.push(fd);
  const env = { ...process.env, LC_ALL: 'C', ...environment };
  return new Promise((settle, reject) => {
    const child = spawn(program, args, { stdio, env });
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', (error) =>
      reject(new MountError('ENOENT', `cannot run ${program}: is it installed?`, error)),
    );
    child.once('close', (status) => settle({ status, stderr: stderr.trim() }));
  });
}

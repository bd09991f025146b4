/** Running the programs that mount and unmount for us, and how their failures are told. */

import { spawn, type StdioOptions } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** Why mounting or unmounting failed; `code` is an errno's name. */
export class MountError extends Error {
  override readonly name = 'MountError';
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** Where programs are searched: mount(8), called by a user, hands no environment on. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const searchPath = (): string => process.env['PATH'] ?? DEFAULT_PATH;

/** Whether `program` is found where `runProgram` looks for it. */
export async function isInstalled(program: string): Promise<boolean> {
  const files = searchPath()
    .split(delimiter)
    .map((folder) => join(folder, program));
  const found = await Promise.all(
    files.map((file) =>
      access(file, constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
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
  const env = { ...process.env, PATH: searchPath(), LC_ALL: 'C', ...environment };
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

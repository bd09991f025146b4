/** Runs a command to its end or its time limit, and keeps what it printed. */

import { spawn } from 'node:child_process';

/** Keeps the end of a flood: a failing test's message is its last words. */
const MAX_OUTPUT = 256 * 1024;

export interface Exit {
  /** Exit status, or undefined where a signal ended it. */
  readonly status: number | undefined;
  readonly timedOut: boolean;
  readonly seconds: number;
  readonly output: string;
}

/**
 * Runs `command` in a process group of its own, which is killed after `limitSeconds` and, once the
 * command itself has ended, for whatever it left in the group.
 */
export async function runToEnd(
  command: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv; readonly limitSeconds: number },
): Promise<Exit> {
  const started = performance.now();
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const take = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-MAX_OUTPUT);
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);

  const killGroup = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // ESRCH: the whole group is gone already.
    }
  };
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup();
  }, options.limitSeconds * 1000);

  const status = await new Promise<number | undefined>((resolve, reject) => {
    child.on('error', reject);
    // 'exit', not 'close': a process left behind may hold the pipes open for ever.
    child.on('exit', (code) => setImmediate(() => resolve(code ?? undefined)));
  });
  clearTimeout(timer);
  killGroup();
  child.stdout.destroy();
  child.stderr.destroy();
  return { status, timedOut, seconds: (performance.now() - started) / 1000, output };
}

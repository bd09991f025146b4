/**
 * A real mount for a test: starts `mount-daemon.ts` in a process of its own, and takes everything
 * away afterwards, whatever happened: a dead mount left behind would block the machine's `ls /`.
 */

import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const DAEMON = fileURLToPath(new URL('./mount-daemon.ts', import.meta.url));
const START_MS = 30_000;
const PROGRAM_MS = 60_000;

/** Whether this machine lets us mount at all; where not, the tests say so and stop. */
export const canMount = existsSync('/dev/fuse') && process.getuid?.() === 0;

export interface Mounted {
  readonly path: string;
  readonly pid: number;
  /** Sends a command to the daemon; resolves to its result. */
  ask<T = unknown>(command: string): Promise<T>;
  /** Log lines of the daemon at level warn and above. */
  readonly complaints: string[];
  /** Resolves when the daemon exited. */
  readonly exited: Promise<number | null>;
  readonly child: ChildProcess;
}

export interface MountSettings {
  readonly entryTimeoutMs?: number;
  readonly attrTimeoutMs?: number;
  readonly readOnly?: boolean;
  readonly mountOptions?: readonly string[];
  /** Every answer of the filesystem is a promise. */
  readonly lazy?: boolean;
  /** How long reads of "slow*" wait; -1 is forever. */
  readonly slowReadMs?: number;
  /** The fallback watches the descriptor. */
  readonly pipe?: boolean;
  /** Through fuse-native and libfuse 2. */
  readonly native?: boolean;
}

/** Runs a program; resolves to its output, rejects with its stderr on failure or after a minute. */
export function run(program: string, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: PROGRAM_MS, maxBuffer: 64 * 1024 * 1024, killSignal: 'SIGKILL' };
    execFile(program, args, options as object, (error, stdout, stderr) => {
      if (error === null) resolve(String(stdout));
      else reject(new Error(`${program} ${args.join(' ')}: ${error.message} ${String(stderr)}`));
    });
  });
}

/** Runs a Python script that gets the mount point as argv[1]. */
export const python = (path: string, script: string): Promise<string> =>
  run('python3', '-c', script, path);

/** Starts a daemon that mounts at `path`. */
export async function startDaemon(path: string, settings: MountSettings = {}): Promise<Mounted> {
  const args = ['--import', 'tsx', DAEMON, path, JSON.stringify(settings)];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const waiting: ((value: never) => void)[] = [];
  const complaints: string[] = [];
  let started: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    started = resolve;
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as string | Record<string, unknown>;
    if (message === 'ready') started();
    else if (typeof message === 'object' && 'log' in message) {
      if (message['log'] !== 'debug') complaints.push(line);
    } else if (typeof message === 'object' && 'result' in message) {
      waiting.shift()?.(message['result'] as never);
    } else if (typeof message === 'object') complaints.push(line);
  });
  const patience = setTimeout(() => child.kill('SIGKILL'), START_MS);
  await Promise.race([ready, exited]);
  clearTimeout(patience);
  if (child.pid === undefined || child.exitCode !== null) throw new Error('no daemon');
  return {
    path,
    pid: child.pid,
    complaints,
    exited,
    child,
    ask: (command) =>
      new Promise((resolve, reject) => {
        waiting.push(resolve);
        void exited.then(() => reject(new Error(`the daemon exited before "${command}"`)));
        child.stdin.write(`${command}\n`);
      }),
  };
}

/** Ends a daemon and its mount, in whatever state they are. */
export async function stopDaemon(mounted: Mounted): Promise<void> {
  if (mounted.child.exitCode === null) mounted.child.kill('SIGKILL');
  await mounted.exited;
  await run('umount', '-i', '-c', '-l', mounted.path).catch(() => undefined);
}

/** A fresh directory, given to `body`, and removed after it; mounts on it are taken away. */
export async function inTemporary<T>(body: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'ledgerfs-fuse-'));
  try {
    return await body(directory);
  } finally {
    for (let layer = 0; layer < 4; layer++) {
      const gone = await run('umount', '-i', '-c', '-l', directory).then(
        () => true,
        () => false,
      );
      if (!gone) break;
    }
    await rm(directory, { recursive: true, force: true });
  }
}

/** Runs `body` on a mount of its own. */
export function withMount(
  settings: MountSettings,
  body: (mounted: Mounted) => Promise<void>,
): Promise<void> {
  return inTemporary(async (directory) => {
    const mounted = await startDaemon(directory, settings);
    try {
      await body(mounted);
    } finally {
      await stopDaemon(mounted);
    }
  });
}

/**
 * A volume used as people use it: made, mounted and looked after with `bin/ledgerfs`. The daemon
 * carries the runner's mark in its environment, and `dispose` takes everything away in any state.
 */

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { ledgerfs, type Ran } from '../tools/run.ts';

/** Without root and /dev/fuse the tests of this folder are reported as skipped. */
export const canMount = existsSync('/dev/fuse') && process.getuid?.() === 0;

const PROGRAM_MS = 240_000;

/** Runs a program; its output, and a failure where it fails or hangs. */
export function run(program: string, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      timeout: PROGRAM_MS,
      maxBuffer: 256 * 1024 * 1024,
      killSignal: 'SIGKILL' as const,
      encoding: 'latin1' as const,
    };
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${program}: ${error.message.slice(-2000)}\n${stderr.slice(-2000)}`));
    });
  });
}

/** Runs a shell script; its arguments are "$1" and so on. */
export const shell = (script: string, ...args: readonly string[]): Promise<string> =>
  run('sh', '-euc', script, 'sh', ...args);

/** Runs a Python script; its arguments are sys.argv[1] and so on. */
export const python = (script: string, ...args: readonly string[]): Promise<string> =>
  run('python3', '-c', script, ...args);

/** Whether a program is installed. */
export const hasProgram = (name: string): boolean =>
  (process.env['PATH'] ?? '').split(':').some((dir) => existsSync(join(dir, name)));

export interface MakeOptions {
  /** Where the volume is made; a scratch folder unless given. */
  readonly at?: string;
  readonly mkfs?: readonly string[];
}

export class MountedVolume {
  readonly scratch: string;
  readonly dir: string;
  readonly path: string;

  private constructor(scratch: string, dir: string) {
    this.scratch = scratch;
    this.dir = dir;
    this.path = join(scratch, 'mnt');
  }

  /** Makes a volume; it is not mounted yet. */
  static async make(options: MakeOptions = {}): Promise<MountedVolume> {
    const scratch = await mkdtemp(join(tmpdir(), 'use-'));
    const it = new MountedVolume(scratch, options.at ?? join(scratch, 'volume'));
    await mkdir(it.path);
    // Other users act in the mount too.
    await run('chmod', '755', scratch);
    await it.succeed('mkfs', ...(options.mkfs ?? []), it.dir);
    return it;
  }

  /** Runs `ledgerfs ARGS` and fails where it does; its output. */
  async succeed(...args: readonly string[]): Promise<string> {
    const ran = await ledgerfs(...args);
    assert.is(ran.status, 0, `ledgerfs ${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
    return ran.stdout;
  }

  mount = async (): Promise<void> => void (await this.succeed('mount', this.dir, this.path));
  unmount = async (): Promise<void> => void (await this.succeed('umount', this.path));
  tryMount = (): Promise<Ran> => ledgerfs('mount', this.dir, this.path);

  /** Asserts that the indexes equal the log, and that so does an index replayed from nothing. */
  async assertWhole(): Promise<void> {
    await this.succeed('fsck', this.dir);
    const digest = (await this.succeed('digest', this.dir)).trim();
    const replayed = await this.succeed('replay', this.dir, '--into', join(this.scratch, 'replay'));
    assert.is(replayed.trim().split('\n').at(-1), digest, 'the replay has the same digest');
    await rm(join(this.scratch, 'replay'), { recursive: true });
  }

  /** What the daemon complained about. */
  async complaints(): Promise<string[]> {
    const journal = await readFile(join(this.dir, 'daemon.log'), 'utf8');
    return journal.split('\n').filter((line) => /"level":[4-6]0/.test(line));
  }

  async dispose(): Promise<void> {
    await ledgerfs('umount', this.path);
    await run('umount', '-l', this.path).catch(() => undefined);
    await rm(this.scratch, { recursive: true, force: true });
  }
}

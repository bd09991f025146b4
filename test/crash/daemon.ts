/**
 * The daemon under test, as a process of its own: started, killed, waited for, unmounted. Whatever
 * becomes of it, no mount is left when `takeMountsAway` has returned.
 */

import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../src/control/client.ts';
import { mountTable } from '../../src/io/mount-table.ts';
import { byteStringOf } from '../../src/model/ids.ts';

/** How the programs under test are called: `ledgerfs`, and the daemon in the foreground. */
export interface Programs {
  readonly ledgerfs: readonly string[];
  /** Gets -o OPTIONS VOLUME MOUNTPOINT. */
  readonly daemon: readonly string[];
}

const START_MS = 60_000;
const POLL_MS = 10;
const PROGRAM_MS = 120_000;
const LAYERS = 16;

/** What a program printed; rejects with all of it if the program fails. */
export function run(command: readonly string[], ...args: readonly string[]): Promise<string> {
  const [program = '', ...first] = command;
  const options = { timeout: PROGRAM_MS, killSignal: 'SIGKILL', maxBuffer: 64 << 20 } as const;
  return new Promise((resolve, reject) => {
    execFile(program, [...first, ...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${args.join(' ')}: ${error.message}\n${stdout}${stderr}`));
    });
  });
}

export const mountsAt = (mountPoint: string): number =>
  mountTable().filter((mount) => mount.mountPoint === byteStringOf(mountPoint)).length;

/** Detaches all that is mounted there, dead or alive. */
export async function takeMountsAway(mountPoint: string): Promise<void> {
  for (let layer = 0; layer < LAYERS && mountsAt(mountPoint) > 0; layer++) {
    await run(['umount', '-i', '-c', '-l'], mountPoint);
  }
}

export class Daemon {
  readonly volume: string;
  readonly mountPoint: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<string>;
  #complaint = '';

  /** Starts it; see `untilUsable`. */
  constructor(programs: Programs, volume: string, mountPoint: string, options: string) {
    this.volume = volume;
    this.mountPoint = mountPoint;
    const [program = '', ...args] = programs.daemon;
    const order = ['-o', options, volume, mountPoint];
    this.#child = spawn(program, [...args, ...order], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint += text;
    });
    this.#exited = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('exit', (code, signal) => resolve(signal ?? `exit status ${code}`));
    });
  }

  get #isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Resolves when the mount can be used. Throws what a daemon that ends before says. */
  async untilUsable(): Promise<void> {
    const deadline = performance.now() + START_MS;
    while (!(await this.#isUsable())) {
      if (this.#isGone) throw new Error(`${await this.#exited}: ${this.#complaint}`);
      if (performance.now() > deadline) throw new Error('the mount is not usable after a minute');
      await sleep(POLL_MS);
    }
  }

  async #isUsable(): Promise<boolean> {
    if (mountsAt(this.mountPoint) !== 1) return false;
    if ((await connect(this.volume)) === undefined) return false;
    // Not by stat: the dead mount of the last daemon answers that one from the kernel's cache.
    return statfs(this.mountPoint).then(
      () => mountsAt(this.mountPoint) === 1,
      () => false,
    );
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** How it ended: a signal's name or an exit status. */
  exited(): Promise<string> {
    return this.#exited;
  }

  /** `ledgerfs umount`, after which it must have ended well. */
  async unmount({ ledgerfs }: Programs): Promise<void> {
    await run(ledgerfs, 'umount', this.mountPoint);
    const how = await this.#exited;
    if (how !== 'exit status 0') throw new Error(`after umount: ${how}: ${this.#complaint}`);
  }

  /** What it printed. */
  get complaint(): string {
    return this.#complaint;
  }
}

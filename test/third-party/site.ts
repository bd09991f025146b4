/**
 * What a third-party suite runs in: a fresh volume mounted as `ledgerfs mount` does it, with set-id
 * bits and devices allowed, since the suites test those too; and the suite's sources, fetched at the
 * commit that is named here, never committed. What it leaves in the volume is checked afterwards.
 */

import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runToEnd } from '../runner/child.ts';
import { MountedVolume, run } from '../use/mounted-volume.ts';

/** What a suite found. */
export interface Report {
  readonly counts: Readonly<Record<string, number>>;
  readonly findings: readonly string[];
}

/** A suite of others. */
export interface Suite {
  readonly name: string;
  readonly version: string;
  /** How it is run, for the record. */
  readonly command: string;
  /** Programs that must be there. */
  readonly programs: readonly string[];
  check(site: Site): Promise<Report>;
}

/** Where a suite's sources are, and at which commit. */
export interface Source {
  readonly url: string;
  readonly commit: string;
}

const LIMIT_SECONDS = 3600;

export class Site {
  readonly volume: MountedVolume;
  /** How long a suite without an end of its own runs, in seconds. */
  readonly seconds: number;
  /** Sources that stand somewhere else than at their home, by the suite's name. */
  readonly #elsewhere: ReadonlyMap<string, string>;

  private constructor(
    volume: MountedVolume,
    seconds: number,
    elsewhere: ReadonlyMap<string, string>,
  ) {
    this.volume = volume;
    this.seconds = seconds;
    this.#elsewhere = elsewhere;
  }

  static async open(seconds: number, elsewhere: ReadonlyMap<string, string>): Promise<Site> {
    const volume = await MountedVolume.make();
    await volume.succeed('mount', volume.dir, volume.path, '-o', 'suid,dev');
    return new Site(volume, seconds, elsewhere);
  }

  /** A new directory on the mount that everybody may write to. */
  async directory(name: string): Promise<string> {
    const path = join(this.volume.path, name);
    await mkdir(path);
    await run('chmod', '0777', path);
    return path;
  }

  /**
   * Runs a shell script of a suite, "$1" and so on being `args`; the end of what it printed, however
   * it ended.
   */
  async shell(script: string, ...args: readonly string[]): Promise<string> {
    const command = ['sh', '-uc', script, 'sh', ...args];
    const options = { cwd: this.volume.scratch, env: process.env, limitSeconds: LIMIT_SECONDS };
    const { output, timedOut } = await runToEnd(command, options);
    if (timedOut) throw new Error(`not done after ${LIMIT_SECONDS} s: ${output.slice(-2000)}`);
    return output;
  }

  /** Clones `source` into the scratch folder, which other users may read; its directory. */
  async fetch(name: string, source: Source): Promise<string> {
    const into = join(this.volume.scratch, name);
    await run('git', 'clone', '-q', this.#elsewhere.get(name) ?? source.url, into);
    await run('git', '-C', into, 'checkout', '-q', source.commit);
    return into;
  }

  /** The daemon's own memory (without mapped index files), in megabytes. */
  async daemonMB(): Promise<number> {
    const told = await this.volume.succeed('status', '--json', this.volume.path);
    const { pid } = JSON.parse(told) as { readonly pid: number };
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    return Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  }

  /** Unmounts; what the journal, fsck and a replay from nothing have to say is a finding. */
  async close(): Promise<string[]> {
    const findings: string[] = [];
    try {
      await this.volume.unmount();
      findings.push(...(await this.volume.complaints()).map((line) => `journal: ${line}`));
      await this.volume.assertWhole();
    } catch (error) {
      findings.push((error as Error).message);
    } finally {
      await this.volume.dispose();
    }
    return findings;
  }
}

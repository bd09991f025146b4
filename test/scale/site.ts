/**
 * Where a part of the scale run works: a lab (`bench/lab/`) that takes everything away in the end,
 * the sizes, and the record of what the part finds.
 *
 * A figure is what was measured; a finding is what must not be, and makes the run fail.
 */

import { join } from 'node:path';
import type { Lab } from '../../bench/lab/lab.ts';
import { makeVolume, mountVolume, memoryOf, type MountedVolume } from '../../bench/lab/subjects.ts';
import { volumeUse, type VolumeUse } from './disk-use.ts';
import type { Sizes } from './sizes.ts';

export type Figure = number | string | boolean | null | readonly Figure[] | Figures;

export interface Figures {
  readonly [name: string]: Figure;
}

/** One part of the run; sizes of 0 are for leaving it out. */
export interface Part {
  readonly name: string;
  run(site: Site): Promise<void>;
}

/** The C programs of this directory, and where the lab has compiled them to. */
export interface Programs {
  readonly probe: string;
  readonly handles: string;
  readonly xattrs: string;
  readonly sample: string;
}

export interface SiteOptions {
  readonly lab: Lab;
  readonly sizes: Sizes;
  readonly programs: Programs;
  readonly part: string;
  /** Tells whoever watches. */
  readonly say: (line: string) => void;
}

export class Site {
  readonly lab: Lab;
  readonly sizes: Sizes;
  readonly programs: Programs;
  readonly figures: Record<string, Figure> = {};
  readonly findings: string[] = [];
  /** What this part leaves out of what the issue asks for. */
  readonly cuts: string[] = [];
  /** Volumes that this part has made. */
  readonly volumes: string[] = [];
  readonly part: string;
  readonly #say: (line: string) => void;

  constructor({ lab, sizes, programs, part, say }: SiteOptions) {
    this.lab = lab;
    this.sizes = sizes;
    this.programs = programs;
    this.part = part;
    this.#say = say;
  }

  say(line: string): void {
    this.#say(`${this.part}: ${line}`);
  }

  figure(name: string, value: Figure): void {
    this.note(name, value);
    this.say(`${name}: ${JSON.stringify(value)}`);
  }

  /** A figure that is told in other words. */
  note(name: string, value: Figure): void {
    this.figures[name] = value;
  }

  finding(what: string): void {
    this.findings.push(what);
    this.say(`FINDING: ${what}`);
  }

  cut(what: string): void {
    this.cuts.push(what);
    this.say(`CUT: ${what}`);
  }

  /** A new volume without history. */
  async volume(): Promise<string> {
    const volume = await makeVolume(this.lab, 'none');
    this.volumes.push(volume);
    return volume;
  }

  /** Mounts under the daemon as users start it; notes how long it took and what it weighs. */
  async mount(volume: string, name = 'mount', at?: string): Promise<MountedVolume> {
    const mounted = await mountVolume(this.lab, volume, at);
    const seconds = round(mounted.mountSeconds);
    this.figure(name, await this.withMemory(mounted, { seconds }));
    return mounted;
  }

  /** What the daemon weighs now, beside `figures`: all, and without the files that it maps. */
  async withMemory(mounted: MountedVolume, figures: Figures): Promise<Figures> {
    const { resident, own } = await memoryOf(mounted.pid);
    return { ...figures, daemonMB: round(resident), daemonOwnMB: round(own) };
  }

  /** Everything answered so far is durable then, so that the log can be weighed. */
  async synced(mounted: MountedVolume): Promise<VolumeUse> {
    await this.lab.ledgerfs('sync', mounted.path);
    return volumeUse(mounted.volume);
  }

  /** The journal that the volume's daemon writes. */
  journalOf(volume: string): string {
    return join(volume, 'daemon.log');
  }
}

/** Three digits behind the point: enough for seconds, and readable. */
export const round = (value: number): number => Math.round(value * 1000) / 1000;

export const megabytes = (bytes: number): number => round(bytes / 1e6);

/**
 * What is measured through a mount, and what it is measured against, each as a directory to work
 * in:
 *
 * - ledgerfs: a new volume under the daemon as `ledgerfs mount` starts it;
 * - null: the null filesystem on our transport, what the protocol and Node cost without an engine;
 * - bindfs: a C filesystem that passes everything on to a directory of the same disk, as it runs by
 *   default (single-threaded, libfuse 3);
 * - ext4 (or what the disk has): the same disk without FUSE.
 */

import { readFile } from 'node:fs/promises';
import type { Lab } from './lab.ts';

export interface Subject {
  readonly name: 'ledgerfs' | 'null' | 'bindfs' | 'ext4';
  /** Where it can be worked in. */
  readonly path: string;
  /** Of our process that serves it; 0 for others. */
  readonly pid: number;
  /** Unmounts and removes it. */
  stop(): Promise<void>;
}

export interface MountedVolume extends Subject {
  readonly volume: string;
  /** What `ledgerfs mount` took. */
  readonly mountSeconds: number;
  unmount(): Promise<void>;
}

/** Ends with the mount gone, whatever state it is in: a dead mount blocks its parent directory. */
const forceUnmount = (lab: Lab, path: string): Promise<unknown> =>
  lab.run('umount', '-i', '-l', path).catch(() => undefined);

export async function makeVolume(lab: Lab, history = '7d'): Promise<string> {
  const volume = await lab.directory('volume');
  await lab.ledgerfs('mkfs', volume, '--history', history);
  return volume;
}

/** The volume of a million files that benchmarks share: by name, so that the last fill is kept. */
const LARGE = 'large volume';

/** Fills a volume through the engine; see `programs/fill-volume.ts`. */
export async function fillVolume(lab: Lab, history: string): Promise<Filled & { volume: string }> {
  const volume = await makeVolume(lab, history);
  const { million, listed } = lab.scale;
  const filled = await lab.program<Filled>('programs/fill-volume.js', volume, million, listed);
  return { ...filled, volume };
}

/**
 * Seconds until all calls were answered, until the log was durable, and until the index was, too.
 */
export interface Filled {
  readonly answered: number;
  readonly durable: number;
  readonly applied: number;
}

/** Lets later benchmarks of the run use a filled volume, instead of the one kept before. */
export async function keepLargeVolume(lab: Lab, volume: string): Promise<void> {
  const before = lab.kept.get(LARGE);
  lab.kept.set(LARGE, volume);
  if (before !== undefined) await lab.remove(before);
}

/** A volume of a million files, `/big` with 100,000 among them; filled only if none was kept. */
export async function largeVolume(lab: Lab): Promise<string> {
  const kept = lab.kept.get(LARGE);
  if (kept !== undefined) return kept;
  const { volume } = await fillVolume(lab, '7d');
  await keepLargeVolume(lab, volume);
  return volume;
}

/** Mounts `volume` under a daemon in the background; at `at`, where that is given. */
export async function mountVolume(lab: Lab, volume: string, at?: string): Promise<MountedVolume> {
  const path = at ?? (await lab.directory('mnt'));
  let isMounted = true;
  const unmount = async (): Promise<void> => {
    if (isMounted) await lab.ledgerfs('umount', path);
    isMounted = false;
  };
  lab.defer(() => unmount().catch(() => forceUnmount(lab, path)));
  const begun = performance.now();
  await lab.ledgerfs('mount', volume, path);
  const mountSeconds = (performance.now() - begun) / 1000;
  const status = JSON.parse(await lab.ledgerfs('status', volume, '--json')) as { pid: number };
  const stop = (): Promise<void> => unmount().then(() => lab.remove(volume));
  return { name: 'ledgerfs', path, pid: status.pid, volume, mountSeconds, unmount, stop };
}

export async function ledgerfs(lab: Lab): Promise<MountedVolume> {
  return mountVolume(lab, await makeVolume(lab));
}

/** A new volume whose mount lets the kernel remember nothing. */
export async function ledgerfsWithoutTimeouts(lab: Lab): Promise<Subject> {
  const [volume, path] = [await makeVolume(lab), await lab.directory('mnt')];
  lab.defer(() => forceUnmount(lab, path));
  const server = await lab.server('programs/serve-volume.js', volume, path);
  const stop = (): Promise<void> => server.stop().then(() => lab.remove(volume));
  return { name: 'ledgerfs', path, pid: server.pid, stop };
}

export async function nullfs(lab: Lab, timeoutMs = 1000): Promise<Subject> {
  const path = await lab.directory('null');
  lab.defer(() => forceUnmount(lab, path));
  const server = await lab.server('nullfs.js', path, String(timeoutMs));
  return { name: 'null', path, pid: server.pid, stop: () => server.stop() };
}

/** Its timeouts are libfuse's 1 s, as ours, unless `options` say otherwise. */
export async function bindfs(lab: Lab, ...options: readonly string[]): Promise<Subject> {
  const [below, path] = [await lab.directory('below'), await lab.directory('bindfs')];
  let isMounted = true;
  const stop = async (): Promise<void> => {
    if (!isMounted) return;
    isMounted = false;
    await lab.run('umount', path).catch(() => forceUnmount(lab, path));
    await lab.remove(below);
  };
  lab.defer(stop);
  await lab.run('bindfs', ...options.flatMap((option) => ['-o', option]), below, path);
  return { name: 'bindfs', path, pid: 0, stop };
}

export async function ext4(lab: Lab): Promise<Subject> {
  const path = await lab.directory('ext4');
  return { name: 'ext4', path, pid: 0, stop: () => lab.remove(path) };
}

/** All four, in this order. */
export async function allSubjects(lab: Lab): Promise<Subject[]> {
  return [await ledgerfs(lab), await nullfs(lab), await bindfs(lab), await ext4(lab)];
}

/** Resident memory of a process, in MB (10^6). */
export interface Memory {
  readonly resident: number;
  /**
   * Without the pages of files that it maps: LevelDB maps its tables, which are the kernel's page
   * cache and go when memory is short.
   */
  readonly own: number;
}

export async function memoryOf(pid: number): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const megabytes = (line: RegExp): number => (Number(line.exec(status)?.[1]) * 1024) / 1e6;
  return { resident: megabytes(/VmRSS:\s+(\d+)/), own: megabytes(/RssAnon:\s+(\d+)/) };
}

/** Processor time that a process has used, in seconds: utime and stime, in ticks of 10 ms. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

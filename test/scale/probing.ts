/** The prober (`probe.c`): what others wait while something large goes on. */

import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MountedVolume } from '../../bench/lab/subjects.ts';
import { round, type Figures, type Site } from './site.ts';

/** The issue: nothing delays another operation by more. */
const LONGEST_MS = 50;

/** Latencies of one operation, in milliseconds. */
export interface Latencies extends Figures {
  readonly operations: number;
  readonly p999ms: number;
  readonly maxms: number;
}

export interface Probed extends Figures {
  readonly seconds: number;
  /** The error that ended it; '' where it was stopped. */
  readonly ended: string;
  readonly all: Latencies;
  readonly fsync: Latencies;
  /** What a thread that only sleeps was kept waiting by the machine. */
  readonly noise: Latencies;
  /** The slowest first. */
  readonly slowest: readonly Slow[];
}

interface Slow extends Figures {
  readonly operation: string;
  readonly ms: number;
  readonly atSeconds: number;
}

/** Of the slowest operations so many are told. */
const TOLD = 4;

export interface Probe {
  /** Ends it; what it measured. */
  stop(): Promise<Probed>;
}

/**
 * Seconds that the daemon's main thread has run, and that it was ready to run while the processors
 * were busy with others: what the machine, not the daemon, makes everybody wait.
 */
async function mainThread(pid: number): Promise<{ ran: number; queued: number }> {
  const text = await readFile(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').catch(() => '0 0');
  const [ran = 0, queued = 0] = text.split(' ').map((nanoseconds) => Number(nanoseconds) / 1e9);
  return { ran, queued };
}

/** Starts a prober in a directory of the mount; it works when this resolves. */
export async function startProbe(site: Site, mounted: MountedVolume): Promise<Probe> {
  const dir = join(mounted.path, 'probe');
  await mkdir(dir, { recursive: true });
  const child = site.lab.start(site.programs.probe, [dir], ['pipe', 'pipe', 'inherit']);
  let output = '';
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`probe: ${signal ?? `exit status ${code}`}`));
    });
  });
  ended.catch(() => undefined);
  const ready = new Promise<void>((resolve) => {
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
      if (output.startsWith('ready\n')) resolve();
    });
  });
  await Promise.race([ready, ended]);
  const stop = async (): Promise<Probed> => {
    child.stdin?.end();
    await ended;
    return JSON.parse(output.slice('ready\n'.length)) as Probed;
  };
  return { stop };
}

/** Runs `work` with a prober beside it; notes what the prober saw, and whether it was too much. */
export async function probed(
  site: Site,
  mounted: MountedVolume,
  name: string,
  work: () => Promise<Figures>,
): Promise<void> {
  judge(site, name, await watched(site, mounted, name, work));
}

/** The same without judging: what the prober sees where nothing goes on is the machine's. */
export async function watched(
  site: Site,
  mounted: MountedVolume,
  name: string,
  work: () => Promise<Figures>,
): Promise<Probed> {
  const before = await mainThread(mounted.pid);
  const probe = await startProbe(site, mounted);
  const figures = await work();
  const measured = await probe.stop();
  const after = await mainThread(mounted.pid);
  const mainThreadRanSeconds = round(after.ran - before.ran);
  const mainThreadQueuedSeconds = round(after.queued - before.queued);
  note(site, name, { ...figures, mainThreadRanSeconds, mainThreadQueuedSeconds }, measured);
  return measured;
}

/** Notes and judges what a prober saw that was stopped already. */
export function noteProbe(site: Site, name: string, figures: Figures, probe: Probed): void {
  note(site, name, figures, probe);
  judge(site, name, probe);
}

function note(site: Site, name: string, figures: Figures, probe: Probed): void {
  site.note(name, { ...figures, probe });
  const { all, fsync, noise } = probe;
  const slowest = probe.slowest
    .slice(0, TOLD)
    .map(({ operation, ms, atSeconds }) => `${operation} ${ms} ms at ${atSeconds} s`);
  site.say(
    `${name}: ${JSON.stringify(figures)}; ${all.operations} operations, 99.9 % ${all.p999ms} ms, ` +
      `slowest ${slowest.join(', ')}; fsync ${fsync.maxms} ms; noise ${noise.maxms} ms`,
  );
}

function judge(site: Site, name: string, { all, noise }: Probed): void {
  if (all.maxms <= LONGEST_MS) return;
  site.finding(
    `${name}: an operation took ${all.maxms} ms, more than ${LONGEST_MS} ` +
      `(99.9 %: ${all.p999ms} ms; a thread that only sleeps was late by up to ${noise.maxms} ms)`,
  );
}

/**
 * Programs beside the run. `runProgram` runs one of `programs/` on the engine to its end, watched:
 * its largest memory is noted, and how far it has come is told. `runStages` runs a C program that
 * stops after each stage (`stage.h`).
 */

import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { round, type Figures, type Site } from './site.ts';

const WATCH_MS = 1000;
/** Seconds between two lines about the same program. */
const TELL_SECONDS = 15;

/** The last of what a child complained of is kept. */
const MAX_COMPLAINT = 4000;

/** Collects what a child says on stderr. */
class Complaint {
  text = '';

  constructor(child: ChildProcess) {
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.text = (this.text + chunk).slice(-MAX_COMPLAINT);
    });
  }

  get lastLine(): string {
    return this.text.trimEnd().split('\n').at(-1) ?? '';
  }
}

/** Resolves when `child` has ended well; rejects with what it complained of. */
function ending(name: string, child: ChildProcess, complaint: Complaint): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${name}: ${signal ?? `exit status ${code}`}: ${complaint.text}`));
    });
  });
}

/** Largest resident memory that a process has had, in MB (10^6); undefined once it is gone. */
async function peakMB(pid: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kB = /VmHWM:\s+(\d+)/.exec(status)?.[1];
  return kB === undefined ? undefined : (Number(kB) * 1024) / 1e6;
}

/** Runs a program of `bench/` or `test/scale/`, as built; its figures and its peak memory. */
export async function runProgram(
  site: Site,
  program: string,
  ...args: readonly (string | number)[]
): Promise<Figures> {
  const file = join(site.lab.dir, 'dist', program);
  const child = site.lab.start(
    process.execPath,
    [file, ...args.map(String)],
    ['ignore', 'pipe', 'pipe'],
  );
  const complaint = new Complaint(child);
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
  });
  const watch = new Watch(site, program, child, complaint);
  try {
    await ending(program, child, complaint);
  } finally {
    watch.end();
  }
  return { ...(JSON.parse(output) as Figures), peakMB: round(watch.peakMB) };
}

/** Looks at a process once a second, and tells of it now and then. */
class Watch {
  peakMB = 0;
  readonly #begun = performance.now();
  #told = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(site: Site, name: string, child: ChildProcess, complaint: Complaint) {
    const tell = async (): Promise<void> => {
      this.peakMB = (await peakMB(child.pid ?? 0)) ?? this.peakMB;
      const seconds = Math.floor((performance.now() - this.#begun) / 1000);
      if (seconds - this.#told < TELL_SECONDS) return;
      this.#told = seconds;
      site.say(`${name}: ${seconds} s, ${this.peakMB.toFixed(0)} MB; ${complaint.lastLine}`);
    };
    this.#timer = setInterval(() => void tell(), WATCH_MS);
  }

  end(): void {
    clearInterval(this.#timer);
  }
}

/** The figures that a C program prints after a stage. */
export interface Stage extends Figures {
  readonly stage: string;
  readonly operations: number;
  readonly seconds: number;
}

/** Runs a program in stages; it waits while `onStage` looks at what it has done. */
export async function runStages(
  site: Site,
  program: string,
  args: readonly (string | number)[],
  onStage: (stage: Stage) => Promise<void>,
): Promise<void> {
  const child = site.lab.start(program, args.map(String), ['pipe', 'pipe', 'pipe']);
  const complaint = new Complaint(child);
  const ended = ending(program, child, complaint);
  ended.catch(() => undefined);
  if (child.stdout === null) throw new Error(`${program}: no output`);
  for await (const line of createInterface({ input: child.stdout })) {
    await onStage(JSON.parse(line) as Stage);
    child.stdin?.write('\n');
  }
  await ended;
}

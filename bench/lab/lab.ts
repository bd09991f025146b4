/**
 * Where benchmarks work: a directory of its own on the disk to be measured, with a build of the
 * sources as they are at the start and the compiled load generator. It owns every process, mount
 * and file that a run makes, and takes all of them away, last made first, also after SIGINT.
 *
 * The contestants run built code, as users do: tsx wraps functions, and costs what it adds.
 */

import { execFile, spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Scale } from './scale.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SOURCES = ['src', 'tools', 'bench'];
const PROGRAM_MS = 10 * 60_000;
const READY_MS = 30_000;

/** What `load` prints. */
export interface Load {
  readonly operations: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly mibPerSecond: number;
  readonly p50us: number;
  readonly p99us: number;
  readonly maxus: number;
}

export interface LabOptions {
  /** Folders that are built besides the sources and `bench/`. */
  readonly folders?: readonly string[];
  /** Longest time that a program may take, in milliseconds. */
  readonly programMs?: number;
}

type Undo = () => unknown;

export class Lab {
  readonly dir: string;
  readonly scale: Scale;
  /** What one benchmark leaves to later ones of the same run. */
  readonly kept = new Map<string, string>();
  readonly #undo: Undo[] = [];
  readonly #children = new Set<ChildProcess>();
  readonly #programMs: number;
  #directories = 0;

  private constructor(dir: string, scale: Scale, programMs: number) {
    this.dir = dir;
    this.scale = scale;
    this.#programMs = programMs;
  }

  /** Makes a lab in a new directory of `parent`. */
  static async open(parent: string, scale: Scale, options: LabOptions = {}): Promise<Lab> {
    const { folders = [], programMs = PROGRAM_MS } = options;
    const lab = new Lab(await mkdtemp(join(parent, 'ledgerfs-bench-')), scale, programMs);
    lab.defer(() => rm(lab.dir, { recursive: true, force: true }));
    try {
      await lab.#build([...SOURCES, ...folders]);
      await lab.compile('bench/load.c');
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  async #build(folders: readonly string[]): Promise<void> {
    const include = folders.map((folder) => join(ROOT, folder));
    const compilerOptions = {
      rootDir: ROOT,
      outDir: join(this.dir, 'dist'),
      declaration: false,
      sourceMap: false,
      typeRoots: [join(ROOT, 'node_modules/@types')],
    };
    const config = { extends: join(ROOT, 'tsconfig.build.json'), compilerOptions, include };
    await writeFile(join(this.dir, 'tsconfig.json'), JSON.stringify(config));
    await symlink(join(ROOT, 'node_modules'), join(this.dir, 'node_modules'));
    for (const name of ['package.json', 'bin']) {
      await cp(join(ROOT, name), join(this.dir, name), { recursive: true });
    }
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
    await this.run(process.execPath, compiler, '-p', join(this.dir, 'tsconfig.json'));
  }

  /** Compiles a C program of the checkout; its path. */
  async compile(source: string): Promise<string> {
    const program = join(this.dir, basename(source, '.c'));
    await this.run('cc', '-O2', '-pthread', '-o', program, join(ROOT, source));
    return program;
  }

  /** Something to take away at the end, before everything made earlier. */
  defer(undo: Undo): void {
    this.#undo.push(undo);
  }

  /** Ends what still runs and takes everything away; goes on past failures, and reports them. */
  async close(): Promise<void> {
    for (const child of this.#children) child.kill('SIGTERM');
    for (let undo = this.#undo.pop(); undo !== undefined; undo = this.#undo.pop()) {
      try {
        await undo();
      } catch (error) {
        process.stderr.write(`bench: cleaning up: ${String(error)}\n`);
      }
    }
  }

  /** A new, empty directory. */
  async directory(name: string): Promise<string> {
    const path = join(this.dir, `${name}-${++this.#directories}`);
    await mkdir(path);
    return path;
  }

  /** Removes what a benchmark has done with, so that the disk does not fill up. */
  remove(path: string): Promise<void> {
    return rm(path, { recursive: true, force: true });
  }

  /** Runs a program to its end; its output, or an error with what it complained of. */
  run(program: string, ...args: readonly string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const options = { timeout: this.#programMs, maxBuffer: 64 * 1024 * 1024, cwd: this.dir };
      const child = execFile(program, args, options, (error, stdout, stderr) => {
        this.#children.delete(child);
        if (error === null) resolve(stdout);
        else reject(new Error(`${error.message}\n${stdout}${stderr}`));
      });
      this.#children.add(child);
    });
  }

  /** Starts a program, which is ended with the lab at the latest. */
  start(program: string, args: readonly string[], stdio: StdioOptions): ChildProcess {
    const child = spawn(program, args, { cwd: this.dir, stdio });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return child;
  }

  /** One run of the load generator. */
  async load(...args: readonly (string | number)[]): Promise<Load> {
    return JSON.parse(await this.run(join(this.dir, 'load'), ...args.map(String))) as Load;
  }

  /** The command, as built. */
  ledgerfs(...args: readonly string[]): Promise<string> {
    return this.run(join(this.dir, 'bin/ledgerfs'), ...args);
  }

  /** A program of `bench/` that prints one line of JSON. */
  async program<T>(name: string, ...args: readonly (string | number)[]): Promise<T> {
    const file = join(this.dir, 'dist/bench', name);
    return JSON.parse(await this.run(process.execPath, file, ...args.map(String))) as T;
  }

  /** A program of `bench/` that serves a mount until SIGTERM; resolves when it says "ready". */
  async server(name: string, ...args: readonly string[]): Promise<Server> {
    const file = join(this.dir, 'dist/bench', name);
    const stdio = ['ignore', 'pipe', 'inherit'] as const;
    const child = spawn(process.execPath, [file, ...args], { cwd: this.dir, stdio: [...stdio] });
    const ended = new Promise<void>((resolve) => void child.once('close', () => resolve()));
    const stop = async (): Promise<void> => {
      child.kill('SIGTERM');
      const killing = setTimeout(() => child.kill('SIGKILL'), READY_MS);
      await ended;
      clearTimeout(killing);
    };
    this.defer(stop);
    const ready = new Promise<boolean>((resolve) => {
      child.stdout?.once('data', () => resolve(true));
      void ended.then(() => resolve(false));
      setTimeout(() => resolve(false), READY_MS).unref();
    });
    if (!(await ready)) throw new Error(`${name} did not start`);
    return { pid: child.pid ?? 0, stop };
  }

  /** The kernel writes everything back and forgets its caches: 1 pages, 2 names, 3 both. */
  async dropCaches(kinds: 1 | 2 | 3): Promise<void> {
    await this.run('sync');
    await writeFile('/proc/sys/vm/drop_caches', `${kinds}\n`);
  }
}

export interface Server {
  readonly pid: number;
  stop(): Promise<void>;
}

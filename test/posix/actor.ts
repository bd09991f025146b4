/**
 * Actors (`actor.c`): processes that make the system calls of a test, one line each. Compiled once a
 * test; each ends with `end`, or with its stdin when this process dies.
 */

import { spawn, type ChildProcess } from 'node:child_process';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { run } from '../use/mounted-volume.ts';

/** Compiles a C program of this folder (`actor`, `fsx/fsx`) into `dir`; its path. */
export async function compile(name: string, dir: string): Promise<string> {
  const source = fileURLToPath(new URL(`${name}.c`, import.meta.url));
  const program = join(dir, basename(name));
  await run('cc', '-O2', '-Wall', '-o', program, source);
  return program;
}

/** One operation or its answer could not be had: the actor is gone. */
export class ActorGone extends Error {}

export class Actor {
  readonly #child: ChildProcess;
  readonly #waiting: { readonly take: (line: string) => void; readonly fail: () => void }[] = [];
  readonly #exited: Promise<void>;
  #complaint = '';
  #isGone = false;

  /** Starts `program` (see `compile`) with its paths below `root`. */
  constructor(program: string, root: string) {
    this.#child = spawn(program, [root], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint += text;
    });
    const output = this.#child.stdout;
    if (output === null) throw new Error('no output');
    createInterface({ input: output }).on('line', (line) => this.#waiting.shift()?.take(line));
    this.#exited = new Promise((resolve) => {
      this.#child.once('close', () => {
        this.#isGone = true;
        resolve();
        for (const { fail } of this.#waiting.splice(0)) fail();
      });
      this.#child.once('error', (error) => {
        this.#complaint += error.message;
      });
    });
  }

  /** The answer to one operation. */
  ask(operation: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const fail = (): void => reject(new ActorGone(`the actor ended: ${this.#complaint}`));
      if (this.#isGone) fail();
      else {
        this.#waiting.push({ take: resolve, fail });
        this.#child.stdin?.write(`${operation}\n`);
      }
    });
  }

  /** The answers to many, which are made one after the other without waiting for us. */
  async askAll(operations: readonly string[]): Promise<string[]> {
    if (this.#isGone) throw new ActorGone(`the actor ended: ${this.#complaint}`);
    const answers = operations.map(
      () =>
        new Promise<string>((resolve, reject) => {
          const fail = (): void => reject(new ActorGone(`the actor ended: ${this.#complaint}`));
          this.#waiting.push({ take: resolve, fail });
        }),
    );
    this.#child.stdin?.write(operations.map((line) => `${line}\n`).join(''));
    return Promise.all(answers);
  }

  /** Ends it; `kill` if it hangs in a system call that nobody answers. */
  async end(): Promise<void> {
    this.#child.stdin?.end();
    const impatience = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await this.#exited;
    clearTimeout(impatience);
  }
}

/** A path, name or value as one word of an operation. */
export function word(bytes: string | Uint8Array): string {
  const all = Buffer.from(bytes as string);
  if (all.length === 0) return '%';
  return [...all].map((byte) => wordOfByte(byte)).join('');
}

function wordOfByte(byte: number): string {
  const char = String.fromCharCode(byte);
  if (/[A-Za-z0-9._/-]/.test(char)) return char;
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

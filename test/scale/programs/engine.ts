/**
 * What the programs of the scale run share: they work on a volume through the engine, in this
 * process, without a mount. The event loop gets a turn every few calls, as between requests of the
 * kernel. What goes wrong in the engine's background is told on stderr and ends the program.
 */

import type { Answer, Caller, OpenFile } from '../../../src/engine/api.ts';
import type { Filesystem } from '../../../src/engine/filesystem.ts';
import { openVolume, type Volume } from '../../../src/engine/volume.ts';
import type { LogFunction } from '../../../src/io/logger.ts';
import { isRefusal, type Refusal } from '../../../src/model/errno.ts';
import type { Size } from '../../../src/model/size.ts';

const CALLS_A_TURN = 64;
const TELL_MS = 2000;

export const CALLER: Caller = { uid: 0, gid: 0, pid: process.pid };

const complain: LogFunction = (level, message) => {
  if (level !== 'error') return;
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
};

/** Opens the volume named first, works on it, closes it, and prints what came of it. */
export async function inVolume(work: (volume: Volume) => Promise<object>): Promise<void> {
  const volume = await openVolume({
    dir: process.argv[2] ?? '',
    log: complain,
    onFailure: (error) => {
      throw error;
    },
  });
  const result = await work(volume);
  const begun = performance.now();
  await volume.close();
  process.stdout.write(`${JSON.stringify({ ...result, closeSeconds: secondsSince(begun) })}\n`);
}

export const secondsSince = (begun: number): number => Math.round(performance.now() - begun) / 1000;

/** The value of an answer, at once where it came at once; throws a refusal. */
export function valueOf<T>(answer: Answer<T>): T | Promise<T> {
  return answer instanceof Promise ? answer.then(accepted<T>) : accepted<T>(answer);
}

function accepted<T>(value: T | Refusal): T {
  if (isRefusal(value)) throw new Error(value.name);
  return value;
}

export function write(
  filesystem: Filesystem,
  file: OpenFile,
  offset: Size,
  bytes: Buffer,
): number | Promise<number> {
  const payload = { bytes, take: () => () => undefined };
  return valueOf(filesystem.write(file, offset, payload, false, CALLER));
}

/** Counts calls: gives others their turn, and tells how far the work has come. */
export class Pace {
  #done = 0;
  #told = performance.now();
  readonly #total: number;

  constructor(total: number) {
    this.#total = total;
  }

  /** To be awaited where it is a promise. */
  step(): Promise<void> | undefined {
    this.#done++;
    return this.#done % CALLS_A_TURN === 0 ? this.#turn() : undefined;
  }

  #turn(): Promise<void> {
    if (performance.now() - this.#told >= TELL_MS) {
      this.#told = performance.now();
      process.stderr.write(`${this.#done} of ${this.#total}\n`);
    }
    return new Promise((resolve) => void setImmediate(resolve));
  }
}

/**
 * The clock port by hand: time stands still until the test moves it, and tasks run at exactly their
 * moment, in order. No Node timer is involved.
 */

import type { Clock } from '../../src/io/clock.ts';
import type { Time } from '../../src/model/time.ts';

interface Task {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** 2026-01-01T00:00:00Z: a moment that no field's width or sign makes special. */
const START_MICROS = 1_767_225_600_000_000;

export class SimClock implements Clock {
  #wallOffset: number;
  #micros = 0;
  #tasks: Task[] = [];
  #order = 0;

  /** `startMicros`: the wall clock at the beginning, microseconds since 1970. */
  constructor(startMicros = START_MICROS) {
    this.#wallOffset = startMicros;
  }

  now(): Time {
    const micros = this.micros();
    const sec = Math.floor(micros / 1e6);
    return { sec, nsec: (micros - sec * 1e6) * 1000 };
  }

  micros(): number {
    return this.#wallOffset + this.#micros;
  }

  monotonicMs(): number {
    return this.#micros / 1000;
  }

  after(ms: number, task: () => void): () => void {
    const at = this.#micros + Math.max(0, Math.round(ms * 1000));
    const entry: Task = { at, order: this.#order++, run: task };
    this.#tasks.push(entry);
    return () => {
      this.#tasks = this.#tasks.filter((other) => other !== entry);
    };
  }

  /** Tasks that wait for their moment. */
  get waiting(): number {
    return this.#tasks.length;
  }

  /** Monotonic milliseconds at which the next task is due; undefined if none waits. */
  get nextMs(): number | undefined {
    if (this.#tasks.length === 0) return undefined;
    return Math.min(...this.#tasks.map((task) => task.at)) / 1000;
  }

  /** Moves the wall clock alone, as an administrator would. */
  setWall(micros: number): void {
    this.#wallOffset = micros - this.#micros;
  }

  /** Moves time on by `ms` and runs what falls due, at its own moment, in order. */
  advance(ms: number): void {
    const end = this.#micros + Math.round(ms * 1000);
    for (let task = this.#next(end); task !== undefined; task = this.#next(end)) {
      this.#micros = task.at;
      task.run();
    }
    this.#micros = end;
  }

  /** Moves on to the next task and runs it; false if none waits. */
  step(): boolean {
    const task = this.#next(Infinity);
    if (task === undefined) return false;
    this.#micros = Math.max(this.#micros, task.at);
    task.run();
    return true;
  }

  /** Takes the earliest task that is due by `end`. */
  #next(end: number): Task | undefined {
    let earliest: Task | undefined;
    for (const task of this.#tasks) {
      if (task.at > end) continue;
      if (earliest === undefined || task.at < earliest.at) earliest = task;
    }
    if (earliest !== undefined) this.#tasks = this.#tasks.filter((task) => task !== earliest);
    return earliest;
  }
}

/** Lets everything that is ready to go on do so: all microtasks, and one turn of the event loop. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

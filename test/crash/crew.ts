/** The workers of a run, each a process that lives through all rounds. */

import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { JournalReader, type Entry, type Line, type Order } from './journal.ts';

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url));

interface Member {
  readonly process: ChildProcess;
  readonly exited: Promise<void>;
  journal: JournalReader;
  stopped: () => void;
}

export class Crew {
  readonly #members: Member[] = [];
  #onBegin: (line: Extract<Line, { kind: 'begin' }>) => void = () => undefined;

  constructor(size: number) {
    for (let worker = 0; worker < size; worker++) this.#members.push(this.#hire(worker));
  }

  #hire(worker: number): Member {
    const child = spawn(process.execPath, ['--import', 'tsx', WORKER], {
      stdio: ['pipe', 'inherit', 'inherit', 'pipe'],
    });
    // An order to a worker that is gone: its end says it all.
    child.stdin?.on('error', () => undefined);
    const member: Member = {
      process: child,
      exited: new Promise((resolve) => child.once('exit', () => resolve())),
      journal: new JournalReader(worker),
      stopped: () => undefined,
    };
    createInterface({ input: child.stdio[3] as Readable }).on('line', (text) => {
      const line = JSON.parse(text) as Line;
      member.journal.read(line);
      if (line.kind === 'begin') this.#onBegin(line);
      if (line.kind === 'stopped') member.stopped();
    });
    return member;
  }

  /**
   * One round: everybody works until the daemon is dead; what they did. `onBegin` is called before
   * (or while) each operation runs. Rejects if a worker ends.
   */
  async work(
    orderOf: (worker: number) => Order,
    onBegin: (line: Extract<Line, { kind: 'begin' }>) => void,
  ): Promise<Entry[]> {
    this.#onBegin = onBegin;
    const all = this.#members.map((member, worker) => {
      member.journal = new JournalReader(worker);
      const done = new Promise<void>((resolve) => {
        member.stopped = resolve;
      });
      member.process.stdin?.write(`${JSON.stringify(orderOf(worker))}\n`);
      const ended = member.exited.then(() => {
        throw new Error(`worker ${worker} ended`);
      });
      return Promise.race([done, ended]);
    });
    await Promise.all(all);
    return this.#members.flatMap(({ journal }) => journal.entries);
  }

  /** Ends all workers, whatever they are doing. */
  async dismiss(): Promise<void> {
    for (const { process: child } of this.#members) child.kill('SIGKILL');
    await Promise.all(this.#members.map(({ exited }) => exited));
  }
}

/** The workers of a run, each a process that lives through all rounds. */

import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { JournalReader, type Entry, type Line, type Order } from './journal.ts';

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url));

interface Member {
  readonly process: ChildProcess;
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
    const member: Member = {
      process: child,
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
      const done = new Promise<void>((resolve, reject) => {
        member.stopped = resolve;
        member.process.once('exit', () => reject(new Error(`worker ${worker} ended`)));
      });
      member.process.stdin?.write(`${JSON.stringify(orderOf(worker))}\n`);
      return done;
    });
    try {
      await Promise.all(all);
    } finally {
      for (const { process: child } of this.#members) child.removeAllListeners('exit');
    }
    return this.#members.flatMap(({ journal }) => journal.entries);
  }

  /** Ends all workers, whatever they are doing. */
  async dismiss(): Promise<void> {
    await Promise.all(
      this.#members.map(
        ({ process: child }) =>
          new Promise<void>((resolve) => {
            if (child.exitCode !== null || child.signalCode !== null) return resolve();
            child.once('exit', () => resolve());
            child.kill('SIGKILL');
          }),
      ),
    );
  }
}

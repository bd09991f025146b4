/**
 * The daemon's log, VOLUME/daemon.log: one JSON object a line, written synchronously, so that the
 * last line before a crash is there. At MAX_BYTES it becomes daemon.log.1, in the place of an older
 * one, and a new one begins. A line that cannot be written is dropped: a full disk must not stop
 * the daemon for the sake of its diary.
 */

import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';
import pino from 'pino';
import type { LogFunction, LogLevel } from '../io/logger.ts';

const MAX_BYTES = 8 * 1024 * 1024;

/** An append-only file that starts anew at `maxBytes`. */
class RotatingFile {
  readonly #path: string;
  readonly #maxBytes: number;
  #fd: number;
  #bytes: number;

  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#fd = openSync(path, 'a', 0o600);
    this.#bytes = fstatSync(this.#fd).size;
  }

  write(line: string): void {
    try {
      if (this.#bytes >= this.#maxBytes) this.#rotate();
      this.#bytes += writeSync(this.#fd, line);
    } catch {
      // Full or failing disk: see the opening comment.
    }
  }

  #rotate(): void {
    renameSync(this.#path, `${this.#path}.1`);
    const fd = openSync(this.#path, 'a', 0o600);
    closeSync(this.#fd);
    this.#fd = fd;
    this.#bytes = 0;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

export interface Journal {
  readonly log: LogFunction;
  close(): void;
}

/**
 * Opens the journal at `path`. Lines below `level` are dropped. `maxBytes` is where it rotates.
 * Throws a system error if the file cannot be opened.
 */
export function openJournal(path: string, level: LogLevel, maxBytes = MAX_BYTES): Journal {
  const file = new RotatingFile(path, maxBytes);
  const options = { level, timestamp: pino.stdTimeFunctions.isoTime, base: { pid: process.pid } };
  const logger = pino(options, file);
  return {
    log: (lineLevel, message, fields) => logger[lineLevel](fields ?? {}, message),
    close: () => file.close(),
  };
}

/**
 * What one mount of this transport is, apart from how it came to be mounted: its open files, and
 * the way from an answer of the filesystem to the one call that ends the request. When the mount
 * ends, files that were not closed are closed, so that the engine may reap orphans; requests that
 * come later, or are answered later, get ENOTCONN.
 *
 * A request that is never ended blocks an OS thread and its caller for good, and one that is ended
 * twice corrupts libfuse's memory. So every operation goes through `answer`, which does neither.
 */

import type { Answer, Caller, FilesystemApi, OpenFile } from '../../engine/api.ts';
import type { LogFunction } from '../../io/logger.ts';
import { ERRNO, isRefusal, type Refusal } from '../../model/errno.ts';
import type { NotedAccesses } from '../access.ts';
import { Handles } from '../handles.ts';

export interface NativeServiceOptions {
  readonly filesystem: FilesystemApi;
  /** Who owns what is made: libfuse does not tell us who asks. */
  readonly caller: Caller;
  readonly noted: NotedAccesses;
  readonly log: LogFunction;
}

/** One request: its operation, the path it came with, and how it is ended. */
export interface NativeRequest {
  readonly operation: string;
  readonly path: string;
  readonly done: (code: number) => void;
}

export class NativeService {
  readonly filesystem: FilesystemApi;
  readonly caller: Caller;
  readonly noted: NotedAccesses;
  readonly files = new Handles<OpenFile>();
  readonly #log: LogFunction;
  readonly #counts = new Map<string, number>();
  #isOver = false;

  constructor({ filesystem, caller, noted, log }: NativeServiceOptions) {
    this.filesystem = filesystem;
    this.caller = caller;
    this.noted = noted;
    this.#log = log;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Ends `request` with what `start` answers, now or later: `give` ends it with the value (with 0
   * and nothing else unless said), a refusal with its errno, an exception with EIO.
   */
  answer<T>(
    request: NativeRequest,
    start: () => Answer<T>,
    give: (value: T) => void = () => request.done(0),
  ): void {
    const { operation, done } = request;
    this.#counts.set(operation, (this.#counts.get(operation) ?? 0) + 1);
    if (this.#isOver) return done(-ERRNO.ENOTCONN);
    const settle = (outcome: T | Refusal): void => {
      if (isRefusal(outcome)) done(-outcome.errno);
      else give(outcome);
    };
    try {
      const answered = start();
      if (!(answered instanceof Promise)) return settle(answered);
      answered.then(settle).catch((error: unknown) => this.#fail(request, error));
    } catch (error) {
      this.#fail(request, error);
    }
  }

  /** Ends the request of an open; a handle that nobody will close is not given out. */
  giveFile(file: OpenFile, done: (code: number, fh?: number) => void): void {
    if (!this.#isOver) return done(0, this.files.add(file));
    this.filesystem.close(file);
    return done(-ERRNO.ENOTCONN);
  }

  /** The mount is gone. */
  end(): void {
    this.#isOver = true;
    for (const file of this.files.clear()) this.filesystem.close(file);
  }

  /** Requests served, by the name of their operation. */
  stats(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  #fail({ operation, path, done }: NativeRequest, error: unknown): void {
    const stack = error instanceof Error ? error.stack : String(error);
    this.#log('error', `${path}: an operation failed`, { operation, error: stack });
    done(-ERRNO.EIO);
  }
}

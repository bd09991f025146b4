/**
 * Serves the requests of one transport with one filesystem: what a mount is, apart from how it came
 * to be mounted. Owns the mount's lookup counts, open handles, pending requests and file locks.
 * When the transport ends, every lock is given back, every handle that was not closed is closed and
 * every reference is given up, so that the engine may reap orphans; answers that come later find
 * nobody and undo what they grant.
 */

import type { FilesystemApi, OpenFile } from '../engine/api.ts';
import type { LogFunction } from '../io/logger.ts';
import { ERRNO } from '../model/errno.ts';
import { notedAccesses, type NotedAccesses } from './access.ts';
import { KernelCopies } from './copies.ts';
import { Handles, OpenCounts, type OpenDirectory } from './handles.ts';
import { Request } from './kernel/decode.ts';
import { newFrame, validity } from './kernel/encode.ts';
import { OPCODE_LIMIT } from './kernel/layout.ts';
import { Lookups } from './lookups.ts';
import { dispatch, OPCODE_NAMES } from './operations/dispatch.ts';
import { QueuedNotifier, type Notifier } from './notifier.ts';
import { PageCache } from './page-cache.ts';
import { Pending } from './pending.ts';
import { REPLY_BYTES, sendErrno, type Serving } from './serving.ts';
import type { Frame, FuseTransport, Receiver } from './transport.ts';

export interface ServiceOptions {
  readonly filesystem: FilesystemApi;
  readonly entryTimeoutMs?: number | undefined;
  readonly attrTimeoutMs?: number | undefined;
  /** Accesses that are noted; all, unless said. */
  readonly noted?: NotedAccesses | undefined;
  readonly readOnly?: boolean | undefined;
  readonly log: LogFunction;
}

/** What other mounts may change is asked for again after a second: a backstop (decision 8). */
const TIMEOUT_MS = 1000;
/** What nobody else can change is kept longer; not for ever, against what we did not think of. */
const ALONE_TIMEOUT_MS = 60_000;

/** Serves the requests of one transport with one filesystem. */
export class MountService implements Receiver {
  readonly serving: Serving;
  /** For changes that did not come through this mount. */
  readonly notifier: Notifier;
  readonly #request: Request;
  readonly #counts = new Float64Array(OPCODE_LIMIT);
  readonly #onEnded: (reason: string) => void;

  constructor(
    transport: FuseTransport,
    options: ServiceOptions,
    initialized: (problem: string | undefined) => void,
    onEnded: (reason: string) => void,
  ) {
    this.#onEnded = onEnded;
    const { filesystem, log, entryTimeoutMs, attrTimeoutMs } = options;
    const valid = (ms: number) => validity(entryTimeoutMs ?? ms, attrTimeoutMs ?? ms);
    const lookups = new Lookups();
    const pages = new PageCache();
    const notifier = new QueuedNotifier(transport, lookups, pages, log);
    const copies = new KernelCopies(lookups, notifier);
    this.notifier = notifier;
    this.#request = new Request(copies);
    this.serving = {
      filesystem,
      transport,
      reply: newFrame(REPLY_BYTES),
      valid: valid(TIMEOUT_MS),
      aloneValid: valid(ALONE_TIMEOUT_MS),
      heldValid: validity(0, 0),
      lookups,
      files: new Handles<OpenFile>(),
      directories: new Handles<OpenDirectory>(),
      listed: new OpenCounts(),
      pending: new Pending((unique) => sendErrno(this.serving, unique, ERRNO.EINTR)),
      pages,
      copies,
      readOnly: options.readOnly === true,
      noted: options.noted ?? notedAccesses([], false),
      locks: filesystem.locks.connect(),
      lockers: new Map(),
      log,
      negotiated: { flags: 0 },
      initialized,
    };
    filesystem.addReferenceHolder(lookups);
    filesystem.addCacheHolder(copies);
  }

  receive(frame: Frame, length: number): void {
    const request = this.#request;
    if (request.fill(frame, length)) {
      this.#counts[request.opcode] = (this.#counts[request.opcode] ?? 0) + 1;
      dispatch(this.serving, request);
      return;
    }
    this.serving.log('error', 'a malformed request', { length });
    if (request.unique !== 0) sendErrno(this.serving, request.unique, ERRNO.EINVAL);
  }

  ended(reason: string): void {
    const { filesystem, lookups, files, directories, pending, copies } = this.serving;
    const { locks, lockers } = this.serving;
    filesystem.removeCacheHolder(copies);
    pending.clear();
    lockers.clear();
    locks.close();
    for (const file of files.clear()) filesystem.close(file);
    for (const directory of directories.clear()) directory.listing.close();
    filesystem.removeReferenceHolder(lookups);
    for (const ino of lookups.clear()) filesystem.unreferenced(ino);
    this.#onEnded(reason);
  }

  stats(): Record<string, number> {
    const stats: Record<string, number> = {};
    for (const [opcode, name] of OPCODE_NAMES) {
      const count = this.#counts[opcode] ?? 0;
      if (count > 0) stats[name] = count;
    }
    return stats;
  }
}

/**
 * Serving a volume in this process, from open to close: the background daemon, `mount -f` and
 * `npm start` are this with different callers.
 *
 * Order of events: open the volume (takes its lock, recovers, may rebuild the index); open the
 * journal (only now, so that nothing is ever written into a folder that is not a volume); bind the
 * control socket; mount. A failure on the way undoes what was done before it.
 */

import { statSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { openJournal } from '../../src/control/journal.ts';
import type { Journal } from '../../src/control/journal.ts';
import type { MountRequest, OnProgress, TransportName } from '../../src/control/protocol.ts';
import type { ControlServer } from '../../src/control/server.ts';
import { startServer } from '../../src/control/server.ts';
import type { Volume } from '../../src/engine/volume.ts';
import { openVolume } from '../../src/engine/volume.ts';
import { startSession } from '../../src/fuse/session.ts';
import type { LogFunction } from '../../src/io/logger.ts';
import { VERSION } from '../version.ts';
import type { MountOptions } from './options.ts';
import type { MountSession } from './service.ts';
import { Service } from './service.ts';

export interface ServeOptions {
  /** Absolute, without symlinks. */
  readonly volume: string;
  readonly mountPoint: string;
  readonly mountOptions: MountOptions;
  /** 'kernel' unless said. */
  readonly transport?: TransportName | undefined;
  readonly verbose: boolean;
  /** Told who uses a mount that is taken away all the same at the end. */
  readonly onBusy?: ((message: string) => void) | undefined;
}

export interface Serving {
  /** Resolves when the volume is closed and the control socket gone. */
  readonly ended: Promise<void>;
  /** Commits, unmounts and closes. */
  stop(): Promise<void>;
}

/** What comes before the journal is open is kept, and written first. */
class EarlyLines {
  #lines: Parameters<LogFunction>[] = [];
  #journal: Journal | undefined;

  readonly log: LogFunction = (...line) => {
    if (this.#journal === undefined) this.#lines.push(line);
    else this.#journal.log(...line);
  };

  flushInto(journal: Journal): void {
    this.#journal = journal;
    for (const line of this.#lines) journal.log(...line);
    this.#lines = [];
  }
}

/**
 * V8 lets a heap grow to several times what lives in it before it looks for garbage among the old.
 * Ours is caches, whose entries grow old and then go: with 45 MB alive it was 200 MB. Collecting
 * at 1.6 times what lives costs no measurable time.
 */
const HEAP_GROWING_PERCENT = 60;

/** Opens, binds and mounts; resolves when the mount is usable. `onFailure` gets the engine's. */
export async function serve(
  options: ServeOptions,
  onProgress: OnProgress,
  onFailure: (error: Error) => void,
): Promise<Serving> {
  const { mountOptions } = options;
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  const early = new EarlyLines();
  const { log } = early;
  const volume = await openVolume({
    dir: options.volume,
    ...(mountOptions.commitMs === undefined ? {} : { commitMs: mountOptions.commitMs }),
    log,
    onProgress,
    onFailure: (error) => {
      log('error', error.message, { err: error });
      onFailure(error);
    },
  });
  let server: ControlServer | undefined;
  const service = serviceOf(volume, log, options);
  try {
    early.flushInto(
      openJournal(`${options.volume}/daemon.log`, options.verbose ? 'debug' : 'info'),
    );
    server = await startServer(options.volume, service, log);
    const { mountPoint, transport } = options;
    await service.addMount({ mountPoint, options: mountOptions.kernel, transport });
  } catch (cause) {
    await service.stop().catch(() => undefined);
    await server?.close();
    throw cause;
  }
  log('info', 'serving', { volume: options.volume, version: VERSION });
  const ended = untilEnded(service, server);
  ended.catch(() => undefined);
  return { ended, stop: () => service.stop().then(() => ended) };
}

/** The socket goes last: until the volume is closed, others are told that the daemon is ending. */
async function untilEnded(service: Service, server: ControlServer | undefined): Promise<void> {
  try {
    await service.ended;
  } finally {
    await server?.close();
  }
}

function serviceOf(volume: Volume, log: LogFunction, options: ServeOptions): Service {
  return new Service({
    volume,
    version: VERSION,
    ownerUid: statSync(volume.dir).uid,
    commitMs: options.mountOptions.commitMs,
    log,
    onBusy: options.onBusy,
    startSession: (request) => startMount(volume, request, log),
  });
}

/** libfuse 2 and its package are loaded by those mounts only that ask for them. */
async function startOf(transport: TransportName | undefined): Promise<typeof startSession> {
  if (transport !== 'fuse-native') return startSession;
  return (await import('../../src/fuse/native/session.ts')).startNativeSession;
}

async function startMount(
  volume: Volume,
  { mountPoint, options, transport }: MountRequest,
  log: LogFunction,
): Promise<MountSession> {
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const start = await startOf(transport);
  const session = await start({
    filesystem: volume.filesystem,
    mountPoint,
    source: volume.dir,
    readOnly: options.includes('ro'),
    mountOptions: options.filter((option) => option !== 'ro'),
    log,
    onUnmounted: (reason) => {
      log('info', `${mountPoint}: unmounted from outside`, { reason });
      end();
    },
  });
  return {
    ended,
    isAttached: () => session.isAttached(),
    unmount: (lazy) => session.unmount({ lazy }).then(end),
  };
}

/**
 * Serving a volume in this process, from open to close: the background daemon, `mount -f` and
 * `npm start` are this with different callers.
 *
 * Order of events: open the volume (takes its lock, recovers, may rebuild the index); open the journal
 * (only now, so that nothing is ever written into a folder that is not a volume); bind the control
 * socket; mount. A failure on the way undoes what was done before it.
 */

import { statSync } from 'node:fs';
import { openJournal } from '../../src/control/journal.ts';
import type { Journal } from '../../src/control/journal.ts';
import type { MountRequest, OnProgress } from '../../src/control/protocol.ts';
import type { ControlServer } from '../../src/control/server.ts';
import { startServer } from '../../src/control/server.ts';
import type { Volume } from '../../src/engine/volume.ts';
import { openVolume } from '../../src/engine/volume.ts';
import { startSession } from '../../src/fuse/session.ts';
import type { LogFunction } from '../../src/io/logger.ts';
import { VERSION } from '../version.ts';
import type { MountOptions } from './options.ts';
import { Service } from './service.ts';

export interface ServeOptions {
  /** Absolute, without symlinks. */
  readonly volume: string;
  readonly mountPoint: string;
  readonly mountOptions: MountOptions;
  readonly verbose: boolean;
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

/** Opens, binds and mounts; resolves when the mount is usable. `onFailure` gets the engine's. */
export async function serve(
  options: ServeOptions,
  onProgress: OnProgress,
  onFailure: (error: Error) => void,
): Promise<Serving> {
  const { mountOptions } = options;
  const early = new EarlyLines();
  const { log } = early;
  const volume = await openVolume({
    dir: options.volume,
    readOnly: mountOptions.readOnly,
    ...(mountOptions.commitMs === undefined ? {} : { commitMs: mountOptions.commitMs }),
    noatime: mountOptions.noatime,
    log,
    onProgress,
    onFailure: (error) => {
      log('error', error.message, { err: error });
      onFailure(error);
    },
  });
  let journal: Journal | undefined;
  let server: ControlServer | undefined;
  const service = serviceOf(volume, log);
  try {
    if (!mountOptions.readOnly) {
      journal = openJournal(`${options.volume}/daemon.log`, options.verbose ? 'debug' : 'info');
      early.flushInto(journal);
      server = await startServer(options.volume, service, log);
    }
    await service.addMount({ mountPoint: options.mountPoint, options: mountOptions.kernel });
  } catch (cause) {
    await service.stop().catch(() => undefined);
    await server?.close();
    throw cause;
  }
  log('info', 'serving', { volume: options.volume, version: VERSION });
  const ended = service.ended.finally(() => server?.close());
  ended.catch(() => undefined);
  return { ended, stop: () => service.stop().then(() => ended) };
}

function serviceOf(volume: Volume, log: LogFunction): Service {
  return new Service({
    volume,
    version: VERSION,
    ownerUid: statSync(volume.dir).uid,
    log,
    startSession: (request: MountRequest) =>
      startSession({
        filesystem: volume.filesystem,
        source: volume.dir,
        mountPoint: request.mountPoint,
        options: request.options,
        log,
      }),
  });
}

/**
 * The background daemon's entry: started by `mount` (`daemon/launch.ts`) with its order as
 * argument. It reports progress, then `ready` or `failed`, over the IPC pipe, and serves until it
 * is told to stop (SIGTERM, SIGINT), or its last mount is gone.
 *
 * A bug (uncaught error) ends it at once without a commit, since what is in memory cannot be
 * trusted any more; the log on disk is whole up to the last commit, and the mounts are taken away
 * so that their users see an error rather than wait.
 */

import { spawn } from 'node:child_process';
import { unmountCommand } from '../src/fuse/kernel/mount.ts';
import type { DaemonMessage, LaunchOrder } from './daemon/messages.ts';
import type { Serving } from './daemon/serve.ts';
import { serve } from './daemon/serve.ts';
import { ledgerfsMounts, textOf } from './volumes.ts';

/** EX_SOFTWARE of sysexits.h. */
const EXIT_BUG = 70;

const order = JSON.parse(process.argv[2] ?? '{}') as LaunchOrder;
process.title = `ledgerfs ${order.volume}`;

/** Tells the parent, and waits until it has been told; a parent that is gone need not know. */
const tell = (message: DaemonMessage): Promise<void> =>
  new Promise((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, undefined, {}, () => resolve());
  });

function abandon(): never {
  const ours = ledgerfsMounts().filter((mount) => textOf(mount.source) === order.volume);
  for (const mount of ours) {
    const [program, args] = unmountCommand(textOf(mount.mountPoint), true);
    spawn(program, args, { detached: true, stdio: 'ignore' }).unref();
  }
  process.exit(EXIT_BUG);
}

async function start(): Promise<Serving> {
  try {
    return await serve(
      order,
      (progress) => void tell({ type: 'progress', progress }),
      () => undefined,
    );
  } catch (cause) {
    const error = cause as NodeJS.ErrnoException;
    const failure = { message: error.message, code: error.code ?? 'EIO' };
    await tell({ type: 'failed', failure, stack: error.stack ?? error.message });
    process.exit(1);
  }
}

process.on('uncaughtException', abandon);
// The terminal's hang-up is not ours: we left its session.
process.on('SIGHUP', () => undefined);
const serving = await start();
const stop = (): void => void serving.stop().catch(() => undefined);
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
await tell({ type: 'ready' });
if (process.connected) process.disconnect();
await serving.ended.then(
  () => process.exit(0),
  () => process.exit(1),
);

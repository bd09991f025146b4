/**
 * `ledgerfs mount VOLUME MOUNTPOINT`: asks the daemon that serves the volume to add a mount, or
 * starts one. Returns when the mount is usable.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { Option } from 'commander';
import { connect } from '../../src/control/client.ts';
import { TRANSPORTS } from '../../src/control/protocol.ts';
import type { OnProgress, TransportName } from '../../src/control/protocol.ts';
import { CommandFailure } from '../console/failure.ts';
import { withProgress } from '../console/progress.ts';
import { launchDaemon } from '../daemon/launch.ts';
import type { LaunchOrder } from '../daemon/messages.ts';
import { parseMountOptions } from '../daemon/options.ts';
import { prepareMount } from '../daemon/preflight.ts';
import { mountPointPath, volumeDirectory } from '../volumes.ts';

interface Options {
  readonly foreground?: boolean;
  readonly options: readonly string[];
  readonly sloppy?: boolean;
  readonly fake?: boolean;
  readonly debug?: boolean;
  readonly transport: TransportName;
}

/** How long a mount waits for a daemon of the same volume that is ending. */
const LEAVING_MS = 10_000;
const POLL_MS = 50;

const codeOf = (cause: unknown): string | undefined => (cause as NodeJS.ErrnoException).code;

/** One attempt; false if a daemon that is ending stands in the way. */
async function attempt(order: LaunchOrder, onProgress: OnProgress): Promise<boolean> {
  const { volume, mountPoint, mountOptions, transport } = order;
  const { kernel, commitMs } = mountOptions;
  try {
    const client = await connect(volume);
    if (client === undefined) await launchDaemon(order, onProgress);
    else await client.addMount({ mountPoint, options: kernel, transport, commitMs });
    return true;
  } catch (cause) {
    if (codeOf(cause) === 'ESHUTDOWN' || codeOf(cause) === 'ECONNRESET') return false;
    // The lock is held and nobody listens: its holder is about to begin or to end.
    if (codeOf(cause) === 'EBUSY' && (await connect(volume)) === undefined) return false;
    throw cause;
  }
}

async function inBackground(order: LaunchOrder, onProgress: OnProgress): Promise<void> {
  const deadline = performance.now() + LEAVING_MS;
  while (!(await attempt(order, onProgress))) {
    if (performance.now() > deadline) {
      throw new CommandFailure(`${order.volume}: in use by another process`, 'EBUSY');
    }
    await sleep(POLL_MS);
  }
}

async function inForeground(order: LaunchOrder, onProgress: OnProgress): Promise<void> {
  if ((await connect(order.volume)) !== undefined) {
    throw new CommandFailure(`${order.volume}: a daemon serves it; mount without -f`, 'EBUSY');
  }
  const { serve } = await import('../daemon/serve.ts');
  const serving = await serve(order, onProgress, () => undefined);
  const stop = (): void => void serving.stop().catch(() => undefined);
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  await serving.ended;
}

async function mount(path: string, point: string, options: Options): Promise<void> {
  const mountOptions = parseMountOptions(options.options, options.sloppy);
  const volume = await volumeDirectory(path);
  const mountPoint = await mountPointPath(point);
  const { transport } = options;
  await prepareMount({ volume, mountPoint, transport, options: mountOptions.kernel });
  if (options.fake === true) return;
  const order = { volume, mountPoint, mountOptions, transport, verbose: options.debug === true };
  const start = options.foreground === true ? inForeground : inBackground;
  await withProgress((onProgress) => start(order, onProgress));
}

const collect = (value: string, earlier: readonly string[]): string[] => [...earlier, value];

export function define(command: Command): void {
  command
    .argument('<VOLUME>', 'the directory that mkfs made')
    .argument('<MOUNTPOINT>', 'an existing directory')
    .option('-f, --foreground', 'stay in the foreground; Ctrl-C unmounts')
    .addOption(
      new Option('-o, --options <OPT,...>', "ro, noatime, commit=SECONDS, and the kernel's own")
        .argParser(collect)
        .default([], 'none'),
    )
    .addOption(
      new Option('--transport <NAME>', 'how the kernel is spoken to')
        .choices(TRANSPORTS)
        .default(TRANSPORTS[0]),
    )
    // What mount(8) may ask of a helper; see mount-helper.ts.
    .addOption(new Option('--sloppy', 'pass over unknown mount options').hideHelp())
    .addOption(new Option('--fake', 'check only').hideHelp())
    .addHelpText('after', '\nExample:\n  ledgerfs mount /srv/archive /mnt -o noatime,commit=5\n')
    .action(mount);
}

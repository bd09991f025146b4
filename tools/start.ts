/**
 * `npm start`: the main job. Creates a volume in ./volume if there is none, mounts it at ./mnt in
 * the foreground, says what to try, and commits and unmounts on Ctrl-C.
 */

import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { VOLUME_FILE } from '../src/engine/volume-files.ts';
import { describeFailure, stackOf } from './console/failure.ts';
import { styled } from './console/print.ts';
import { withProgress } from './console/progress.ts';
import { prepareMount } from './daemon/preflight.ts';
import { parseMountOptions } from './daemon/options.ts';
import type { Serving } from './daemon/serve.ts';

const HISTORY_MICROS = 7 * 86_400e6;

const volume = resolve('volume');
const mountPoint = resolve('mnt');

const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** mkfs, unless there is a volume. A folder of another kind is refused, and left as it is. */
async function createOnce(): Promise<void> {
  if (existsSync(join(volume, VOLUME_FILE))) return;
  const { createVolume } = await import('../src/engine/create-volume.ts');
  const options = { historyMicros: HISTORY_MICROS, sizeLimitBlocks: 0, force: false };
  const { fsid } = await createVolume({ dir: volume, ...options });
  say(`created the volume ${volume} (fsid ${fsid})`);
}

function showWhatToTry(): void {
  const ledgerfs = join('bin', 'ledgerfs');
  const tries = [
    ['cp -a /usr/share/doc mnt/', 'copy something in'],
    [`${ledgerfs} status mnt`, 'what the daemon knows'],
    [`${ledgerfs} log tail volume`, 'watch every change as it is logged'],
    [`${ledgerfs} digest mnt`, 'a hash of the whole state'],
    [`${ledgerfs} replay volume --into /tmp/again`, 'rebuild it all from the log'],
  ] as const;
  say(
    `\n${styled('bold', `mounted at ${mountPoint}`)}; try in another shell, in ${process.cwd()}:\n`,
  );
  for (const [command, what] of tries)
    say(`  ${command.padEnd(44)}  ${styled('dim', `# ${what}`)}`);
  say('\nCtrl-C commits and unmounts.');
}

/**
 * Ends on the first Ctrl-C; a second one while that goes on is taken for impatience, and ignored.
 */
function stopOnSignal(serving: Serving): void {
  let isStopping = false;
  const stop = (): void => {
    if (isStopping) return;
    isStopping = true;
    say('\ncommitting and unmounting ...');
    serving.stop().catch(() => undefined);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('SIGHUP', stop);
}

async function start(): Promise<void> {
  await createOnce();
  await mkdir(mountPoint, { recursive: true }).catch((cause: NodeJS.ErrnoException) => {
    // A dead mount of a crashed run: mounting takes it away.
    if (cause.code !== 'EEXIST' && cause.code !== 'ENOTCONN') throw cause;
  });
  const order = {
    volume,
    mountPoint,
    mountOptions: parseMountOptions([]),
    verbose: false,
    onBusy: (text: string) => say(`${text}; it is taken away all the same`),
  };
  await prepareMount({ ...order, options: [] });
  const { serve } = await import('./daemon/serve.ts');
  const serving = await withProgress((onProgress) => serve(order, onProgress, () => undefined));
  stopOnSignal(serving);
  showWhatToTry();
  await serving.ended;
  say(`committed and unmounted; the volume stays in ${volume}`);
}

try {
  await start();
  process.exit(0);
} catch (cause) {
  process.stderr.write(`${describeFailure('ledgerfs', 'start', cause)}\n`);
  if (process.argv.includes('--debug')) process.stderr.write(`${stackOf(cause)}\n`);
  process.exit(1);
}

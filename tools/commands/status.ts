/** `ledgerfs status [VOLUME]`: the daemon, its mounts, the log, the index, the space. */

import type { Command } from 'commander';
import { connect } from '../../src/control/client.ts';
import type { DaemonStatus } from '../../src/control/protocol.ts';
import { BLOCK_BYTES } from '../../src/model/ids.ts';
import { CommandFailure } from '../console/failure.ts';
import { printable, printFields, printJson, printLine } from '../console/print.ts';
import { formatSize } from '../console/units.ts';
import { ledgerfsMounts, mountHolding, textOf, volumeDirectory } from '../volumes.ts';

/** The volumes meant: the one named, that of the current directory, or all that are mounted. */
async function volumesMeant(path: string | undefined): Promise<string[]> {
  if (path !== undefined) return [await volumeDirectory(path)];
  const here = await mountHolding('.');
  if (here !== undefined) return [textOf(here.source)];
  return [...new Set(ledgerfsMounts().map((mount) => textOf(mount.source)))];
}

async function statusOf(directory: string): Promise<DaemonStatus> {
  const client = await connect(directory);
  if (client !== undefined) return client.status();
  throw new CommandFailure(`${directory}: no daemon serves it`, 'ENOTCONN');
}

function show(status: DaemonStatus): void {
  const { log, index, space, failure } = status;
  const points = status.mounts.map(
    ({ mountPoint, options, transport }) =>
      `${printable(mountPoint)} (${[`transport=${transport}`, ...options].join(',')})`,
  );
  const free = formatSize(space.freeBlocks * BLOCK_BYTES);
  printFields([
    ['volume', printable(status.volume)],
    ['fsid', status.fsid],
    ['daemon', `pid ${status.pid}, version ${status.version}`],
    ['mounts', points.join(', ')],
    ['log', `head ${log.head}, durable ${log.durable}, oldest ${log.oldest}`],
    ['log files', `${log.segments}, ${formatSize(log.bytes)}`],
    ['index', `applied ${index.applied}, ${log.head - index.persisted} not yet on disk`],
    ['space', `${free} free of ${formatSize(space.blocks * BLOCK_BYTES)}`],
    ['open files', String(status.openFiles)],
    ...(failure === undefined ? [] : [failureField(failure)]),
  ]);
}

const failureField = (failure: string): readonly [string, string] => [
  'FAILED',
  `${printable(failure)}; changes get EIO, reads go on; unmount and mount it again`,
];

async function status(
  path: string | undefined,
  options: { readonly json?: boolean },
): Promise<void> {
  const directories = await volumesMeant(path);
  if (directories.length === 0 && options.json !== true) await printLine('no volume is mounted');
  for (const [i, directory] of directories.entries()) {
    const found = await statusOf(directory);
    if (options.json === true) await printJson(found);
    else {
      if (i > 0) await printLine('');
      show(found);
    }
  }
}

export function define(command: Command): void {
  command
    .argument('[VOLUME]', 'a volume or a path in a mount (default: all that are mounted)')
    .option('--json', 'print one JSON object a volume')
    .addHelpText('after', '\nExample:\n  ledgerfs status /mnt --json | jq .log.durable\n')
    .action(status);
}

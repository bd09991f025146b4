/** `ledgerfs mkfs VOLUME`: create an empty volume. */

import { resolve } from 'node:path';
import type { Command } from 'commander';
import { BLOCK_BYTES } from '../../src/model/ids.ts';
import { UsageFailure } from '../console/failure.ts';
import { printJson, printLine } from '../console/print.ts';
import { parseDuration, parseSize } from '../console/units.ts';
import { refuseIfMounted, refuseShared } from '../volumes.ts';

interface Options {
  readonly data?: string;
  readonly history: string;
  readonly size?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

const FOREVER = -1;

function historyMicros(text: string): number {
  if (text === 'none') return 0;
  return text === 'forever' ? FOREVER : parseDuration(text);
}

/** 0 is the disk's own limit. */
function sizeLimitBlocks(text: string | undefined): number {
  if (text === undefined) return 0;
  const blocks = Math.floor(parseSize(text) / BLOCK_BYTES);
  if (blocks === 0) throw new UsageFailure(`--size ${text}: a volume holds at least 4K`);
  return blocks;
}

async function mkfs(path: string, options: Options): Promise<void> {
  refuseShared(path);
  if (options.data !== undefined) {
    throw new UsageFailure('--data names the data store of a nats:// volume');
  }
  const dir = resolve(path);
  const limits = {
    historyMicros: historyMicros(options.history),
    sizeLimitBlocks: sizeLimitBlocks(options.size),
  };
  await refuseIfMounted(dir, 'format it');
  const { createVolume } = await import('../../src/engine/create-volume.ts');
  const { fsid } = await createVolume({ dir, ...limits, force: options.force === true });
  if (options.json === true) await printJson({ volume: dir, fsid });
  else await printLine(`${dir}: new volume, fsid ${fsid}, history ${options.history}`);
}

export function define(command: Command): void {
  command
    .argument('<VOLUME>', 'a directory: new, or empty')
    .option('--data <DIR>', 'the shared data store of a nats:// volume')
    .option('--history <KEPT>', 'how long past states are kept: none, a duration, forever', '7d')
    .option('--size <BYTES>', 'the most data that the volume may hold (default: the disk)')
    .option('--force', 'format a directory that is not empty: what is in it is lost')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  ledgerfs mkfs /srv/archive --history 30d --size 2T\n')
    .action(mkfs);
}

/**
 * `ledgerfs digest VOLUME`: a hash of the whole state, equal wherever the same log was replayed.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { OnProgress } from '../../src/control/protocol.ts';
import { printJson, printLine } from '../console/print.ts';
import { withProgress } from '../console/progress.ts';
import { UsageFailure } from '../console/failure.ts';
import { seq } from '../../src/model/ids.ts';
import { onVolume, volumeDirectory } from '../volumes.ts';

interface Options {
  readonly at?: string;
  readonly json?: boolean;
}

function positionOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const n = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(n) || n === 0) {
    throw new UsageFailure(`--at ${text}: not a position in the log`);
  }
  return n;
}

/** The state of the past is replayed from the log, beside whatever serves the volume. */
async function digestAt(path: string, at: number, onProgress: OnProgress): Promise<string> {
  const volume = await volumeDirectory(path);
  const { replayInto } = await import('../../src/engine/offline.ts');
  const into = await mkdtemp(join(tmpdir(), 'ledgerfs-digest-'));
  try {
    return (await replayInto(volume, into, seq(at), onProgress)).digest;
  } finally {
    await rm(into, { recursive: true, force: true });
  }
}

const digestNow = (path: string, onProgress: OnProgress): Promise<string> =>
  onVolume(path, onProgress, {
    mounted: (client) => client.digest(),
    opened: (volume) => volume.digest(),
  });

async function digest(path: string, options: Options): Promise<void> {
  const at = positionOf(options.at);
  const hash = await withProgress((onProgress) =>
    at === undefined ? digestNow(path, onProgress) : digestAt(path, at, onProgress),
  );
  if (options.json === true) await printJson({ digest: hash });
  else await printLine(hash);
}

export function define(command: Command): void {
  command
    .argument('<VOLUME>', 'a volume, or a path in a mount')
    .option('--at <SEQ>', 'the state at this position in the log')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  ledgerfs digest /srv/archive\n')
    .action(digest);
}

/** `ledgerfs digest VOLUME`: a hash of the whole state, equal wherever the same log was replayed. */

import type { Command } from 'commander';
import { printJson, printLine } from '../console/print.ts';
import { withProgress } from '../console/progress.ts';
import { UsageFailure } from '../console/failure.ts';
import { seq } from '../../src/model/ids.ts';
import { onVolume } from '../volumes.ts';

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

async function digest(path: string, options: Options): Promise<void> {
  const at = positionOf(options.at);
  const hash = await withProgress((onProgress) =>
    onVolume(path, onProgress, {
      mounted: (client) => client.digest(at),
      opened: (volume) => volume.digest(at === undefined ? undefined : seq(at)),
    }),
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

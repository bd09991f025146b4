/**
 * `ledgerfs checkpoint VOLUME`: write the whole state beside the log, so that rebuilds start there.
 */

import type { Command } from 'commander';
import { printJson, printLine } from '../console/print.ts';
import { withProgress } from '../console/progress.ts';
import { onVolume } from '../volumes.ts';

async function checkpoint(path: string, options: { readonly json?: boolean }): Promise<void> {
  const seq = await withProgress((onProgress) =>
    onVolume<number>(path, onProgress, {
      mounted: (client) => client.checkpoint(),
      opened: (volume) => volume.checkpoint(),
    }),
  );
  if (options.json === true) await printJson({ seq });
  else await printLine(`checkpoint at ${seq}`);
}

export function define(command: Command): void {
  command
    .argument('<VOLUME>', 'a volume, or a path in a mount')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  ledgerfs checkpoint /srv/archive\n')
    .action(checkpoint);
}

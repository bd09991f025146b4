/** `ledgerfs scrub VOLUME`: verify the checksums of all data, and name the files of every bad range. */

import type { Command } from 'commander';
import type { ScrubReport } from '../../src/engine/volume.ts';
import { printJson, printLine } from '../console/print.ts';
import { withProgress } from '../console/progress.ts';
import { onVolume } from '../volumes.ts';

async function scrub(path: string, options: { readonly json?: boolean }): Promise<void> {
  const report = await withProgress((onProgress) =>
    onVolume<ScrubReport>(path, onProgress, {
      mounted: (client) => client.scrub(onProgress),
      opened: (volume) => volume.scrub(onProgress),
    }),
  );
  if (options.json === true) await printJson(report);
  else await printLine(JSON.stringify(report));
}

export function define(command: Command): void {
  command
    .argument('<VOLUME>', 'a volume, or a path in a mount')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  ledgerfs scrub /srv/archive\n')
    .action(scrub);
}

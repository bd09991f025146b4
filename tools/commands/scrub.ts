/** `ledgerfs scrub VOLUME`: verify the checksums of all data, and name every bad range. */

import type { Command } from 'commander';
import type { Volume } from '../../src/engine/volume.ts';
import { BLOCK_BYTES } from '../../src/model/ids.ts';
import { CommandFailure } from '../console/failure.ts';
import { printJson, printLine } from '../console/print.ts';
import { withProgress } from '../console/progress.ts';
import { formatSize } from '../console/units.ts';
import { onVolume } from '../volumes.ts';

type ScrubReport = Awaited<ReturnType<Volume['scrub']>>;

async function show(report: ScrubReport): Promise<void> {
  await printLine(`verified ${formatSize(report.verifiedBlocks * BLOCK_BYTES)}`);
  for (const { segment, segmentBlock, count, why } of report.bad) {
    await printLine(`bad: data segment ${segment}, block ${segmentBlock} +${count}: ${why}`);
  }
  for (const { segment, bytes } of report.unowned) {
    await printLine(`unowned: data segment ${segment}: ${formatSize(bytes)}`);
  }
}

async function scrub(path: string, options: { readonly json?: boolean }): Promise<void> {
  const report = await withProgress((onProgress) =>
    onVolume<ScrubReport>(path, onProgress, {
      mounted: (client) => client.scrub(onProgress),
      opened: (volume) => volume.scrub(onProgress),
    }),
  );
  if (options.json === true) await printJson(report);
  else await show(report);
  if (report.bad.length > 0) {
    throw new CommandFailure(`${path}: ${report.bad.length} damaged ranges`, 'EIO');
  }
}

export function define(command: Command): void {
  command
    .argument('<VOLUME>', 'a volume, or a path in a mount')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  ledgerfs scrub /srv/archive\n')
    .action(scrub);
}

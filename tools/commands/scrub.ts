/** `ledgerfs scrub VOLUME`: verify the checksums of all data, and name every bad range and its files. */

import type { Command } from 'commander';
import type { Volume } from '../../src/engine/volume.ts';
import { BLOCK_BYTES } from '../../src/model/ids.ts';
import { CommandFailure } from '../console/failure.ts';
import { jsonName, quotedName } from '../console/names.ts';
import { printJson, printLine } from '../console/print.ts';
import { withProgress } from '../console/progress.ts';
import { formatSize } from '../console/units.ts';
import { onVolume } from '../volumes.ts';

type ScrubReport = Awaited<ReturnType<Volume['scrub']>>;

type Bad = ScrubReport['bad'][number];

/** A bad range, and below it the files that have it. */
async function showBad({ segment, segmentBlock, count, why, files, moreFiles }: Bad) {
  await printLine(`bad: data segment ${segment}, block ${segmentBlock} +${count}: ${why}`);
  for (const { ino, paths, blocks } of files) {
    const ranges = blocks.map(
      ({ block, count: n }) => `${block * BLOCK_BYTES} +${n * BLOCK_BYTES}`,
    );
    const names = paths.map((path) => ` ${quotedName(path)}`).join('');
    await printLine(`  inode ${ino}${names}, byte ${ranges.join(', ')}`);
  }
  if (moreFiles > 0) await printLine(`  and ${moreFiles} more files`);
  if (files.length === 0) await printLine('  no file has it now, only the past');
}

/** Paths are bytes; in JSON they stand as names do everywhere. */
function jsonOf(report: ScrubReport): unknown {
  const bad = report.bad.map((range) => ({
    ...range,
    files: range.files.map((file) => ({ ...file, paths: file.paths.map(jsonName) })),
  }));
  return { ...report, bad };
}

async function show(report: ScrubReport): Promise<void> {
  await printLine(`verified ${formatSize(report.verifiedBlocks * BLOCK_BYTES)}`);
  for (const range of report.bad) await showBad(range);
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
  if (options.json === true) await printJson(jsonOf(report));
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

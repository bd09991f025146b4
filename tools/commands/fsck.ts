/**
 * `ledgerfs fsck VOLUME`: compare the indexes with the log, item by item; `--rebuild` replaces
 * them.
 */

import type { Command } from 'commander';
import { connect } from '../../src/control/client.ts';
import type { FsckReport } from '../../src/engine/check.ts';
import { CommandFailure, UsageFailure } from '../console/failure.ts';
import { printJson, printLine } from '../console/print.ts';
import { withProgress } from '../console/progress.ts';
import { refuseIfMounted, volumeDirectory } from '../volumes.ts';

interface Options {
  readonly rebuild?: boolean;
  readonly acceptLoss?: boolean;
  readonly json?: boolean;
}

async function fsck(path: string, options: Options): Promise<void> {
  const { rebuild = false, acceptLoss = false } = options;
  if (acceptLoss && !rebuild) throw new UsageFailure('--accept-loss goes with --rebuild');
  const directory = await volumeDirectory(path);
  if (rebuild) await refuseIfMounted(directory, 'rebuild its indexes');
  const daemon = await connect(directory);
  const report = await withProgress(async (onProgress) => {
    if (daemon !== undefined) return daemon.check<FsckReport>(onProgress);
    const { checkVolume } = await import('../../src/engine/offline.ts');
    return checkVolume(directory, { rebuild, acceptLoss, onProgress });
  });
  if (options.json === true) await printJson(report);
  else for (const line of report.lines) await printLine(line);
  if (!report.clean) throw new CommandFailure(`${directory}: ${report.summary}`, 'EIO');
}

export function define(command: Command): void {
  command
    .argument('<VOLUME>', 'a volume, or a path in a mount; not mounted for --rebuild')
    .option('--rebuild', 'replace the indexes by what the log says')
    .option('--accept-loss', 'go on past a damaged log, and name what is lost')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  ledgerfs fsck /srv/archive\n')
    .action(fsck);
}

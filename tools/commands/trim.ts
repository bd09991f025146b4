/**
 * `ledgerfs trim VOLUME --before SEQ|TIME`: drop the log before a position, as far as nothing needs
 * it.
 */

import type { Command } from 'commander';
import { systemClock } from '../../src/io/system-clock.ts';
import { seq } from '../../src/model/ids.ts';
import { printJson, printLine } from '../console/print.ts';
import { withProgress } from '../console/progress.ts';
import { parseMoment } from '../console/units.ts';
import { onVolume } from '../volumes.ts';

interface Options {
  readonly before: string;
  readonly json?: boolean;
}

async function trim(path: string, options: Options): Promise<void> {
  const { logPlace, positionOf } = await import('../log/access.ts');
  const moment = parseMoment(options.before, systemClock.micros());
  const before = await positionOf(await logPlace(path), moment);
  const oldest = await withProgress((onProgress) =>
    onVolume<number>(path, onProgress, {
      mounted: (client) => client.trim(before),
      opened: (volume) => volume.trim(seq(before)),
    }),
  );
  if (options.json === true) await printJson({ oldest });
  else await printLine(`the log now begins at ${oldest}`);
}

export function define(command: Command): void {
  command
    .argument('<VOLUME>', 'a volume, or a path in a mount')
    .requiredOption('--before <SEQ|TIME>', 'keep this position and all after it')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  ledgerfs trim /srv/archive --before 90d\n')
    .action(trim);
}

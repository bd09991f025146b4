/** `ledgerfs replay VOLUME --into DIR`: rebuild the indexes from the log; the digest comes last. */

import { resolve } from 'node:path';
import type { Command } from 'commander';
import { systemClock } from '../../src/io/system-clock.ts';
import { printJson, printLine } from '../console/print.ts';
import { withProgress } from '../console/progress.ts';
import { parseMoment } from '../console/units.ts';

interface Options {
  readonly into: string;
  readonly to?: string;
  readonly json?: boolean;
}

async function replay(path: string, options: Options): Promise<void> {
  const { daemonDurable, logPlace, positionOf } = await import('../log/access.ts');
  const place = await logPlace(path);
  // A daemon may be writing what it has not committed yet.
  const to =
    options.to === undefined
      ? await daemonDurable(place)
      : await positionOf(place, parseMoment(options.to, systemClock.micros()));
  const { replayInto } = await import('../../src/engine/offline.ts');
  const { digest, seq: reached } = await withProgress((onProgress) =>
    replayInto(place.volume, resolve(options.into), to, onProgress),
  );
  if (options.json === true) await printJson({ seq: reached, digest });
  else {
    await printLine(`replayed up to ${reached}`);
    await printLine(digest);
  }
}

export function define(command: Command): void {
  command
    .argument('<VOLUME>', 'a volume, or a path in a mount')
    .requiredOption('--into <DIR>', 'where the indexes are built: a new or empty directory')
    .option('--to <SEQ|TIME>', 'replay up to this position or time (default: all)')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  ledgerfs replay /srv/archive --into /tmp/index --to 12h\n')
    .action(replay);
}

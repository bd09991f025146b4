/**
 * `ledgerfs upgrade VOLUME`: raise the volume's format to this program's. Logged, and never undone.
 */

import type { Command } from 'commander';
import { printJson, printLine } from '../console/print.ts';
import { refuseIfMounted, volumeDirectory } from '../volumes.ts';

async function upgrade(path: string, options: { readonly json?: boolean }): Promise<void> {
  const directory = await volumeDirectory(path);
  await refuseIfMounted(directory, 'upgrade it');
  const { upgradeVolume } = await import('../../src/engine/offline.ts');
  const { from, to } = await upgradeVolume(directory);
  if (options.json === true) await printJson({ from, to });
  else if (from === to) await printLine(`${directory}: has format ${to} already`);
  else await printLine(`${directory}: format ${from} is now ${to}`);
}

export function define(command: Command): void {
  command
    .argument('<VOLUME>', 'a volume that is not mounted')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  ledgerfs upgrade /srv/archive\n')
    .action(upgrade);
}

/**
 * `ledgerfs sync PATH`: commit everything answered so far (sync(2) never reaches a FUSE daemon).
 */

import type { Command } from 'commander';
import { printJson } from '../console/print.ts';
import { daemonOf } from '../volumes.ts';

async function sync(path: string, options: { readonly json?: boolean }): Promise<void> {
  const durable = await (await daemonOf(path)).sync();
  if (options.json === true) await printJson({ durable });
}

export function define(command: Command): void {
  command
    .argument('<PATH>', 'any path in a mount, or a mounted volume')
    .option('--json', 'print the position up to which all is durable')
    .addHelpText('after', '\nExample:\n  cp -a results /mnt/ && ledgerfs sync /mnt\n')
    .action(sync);
}

/** `ledgerfs log ls|show|tail|verify VOLUME`. What they do is loaded when one of them runs. */

import type { Command } from 'commander';
import { seq, type Seq } from '../../src/model/ids.ts';
import { UsageFailure } from '../console/failure.ts';
import type * as Actions from '../log/actions.ts';

type LogOptions = Actions.LogOptions;

const actions = (): Promise<typeof Actions> => import('../log/actions.ts');

function parsePosition(text: string): Seq {
  const n = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(n)) {
    throw new UsageFailure(`'${text}' is not a position in the log`);
  }
  return seq(n);
}

export function define(command: Command): void {
  const volume = ['<VOLUME>', 'a volume, or a path in a mount'] as const;
  command.addHelpText('after', '\nExample:\n  ledgerfs log verify /srv/archive\n');
  command
    .command('ls')
    .description('list the segments')
    .argument(...volume)
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  ledgerfs log ls /srv/archive\n')
    .action(async (path: string, options: LogOptions) => (await actions()).list(path, options));
  command
    .command('show')
    .description('print transactions')
    .argument(...volume)
    .option('--from <SEQ>', 'the first position', parsePosition)
    .option('--to <SEQ>', 'the last position', parsePosition)
    .option('--json', 'one JSON object a line')
    .addHelpText('after', '\nExample:\n  ledgerfs log show /srv/archive --from 100 --to 200\n')
    .action(async (path: string, options: LogOptions) => (await actions()).show(path, options));
  command
    .command('tail')
    .description('print transactions as they become durable')
    .argument(...volume)
    .option('--from <SEQ>', 'begin at this position (default: with the next)', parsePosition)
    .option('--to <SEQ>', 'end after this position', parsePosition)
    .option('--json', 'one JSON object a line')
    .addHelpText('after', '\nExample:\n  ledgerfs log tail /srv/archive --json\n')
    .action(async (path: string, options: LogOptions) => (await actions()).tail(path, options));
  command
    .command('verify')
    .description('check every block, record and seal')
    .argument(...volume)
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  ledgerfs log verify /srv/archive\n')
    .action(async (path: string, options: LogOptions) => (await actions()).verify(path, options));
}

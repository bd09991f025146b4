/** `ledgerfs log ls|show|tail|verify VOLUME`: the log, as it stands in its files. */

import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { verifyLog } from '../../src/log/verify.ts';
import { seq, type Seq } from '../../src/model/ids.ts';
import type { Transaction } from '../../src/model/transaction.ts';
import { CommandFailure, UsageFailure } from '../console/failure.ts';
import { printFields, printJson, printLine, printTable } from '../console/print.ts';
import { withProgress } from '../console/progress.ts';
import { transactionJson, transactionLines } from '../console/transaction.ts';
import { formatMicros, formatSize } from '../console/units.ts';
import { lastPosition, logPlace, segments, transactions } from '../log-access.ts';

interface Options {
  readonly from?: Seq;
  readonly to?: Seq;
  readonly json: boolean;
}

/** How often `tail` looks for more. */
const POLL_MS = 250;

function parsePosition(text: string): Seq {
  const n = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(n)) {
    throw new UsageFailure(`'${text}' is not a position in the log`);
  }
  return seq(n);
}

async function list(path: string, { json }: Options): Promise<void> {
  const found = await segments(await logPlace(path));
  if (json) await printJson(found);
  else {
    const rows = found.map(({ file, firstSeq, bytes }) => [
      basename(file),
      String(firstSeq),
      String(bytes),
    ]);
    printTable(['segment', 'first seq', 'bytes'], rows);
  }
}

async function print(tx: Transaction, json: boolean): Promise<void> {
  if (json) await printJson(transactionJson(tx));
  else await printLine(transactionLines(tx).join('\n'));
}

async function show(path: string, options: Options): Promise<void> {
  const { from = seq(1), to, json } = options;
  for await (const tx of transactions(await logPlace(path), from, to)) await print(tx, json);
}

/** Asks the daemon (or, without one, the files) where the log ends, and reads only when it grew. */
async function tail(path: string, options: Options): Promise<void> {
  const place = await logPlace(path);
  let from = options.from ?? seq((await lastPosition(place)) + 1);
  for (;;) {
    if ((await lastPosition(place)) >= from) {
      for await (const tx of transactions(place, from, options.to)) {
        await print(tx, options.json);
        from = seq(tx.seq + 1);
      }
    }
    if (options.to !== undefined && from > options.to) return;
    await sleep(POLL_MS);
  }
}

async function verify(path: string, { json }: Options): Promise<void> {
  const place = await logPlace(path);
  const report = await withProgress((onProgress) =>
    verifyLog(place, { onProgress: (done, total) => onProgress({ phase: 'verify', done, total }) }),
  );
  const { last, damage } = report;
  const seal = last.seal.toString('hex');
  if (json) {
    const { segments: count, commits, transactions: records, bytes, first, tailBytes } = report;
    const counts = { segments: count, commits, transactions: records, bytes, first, tailBytes };
    await printJson({ ...counts, last: last.seq, seal, damage: damage?.message ?? null });
  } else if (report.transactions > 0) {
    printFields([
      ['verified', `${report.segments} segments, ${formatSize(report.bytes)}`],
      ['transactions', `${report.transactions} in ${report.commits} commits`],
      ['positions', `${report.first} to ${last.seq}, the last at ${formatMicros(last.time)}`],
      ['seal', seal],
    ]);
  }
  if (damage !== undefined) throw new CommandFailure(damage.message, 'EIO', { cause: damage });
}

export function define(command: Command): void {
  const volume = ['<VOLUME>', 'a volume, or a path in a mount'] as const;
  command.addHelpText('after', '\nExample:\n  ledgerfs log verify /srv/archive\n');
  command
    .command('ls')
    .description('list the segments')
    .argument(...volume)
    .option('--json', 'print JSON', false)
    .addHelpText('after', '\nExample:\n  ledgerfs log ls /srv/archive\n')
    .action(list);
  command
    .command('show')
    .description('print transactions')
    .argument(...volume)
    .option('--from <SEQ>', 'the first position', parsePosition)
    .option('--to <SEQ>', 'the last position', parsePosition)
    .option('--json', 'one JSON object a line', false)
    .addHelpText('after', '\nExample:\n  ledgerfs log show /srv/archive --from 100 --to 200\n')
    .action(show);
  command
    .command('tail')
    .description('print transactions as they become durable')
    .argument(...volume)
    .option('--from <SEQ>', 'begin at this position (default: with the next)', parsePosition)
    .option('--to <SEQ>', 'end after this position', parsePosition)
    .option('--json', 'one JSON object a line', false)
    .addHelpText('after', '\nExample:\n  ledgerfs log tail /srv/archive --json\n')
    .action(tail);
  command
    .command('verify')
    .description('check every block, record and seal')
    .argument(...volume)
    .option('--json', 'print JSON', false)
    .addHelpText('after', '\nExample:\n  ledgerfs log verify /srv/archive\n')
    .action(verify);
}

/** What `ledgerfs log` does: the log, as it stands in its files. */

import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { verifyLog } from '../../src/log/verify.ts';
import { seq, type Seq } from '../../src/model/ids.ts';
import type { Transaction } from '../../src/model/transaction.ts';
import { CommandFailure } from '../console/failure.ts';
import { printFields, printJson, printLine, printTable } from '../console/print.ts';
import { withProgress } from '../console/progress.ts';
import { transactionJson, transactionLines } from '../console/transaction.ts';
import { formatMicros, formatSize } from '../console/units.ts';
import { endDamage, lastPosition, logPlace, segments, transactions } from './access.ts';

export interface LogOptions {
  readonly from?: Seq;
  readonly to?: Seq;
  readonly json?: boolean;
}

/** How often `tail` looks for more. */
const POLL_MS = 250;

export async function list(path: string, { json }: LogOptions): Promise<void> {
  const found = await segments(await logPlace(path));
  if (json === true) await printJson(found);
  else {
    const rows = found.map(({ file, firstSeq, bytes }) => [
      basename(file),
      String(firstSeq),
      String(bytes),
    ]);
    printTable(['segment', 'first seq', 'bytes'], rows);
  }
}

async function print(tx: Transaction, json: boolean | undefined): Promise<void> {
  if (json === true) await printJson(transactionJson(tx));
  else await printLine(transactionLines(tx).join('\n'));
}

export async function show(path: string, options: LogOptions): Promise<void> {
  const { from = seq(1), to, json } = options;
  for await (const tx of transactions(await logPlace(path), from, to)) await print(tx, json);
}

/** Asks the daemon (or, without one, the files) where the log ends, and reads only when it grew. */
export async function tail(path: string, options: LogOptions): Promise<void> {
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

export async function verify(path: string, { json }: LogOptions): Promise<void> {
  const place = await logPlace(path);
  const report = await withProgress((onProgress) =>
    verifyLog(place, { onProgress: (done, total) => onProgress({ phase: 'verify', done, total }) }),
  );
  const { last } = report;
  const damage = report.damage ?? (await endDamage(place));
  const seal = last.seal.toString('hex');
  if (json === true) {
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

/**
 * A program: `replay-log VOLUME COUNT INTO` reads the first COUNT transactions of a log, and then
 * builds an index in INTO from them, closed and whole at the end. Prints the number of
 * transactions, and as `read` and `built` the seconds of the reading alone, the floor, and of
 * reading and building.
 */

import { readDescription, volumePaths } from '../../src/engine/volume-files.ts';
import { buildIndex } from '../../src/index/rebuild.ts';
import { nodeDisk } from '../../src/io/node-disk.ts';
import { systemClock } from '../../src/io/system-clock.ts';
import { FileLogStore } from '../../src/log/file-store.ts';
import { readTransactionRuns } from '../../src/log/reader.ts';
import { NO_SEQ, seq } from '../../src/model/ids.ts';

const [volume = '', count = '', into = ''] = process.argv.slice(2);
const to = seq(Number(count));
const { fsid } = await readDescription(nodeDisk, volume);
const proof = { cleanSeq: undefined, appliedSeq: NO_SEQ, acknowledgedSeq: NO_SEQ };
const place = { disk: nodeDisk, dir: volumePaths(volume).log, fsid, clock: systemClock };
const { store } = await FileLogStore.open({ ...place, proof, readOnly: true });

async function secondsOf(work: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}

let transactions = 0;
const read = await secondsOf(async () => {
  for await (const run of readTransactionRuns(store, { from: seq(1), to })) {
    transactions += run.length;
  }
});
const built = await secondsOf(async () => {
  const index = await buildIndex(into, {
    transactions: (after) => readTransactionRuns(store, { from: seq(after + 1), to }),
  });
  await index.close();
});
await store.close();
process.stdout.write(`${JSON.stringify({ transactions, read, built })}\n`);

/**
 * Run by `full-disk.test.ts` under a file size limit, with SIGXFSZ ignored: writes fail with EFBIG as
 * they would with ENOSPC. Applies and persists until that happens, goes on reading, then lifts the
 * limit and persists the rest. Prints what it saw as JSON.
 */

import { execFileSync } from 'node:child_process';
import { Index } from '../../src/index/index.ts';
import { REOPEN_BYTES } from '../../src/index/store.ts';
import { commit } from './fixture.ts';
import { Workload } from './generate.ts';

const dir = process.argv[2] ?? '';
let availableBytes = 0;
const index = await Index.open({ dir, availableBytes: () => Promise.resolve(availableBytes) });
const work = new Workload({ seed: 8 });
let failures = 0;
const atFailure: number[] = [];
while (failures < 5) {
  for (let i = 0; i < 100; i++) await commit(index, work.next());
  index.freezeLayer();
  try {
    await index.persist(index.applied);
  } catch {
    failures++;
    atFailure.push(index.persisted);
  }
}
const readable = [...work.files.values()].every((file) => index.inode(file.ino) !== undefined);
const applied = index.applied;
const overlayBytes = index.overlayBytes;

execFileSync('prlimit', ['--pid', String(process.pid), '--fsize=unlimited']);
availableBytes = REOPEN_BYTES - 1;
const withoutRoom = await index.persist(applied).then(
  () => 'written',
  () => 'refused',
);
availableBytes = REOPEN_BYTES;
await index.persist(applied);
const result = {
  atFailure,
  readable,
  applied,
  overlayBytes,
  withoutRoom,
  persisted: index.persisted,
};
await index.close();
console.log(JSON.stringify(result));

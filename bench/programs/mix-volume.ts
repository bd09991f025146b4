/**
 * A program: `mix-volume VOLUME COUNT` makes a log of mixed work through the engine, for rebuilds:
 * of 10 operations 4 are creates, 2 writes of 4 KiB with their close, 2 chmods, 1 a rename and 1 an
 * unlink. Prints {transactions}.
 */

import { openVolume } from '../../src/engine/volume.ts';
import type { Answer } from '../../src/engine/api.ts';
import { silent } from '../../src/io/logger.ts';
import { isRefusal, type Refusal } from '../../src/model/errno.ts';
import { asByteString, ROOT_INO, type Ino } from '../../src/model/ids.ts';
import { sizeOf } from '../../src/model/size.ts';

const O_RDWR = 2;
const CALLER = { uid: 0, gid: 0, pid: process.pid };
const BLOCK = Buffer.alloc(4096, 7);

const dir = process.argv[2] ?? '';
const count = Number(process.argv[3]);
const volume = await openVolume({
  dir,
  log: silent,
  onFailure: (error) => {
    throw error;
  },
});
const { filesystem } = volume;

async function done<T>(answer: Answer<T>): Promise<T> {
  const value: T | Refusal = await answer;
  if (isRefusal(value)) throw new Error(value.name);
  return value;
}

async function createFile(name: string, isWritten: boolean): Promise<Ino> {
  const { inode, file } = await done(
    filesystem.create(ROOT_INO, asByteString(name), 0o644, O_RDWR, CALLER),
  );
  if (isWritten) {
    const payload = { bytes: BLOCK, take: () => () => undefined };
    await done(filesystem.write(file, sizeOf(0), payload, false, CALLER));
  }
  await done(filesystem.flush(file));
  filesystem.close(file);
  return inode.ino;
}

/** Ten operations. */
async function tenOf(i: number): Promise<void> {
  const inodes: Ino[] = [];
  for (let n = 0; n < 4; n++) inodes.push(await createFile(`f${i}-${n}`, n < 2));
  for (const ino of inodes.slice(2)) await done(filesystem.setattr(ino, { mode: 0o600 }, CALLER));
  const [from, to, gone] = [`f${i}-2`, `g${i}`, `f${i}-3`].map(asByteString);
  if (from === undefined || to === undefined || gone === undefined) return;
  await done(filesystem.rename(ROOT_INO, from, ROOT_INO, to, 0, CALLER));
  await done(filesystem.unlink(ROOT_INO, gone, CALLER));
  await new Promise((resolve) => void setImmediate(resolve));
}

for (let i = 0; i < count / 10; i++) await tenOf(i);
const transactions = await volume.sync();
await volume.close();
process.stdout.write(`${JSON.stringify({ transactions })}\n`);

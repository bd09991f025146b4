/**
 * A program: `fill-volume VOLUME COUNT BIG` creates COUNT files through the engine, without FUSE,
 * in a volume made by mkfs: BIG of them in `/big`, the others in directories of 1,000. The
 * directories are made before the clock starts. Every few calls the event loop gets a turn, as
 * between requests.
 *
 * Prints {answered, durable, applied}: seconds until all calls were answered, until the log was
 * durable, and until the index was written, too (the volume is closed then).
 */

import { openVolume } from '../../src/engine/volume.ts';
import { silent } from '../../src/io/logger.ts';
import { isRefusal } from '../../src/model/errno.ts';
import { asByteString, ROOT_INO, type Ino } from '../../src/model/ids.ts';
import { S_IFREG } from '../../src/model/inode.ts';

const PER_DIRECTORY = 1000;
const CALLS_A_TURN = 64;
const CALLER = { uid: 0, gid: 0, pid: process.pid };

const dir = process.argv[2] ?? '';
const [count = 0, big = 0] = process.argv.slice(3).map(Number);
const volume = await openVolume({
  dir,
  log: silent,
  onFailure: (error) => {
    throw error;
  },
});
const { filesystem } = volume;

async function makeDirectory(name: string): Promise<Ino> {
  const made = await filesystem.mkdir(ROOT_INO, asByteString(name), 0o755, CALLER);
  if (isRefusal(made)) throw new Error(`mkdir ${name}: ${made.name}`);
  return made.ino;
}

async function makeDirectories(): Promise<Ino[]> {
  const directories: Ino[] = [await makeDirectory('big')];
  for (let i = 0; i < (count - big) / PER_DIRECTORY; i++) {
    directories.push(await makeDirectory(`d${i}`));
  }
  return directories;
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

async function createAll(directories: readonly Ino[]): Promise<void> {
  for (let i = 0; i < count; i++) {
    if (i % CALLS_A_TURN === 0) await turn();
    const parent = i < big ? 0 : 1 + Math.floor((i - big) / PER_DIRECTORY);
    const name = asByteString(`e${i}`);
    const made = filesystem.mknod(
      directories[parent] ?? ROOT_INO,
      name,
      S_IFREG | 0o644,
      0,
      CALLER,
    );
    const inode = made instanceof Promise ? await made : made;
    if (isRefusal(inode)) throw new Error(`mknod ${name}: ${inode.name}`);
  }
}

const directories = await makeDirectories();
await volume.sync();
const begun = performance.now();
const elapsed = (): number => (performance.now() - begun) / 1000;
await createAll(directories);
const answered = elapsed();
await volume.sync();
const durable = elapsed();
await volume.close();
process.stdout.write(`${JSON.stringify({ answered, durable, applied: elapsed() })}\n`);

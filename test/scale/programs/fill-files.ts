/**
 * A program: `fill-files VOLUME COUNT PER_DIRECTORY` creates COUNT files of 1 KiB, `/dN/fI`, each
 * created, written and closed. `sample.c` knows their contents.
 *
 * Prints {seconds, perSecond, closeSeconds}.
 */

import { asByteString, ROOT_INO, type Ino } from '../../../src/model/ids.ts';
import { ZERO_SIZE } from '../../../src/model/size.ts';
import type { Filesystem } from '../../../src/engine/filesystem.ts';
import { CALLER, inVolume, Pace, secondsSince, valueOf, write } from './engine.ts';

const FILE_BYTES = 1024;
const DIGITS = 15;
const O_WRONLY = 1;

const [count = 0, perDirectory = 1] = process.argv.slice(3).map(Number);

const contents = (i: number): Buffer =>
  Buffer.alloc(FILE_BYTES, `${String(i).padStart(DIGITS, '0')}\n`, 'latin1');

async function createFile(filesystem: Filesystem, dir: Ino, i: number): Promise<void> {
  const name = asByteString(`f${i}`);
  const made = valueOf(filesystem.create(dir, name, 0o644, O_WRONLY, CALLER));
  const { file } = made instanceof Promise ? await made : made;
  const written = write(filesystem, file, ZERO_SIZE, contents(i));
  if (written instanceof Promise) await written;
  const flushed = valueOf(filesystem.flush(file));
  if (flushed instanceof Promise) await flushed;
  filesystem.close(file);
}

await inVolume(async (volume) => {
  const { filesystem } = volume;
  const pace = new Pace(count);
  const begun = performance.now();
  let dir = ROOT_INO;
  for (let i = 0; i < count; i++) {
    if (i % perDirectory === 0) {
      const name = asByteString(`d${i / perDirectory}`);
      dir = (await valueOf(filesystem.mkdir(ROOT_INO, name, 0o755, CALLER))).ino;
    }
    await createFile(filesystem, dir, i);
    const turn = pace.step();
    if (turn !== undefined) await turn;
  }
  await volume.sync();
  const seconds = secondsSince(begun);
  return { seconds, perSecond: Math.round(count / seconds) };
});

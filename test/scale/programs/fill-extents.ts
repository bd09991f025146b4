/**
 * A program: `fill-extents VOLUME COUNT FILE...` makes files of COUNT extents each, one block every
 * other block, none of which continues the one before: neither in the file, since there is a hole
 * between, nor in the segments for those of "scattered". FILE is NAME:ORDER, the order in which the
 * blocks are written:
 *
 *   spaced     from the first to the last
 *   reversed   from the last to the first, so that the segments hold them the other way round
 *   scattered  all over a stretch of the file, and so one stretch after the other: neighbours in
 *              the file lie far apart in the segments, and each of them is a place by itself
 *
 * Each file's writes become a transaction, and are synced, after every GROUP blocks.
 *
 * Prints {seconds, perSecond, extents: [of each file, as its inode counts them], closeSeconds}.
 */

import type { Filesystem } from '../../../src/engine/filesystem.ts';
import { asByteString, BLOCK_BYTES, ROOT_INO } from '../../../src/model/ids.ts';
import { sizeOf } from '../../../src/model/size.ts';
import { CALLER, inVolume, Pace, secondsSince, valueOf, write } from './engine.ts';

const GROUP = 256;
const O_WRONLY = 1;

type Order = (i: number, count: number) => number;

/** Extents of a stretch: so many are in the engine's memory, else each write would wait for some. */
const STRETCH = 8192;
/** An odd number, so that steps of it visit every block of a stretch: its golden section. */
const STRIDE = 5063;

/** What is left behind the last whole stretch is written in order. */
function scattered(i: number, count: number): number {
  const begin = i - (i % STRETCH);
  if (begin + STRETCH > count) return i;
  return begin + ((i * STRIDE) % STRETCH);
}

const ORDERS: Readonly<Record<string, Order>> = {
  spaced: (i) => i,
  reversed: (i, count) => count - 1 - i,
  scattered,
};

const count = Number(process.argv[3]);
const files = process.argv.slice(4).map((arg) => {
  const [name = '', order = ''] = arg.split(':');
  const place = ORDERS[order];
  if (place === undefined) throw new Error(`${arg}: no such order`);
  return { name, place };
});
const pace = new Pace(count * files.length);

/** Resolves to the number of extents that the file has got. */
async function fill(filesystem: Filesystem, name: string, place: Order): Promise<number> {
  const made = filesystem.create(ROOT_INO, asByteString(name), 0o644, O_WRONLY, CALLER);
  const { file, inode } = await valueOf(made);
  for (let i = 0; i < count; i++) {
    const bytes = Buffer.alloc(BLOCK_BYTES, i % 251);
    const written = write(filesystem, file, sizeOf(place(i, count) * 2 * BLOCK_BYTES), bytes);
    if (written instanceof Promise) await written;
    if (i % GROUP === GROUP - 1) await valueOf(filesystem.fsync(file));
    const turn = pace.step();
    if (turn !== undefined) await turn;
  }
  await valueOf(filesystem.flush(file));
  filesystem.close(file);
  return (await valueOf(filesystem.getattr(inode.ino))).extents;
}

await inVolume(async (volume) => {
  const begun = performance.now();
  const extents: number[] = [];
  for (const { name, place } of files) extents.push(await fill(volume.filesystem, name, place));
  await volume.sync();
  const seconds = secondsSince(begun);
  return { seconds, perSecond: Math.round((count * files.length) / seconds), extents };
});

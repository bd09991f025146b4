/**
 * The two filesystems that are compared: ext4 in a scratch folder, and a ledgerfs volume mounted
 * for the purpose. `withSides` makes both and takes them away, whatever happened.
 */

import { chmod, mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasProgram, canMount as mayMount, MountedVolume, run } from '../use/mounted-volume.ts';
import { compile } from './actor.ts';

const haveCompiler = hasProgram('cc');

/** Without root, /dev/fuse and a C compiler, the tests of this folder are reported as skipped. */
export const canMount = mayMount && haveCompiler;

export interface Sides {
  /** A folder on ext4, and one on the mount. */
  readonly reference: string;
  readonly mount: string;
  /** The compiled actor. */
  readonly actor: string;
  readonly volume: MountedVolume;
  /** Takes everything away, in any state. */
  readonly close: () => Promise<void>;
}

/** Type of the filesystem that `path` stands on. */
export const filesystemOf = async (path: string): Promise<string> =>
  (await run('stat', '-f', '-c', '%T', path)).trim();

/** Makes both; `close` takes them away. */
export async function openSides(): Promise<Sides> {
  const scratch = await mkdtemp(join(tmpdir(), 'posix-'));
  const volume = await MountedVolume.make();
  const close = async (): Promise<void> => {
    await volume.dispose();
    // Node's rm fails with paths that are longer than PATH_MAX, and with names that are not UTF-8.
    await run('rm', '-rf', '--', scratch);
  };
  try {
    await chmod(scratch, 0o755);
    const reference = join(scratch, 'reference');
    await mkdir(reference);
    const actor = await compile('actor', scratch);
    // A mount without options allows neither devices nor set-id programs.
    await volume.succeed('mount', '-o', 'dev,suid', volume.dir, volume.path);
    return { reference, mount: volume.path, actor, volume, close };
  } catch (error) {
    await close();
    throw error;
  }
}

export async function withSides<T>(body: (sides: Sides) => Promise<T>): Promise<T> {
  const sides = await openSides();
  try {
    return await body(sides);
  } finally {
    await sides.close();
  }
}

let rooms = 0;

/** A fresh folder on each side. */
export async function freshFolders(sides: Sides): Promise<readonly [string, string]> {
  const name = `room-${++rooms}`;
  const folders = [join(sides.reference, name), join(sides.mount, name)] as const;
  for (const folder of folders) {
    await mkdir(folder);
    await chmod(folder, 0o777);
  }
  return folders;
}

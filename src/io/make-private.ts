/** Makes a directory that only its owner may look into, for programs that would let everybody. */

import { mkdir } from 'node:fs/promises';

/** One that exists stays as it is. */
export async function makePrivateDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}

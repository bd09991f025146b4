/** Removes a directory and all in it: derived state (an index) that is to be made anew. */

import { rm } from 'node:fs/promises';

/** A path that does not exist is fine. */
export const removeTree = (path: string): Promise<void> =>
  rm(path, { recursive: true, force: true });

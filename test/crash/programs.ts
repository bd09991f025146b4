/** Which ledgerfs is tested: a build, or a mutant made from the sources. */

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Programs } from './daemon.ts';

const MUTANT = fileURLToPath(new URL('./mutant.ts', import.meta.url));

/** `binary`: a `bin/ledgerfs`. With `mutant`, the daemon alone is spoiled; fsck and replay are not. */
export function programsOf(binary: string, mutant: string | undefined): Programs {
  const path = resolve(binary);
  const daemon =
    mutant === undefined
      ? [path, 'mount', '-f']
      : [process.execPath, '--import', 'tsx', MUTANT, mutant];
  return { ledgerfs: [path], daemon };
}

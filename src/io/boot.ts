/**
 * Which run of the kernel this is. Memory that a process left to the kernel (the page cache) is
 * still there as long as this id is the same, and gone once it differs.
 */

import { readFileSync } from 'node:fs';

/** The kernel's boot id, a UUID in text. */
export const bootId = (): string =>
  readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();

/** Why a volume cannot be made, opened or repaired: one clear sentence and the errno name. */

import type { Errno } from '../model/errno.ts';

export class VolumeError extends Error {
  override readonly name = 'VolumeError';
  readonly code: Errno;

  constructor(message: string, code: Errno, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

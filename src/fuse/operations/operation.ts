/** The shape of an operation: one function per FUSE request, with what its message must hold. */

import type { Request } from '../kernel/decode.ts';
import type { Serving } from '../serving.ts';

export interface Operation {
  /** Bytes of the struct that follows the header; a shorter message is refused with EINVAL. */
  readonly structBytes: number;
  /**
   * Replies, now or later. May throw: the caller then gets EIO. Must read all that it needs from
   * `request` before it returns.
   */
  run(serving: Serving, request: Request): void;
}

/** The random port on the kernel's generator: fit for identities and secrets. */

import { randomBytes, randomInt } from 'node:crypto';
import type { Random } from './random.ts';

export const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  // randomInt wants its limit below 2^48; the port allows 2^48 itself.
  integer: (below) => (below === 2 ** 48 ? randomBytes(6).readUIntBE(0, 6) : randomInt(below)),
};

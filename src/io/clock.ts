/** The clock port. Nothing outside `io/` may ask the system for the time. */

import type { Time } from '../model/time.ts';

export interface Clock {
  /** Wall clock, nanosecond fields (the source's resolution may be coarser). For inode times. */
  now(): Time;
  /** Wall clock in microseconds since 1970. For transaction times. */
  micros(): number;
  /** Monotonic milliseconds, for timers and rates. */
  monotonicMs(): number;
  /** Calls `task` once after `ms`; the returned function cancels. Never keeps the process alive. */
  after(ms: number, task: () => void): () => void;
}

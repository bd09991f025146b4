/**
 * Two clocks' values. Inode times are {sec, nsec} on the raw clock; transaction times are
 * microseconds since 1970 and never fall (architecture 3, "Time").
 */

/** An inode's time: seconds since 1970 (may be negative) and nanoseconds 0..999,999,999. Immutable. */
export interface Time {
  readonly sec: number;
  readonly nsec: number;
}

export const EPOCH: Time = { sec: 0, nsec: 0 };

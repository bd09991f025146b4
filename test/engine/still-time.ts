/** Volumes whose time stands still: no timer does anything until a test lets time pass. */

import { settle, SimClock } from '../sim/clock.ts';
import { SimVolume, type SimVolumeOptions } from './sim-volume.ts';

/** Runs `body` on a fresh volume, which is taken away at the end. */
export async function inStillTime(
  options: SimVolumeOptions,
  body: (it: SimVolume, clock: SimClock) => Promise<void>,
): Promise<void> {
  const clock = new SimClock();
  const it = await SimVolume.create({ ...options, clock });
  try {
    await body(it, clock);
  } finally {
    await passing(clock, it.dispose());
  }
}

/** `work`, with time passing until it is done. */
export async function passing<T>(clock: SimClock, work: Promise<T>): Promise<T> {
  let isDone = false;
  const done = work.finally(() => (isDone = true));
  while (!isDone) {
    clock.advance(10);
    await settle();
  }
  return done;
}

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { bootId } from '../../src/io/boot.ts';
import { openSystemClock, systemClock } from '../../src/io/system-clock.ts';
import { systemRandom } from '../../src/io/system-random.ts';

/** A clock on a true time that the test moves; Date.now() shows it cut to the millisecond. */
function simulated(startMs: number) {
  const time = { trueMs: startMs, bootMs: startMs - 5000 };
  const clock = openSystemClock({
    wallMs: () => Math.floor(time.trueMs),
    monotonicMs: () => time.trueMs - time.bootMs,
  });
  return { time, clock };
}

test('tells the time of day', () => {
  const before = Date.now();
  const { sec, nsec } = systemClock.now();
  const micros = systemClock.micros();
  const after = Date.now();
  assert.ok(sec * 1000 + nsec / 1e6 >= before && sec * 1000 + nsec / 1e6 <= after + 2);
  assert.ok(micros >= before * 1000 && micros <= (after + 2) * 1000);
  assert.ok(Number.isInteger(sec) && Number.isInteger(nsec) && nsec >= 0 && nsec < 1e9);
});

test('is never behind the wall clock, and finds its fraction', () => {
  const { time, clock } = simulated(1_700_000_000_000.9);
  clock.now();
  for (let step = 0; step < 100; step++) {
    time.trueMs += 0.37;
    const ms = clock.micros() / 1000;
    assert.ok(ms >= Math.floor(time.trueMs) - 0.001 && ms <= time.trueMs + 0.001);
  }
  // By now the cut clock was seen shortly after one of its ticks.
  assert.ok(time.trueMs - clock.micros() / 1000 < 0.1);
});

test('is not put ahead by a pause between its readings, nor back', () => {
  const bootMs = 1_700_000_000_000;
  let trueMs = bootMs + 5000.5;
  let pauseMs = 0;
  /** Each reading of a source may be followed by a pause of the process. */
  const read = (ms: () => number): number => {
    const told = ms();
    trueMs += pauseMs;
    pauseMs = 0;
    return told;
  };
  const clock = openSystemClock({
    wallMs: () => read(() => Math.floor(trueMs)),
    monotonicMs: () => read(() => trueMs - bootMs),
  });
  let last = 0;
  for (let step = 0; step < 1000; step++) {
    trueMs += 0.13;
    pauseMs = step % 5 === 0 ? (step % 7) * 1.3 : 0;
    const ms = clock.micros() / 1000;
    assert.ok(ms <= trueMs, `ahead by ${ms - trueMs} ms`);
    assert.ok(ms >= last, `fell by ${last - ms} ms`);
    last = ms;
  }
});

test('does not fall while nobody sets the wall clock', () => {
  const { time, clock } = simulated(1_700_000_000_000.5);
  let last = 0;
  for (let step = 0; step < 1000; step++) {
    time.trueMs += 0.013;
    const micros = clock.micros();
    assert.ok(micros >= last);
    last = micros;
  }
});

test('follows the wall clock where somebody sets it', () => {
  const { time, clock } = simulated(1_700_000_000_000);
  for (const jumpMs of [3_600_000, -7_200_000, -5]) {
    clock.now();
    time.trueMs += jumpMs;
    time.bootMs += jumpMs;
    assert.ok(Math.abs(clock.micros() / 1000 - time.trueMs) <= 1);
    assert.ok(Math.abs(clock.now().sec - time.trueMs / 1000) <= 1);
  }
});

test('runs a task once, or never if it is cancelled', async () => {
  let runs = 0;
  const cancel = systemClock.after(0, () => assert.unreachable('cancelled'));
  cancel();
  await new Promise<void>((resolve) => {
    systemClock.after(1, () => {
      runs++;
      resolve();
    });
    // The clock's timers do not keep the process alive; this one does.
    setTimeout(resolve, 1000);
  });
  assert.is(runs, 1);
});

test('random integers stay in their range, up to the largest', () => {
  for (let i = 0; i < 200; i++) {
    const n = systemRandom.integer(3);
    assert.ok(Number.isInteger(n) && n >= 0 && n < 3);
  }
  assert.is(systemRandom.integer(1), 0);
  const large = systemRandom.integer(2 ** 48);
  assert.ok(large >= 0 && large < 2 ** 48);
  assert.is(systemRandom.bytes(33).length, 33);
  assert.not.equal(systemRandom.bytes(16), systemRandom.bytes(16));
});

test('the boot id is a UUID and stays', () => {
  assert.match(bootId(), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.is(bootId(), bootId());
});

test.run();

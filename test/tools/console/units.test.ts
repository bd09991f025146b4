import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { UsageFailure } from '../../../tools/console/failure.ts';
import {
  formatMicros,
  formatSize,
  parseDuration,
  parseMoment,
  parseSize,
} from '../../../tools/console/units.ts';

const test = suite('units');

const refused = (run: () => unknown): boolean => {
  try {
    run();
    return false;
  } catch (cause) {
    return cause instanceof UsageFailure;
  }
};

test('sizes count in 1024s', () => {
  assert.is(parseSize('4096'), 4096);
  assert.is(parseSize('1K'), 1024);
  assert.is(parseSize('1.5m'), 1.5 * 1024 ** 2);
  assert.is(parseSize('2T'), 2 * 1024 ** 4);
  assert.is(parseSize('3PiB'), 3 * 1024 ** 5);
  for (const bad of ['', 'K', '-1', '1X', '10 G', '0x10', '99999P', '1e3']) {
    assert.ok(
      refused(() => parseSize(bad)),
      bad,
    );
  }
});

test('durations', () => {
  assert.is(parseDuration('90s'), 90_000_000);
  assert.is(parseDuration('12h'), 43_200_000_000);
  assert.is(parseDuration('30d'), 30 * 86_400_000_000);
  assert.is(parseDuration('250ms'), 250_000);
  for (const bad of ['', '5', 'd', '-1d', '1 d', '1month', '9999999999999y']) {
    assert.ok(
      refused(() => parseDuration(bad)),
      bad,
    );
  }
});

test('a moment is a position, a time, or so long ago', () => {
  assert.equal(parseMoment('17', 0), { seq: 17 });
  assert.equal(parseMoment('1s', 5_000_000), { micros: 4_000_000 });
  assert.equal(parseMoment('2026-01-02T03:04:05.678Z', 0), { micros: 1767323045678000 });
  for (const bad of ['', 'yesterday', '99999999999999999999', '2026-13-45', '-5']) {
    assert.ok(
      refused(() => parseMoment(bad, 0)),
      bad,
    );
  }
});

test('figures for people', () => {
  assert.is(formatSize(0), '0 B');
  assert.is(formatSize(1023), '1023 B');
  assert.is(formatSize(1024), '1.00 KiB');
  assert.is(formatSize(10 * 1024 ** 3), '10.0 GiB');
  assert.is(formatSize(500 * 1024 ** 5), '500 PiB');
  assert.is(formatMicros(1767323045678901), '2026-01-02T03:04:05.678901Z');
});

test.run();

/** Sizes, durations and positions as people write and read them. */

import { UsageFailure } from './failure.ts';

const SIZE_UNITS = 'KMGTP';

/** Bytes of `10G`, `512K`, `4096`: factors of 1024, fractions allowed. Throws `UsageFailure`. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMGTP]?)(?:i?B)?$/i.exec(text);
  const [, digits = '', unit = ''] = match ?? [];
  const power = unit === '' ? 0 : SIZE_UNITS.indexOf(unit.toUpperCase()) + 1;
  const bytes = Math.round(Number(digits) * 1024 ** power);
  if (match === null || !Number.isSafeInteger(bytes)) {
    throw new UsageFailure(`'${text}' is not a size: write 4096, 512K, 10G (factors of 1024)`);
  }
  return bytes;
}

const DURATION_MICROS: Readonly<Record<string, number>> = {
  ms: 1e3,
  s: 1e6,
  m: 60e6,
  h: 3600e6,
  d: 86_400e6,
  w: 604_800e6,
  y: 31_536_000e6,
};

/** Microseconds of `30d`, `12h`, `90s`. Throws `UsageFailure`. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|[smhdwy])$/.exec(text);
  const [, digits = '', unit = ''] = match ?? [];
  const micros = Math.round(Number(digits) * (DURATION_MICROS[unit] ?? Number.NaN));
  if (match === null || !Number.isSafeInteger(micros)) {
    throw new UsageFailure(`'${text}' is not a duration: write 90s, 12h, 30d`);
  }
  return micros;
}

/** A place in the log: a position, or a moment in microseconds since 1970. */
export type Moment = { readonly seq: number } | { readonly micros: number };

/**
 * `SEQ|TIME`: digits are a position, `30d` is that long before `nowMicros`, all else is ISO 8601.
 * Throws `UsageFailure`.
 */
export function parseMoment(text: string, nowMicros: number): Moment {
  if (/^\d+$/.test(text)) {
    const seq = Number(text);
    if (!Number.isSafeInteger(seq)) throw new UsageFailure(`'${text}' is beyond any position`);
    return { seq };
  }
  if (/^[\d.]+(?:ms|[smhdwy])$/.test(text)) return { micros: nowMicros - parseDuration(text) };
  const ms = /^\d{4}-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) {
    throw new UsageFailure(`'${text}' is neither a position, nor an ISO 8601 time, nor a duration`);
  }
  return { micros: ms * 1000 };
}

/** `1.5 GiB`: three figures at most. */
export function formatSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), SIZE_UNITS.length);
  const value = bytes / 1024 ** power;
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${SIZE_UNITS[power - 1] ?? ''}iB`;
}

/** Microseconds since 1970 as ISO 8601 in UTC, all six decimals: `2026-11-22T20:49:36.123456Z`. */
export function formatMicros(micros: number): string {
  const ms = Math.floor(micros / 1000);
  const rest = String(micros - ms * 1000).padStart(3, '0');
  return new Date(ms).toISOString().replace('Z', `${rest}Z`);
}

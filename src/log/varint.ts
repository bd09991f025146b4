/** Avro's long: zigzag, then seven bits a byte, least significant first. For framing only. */

/** The longest encoding of a number below 2^53. */
export const MAX_VARINT_BYTES = 8;

/** Writes `n` (0 .. 2^53-1) into `into` at `at`; returns the offset after it. */
export function encodeVarint(n: number, into: Uint8Array, at: number): number {
  let rest = n * 2;
  let end = at;
  while (rest >= 128) {
    into[end++] = (rest % 128) + 128;
    rest = Math.floor(rest / 128);
  }
  into[end++] = rest;
  return end;
}

/** How many bytes `n` (0 .. 2^53-1) takes. */
export function varintBytes(n: number): number {
  let bytes = 1;
  for (let rest = n * 2; rest >= 128; rest /= 128) bytes++;
  return bytes;
}

export interface Varint {
  /** NaN where the bytes are no number in 0 .. 2^53-1. */
  readonly value: number;
  readonly end: number;
}

const BAD: Varint = { value: Number.NaN, end: 0 };

/** The number at `at` of `bytes`, which ends before `limit`; undefined if it goes on there. */
export function decodeVarint(bytes: Uint8Array, at: number, limit: number): Varint | undefined {
  let value = 0;
  let scale = 1;
  for (let i = at; i < limit; i++) {
    if (i - at === MAX_VARINT_BYTES) return BAD;
    const byte = bytes[i] ?? 0;
    value += (byte & 127) * scale;
    if (byte < 128) return value % 2 === 0 ? { value: value / 2, end: i + 1 } : BAD;
    scale *= 128;
  }
  return undefined;
}

/**
 * The random port from a seed: the same seed gives the same run. `fork` gives independent streams,
 * so that one more draw in one place does not change what all others draw.
 */

import type { Random } from '../../src/io/random.ts';
import { assert } from '../../src/model/assert.ts';

/** Spreads a seed's bits (the finaliser of MurmurHash3), so that neighbours do not resemble. */
function mix(n: number): number {
  let h = n >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function hashOf(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return mix(h);
}

export class SimRandom implements Random {
  readonly seed: number;
  // The state of sfc32, a small generator that passes the usual batteries.
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** `seed`: an integer from 0 to 2^53 - 1. */
  constructor(seed: number) {
    assert(Number.isSafeInteger(seed) && seed >= 0, `seed out of range: ${seed}`);
    this.seed = seed;
    this.#a = mix(seed);
    this.#b = mix(Math.floor(seed / 2 ** 32) + 1);
    this.#c = mix(this.#a ^ 0x9e3779b9);
    for (let i = 0; i < 12; i++) this.#word();
  }

  /** A generator of its own for the part of the simulation that `label` names. */
  fork(label: string): SimRandom {
    return new SimRandom(mix(this.#a ^ hashOf(label)) + (this.seed % 2 ** 20) * 2 ** 32);
  }

  /** 32 random bits. */
  #word(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    this.#c |= 0;
    return sum >>> 0;
  }

  /** Uniform in [0, 1), 53 bits. */
  #fraction(): number {
    return ((this.#word() >>> 5) * 2 ** 26 + (this.#word() >>> 6)) / 2 ** 53;
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.allocUnsafe(count);
    let i = 0;
    for (; i + 4 <= count; i += 4) bytes.writeUInt32LE(this.#word(), i);
    for (; i < count; i++) bytes[i] = this.#word() & 255;
    return bytes;
  }

  integer(below: number): number {
    assert(below >= 1 && below <= 2 ** 48, `limit out of range: ${below}`);
    return Math.floor(this.#fraction() * below);
  }

  /** Integer in [from, to], both included. */
  between(from: number, to: number): number {
    return from + this.integer(to - from + 1);
  }

  /** True in a share `probability` of the draws. */
  chance(probability: number): boolean {
    return this.#fraction() < probability;
  }

  pick<T>(items: readonly T[]): T {
    assert(items.length > 0, 'nothing to pick from');
    return items[this.integer(items.length)] as T;
  }

  /** One of `choices` by weight. */
  weighted<T>(choices: readonly (readonly [weight: number, value: T])[]): T {
    const total = choices.reduce((sum, [weight]) => sum + weight, 0);
    let at = this.#fraction() * total;
    for (const [weight, value] of choices) {
      at -= weight;
      if (at < 0) return value;
    }
    return (choices.at(-1) as readonly [number, T])[1];
  }
}

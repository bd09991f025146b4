/** Keys sort as their parts do, as strings and as the bytes that LevelDB compares. */

import { array, assert as check, integer, maxSafeNat, property, string, tuple } from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  backrefKey,
  decodeNumber,
  direntKey,
  encodeNumber,
  historyKey,
  positionKey,
} from '../../src/index/keys.ts';
import { afterPrefix } from '../../src/index/layer.ts';
import { asByteString, ino, position, seq, type ByteString } from '../../src/model/ids.ts';

const test = suite('index keys');
const numbers = maxSafeNat();
const names = array(integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 20 }).map(
  (codes) => String.fromCharCode(...codes) as ByteString,
);

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const byteOrder = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

test('a number comes back, and sorts like itself', () => {
  check(
    property(numbers, numbers, (a, b) => {
      assert.is(decodeNumber(encodeNumber(a), 0), a);
      assert.is(order(encodeNumber(a), encodeNumber(b)), Math.sign(a - b));
    }),
  );
  for (const n of [0, 1, 127, 128, 2 ** 28 - 1, 2 ** 28, 2 ** 53 - 1]) {
    assert.is(decodeNumber(encodeNumber(n), 0), n);
    assert.is(encodeNumber(n).length, 8);
  }
});

test('what is no number below 2^53 is refused', () => {
  for (const n of [-1, 0.5, Number.NaN, 2 ** 53, Infinity]) {
    assert.throws(() => encodeNumber(n), /out of range/, `${n}`);
  }
});

test('numbers that share a memo slot are kept apart', () => {
  for (let i = 0; i < 5; i++) {
    for (const n of [7, 7 + 1024, 7 + 2048]) assert.is(decodeNumber(encodeNumber(n), 0), n);
  }
});

test('keys sort by directory, then by the bytes of the name, in memory and in LevelDB', () => {
  const keys = tuple(numbers, names);
  check(
    property(keys, keys, ([dirA, nameA], [dirB, nameB]) => {
      const [a, b] = [direntKey(ino(dirA), nameA), direntKey(ino(dirB), nameB)];
      const expected =
        Math.sign(dirA - dirB) ||
        Buffer.compare(Buffer.from(nameA, 'latin1'), Buffer.from(nameB, 'latin1'));
      assert.is(order(a, b), expected);
      assert.is(byteOrder(a, b), expected);
    }),
  );
});

test('history keys keep the order of the items, then of the seq', () => {
  check(
    property(names, names, numbers, numbers, (nameA, nameB, endA, endB) => {
      const [a, b] = [nameA, nameB].map((name) => direntKey(ino(9), asByteString(name)));
      const keys = [historyKey(a as string, seq(endA)), historyKey(b as string, seq(endB))];
      const expected = order(a as string, b as string) || Math.sign(endA - endB);
      assert.is(order(keys[0] as string, keys[1] as string), expected);
    }),
  );
});

test('a prefix range holds what starts with the prefix, and nothing else', () => {
  check(
    property(names, names, (prefix, other) => {
      const inside = other >= prefix && other < afterPrefix(prefix);
      assert.is(inside, other.startsWith(prefix));
    }),
  );
  check(
    property(string(), (s) => assert.ok(afterPrefix('d') > `d${s.replace(/[^\0-\xff]/g, '')}`)),
  );
});

test('positions and backrefs sort by their numbers', () => {
  check(
    property(numbers, numbers, numbers, (dir, a, b) => {
      const expected = Math.sign(a - b);
      const keys = [a, b].map((n) => positionKey(ino(dir), position(n)));
      assert.is(order(keys[0] as string, keys[1] as string), expected);
      const backrefs = [a, b].map((n) => backrefKey(ino(5), ino(dir), position(n)));
      assert.is(order(backrefs[0] as string, backrefs[1] as string), expected);
    }),
  );
});

test.run();

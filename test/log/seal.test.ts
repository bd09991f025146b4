import { createHash } from 'node:crypto';
import { array, assert as check, integer, property, uint8Array } from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeTransactions, encodeTransaction } from '../../src/log/codec.ts';
import {
  firstSeal,
  MAX_SEAL_BYTES,
  sealBytes,
  sealHash,
  sealIn,
  sealStart,
  verifiedSeal,
  writeSeal,
} from '../../src/log/seal.ts';
import { FSID, MAX, sample } from './samples.ts';

const test = suite('log/seal');

test('the first seal is the SHA-256 of the fsid bytes', () => {
  const expected = createHash('sha256').update(Buffer.from(FSID, 'hex')).digest();
  assert.equal(firstSeal(FSID), expected);
});

test('a seal is the SHA-256 over the previous seal and the parts, small or large', () => {
  const part = uint8Array({ maxLength: 5000 });
  check(
    property(array(part, { maxLength: 6 }), (parts) => {
      const previous = firstSeal(FSID);
      const expected = createHash('sha256').update(previous).update(Buffer.concat(parts)).digest();
      assert.equal(sealHash(previous, parts), expected);
    }),
    { numRuns: 50 },
  );
});

/** Encoded samples and where the last of them ends, with room for a seal. */
function encoded(count: number): { bytes: Buffer; end: number } {
  const bytes = Buffer.alloc(count * 400 + MAX_SEAL_BYTES);
  let end = 0;
  for (let n = 1; n <= count; n++) end = encodeTransaction(sample(n), bytes, end);
  return { bytes, end };
}

test('a sealed record is the Avro encoding of the transaction with its seal', () => {
  check(
    property(integer({ min: 1, max: 200 }), (count) => {
      const { bytes, end } = encoded(count);
      const hash = sealHash(firstSeal(FSID), [bytes.subarray(0, end)]);
      const sealedEnd = writeSeal(bytes, end, count, hash);
      assert.is(sealedEnd - end, sealBytes(count));
      const block = bytes.subarray(0, sealedEnd);
      assert.equal(decodeTransactions({ count, bytes: block }).at(-1), {
        ...sample(count),
        seal: { count, hash },
      });
      assert.equal(sealIn(block), hash);
      assert.equal(verifiedSeal(firstSeal(FSID), [block], count), hash);
    }),
    { numRuns: 20 },
  );
});

test('a commit of several blocks is sealed as one', () => {
  const first = encoded(3);
  const second = encoded(2);
  const previous = firstSeal(FSID);
  const blocks = [first, second].map(({ bytes, end }) => bytes.subarray(0, end));
  const hash = sealHash(previous, blocks);
  const end = writeSeal(second.bytes, second.end, 5, hash);
  const sealed = [blocks[0] as Buffer, second.bytes.subarray(0, end)];
  assert.equal(verifiedSeal(previous, sealed, 5), hash);
  assert.is(verifiedSeal(previous, sealed.slice(1), 2), undefined, 'half a commit');
  assert.is(verifiedSeal(previous, sealed.toReversed(), 5), undefined, 'another order');
  assert.is(verifiedSeal(hash, sealed, 5), undefined, 'another place in the chain');
  assert.is(verifiedSeal(previous, [], 0), undefined);
});

test('an altered record, count or seal is not verified, whichever bit it is', () => {
  const { bytes, end } = encoded(2);
  const previous = firstSeal(FSID);
  const sealedEnd = writeSeal(bytes, end, 2, sealHash(previous, [bytes.subarray(0, end)]));
  for (let bit = 0; bit < sealedEnd * 8; bit++) {
    const altered = Buffer.from(bytes.subarray(0, sealedEnd));
    altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    assert.is(verifiedSeal(previous, [altered], 2), undefined, `bit ${bit}`);
  }
});

test('unsealed records have no seal', () => {
  const { bytes, end } = encoded(1);
  assert.is(sealStart(bytes.subarray(0, end), 1), -1);
  assert.is(sealStart(Buffer.alloc(0), 1), -1);
  assert.is(sealStart(Buffer.alloc(20), 1), -1);
  assert.ok(sealBytes(MAX) <= MAX_SEAL_BYTES);
});

test.run();

import { assert as check, constantFrom, integer, oneof, property, uint8Array } from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  decodeBlock,
  decodeHeader,
  encodeBlockHead,
  encodeHeader,
  Incomplete,
  Malformed,
  MAX_BLOCK_BYTES,
  MAX_FRAME_BYTES,
  seqDigits,
} from '../../src/log/container.ts';
import { FORMAT_VERSION, TRANSACTION_SCHEMA_JSON } from '../../src/log/schema.ts';
import { firstSeal } from '../../src/log/seal.ts';
import { decodeVarint, encodeVarint, varintBytes } from '../../src/log/varint.ts';
import { seq } from '../../src/model/ids.ts';
import { FSID, MAX } from './samples.ts';

const test = suite('log/container');

const HEADER = {
  fsid: FSID,
  format: FORMAT_VERSION,
  firstSeq: seq(12345),
  seal: firstSeal(FSID),
  schema: TRANSACTION_SCHEMA_JSON,
};

const isBad = (value: unknown): boolean => value instanceof Malformed;

test('a header comes back as it was, whatever stands behind it', () => {
  const { bytes, sync } = encodeHeader(HEADER);
  for (const behind of [Buffer.alloc(0), Buffer.alloc(100, 7)]) {
    const header = decodeHeader(Buffer.concat([bytes, behind]));
    assert.equal(header, { ...HEADER, sync, bytes: bytes.length });
  }
});

test('the extremes of a header', () => {
  for (const firstSeq of [1, MAX]) {
    const { bytes } = encodeHeader({
      ...HEADER,
      firstSeq: seq(firstSeq),
      schema: 'x'.repeat(900_000),
    });
    const header = decodeHeader(bytes);
    assert.ok(!(header instanceof Malformed) && header.firstSeq === firstSeq);
  }
  assert.is(seqDigits(seq(MAX)), '00009007199254740991');
});

test('segments have sync markers of their own', () => {
  const markers = [1, 2, 3].map((n) => encodeHeader({ ...HEADER, firstSeq: seq(n) }).sync);
  assert.is(new Set(markers.map((marker) => marker.toString('hex'))).size, 3);
});

test('a header cut at any byte is malformed', () => {
  const { bytes } = encodeHeader(HEADER);
  for (let length = 0; length < bytes.length; length++) {
    assert.ok(isBad(decodeHeader(bytes.subarray(0, length))), `cut at ${length}`);
  }
});

test('a header with any bit flipped is malformed', () => {
  const { bytes } = encodeHeader(HEADER);
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Buffer.from(bytes);
    flipped[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
    assert.ok(isBad(decodeHeader(flipped)), `byte ${at}`);
  }
});

test('a block comes back; one that goes on says how much it needs', () => {
  const { sync } = encodeHeader(HEADER);
  check(
    property(uint8Array({ minLength: 1, maxLength: 400 }), integer({ min: 0, max: 9 }), (b, at) => {
      const records = Buffer.from(b);
      const block = Buffer.concat([encodeBlockHead(1, b.length), records, sync]);
      const bytes = Buffer.concat([Buffer.alloc(at, 0xff), block]);
      const decoded = decodeBlock(bytes, at, sync);
      assert.ok(!(decoded instanceof Incomplete) && !(decoded instanceof Malformed));
      assert.is(decoded.count, 1);
      assert.is(decoded.next, bytes.length);
      assert.equal(bytes.subarray(decoded.start, decoded.end), records);
      for (let length = at; length < bytes.length; length++) {
        const cut = decodeBlock(bytes.subarray(0, length), at, sync);
        assert.instance(cut, Incomplete);
        assert.ok((cut as Incomplete).needBytes >= Math.min(block.length, MAX_FRAME_BYTES));
      }
    }),
    { numRuns: 50 },
  );
});

test('absurd lengths and counts are malformed, not allocated', () => {
  const { sync } = encodeHeader(HEADER);
  const head = (count: number, length: number): Buffer => {
    const bytes = Buffer.alloc(64);
    encodeVarint(length, bytes, encodeVarint(count, bytes, 0));
    return bytes;
  };
  for (const [count, length] of [
    [1, MAX],
    [1, MAX_BLOCK_BYTES + 1],
    [0, 10],
    [11, 10],
    [MAX, 10],
    [1, 0],
  ] as const) {
    assert.ok(isBad(decodeBlock(head(count, length), 0, sync)), `${count}, ${length}`);
  }
  assert.ok(isBad(decodeBlock(Buffer.alloc(64, 0xff), 0, sync)));
  assert.ok(isBad(decodeBlock(Buffer.alloc(64), 0, sync)));
});

test('a block without its sync marker is malformed', () => {
  const { sync } = encodeHeader(HEADER);
  const block = Buffer.concat([encodeBlockHead(1, 3), Buffer.from('abc'), sync]);
  block[block.length - 1] = (block.at(-1) ?? 0) ^ 1;
  assert.ok(isBad(decodeBlock(block, 0, sync)));
  assert.not.ok(isBad(decodeBlock(block, 0, undefined)));
});

test('garbage is malformed or incomplete, never an exception', () => {
  const { sync } = encodeHeader(HEADER);
  check(
    property(uint8Array({ maxLength: 300 }), (bytes) => {
      const block = decodeBlock(Buffer.from(bytes), 0, sync);
      assert.ok(block instanceof Malformed || block instanceof Incomplete);
      assert.ok(isBad(decodeHeader(Buffer.from(bytes))));
      assert.ok(isBad(decodeHeader(Buffer.concat([Buffer.from('Obj\x01'), bytes]))));
    }),
    { numRuns: 2000 },
  );
});

test('numbers of the framing: every size, and what is cut or too long', () => {
  const numbers = oneof(
    constantFrom(0, 63, 64, 8191, 8192, 2 ** 31, 2 ** 32, 2 ** 48 - 1, MAX),
    integer({ min: 0, max: MAX }),
  );
  const bytes = Buffer.alloc(16);
  check(
    property(numbers, (n) => {
      const end = encodeVarint(n, bytes, 3);
      assert.is(end - 3, varintBytes(n));
      assert.equal(decodeVarint(bytes, 3, end), { value: n, end });
      assert.is(decodeVarint(bytes, 3, end - 1), undefined);
    }),
  );
  assert.ok(Number.isNaN(decodeVarint(Buffer.alloc(16, 0x80), 0, 16)?.value));
  assert.ok(Number.isNaN(decodeVarint(Buffer.from([1]), 0, 1)?.value), 'negative');
});

test.run();

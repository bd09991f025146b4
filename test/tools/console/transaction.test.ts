import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Event } from '../../../src/model/event.ts';
import { EXTENT_OFFLINE } from '../../../src/model/extent.ts';
import {
  asByteString,
  byteStringOf,
  ino,
  NO_SEGMENT,
  position,
  rid,
  segmentNumber,
  seq,
} from '../../../src/model/ids.ts';
import { MAX_SIZE, sizeOf } from '../../../src/model/size.ts';
import type { Transaction } from '../../../src/model/transaction.ts';
import { jsonName, quotedName } from '../../../tools/console/names.ts';
import { transactionJson, transactionLines } from '../../../tools/console/transaction.ts';

const test = suite('transaction');

const LATIN1 = asByteString('caf\xe9');

const transactionOf = (...events: Event[]): Transaction => ({
  seq: seq(17),
  time: 1767323045678901,
  node: rid(3),
  cause: 'create',
  actor: { uid: 1000, gid: 100, pid: 42 },
  paths: [{ ino: ino(1024), path: byteStringOf('tmp/ä b') }],
  events,
  seal: undefined,
});

const added: Event = {
  type: 'DirentAdded',
  dir: ino(1),
  name: LATIN1,
  ino: ino(1024),
  kind: 0o100000,
  position: position(2),
};

const changed: Event = {
  type: 'ContentsChanged',
  ino: ino(1024),
  size: MAX_SIZE,
  mtime: { sec: 5, nsec: 6 },
  ctime: { sec: 5, nsec: 6 },
  dataVersion: 2n ** 64n - 1n,
  mode: undefined,
  truncateMark: undefined,
};

test('a line says when, who, what and where', () => {
  const [head, event] = transactionLines(transactionOf(added));
  assert.is(head, '17 2026-01-02T03:04:05.678901Z create uid 1000 gid 100 pid 42 "tmp/ä b"');
  assert.is(event, '  DirentAdded dir 1 name "caf\\xe9" ino 1024 kind 0100000 position 2');
});

test('the largest numbers stay exact', () => {
  const [, line] = transactionLines(transactionOf(changed));
  assert.match(line ?? '', 'size 9223372036854775807 mtime 5.000000006');
  assert.match(line ?? '', 'dataVersion 18446744073709551615');
  const { events } = transactionJson(transactionOf(changed)) as {
    events: Record<string, unknown>[];
  };
  assert.is(events[0]?.['size'], '9223372036854775807');
  assert.is(events[0]?.['dataVersion'], '18446744073709551615');
});

test('extents say where they lie and what they are', () => {
  const at = { block: 8, count: 2, segment: segmentNumber(7), segmentBlock: 100, flags: 0 };
  const away = { block: 10, count: 1, segment: NO_SEGMENT, segmentBlock: 0, flags: EXTENT_OFFLINE };
  const mapped: Event = { type: 'ExtentsMapped', ino: ino(1024), extents: [at, away] };
  const [, line] = transactionLines(transactionOf(mapped));
  assert.is(line, '  ExtentsMapped ino 1024 extents [8+2 at 7:100], [10+1 offline]');
});

test('JSON is what programs can read back', () => {
  const small = { ...changed, size: sizeOf(5000) };
  const text = JSON.stringify(transactionJson(transactionOf(added, small)));
  const value = JSON.parse(text) as { paths: unknown; events: Record<string, unknown>[] };
  assert.equal(value.paths, [{ ino: 1024, path: 'tmp/ä b' }]);
  assert.equal(value.events[0]?.['name'], {
    base64: Buffer.from('caf\xe9', 'latin1').toString('base64'),
  });
  assert.is(value.events[1]?.['size'], 5000);
});

test('names never break a line', () => {
  assert.is(quotedName(byteStringOf('a"b\\c\nd')), '"a\\"b\\\\c\\x0ad"');
  assert.is(quotedName(byteStringOf('漢字')), '"漢字"');
  assert.is(quotedName(asByteString('\xff\x01')), '"\\xff\\x01"');
  assert.is(jsonName(byteStringOf('漢字')), '漢字');
});

test.run();

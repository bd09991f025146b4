import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  LOST_SUFFIX,
  parseSegmentName,
  segmentHolding,
  segmentName,
  segmentSeqs,
  UNNAMED_SEGMENT,
} from '../../src/log/segment.ts';
import { seq } from '../../src/model/ids.ts';
import { MAX } from './samples.ts';

const test = suite('log/segment');

test('names sort as their seqs do, and come back', () => {
  const seqs = [1, 9, 10, 2 ** 32, MAX].map(seq);
  const names = seqs.map(segmentName);
  assert.equal([...names].sort(), names);
  assert.equal(names.map(parseSegmentName), seqs);
  assert.is(names[0], '00000000000000000001.avro');
});

test('other files are no segments', () => {
  const others = [
    '1.avro',
    '00000000000000000000.avro',
    '99999999999999999999.avro',
    `00000000000000000001.avro${LOST_SUFFIX}`,
    UNNAMED_SEGMENT,
    'a'.repeat(20) + '.avro',
    '',
  ];
  assert.equal(segmentSeqs(others), []);
  assert.equal(segmentSeqs([segmentName(seq(7)), 'x', segmentName(seq(2))]), [2, 7]);
});

test('which segment holds a seq', () => {
  const segments = [4, 9, 20].map(seq);
  const holding = (n: number): number => segmentHolding(segments, seq(n));
  assert.equal([0, 4, 8, 9, 19, 20, 99].map(holding), [0, 0, 0, 1, 1, 2, 2]);
  assert.is(segmentHolding([], seq(1)), 0);
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { cutoffSecond, lastExpendable, policyHorizon } from '../../src/data/horizon.ts';
import { NO_SEQ, seq } from '../../src/model/ids.ts';

const facts = (historyMicros: number, marked: number | undefined, pins: number[] = []) => ({
  durable: seq(100),
  pins: pins.map(seq),
  historyMicros,
  markedSeq: marked === undefined ? undefined : seq(marked),
});

test('none gives up all that is durable and not pinned', () => {
  assert.is(policyHorizon(facts(0, undefined)), 100);
  assert.is(policyHorizon(facts(0, undefined, [40, 60])), 40);
});

test('forever gives up nothing', () => {
  assert.is(policyHorizon(facts(-1, 50)), NO_SEQ);
});

test('a duration gives up what came before the marked second, within the bounds', () => {
  assert.is(policyHorizon(facts(5, 50)), 49);
  assert.is(policyHorizon(facts(5, 50, [20])), 20);
  assert.is(policyHorizon(facts(5, 300)), 100);
  assert.is(policyHorizon(facts(5, undefined)), NO_SEQ);
});

test('the cutoff is a whole second, and never before 1970', () => {
  assert.is(cutoffSecond(3_000_000, 10_999_999), 7);
  assert.is(cutoffSecond(3_000_000, 1_000_000), 0);
  assert.is(cutoffSecond(0, 1_000_000), undefined);
  assert.is(cutoffSecond(-1, 1_000_000), undefined);
});

test('the bounds hold even when space is short', () => {
  assert.is(lastExpendable({ durable: seq(9), pins: [] }), 9);
  assert.is(lastExpendable({ durable: seq(9), pins: [seq(4), seq(7)] }), 4);
});

test.run();

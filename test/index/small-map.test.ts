/** A map of few entries, against `Map`. */

import { assert as check, array, integer, property, tuple } from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SmallMap } from '../../src/index/projections/small-map.ts';

test('holds what a Map holds, in its order, however many entries', () => {
  const steps = array(tuple(integer({ min: 0, max: 25 }), integer()), { maxLength: 60 });
  const same = property(steps, (puts) => {
    const map = new Map<string, number>();
    const small = new SmallMap<string, number>();
    for (const [key, value] of puts) {
      map.set(`k${key}`, value);
      small.set(`k${key}`, value);
      assert.is(small.get(`k${key}`), value);
    }
    const entries: [string, number][] = [];
    small.forEach((value, key) => entries.push([key, value]));
    assert.equal(entries, [...map]);
    for (let key = 0; key <= 25; key++) assert.is(small.get(`k${key}`), map.get(`k${key}`));
  });
  check(same);
});

test.run();

/** Places for dirty blocks: those that are prepared keep theirs, the others follow each other. */

import * as fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Place } from '../../src/data/types.ts';
import { placesFor } from '../../src/engine/shipped.ts';
import { EXTENT_UNWRITTEN, type Extent } from '../../src/model/extent.ts';
import { segmentNumber } from '../../src/model/ids.ts';

const test = suite('shipped');
const BLOCKS = 40;

test('every block gets its own place, in the order of the blocks', () => {
  // Of each block: nothing, dirty, dirty and prepared; and whether a run or a place ends there.
  const block = fc.record({ state: fc.integer({ min: 0, max: 2 }), ends: fc.boolean() });
  fc.assert(
    fc.property(fc.array(block, { minLength: BLOCKS, maxLength: BLOCKS }), (blocks) => {
      const runs: { block: number; blocks: number; bytes: Buffer; release: undefined }[] = [];
      const prepared: Extent[] = [];
      const allocated: Place[] = [];
      const expected: string[] = [];
      let next = 1000;
      for (const [at, { state, ends }] of blocks.entries()) {
        if (state === 0) continue;
        const run = runs.at(-1);
        if (run !== undefined && run.block + run.blocks === at && !ends) run.blocks++;
        else runs.push({ block: at, blocks: 1, bytes: Buffer.alloc(0), release: undefined });
        if (state === 2) {
          const place = { segment: segmentNumber(7), segmentBlock: 3 * at };
          prepared.push({ block: at, count: 1, flags: EXTENT_UNWRITTEN, ...place });
          expected.push(`7/${3 * at}`);
          continue;
        }
        if (ends) next += 5;
        const segment = segmentNumber(8);
        const last = allocated.at(-1);
        if (last !== undefined && last.segmentBlock + last.count === next) {
          allocated[allocated.length - 1] = { ...last, count: last.count + 1 };
        } else allocated.push({ segment, segmentBlock: next, count: 1 });
        expected.push(`8/${next++}`);
      }
      const places = placesFor(runs, prepared, allocated).flatMap((place) =>
        Array.from({ length: place.count }, (_, i) => `${place.segment}/${place.segmentBlock + i}`),
      );
      assert.equal(places, expected);
    }),
    { numRuns: 1000 },
  );
});

test.run();

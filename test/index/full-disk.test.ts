/** A disk on which LevelDB cannot write: reads go on, nothing is lost, and it heals by itself. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Index } from '../../src/index/index.ts';
import { replay } from '../../src/index/rebuild.ts';
import { batches, dump, inFolder, withIndex } from './fixture.ts';
import { Workload } from './generate.ts';

const test = suite('index on a full disk');
const run = promisify(execFile);
const child = fileURLToPath(new URL('full-disk-child.ts', import.meta.url));
/** In KiB; room for LevelDB's own files and some batches. */
const LIMIT = 64;

test('writes that fail keep their layers, and are made good when there is room', async () => {
  await inFolder(async (folder) => {
    const dir = join(folder, 'index');
    const script = `trap '' XFSZ; ulimit -S -f ${LIMIT}; exec "$0" --import tsx "$1" "$2"`;
    const { stdout } = await run('bash', ['-c', script, process.execPath, child, dir]);
    const seen = JSON.parse(stdout);
    assert.equal(new Set(seen.atFailure).size, 1, 'nothing is written after the first failure');
    assert.ok(seen.atFailure[0] < seen.applied);
    assert.ok(seen.readable);
    assert.ok(seen.overlayBytes > 0);
    assert.is(seen.withoutRoom, 'refused');
    assert.is(seen.persisted, seen.applied);

    const index = await Index.open({ dir });
    assert.is(index.applied, seen.applied);
    await withIndex(async (fresh) => {
      const work = new Workload({ seed: 8 });
      const transactions = [];
      do transactions.push(work.next());
      while (transactions.at(-1)?.seq !== seen.applied);
      await replay(fresh, batches(transactions));
      assert.equal(await dump(index), await dump(fresh));
    });
    await index.close();
  });
});

test.run();

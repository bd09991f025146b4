/** daemon.log: levels, rotation by size, and no failure on a disk that takes nothing. */

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { openJournal } from '../../src/control/journal.ts';

const test = suite<{ dir: string }>('journal', { dir: '' });

test.before.each(async (context) => {
  context.dir = await mkdtemp(join(tmpdir(), 'journal-'));
});
test.after.each(({ dir }) => rm(dir, { recursive: true }));

interface Line {
  readonly msg: string;
  readonly time: string;
  readonly seq?: number;
}

const lines = async (path: string): Promise<Line[]> =>
  (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

test('a line is one JSON object with time, message and fields', async ({ dir }) => {
  const journal = openJournal(join(dir, 'daemon.log'), 'info');
  journal.log('info', 'committed', { seq: 7 });
  journal.log('debug', 'not at this level');
  journal.close();
  const [line, ...more] = await lines(join(dir, 'daemon.log'));
  assert.is(line?.msg, 'committed');
  assert.is(line?.seq, 7);
  assert.match(line?.time ?? '', /^\d{4}-\d\d-\d\dT/);
  assert.is(more.length, 0);
});

test('it goes on where the last daemon stopped, and keeps two files at most', async ({ dir }) => {
  const path = join(dir, 'daemon.log');
  for (let run = 0; run < 4; run++) {
    const journal = openJournal(path, 'info', 1000);
    for (let i = 0; i < 20; i++) journal.log('info', `run ${run} line ${i}`);
    journal.close();
  }
  assert.equal((await readdir(dir)).sort(), ['daemon.log', 'daemon.log.1']);
  const all = [...(await lines(`${path}.1`)), ...(await lines(path))].map(({ msg }) => msg);
  const expected = Array.from({ length: 80 }, (_, i) => `run ${Math.floor(i / 20)} line ${i % 20}`);
  assert.equal(all, expected.slice(-all.length), 'the newest lines, in order, none missing');
});

test('a full disk costs lines, not the daemon', () => {
  const journal = openJournal('/dev/full', 'info');
  journal.log('error', 'nobody will read this');
  journal.close();
});

test.run();

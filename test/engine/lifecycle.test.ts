/** Open, close and open again: what of the last run is trusted, made anew, swept or refused. */

import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readState } from '../../src/engine/volume-files.ts';
import { FAMILY } from '../../src/index/keys.ts';
import { BLOCK_BYTES } from '../../src/model/ids.ts';
import { SimVolume } from './sim-volume.ts';

const test = suite('lifecycle');

function on(what: string, body: (it: SimVolume) => Promise<void>): void {
  test(what, async () => {
    const it = await SimVolume.create();
    try {
      await body(it);
    } finally {
      await it.dispose();
    }
  });
}

const contents = (text: string): Buffer => Buffer.alloc(2 * BLOCK_BYTES, text);
const isRebuilt = (it: SimVolume): boolean => it.journal.some((line) => line.includes('rebuilt'));

on('the clean mark stands while the volume is closed, and no longer', async (it) => {
  assert.is((await readState(it.disk, it.dir))?.cleanSeq, undefined);
  assert.is(await it.put('a', contents('a')), undefined);
  await it.volume.close();
  const head = (await it.transactions()).at(-1)?.seq;
  assert.is((await readState(it.disk, it.dir))?.cleanSeq, head);
  await it.open();
  assert.is((await readState(it.disk, it.dir))?.cleanSeq, undefined);
  assert.equal(await it.get('a'), contents('a'));
});

on('closing twice is closing once', async (it) => {
  await Promise.all([it.volume.close(), it.volume.close()]);
  await it.volume.close();
  await it.open();
});

on('after a kill the index is caught up, not rebuilt', async (it) => {
  assert.is(await it.put('a', contents('a')), undefined);
  await it.volume.sync();
  await it.kill();
  await it.open();
  assert.not.ok(isRebuilt(it));
  assert.equal(await it.get('a'), contents('a'));
});

on('after an unclean stop and another boot the index is rebuilt', async (it) => {
  assert.is(await it.put('a', contents('a')), undefined);
  await it.volume.sync();
  await it.kill();
  it.ports = { ...it.ports, bootId: 'the next boot' };
  await it.open();
  assert.ok(isRebuilt(it));
  assert.equal(await it.get('a'), contents('a'));
});

on('after a clean stop another boot changes nothing', async (it) => {
  assert.is(await it.put('a', contents('a')), undefined);
  await it.volume.close();
  it.ports = { ...it.ports, bootId: 'the next boot' };
  await it.open();
  assert.not.ok(isRebuilt(it));
});

on('an index of another schema is rebuilt', async (it) => {
  assert.is(await it.put('a', contents('a')), undefined);
  await it.volume.close();
  const database = new Level(it.indexDir);
  await database.put(`${FAMILY.meta}schema`, '999');
  await database.close();
  await it.open();
  assert.ok(isRebuilt(it));
  assert.equal(await it.get('a'), contents('a'));
});

on('a missing, an emptied and an older index come to the same digest', async (it) => {
  const older = join(it.scratch, 'older');
  assert.is(await it.put('a', contents('a')), undefined);
  await it.volume.close();
  await cp(it.indexDir, older, { recursive: true });
  await it.open();
  assert.is(await it.put('b', contents('b')), undefined);
  await it.remove('a');
  await it.volume.close();
  await it.open();
  await it.volume.close();
  await it.open({ quiet: true });
  const digest = await it.volume.digest();
  await it.volume.close();

  await rm(it.indexDir, { recursive: true });
  await it.open({ quiet: true });
  assert.is(await it.volume.digest(), digest);
  await it.volume.close();
  await rm(it.indexDir, { recursive: true });
  await cp(older, it.indexDir, { recursive: true });
  await it.open({ quiet: true });
  assert.is(await it.volume.digest(), digest);
  assert.equal(await it.get('b'), contents('b'));
});

on(
  'an index that knows more than the log holds refuses: durable transactions are lost',
  async (it) => {
    assert.is(await it.put('a', contents('a')), undefined);
    await it.volume.sync();
    await it.kill();
    await it.open();
    assert.is(await it.put('b', contents('b')), undefined);
    await it.volume.close();
    // The log loses its newest segment, as a copy of an older backup over it would make it.
    const segments = (await it.disk.list(`${it.dir}/log`)).filter((name) => name.endsWith('.avro'));
    assert.is(segments.length, 2);
    const newest = `${it.dir}/log/${segments.toSorted().at(-1)}`;
    await it.disk.unlink(newest);
    const error = await it.open().then(
      () => undefined,
      (reason: Error) => reason,
    );
    assert.match(error?.message ?? 'it opened', /the log ends too early; transactions 4 to 5 /);
  },
);

on('a quiet open logs nothing', async (it) => {
  assert.is(await it.put('a', contents('a')), undefined);
  await it.remove('a');
  await it.volume.close();
  const before = (await it.transactions()).length;
  await it.open({ quiet: true });
  await it.volume.digest();
  await it.volume.check(() => undefined);
  await it.volume.close();
  assert.is((await it.transactions()).length, before);
});

on('data that no transaction names is swept after a kill', async (it) => {
  assert.is(await it.put('a', contents('a')), undefined);
  await it.volume.sync();
  const { file } = (await it.create('pending')) as Exclude<
    Awaited<ReturnType<SimVolume['create']>>,
    string
  >;
  assert.is(await it.write(file, contents('p')), undefined);
  await it.volume.filesystem.flush(file);
  for (let i = 0; i < 20; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  await it.kill();
  await it.open();
  assert.equal(await it.get('a'), contents('a'));
  const { bad, unowned } = await it.volume.scrub(() => undefined);
  assert.equal(bad, []);
  assert.equal(unowned, []);
});

test.run();

/** Opening, refusing, damage, and a database that cannot be written. */

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readCheckpoint, CheckpointDamaged, writeCheckpoint } from '../../src/index/checkpoint.ts';
import { Index, IndexCorrupt, IndexUnusable } from '../../src/index/index.ts';
import { inodeKey } from '../../src/index/keys.ts';
import { rebuildIndex, replay } from '../../src/index/rebuild.ts';
import { nodeDisk } from '../../src/io/node-disk.ts';
import { ino, NO_SEQ } from '../../src/model/ids.ts';
import { batches, dump, inFolder, withIndex } from './fixture.ts';
import { Workload } from './generate.ts';

const test = suite('index store');

async function reasonOf(opening: Promise<Index>): Promise<string> {
  try {
    await (await opening).close();
    return 'opened';
  } catch (error) {
    assert.instance(error, IndexUnusable);
    return (error as IndexUnusable).reason;
  }
}

test('an empty folder becomes an empty index', async () => {
  await withIndex(async (index) => {
    assert.is(index.applied, NO_SEQ);
    assert.is(index.persisted, NO_SEQ);
    assert.is(index.volume(), undefined);
    assert.is(index.inode(ino(1)), undefined);
  });
});

test('another schema, a foreign database and a second opener are refused, each for its reason', async () => {
  await inFolder(async (dir) => {
    const open = () => Index.open({ dir: join(dir, 'index') });
    const index = await open();
    assert.is(await reasonOf(open()), 'locked');
    await index.close();
    const raw = new Level<string, string>(join(dir, 'index'));
    await raw.put('Aschema', '\0\0\0\0\0\0\0\x7f');
    await raw.close();
    assert.is(await reasonOf(open()), 'schema');
    const foreign = new Level<string, string>(join(dir, 'foreign'));
    await foreign.put('something', 'else');
    await foreign.close();
    assert.is(await reasonOf(Index.open({ dir: join(dir, 'foreign') })), 'corrupt');
    await writeFile(join(dir, 'file'), 'no folder');
    assert.is(await reasonOf(Index.open({ dir: join(dir, 'file') })), 'unreadable');
  });
});

test('a damaged manifest refuses to open; rebuilding replaces it', async () => {
  await inFolder(async (folder) => {
    const dir = join(folder, 'index');
    const transactions = new Workload({ seed: 3 }).take(50);
    const index = await Index.open({ dir });
    await replay(index, batches(transactions));
    const whole = await dump(index);
    await index.close();
    await damage(dir, /^MANIFEST/);
    assert.is(await reasonOf(Index.open({ dir })), 'corrupt');
    await rebuildIndex({ dir, disk: nodeDisk, transactions: () => batches(transactions) });
    const again = await Index.open({ dir });
    assert.equal(await dump(again), whole);
    await again.close();
    assert.equal(await readdir(folder), ['index']);
  });
});

test('a damaged table is an IndexCorrupt, not a wrong answer', async () => {
  await inFolder(async (dir) => {
    const index = await Index.open({ dir });
    await replay(index, batches(new Workload({ seed: 4 }).take(100)));
    await index.close();
    const raw = new Level<string, Buffer>(dir, { valueEncoding: 'buffer' });
    await raw.put(inodeKey(ino(1)), Buffer.from('not an inode'));
    await raw.close();
    const damaged = await Index.open({ dir });
    assert.throws(
      () => damaged.inode(ino(1)),
      (error: unknown) => error instanceof IndexCorrupt,
    );
    await damaged.close();
  });
});

test('a checkpoint that is cut, altered or foreign is refused', async () => {
  await inFolder(async (dir) => {
    const index = await Index.open({ dir: join(dir, 'index') });
    await replay(index, batches(new Workload({ seed: 6 }).take(80)));
    const snapshot = index.snapshot();
    const path = await writeCheckpoint(nodeDisk, dir, snapshot, Buffer.alloc(32));
    snapshot.close();
    await index.close();
    const whole = await readFile(path);
    assert.is(await outcome(path), 'whole');
    const cuts = [0, 10, whole.length - 1, whole.length - 70, Math.floor(whole.length / 2)];
    for (const length of cuts) {
      await writeFile(path, whole.subarray(0, length));
      assert.is(await outcome(path), 'damaged', `cut to ${length}`);
    }
    for (let at = 3; at < whole.length; at += 997) {
      const altered = Buffer.from(whole);
      altered.writeUInt8(altered.readUInt8(at) ^ 4, at);
      await writeFile(path, altered);
      assert.is(await outcome(path), 'damaged', `bit flipped at ${at}`);
    }
  });
});

test('a checkpoint that is given up leaves nothing, and takes away what a crash left', async () => {
  await inFolder(async (dir) => {
    const index = await Index.open({ dir: join(dir, 'index') });
    await replay(index, batches(new Workload({ seed: 6 }).take(80)));
    const snapshot = index.snapshot();
    await writeFile(join(dir, '00000000000000000007.avro.new'), 'of a crash');
    let pauses = 0;
    const write = (pause: () => Promise<void>) =>
      writeCheckpoint(nodeDisk, dir, snapshot, Buffer.alloc(32), pause);
    const givenUp = await write(async () => {
      pauses++;
      if (pauses === 3) throw new Error('given up');
    }).catch((error: Error) => error.message);
    assert.is(givenUp, 'given up');
    assert.equal(await readdir(dir), ['index']);
    assert.is(await outcome(await write(() => Promise.resolve())), 'whole');
    snapshot.close();
    await index.close();
  });
});

async function outcome(path: string): Promise<'whole' | 'damaged'> {
  try {
    let records = 0;
    for await (const batch of readCheckpoint(nodeDisk, path)) records += batch.length;
    assert.ok(records > 0);
    return 'whole';
  } catch (error) {
    assert.instance(error, CheckpointDamaged, String(error));
    return 'damaged';
  }
}

/** Overwrites the middle of the files whose names match. */
async function damage(dir: string, names: RegExp): Promise<void> {
  for (const name of await readdir(dir)) {
    if (!names.test(name)) continue;
    const bytes = await readFile(join(dir, name));
    bytes.fill(0xee, 0, Math.min(bytes.length, 64));
    await writeFile(join(dir, name), bytes);
  }
}

test.run();

/** When an index is trusted, and what it is made from where it is not. */

import { rm } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readState } from '../../src/engine/volume-files.ts';
import { nodeDisk } from '../../src/io/node-disk.ts';
import type { Disk, File } from '../../src/io/disk.ts';
import { Store } from '../../src/index/store.ts';
import { SimVolume } from './sim-volume.ts';

const test = suite('index trust');

/** The machine's disk, telling which paths were synced. */
function listening(synced: Set<string>): Disk {
  const open: Disk['open'] = async (path, mode) => {
    const file = await nodeDisk.open(path, mode);
    const sync = async (): Promise<void> => {
      await file.sync();
      synced.add(path);
    };
    return Object.assign(Object.create(file) as File, { sync, close: () => file.close() });
  };
  const syncDir: Disk['syncDir'] = async (path) => {
    await nodeDisk.syncDir(path);
    synced.add(path);
  };
  return Object.assign(Object.create(nodeDisk) as Disk, { open, syncDir });
}

test('an index is on the disk before its volume is called clean', async () => {
  const it = await SimVolume.create();
  const original = Store.sync;
  const synced = new Set<string>();
  const states: unknown[] = [];
  Store.sync = async (_disk, dir) => {
    states.push((await readState(it.disk, it.dir))?.cleanSeq);
    await original.call(Store, listening(synced), dir);
  };
  try {
    assert.is(await it.put('a', Buffer.from('a')), undefined);
    await it.volume.close();
  } finally {
    Store.sync = original;
  }
  try {
    assert.equal(states, [undefined], 'synced once, before the mark');
    assert.type((await readState(it.disk, it.dir))?.cleanSeq, 'number');
    const files = await nodeDisk.list(it.indexDir);
    const expected = [it.indexDir, ...files.map((file) => `${it.indexDir}/${file}`)];
    assert.equal([...synced].toSorted(), expected.toSorted());
  } finally {
    await it.dispose();
  }
});

test('a lost index is made from a checkpoint where the log is trimmed', async () => {
  const it = await SimVolume.create();
  try {
    assert.is(await it.put('a', Buffer.from('a')), undefined);
    await it.volume.sync();
    // After an unclean stop the log goes on in another segment, so that one can be trimmed.
    await it.kill();
    await it.open();
    assert.is(await it.put('b', Buffer.from('b')), undefined);
    const oldest = await it.volume.trim(await it.volume.checkpoint());
    assert.ok(oldest > 1, 'trimmed');
    await it.volume.close();
    await rm(it.indexDir, { recursive: true });

    await it.open();
    assert.equal(await it.get('a'), Buffer.from('a'));
    assert.equal(await it.get('b'), Buffer.from('b'));
  } finally {
    await it.dispose();
  }
});

test.run();

/** A volume of a given size (`mkfs --size`) on a disk that has more. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRefusal } from '../../src/model/errno.ts';
import { sizeOf } from '../../src/model/size.ts';
import { CALLER, refusalName, SimVolume } from './sim-volume.ts';

const test = suite('size limit');
const BLOCK = 4096;
const LIMIT = 100;
const blocks = (count: number): Buffer => Buffer.alloc(count * BLOCK, 1);

async function limited(body: (it: SimVolume) => Promise<void>): Promise<void> {
  const it = await SimVolume.create({ sizeLimitBlocks: LIMIT });
  try {
    await body(it);
  } finally {
    await it.dispose();
  }
}

async function available(it: SimVolume): Promise<number> {
  const space = await it.volume.filesystem.space();
  return isRefusal(space) ? Number.NaN : space.availableBlocks;
}

const allocate = async (
  it: SimVolume,
  name: string,
  count: number,
): Promise<string | undefined> => {
  const made = await it.create(name);
  if (typeof made === 'string') return made;
  const request = { mode: 0, offset: sizeOf(0), length: sizeOf(count * BLOCK) };
  const { filesystem } = it.volume;
  const answer = await filesystem.fallocate(
    made.file,
    { ...request, killPrivileges: false },
    CALLER,
  );
  filesystem.close(made.file);
  return refusalName(answer);
};

test('writes are refused beyond it, logged or not, and taken again once there is room', () =>
  limited(async (it) => {
    assert.is(await it.put('a', blocks(60)), undefined);
    const made = await it.create('b');
    if (typeof made === 'string') throw new Error(made);
    assert.is(await it.write(made.file, blocks(40)), undefined);
    assert.is(await it.write(made.file, blocks(1), 40 * BLOCK), 'ENOSPC', 'nothing is logged yet');
    assert.is(await it.write(made.file, blocks(1)), undefined, 'what is dirty is no new block');
    await it.volume.sync();
    assert.is(await available(it), 0);
    assert.is(await it.put('c', blocks(1)), 'ENOSPC');
    it.volume.filesystem.close(made.file);
    assert.is(await it.remove('a'), undefined);
    while ((await available(it)) < 60) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.is(await it.put('e', blocks(60)), undefined);
    assert.is(await it.put('d', blocks(1)), 'ENOSPC');
  }));

test('allocated blocks count, and writing them does not count again', () =>
  limited(async (it) => {
    assert.is(await allocate(it, 'a', 90), undefined);
    assert.is(await allocate(it, 'b', 11), 'ENOSPC');
    assert.is(await it.openAndWrite('a', blocks(90), 0), undefined);
    await it.volume.sync();
    assert.is(await available(it), 10);
    assert.is(await it.put('c', blocks(10)), undefined);
    assert.is(await it.put('d', blocks(1)), 'ENOSPC');
  }));

test('it holds after a kill, and what was promised to the dead is free', () =>
  limited(async (it) => {
    assert.is(await it.put('a', blocks(50)), undefined);
    await it.volume.sync();
    const made = await it.create('b');
    if (typeof made === 'string') throw new Error(made);
    assert.is(await it.write(made.file, blocks(50)), undefined);
    await it.kill();
    await it.open();
    assert.is(await it.put('c', blocks(50)), undefined);
    assert.is(await it.put('d', blocks(1)), 'ENOSPC');
  }));

test.run();

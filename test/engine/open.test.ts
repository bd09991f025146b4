/** Opening files: what O_TRUNC does to contents and mode. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRefusal } from '../../src/model/errno.ts';
import { sizeOf } from '../../src/model/size.ts';
import { CALLER, SimVolume } from './sim-volume.ts';

const test = suite('open');

const O_RDWR_TRUNC = 0o1002;

test('O_TRUNC empties a file and keeps its set-id bits, which only the kernel knows to clear', async () => {
  const it = await SimVolume.create();
  try {
    const made = await it.create('f');
    if (typeof made === 'string') throw new Error(made);
    assert.is(await it.write(made.file, Buffer.from('contents')), undefined);
    const { filesystem } = it.volume;
    await filesystem.setattr(made.ino, { mode: 0o4755 }, CALLER);

    const opened = await filesystem.open(made.ino, O_RDWR_TRUNC, CALLER);
    assert.not.ok(isRefusal(opened));
    const inode = await filesystem.getattr(made.ino);
    if (isRefusal(inode)) throw new Error(inode.name);
    assert.equal(inode.size, sizeOf(0));
    assert.is(inode.mode & 0o7777, 0o4755);
  } finally {
    await it.dispose();
  }
});

test.run();

/**
 * Program order per file: what was written to it is in the log before any other change of its
 * inode, whoever makes that change and by whichever name. So no crash shows the later one alone.
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRefusal } from '../../src/model/errno.ts';
import { byteStringOf, ROOT_INO, type Ino } from '../../src/model/ids.ts';
import { CALLER, refusalName, SimVolume } from './sim-volume.ts';

const test = suite('program order');

const name = byteStringOf;
const EXCHANGE = 2;

/** Changes of the file that is called `a` and `b`; 'other' is another file. */
const CHANGES: Readonly<Record<string, (it: SimVolume, ino: Ino) => unknown>> = {
  link: ({ volume }, ino) => volume.filesystem.link(ino, ROOT_INO, name('c'), CALLER),
  'unlink of one of its names': (it) => it.remove('a'),
  rename: ({ volume }) =>
    volume.filesystem.rename(ROOT_INO, name('a'), ROOT_INO, name('c'), 0, CALLER),
  'rename of another over one of its names': ({ volume }) =>
    volume.filesystem.rename(ROOT_INO, name('other'), ROOT_INO, name('a'), 0, CALLER),
  'exchange with another': ({ volume }) =>
    volume.filesystem.rename(ROOT_INO, name('a'), ROOT_INO, name('other'), EXCHANGE, CALLER),
  'exchange of another with it': ({ volume }) =>
    volume.filesystem.rename(ROOT_INO, name('other'), ROOT_INO, name('a'), EXCHANGE, CALLER),
  chmod: ({ volume }, ino) => volume.filesystem.setattr(ino, { mode: 0o600 }, CALLER),
  setxattr: ({ volume }, ino) =>
    volume.filesystem.setXattr(ino, name('user.x'), Buffer.from('1'), 0, CALLER),
};

for (const [what, change] of Object.entries(CHANGES)) {
  test(`${what}: after what was written before`, async () => {
    const it = await SimVolume.create();
    try {
      assert.is(await it.put('other', Buffer.from('other')), undefined);
      const made = await it.create('a');
      if (typeof made === 'string') throw new Error(made);
      const { filesystem } = it.volume;
      await filesystem.link(made.ino, ROOT_INO, name('b'), CALLER);
      assert.is(await it.write(made.file, Buffer.from('pending')), undefined);

      assert.is(refusalName(await change(it, made.ino)), undefined);
      await it.volume.sync();

      const inode = await filesystem.lookup(ROOT_INO, name('b'));
      if (isRefusal(inode)) throw new Error(inode.name);
      const { dataSeq, metaSeq } = inode;
      assert.ok(dataSeq < metaSeq, `written in ${dataSeq}, last changed in ${metaSeq}`);
    } finally {
      await it.dispose();
    }
  });
}

test.run();

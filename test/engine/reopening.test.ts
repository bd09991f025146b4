/** While the index is opened anew (after a disk below it was full) operations wait; none fails. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Store } from '../../src/index/store.ts';
import { isRefusal, type Refusal } from '../../src/model/errno.ts';
import { byteStringOf, ROOT_INO, type Ino } from '../../src/model/ids.ts';
import { refusalName, SimVolume } from './sim-volume.ts';
import type { Answer } from '../../src/engine/api.ts';
import { CALLER } from './sim-volume.ts';

const test = suite('reopening');

const isOpen = Object.getOwnPropertyDescriptor(Store.prototype, 'isOpen')!;

/** Calls `operation` while the index says that it is closed, until somebody waits for it. */
function whileClosed<T>(operation: () => Answer<T>): Answer<T> {
  Object.defineProperty(Store.prototype, 'isOpen', { configurable: true, get: () => false });
  try {
    return operation();
  } finally {
    Object.defineProperty(Store.prototype, 'isOpen', isOpen);
  }
}

const nameOf = (answer: unknown): string => refusalName(answer as Refusal) ?? 'ok';

test('what reads the index waits for it', async () => {
  const it = await SimVolume.create();
  try {
    const x = byteStringOf('user.x');
    const { filesystem: before } = it.volume;
    assert.is(await it.put('f', Buffer.from('contents')), undefined);
    const found = await before.lookup(ROOT_INO, byteStringOf('f'));
    if (isRefusal(found)) throw new Error(found.name);
    await before.setXattr(found.ino, x, Buffer.from('1'), 0, CALLER);

    type Operation = (filesystem: typeof before, ino: Ino) => Answer<unknown>;
    const operations: Readonly<Record<string, Operation>> = {
      lookup: (filesystem) => filesystem.lookup(ROOT_INO, byteStringOf('f')),
      getattr: (filesystem, ino) => filesystem.getattr(ino),
      open: (filesystem, ino) => filesystem.open(ino, 0, CALLER),
      getXattr: (filesystem, ino) => filesystem.getXattr(ino, x),
    };
    for (const [what, operation] of Object.entries(operations)) {
      // Nothing is in memory right after an open.
      await it.volume.close();
      await it.open();
      const answer = whileClosed(() => operation(it.volume.filesystem, found.ino));
      assert.instance(answer, Promise, what);
      assert.is(nameOf(await answer), 'ok', what);
    }
  } finally {
    await it.dispose();
  }
});

test.run();

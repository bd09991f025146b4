/** The rule of relatime, at its edges. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isAccessDue } from '../../src/model/access.ts';
import type { Inode } from '../../src/model/inode.ts';
import type { Time } from '../../src/model/time.ts';

const test = suite('model access');
const DAY = 86_400;

const at = (sec: number, nsec = 0): Time => ({ sec, nsec });
const inode = (mtime: Time, ctime: Time): Inode => ({ mtime, ctime }) as Inode;

const isDue = (atime: Time, changed: Inode, now: number, written?: Time): boolean =>
  isAccessDue(atime, changed, written, () => now * 1e6);

test('an access time at or behind the last change is moved', () => {
  assert.ok(isDue(at(5, 1), inode(at(5, 1), at(4)), 6), 'modified in the same moment');
  assert.ok(isDue(at(5, 1), inode(at(4), at(5, 1)), 6), 'changed in the same moment');
  assert.ok(isDue(at(5, 1), inode(at(5, 2), at(4)), 6));
  assert.ok(isDue(at(-5), inode(at(-4), at(-9)), 6), 'before 1970');
  assert.not(isDue(at(5, 2), inode(at(5, 1), at(5, 1)), 6));
});

test('one that is younger than a day and ahead of both stays', () => {
  const changed = inode(at(0), at(0));
  assert.not(isDue(at(100), changed, 100 + DAY - 1));
  assert.ok(isDue(at(100), changed, 100 + DAY));
  assert.not(isDue(at(100), changed, 50), 'the clock was set back');
});

test('pending writes stand for the times that they will bring', () => {
  const changed = inode(at(0), at(0));
  assert.ok(isDue(at(100), changed, 101, at(100)));
  assert.not(isDue(at(100, 1), inode(at(200), at(200)), 101, at(100)));
});

test.run();

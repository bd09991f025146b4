import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PageCache } from '../../src/fuse/page-cache.ts';
import { ino, ROOT_INO, seq } from '../../src/model/ids.ts';
import { S_IFREG, type Inode } from '../../src/model/inode.ts';
import { MemoryFilesystem } from './memory-filesystem.ts';

const root = new MemoryFilesystem().nodes.get(ROOT_INO)?.inode as Inode;
const file: Inode = { ...root, ino: ino(5000), mode: S_IFREG | 0o644 };

test('pages are kept only for the very state that they were read of', () => {
  const cache = new PageCache();
  assert.not(cache.keeps(file), 'nothing was read yet');
  assert.ok(cache.keeps(file));
  const changes: Partial<Inode>[] = [
    { dataSeq: seq(99) },
    { size: { blocks: 1, tail: 0 } },
    { size: { blocks: 0, tail: 1 } },
    { mtime: { sec: 1, nsec: 0 } },
    { mtime: { sec: file.mtime.sec, nsec: 1 } },
  ];
  for (const change of changes) {
    assert.not(cache.keeps({ ...file, ...change }), JSON.stringify(change));
    assert.not(cache.keeps(file), 'and back is a change too');
  }
});

test('a list of names is kept until any change of its directory', () => {
  const cache = new PageCache();
  assert.not(cache.keeps(root));
  assert.ok(cache.keeps({ ...root, dataSeq: seq(99) }), 'a directory has no data seq');
  assert.not(cache.keeps({ ...root, metaSeq: seq(99) }));
});

test('a change from outside is remembered until the next open', () => {
  const cache = new PageCache();
  cache.keeps(file);
  cache.forget(file.ino);
  assert.not(cache.keeps(file));
  assert.ok(cache.keeps(file));
});

test('inodes that share a slot never share a state', () => {
  const cache = new PageCache();
  const other = { ...file, ino: ino(5000 + 2 ** 16) };
  cache.keeps(file);
  assert.not(cache.keeps(other));
  cache.forget(file.ino);
  assert.ok(cache.keeps(other));
});

test.run();

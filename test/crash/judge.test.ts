/** The judge of the kill test, on small made-up histories: what it must let pass, and what not. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { digestOf } from './contents.ts';
import type { Entry, SyncEntry } from './journal.ts';
import { judge, type LaneEvidence } from './judge.ts';
import { pattern, type Operation } from './operation.ts';
import type { FoundNode, FoundTree } from './tree.ts';

const test = suite('judge');

const NO_XATTRS = new Map<string, string>();
const directory = (ino: number, nlink = 2): FoundNode => ({
  kind: 'directory',
  ino,
  nlink,
  mode: 0o755,
  mtime: 0,
  xattrs: NO_XATTRS,
});
const file = (ino: number, bytes: Buffer, nlink = 1): FoundNode => ({
  kind: 'file',
  ino,
  nlink,
  mode: 0o644,
  mtime: 0,
  xattrs: NO_XATTRS,
  bytes,
  digest: digestOf(bytes),
});
const treeOf = (files: Readonly<Record<string, FoundNode>>): FoundTree =>
  new Map([['', directory(1)], ...Object.entries(files)]);

const EMPTY = Buffer.alloc(0);

const open = (path: string, slot = 0): Operation => ({
  type: 'open',
  slot,
  path,
  create: true,
  exclusive: false,
  truncate: false,
  append: false,
  synchronous: false,
});
const write = (fill: number, bytes = 100, slot = 0, offset = 0): Operation => ({
  type: 'write',
  slot,
  offset,
  bytes,
  fill,
});
const rename = (from: string, path: string): Operation => ({
  type: 'rename',
  from,
  path,
  kind: 'replace',
});
const FSYNC: Operation = { type: 'fsync', slot: 0 };
const CLOSE: Operation = { type: 'close', slot: 0 };
const ROOT_FSYNC: Operation = { type: 'fsyncdir', path: '' };

/** Operations that follow each other, each answered, from time 10 on in steps of 10. */
const entriesOf = (operations: readonly Operation[], start = 10): Entry[] =>
  operations.map((operation, i) => ({
    worker: 0,
    lane: 'a',
    operation,
    begin: start + i * 10,
    end: start + i * 10 + 5,
    error: null,
  }));

const unanswered = (entries: readonly Entry[]): Entry[] =>
  entries.map((entry, i) => (i === entries.length - 1 ? { ...entry, end: undefined } : entry));

const lane = (entries: readonly Entry[], found: FoundTree, name = 'a'): LaneEvidence => ({
  name,
  baseline: treeOf({}),
  entries,
  found,
});

const verdict = (
  operations: readonly Operation[],
  found: FoundTree,
  syncs: readonly SyncEntry[] = [],
): string | undefined => judge([lane(entriesOf(operations), found)], syncs);

const passes = (...args: Parameters<typeof verdict>): void =>
  assert.is(verdict(...args), undefined);
const fails = (pattern: RegExp, ...args: Parameters<typeof verdict>): void =>
  assert.match(verdict(...args) ?? 'passed', pattern);

test('any prefix of names passes, a hole does not', () => {
  const makes = [open('f0'), open('f1', 1), open('f2', 2)];
  passes(makes, treeOf({}));
  passes(makes, treeOf({ f0: file(2, EMPTY) }));
  passes(makes, treeOf({ f0: file(2, EMPTY), f1: file(3, EMPTY), f2: file(4, EMPTY) }));
  fails(/missing/, makes, treeOf({ f0: file(2, EMPTY), f2: file(4, EMPTY) }));
  fails(/must not exist/, makes, treeOf({ f7: file(2, EMPTY) }));
});

test('an open file may lack its newest writes, and nothing else', () => {
  const one = pattern(1, 100);
  const both = pattern(2, 100);
  const writes = [open('f0'), write(1), write(2)];
  for (const bytes of [EMPTY, one, both]) passes(writes, treeOf({ f0: file(2, bytes) }));
  fails(/contents/, writes, treeOf({ f0: file(2, pattern(3, 100)) }));
  fails(/contents/, writes, treeOf({ f0: file(2, one.subarray(0, 50)) }));
});

test('the kernel may cut a write at the end of its first page', () => {
  const bytes = pattern(1, 6000);
  const whole = Buffer.concat([Buffer.alloc(4000), bytes]);
  const writes = [open('f0'), write(1, 6000, 0, 4000)];
  passes(writes, treeOf({ f0: file(2, whole) }));
  passes(writes, treeOf({ f0: file(2, whole.subarray(0, 4096)) }));
  fails(/contents/, writes, treeOf({ f0: file(2, whole.subarray(0, 8192)) }));
});

test('what was written and renamed is never empty or old under the new name', () => {
  const bytes = pattern(1, 100);
  const saves = [open('f0'), write(1), rename('f0', 'f1')];
  passes(saves, treeOf({ f0: file(2, EMPTY) }));
  passes(saves, treeOf({ f1: file(2, bytes) }));
  fails(/contents/, saves, treeOf({ f1: file(2, EMPTY) }));
});

test('a change after a close shows what was written before it', () => {
  const made: Operation = { type: 'mkdir', path: 'd0', mode: 0o755 };
  const root = new Map(treeOf({ d0: directory(3) })).set('', directory(1, 3));
  const saves = [open('f0'), write(1), CLOSE, made];
  assert.is(
    judge([lane(entriesOf(saves), new Map(root).set('f0', file(2, pattern(1, 100))))], []),
    undefined,
  );
  assert.match(
    judge([lane(entriesOf(saves), new Map(root).set('f0', file(2, EMPTY)))], []) ?? 'passed',
    /contents/,
  );
});

test('what an fsync was answered for is there', () => {
  const saves = [open('f0'), write(1), FSYNC];
  passes(saves, treeOf({ f0: file(2, pattern(1, 100)) }));
  fails(/contents/, saves, treeOf({ f0: file(2, EMPTY) }));
  fails(/missing/, saves, treeOf({}));
  const asked = unanswered(entriesOf(saves));
  assert.is(judge([lane(asked, treeOf({}))], []), undefined, 'not answered, not promised');
});

test('an fsync promises its own file, and what came before it in the log, not what came after', () => {
  const makes = [open('f0'), open('f1', 1), FSYNC];
  passes(makes, treeOf({ f0: file(2, EMPTY) }));
  const moves = [open('f0'), rename('f0', 'f1'), FSYNC];
  passes(moves, treeOf({ f1: file(2, EMPTY) }));
  fails(/missing/, moves, treeOf({ f0: file(2, EMPTY) }));
});

test('an fsync of a directory promises its names', () => {
  const makes = [open('f0'), open('f1', 1), ROOT_FSYNC, open('f2', 2)];
  passes(makes, treeOf({ f0: file(2, EMPTY), f1: file(3, EMPTY) }));
  fails(/missing/, makes, treeOf({ f0: file(2, EMPTY) }));
});

test('a sync promises all that was answered before it began', () => {
  const writes = [open('f0'), write(1), write(2)];
  const sync = (begin: number, end: number | undefined = 100) => [{ begin, end }];
  const old = treeOf({ f0: file(2, pattern(1, 100)) });
  passes(writes, old, sync(28));
  fails(/contents/, writes, old, sync(38));
  passes(writes, old, [{ begin: 38, end: undefined }]);
});

test('hard links, modes, times, xattrs and targets are looked at', () => {
  const links: Operation[] = [open('f0'), { type: 'link', from: 'f0', path: 'f1' }];
  passes(links, treeOf({ f0: file(2, EMPTY, 2), f1: file(2, EMPTY, 2) }));
  fails(/not the same inode/, links, treeOf({ f0: file(2, EMPTY, 2), f1: file(3, EMPTY, 2) }));
  const fixed = [...links, ROOT_FSYNC];
  fails(/nlink/, fixed, treeOf({ f0: file(2, EMPTY, 1), f1: file(2, EMPTY, 1) }));

  // A last, durable change: no prefix without it may explain what is found.
  const set = (operation: Operation): Operation[] => [open('f0'), operation, FSYNC];
  const found = treeOf({ f0: file(2, EMPTY) });
  fails(/mode/, set({ type: 'chmod', path: 'f0', mode: 0o600 }), found);
  fails(/mtime/, set({ type: 'utimes', path: 'f0', mtime: 77 }), found);
  const xattr: Operation = { type: 'setxattr', path: 'f0', name: 'user.a', bytes: 3, fill: 1 };
  fails(/xattr user.a/, set(xattr), found);
  const symlink: Operation = { type: 'symlink', path: 's0', target: 'x' };
  const wrong: FoundNode = { kind: 'symlink', ino: 2, nlink: 1, mtime: 0, target: 'y' };
  fails(/target/, [symlink, ROOT_FSYNC], treeOf({ s0: wrong }));
});

test('lanes are cut consistently', () => {
  const first = entriesOf([open('f0')], 10);
  const later = entriesOf([open('f0')], 100);
  const there = treeOf({ f0: file(2, EMPTY) });
  const both = (a: FoundTree, b: FoundTree): string | undefined =>
    judge([lane(first, a, 'a'), lane(later, b, 'b')], []);
  assert.is(both(treeOf({}), treeOf({})), undefined);
  assert.is(both(there, treeOf({})), undefined);
  assert.is(both(there, there), undefined);
  assert.match(both(treeOf({}), there) ?? 'passed', /lane b holds operation 0/);
});

test('an answer that the model would not give is a finding', () => {
  const refused = entriesOf([open('f0')]).map((entry) => ({ ...entry, error: 'EIO' }));
  assert.match(judge([lane(refused, treeOf({}))], []) ?? 'passed', /must succeed/);
  fails(/must be refused/, [rename('f0', 'f1')], treeOf({}));
});

test.run();

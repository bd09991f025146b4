/** Given facts, when a name is made, linked, removed or moved, then these events or that errno. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decideCreate, decideTemporary } from '../../src/decide/create.ts';
import type { Decision } from '../../src/decide/decision.ts';
import { decideLink, decideRmdir, decideUnlink } from '../../src/decide/link.ts';
import { decideRename, EXCHANGE, NOREPLACE } from '../../src/decide/rename.ts';
import { isRefusal } from '../../src/model/errno.ts';
import type { Event, EventType } from '../../src/model/event.ts';
import { asByteString, ino, position } from '../../src/model/ids.ts';
import { LINK_MAX, S_IFDIR, S_IFLNK, S_IFREG, S_ISGID } from '../../src/model/inode.ts';
import { sizeOf } from '../../src/model/size.ts';
import { directory, entry, env, inode, NOW } from './given.ts';

const errno = (decision: Decision): string => (isRefusal(decision) ? decision.name : 'granted');

function events(decision: Decision): readonly Event[] {
  assert.not.ok(isRefusal(decision), `refused: ${errno(decision)}`);
  return decision as readonly Event[];
}

function only<T extends EventType>(decision: Decision, type: T): Extract<Event, { type: T }>[] {
  return events(decision).filter((e): e is Extract<Event, { type: T }> => e.type === type);
}

const noAcl = { defaultAcl: undefined };
const file = (name: string, mode = S_IFREG | 0o644) => ({
  name: asByteString(name),
  mode,
  rdev: 0,
  target: undefined,
});

test('a new file gets its caller as owner and a name at the next position', () => {
  const dir = directory({ entries: 3, nextPosition: position(9), size: sizeOf(30) });
  const decision = decideCreate({ dir, ...noAcl, exists: false }, file('new'), env());
  const [created] = only(decision, 'InodeCreated');
  assert.is(created!.uid, 7);
  assert.is(created!.gid, 8);
  assert.is(created!.ino, 5000);
  assert.equal(created!.time, NOW);
  assert.is(only(decision, 'DirentAdded')[0]!.position, 9);
  assert.equal(only(decision, 'DirectoryChanged')[0], {
    type: 'DirectoryChanged',
    ino: ino(1),
    nlink: 2,
    entries: 4,
    nameBytes: 33,
    nextPosition: position(10),
    mtime: NOW,
  });
});

test('a set-gid directory hands its group on, and to directories the bit', () => {
  const dir = directory({ mode: S_IFDIR | S_ISGID | 0o755, gid: 99 });
  const made = only(
    decideCreate({ dir, ...noAcl, exists: false }, file('f'), env()),
    'InodeCreated',
  )[0]!;
  assert.is(made.gid, 99);
  assert.is(made.mode & S_ISGID, 0);
  const sub = decideCreate({ dir, ...noAcl, exists: false }, file('d', S_IFDIR | 0o700), env());
  assert.is(only(sub, 'InodeCreated')[0]!.mode, S_IFDIR | S_ISGID | 0o700);
  assert.is(only(sub, 'DirectoryChanged')[0]!.nlink, 3);
});

test('creation is refused with the errno that open(2) and mkdir(2) name', () => {
  const dir = directory();
  const at = (name: string, mode?: number) =>
    errno(decideCreate({ dir, ...noAcl, exists: false }, file(name, mode), env()));
  assert.is(at(''), 'ENOENT');
  assert.is(at('x'.repeat(255)), 'granted');
  assert.is(at('x'.repeat(256)), 'ENAMETOOLONG');
  assert.is(at('a/b'), 'EINVAL');
  assert.is(at('..'), 'EEXIST');
  assert.is(errno(decideCreate({ dir, ...noAcl, exists: true }, file('a'), env())), 'EEXIST');
  const removed = directory({ nlink: 0 });
  assert.is(
    errno(decideCreate({ dir: removed, ...noAcl, exists: false }, file('a'), env())),
    'ENOENT',
  );
  assert.is(
    errno(decideCreate({ dir: inode(), ...noAcl, exists: false }, file('a'), env())),
    'ENOTDIR',
  );
  const full = directory({ nlink: LINK_MAX });
  const sub = file('d', S_IFDIR | 0o755);
  assert.is(errno(decideCreate({ dir: full, ...noAcl, exists: false }, sub, env())), 'EMLINK');
  assert.is(
    errno(decideCreate({ dir: full, ...noAcl, exists: false }, file('a'), env())),
    'granted',
  );
});

test('a symlink wants a target of 1 to 4095 bytes', () => {
  const make = (target: string) =>
    errno(
      decideCreate(
        { dir: directory(), ...noAcl, exists: false },
        { ...file('l', S_IFLNK | 0o777), target: asByteString(target) },
        env(),
      ),
    );
  assert.is(make(''), 'ENOENT');
  assert.is(make('t'.repeat(4095)), 'granted');
  assert.is(make('t'.repeat(4096)), 'ENAMETOOLONG');
});

test('a file without a name is an orphan from its start', () => {
  const decision = decideTemporary({ dir: directory(), ...noAcl }, S_IFREG | 0o600, env());
  assert.equal(
    events(decision).map((e) => e.type),
    ['InodeCreated', 'OrphanAdded'],
  );
  assert.is(only(decision, 'InodeCreated')[0]!.nlink, 0);
});

test('link counts up; a nameless file is adopted; directories cannot be linked', () => {
  const dir = directory();
  const name = asByteString('n');
  const facts = { inode: inode({ nlink: 3 }), dir, exists: false, orphan: false };
  assert.is(only(decideLink(facts, name, env()), 'LinksChanged')[0]!.nlink, 4);
  const temporary = { ...facts, inode: inode({ nlink: 0 }), orphan: true };
  assert.is(only(decideLink(temporary, name, env()), 'OrphanRemoved').length, 1);
  assert.is(errno(decideLink({ ...temporary, orphan: false }, name, env())), 'ENOENT');
  assert.is(errno(decideLink({ ...facts, inode: directory() }, name, env())), 'EPERM');
  const most = { ...facts, inode: inode({ nlink: LINK_MAX }) };
  assert.is(errno(decideLink(most, name, env())), 'EMLINK');
  assert.is(errno(decideLink({ ...facts, exists: true }, name, env())), 'EEXIST');
});

test('unlink of the last name makes an orphan, of another only counts down', () => {
  const dir = directory({ entries: 1, size: sizeOf(4), nextPosition: position(3) });
  const last = inode();
  const gone = decideUnlink({ dir, entry: entry(dir, 'name', last), inode: last }, env());
  assert.is(only(gone, 'OrphanAdded').length, 1);
  assert.equal(only(gone, 'DirectoryChanged')[0]!.entries, 0);
  assert.equal(only(gone, 'DirectoryChanged')[0]!.nameBytes, 0);
  assert.is(only(gone, 'DirectoryChanged')[0]!.nextPosition, 3);
  const linked = inode({ nlink: 2 });
  const left = decideUnlink({ dir, entry: entry(dir, 'name', linked), inode: linked }, env());
  assert.is(only(left, 'OrphanAdded').length, 0);
  assert.is(only(left, 'LinksChanged')[0]!.nlink, 1);
});

test('rmdir takes empty directories only, and their two links with them', () => {
  const dir = directory({ nlink: 3, entries: 1, size: sizeOf(1) });
  const sub = directory({ ino: ino(2000), parent: ino(1) });
  const removed = decideRmdir({ dir, entry: entry(dir, 'd', sub), inode: sub }, env());
  assert.is(only(removed, 'LinksChanged')[0]!.nlink, 0);
  assert.is(only(removed, 'LinksChanged')[0]!.parent, 0);
  assert.is(only(removed, 'DirectoryChanged')[0]!.nlink, 2);
  const full = directory({ ino: ino(2000), entries: 1 });
  assert.is(
    errno(decideRmdir({ dir, entry: entry(dir, 'd', full), inode: full }, env())),
    'ENOTEMPTY',
  );
  const plain = inode();
  assert.is(
    errno(decideRmdir({ dir, entry: entry(dir, 'f', plain), inode: plain }, env())),
    'ENOTDIR',
  );
  assert.is(errno(decideUnlink({ dir, entry: entry(dir, 'd', sub), inode: sub }, env())), 'EISDIR');
});

const root = directory({ entries: 2, size: sizeOf(2), nlink: 4, nextPosition: position(4) });
const other = directory({ ino: ino(1500), parent: ino(1), nextPosition: position(7) });
const source = { entry: entry(root, 'a', inode()), inode: inode() };
const free = { newDirBelowSource: false, dirBelowTarget: false };
const moveTo = (set: object) => ({
  dir: root,
  newDir: other,
  source,
  target: undefined,
  ...free,
  ...set,
});
const b = asByteString('b');

test('rename gives the file a new position and both directories new values', () => {
  const decision = decideRename(moveTo({}), b, 0, env());
  assert.is(only(decision, 'DirentAdded')[0]!.position, 7);
  assert.equal(
    only(decision, 'DirectoryChanged').map((e) => [e.ino, e.entries, e.nextPosition]),
    [
      [1, 1, 4],
      [1500, 1, 8],
    ],
  );
  assert.is(only(decision, 'LinksChanged')[0]!.nlink, 1);
});

test('rename within one directory changes it once', () => {
  const decision = decideRename(moveTo({ newDir: root }), asByteString('bcd'), 0, env());
  const [changed, ...more] = only(decision, 'DirectoryChanged');
  assert.is(more.length, 0);
  assert.is(changed!.entries, 2);
  assert.is(changed!.nameBytes, 4);
});

test('rename over a file makes that one an orphan', () => {
  const victim = inode({ ino: ino(3000) });
  const target = { entry: entry(other, 'b', victim), inode: victim };
  const decision = decideRename(moveTo({ target }), b, 0, env());
  assert.is(only(decision, 'OrphanAdded')[0]!.ino, 3000);
  assert.is(only(decision, 'DirentRemoved').length, 2);
  assert.is(errno(decideRename(moveTo({ target }), b, NOREPLACE, env())), 'EEXIST');
  const same = { entry: entry(other, 'b', inode()), inode: inode() };
  assert.equal(decideRename(moveTo({ target: same }), b, 0, env()), []);
});

test('a moved directory has a new parent and takes its link along', () => {
  const moved = directory({ ino: ino(1600), parent: ino(1) });
  const facts = moveTo({ source: { entry: entry(root, 'd', moved), inode: moved } });
  const decision = decideRename(facts, b, 0, env());
  assert.is(only(decision, 'LinksChanged')[0]!.parent, 1500);
  assert.equal(
    only(decision, 'DirectoryChanged').map((e) => e.nlink),
    [3, 3],
  );
  assert.is(errno(decideRename({ ...facts, newDirBelowSource: true }, b, 0, env())), 'EINVAL');
});

test('what may replace what', () => {
  const dir = directory({ ino: ino(1600) });
  const full = directory({ ino: ino(1700), entries: 1 });
  const plain = inode({ ino: ino(1800) });
  const over = (from: typeof dir, to: typeof dir) =>
    errno(
      decideRename(
        moveTo({
          source: { entry: entry(root, 'a', from), inode: from },
          target: { entry: entry(other, 'b', to), inode: to },
        }),
        b,
        0,
        env(),
      ),
    );
  assert.is(over(plain, dir), 'EISDIR');
  assert.is(over(dir, plain), 'ENOTDIR');
  assert.is(over(dir, full), 'ENOTEMPTY');
  assert.is(over(full, dir), 'granted');
  assert.is(errno(decideRename(moveTo({}), b, 4, env())), 'EINVAL');
});

test('exchange swaps two names, their positions and their links', () => {
  const dir = directory({ ino: ino(1600), parent: ino(1500) });
  const target = { entry: entry(other, 'b', dir, 3), inode: dir };
  const decision = decideRename(moveTo({ target }), b, EXCHANGE, env());
  assert.equal(
    only(decision, 'DirentAdded').map((e) => [e.dir, e.name, e.ino]),
    [
      [1, 'a', 1600],
      [1500, 'b', 2000],
    ],
  );
  assert.equal(
    only(decision, 'DirectoryChanged').map((e) => [e.ino, e.nlink, e.entries]),
    [
      [1, 5, 2],
      [1500, 1, 0],
    ],
  );
  assert.is(only(decision, 'OrphanAdded').length, 0);
  assert.is(errno(decideRename(moveTo({}), b, EXCHANGE, env())), 'ENOENT');
  const loop = { ...moveTo({ target }), dirBelowTarget: true };
  assert.is(errno(decideRename(loop, b, EXCHANGE, env())), 'EINVAL');
});

test.run();

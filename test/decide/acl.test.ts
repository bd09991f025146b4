/** Given lists and modes, when one of them changes or is inherited, then the other follows. */

import { assert as check, constantFrom, integer, property } from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NOTHING_ATTACHED, type Attached } from '../../src/decide/acl.ts';
import { decideAttributes } from '../../src/decide/attributes.ts';
import { decideTruncate, decideWritten } from '../../src/decide/contents.ts';
import { decideCreate, decideTemporary } from '../../src/decide/create.ts';
import type { Decision } from '../../src/decide/decision.ts';
import { decideRemoveXattr, decideSetXattr } from '../../src/decide/xattr.ts';
import {
  ACL_ACCESS,
  ACL_DEFAULT,
  ACL_TAG,
  decodeAcl,
  encodeAcl,
  modeWithAcl,
  NO_ID,
  type Acl,
} from '../../src/model/acl.ts';
import { isRefusal } from '../../src/model/errno.ts';
import type { Event, EventType } from '../../src/model/event.ts';
import { asByteString } from '../../src/model/ids.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, type Inode } from '../../src/model/inode.ts';
import { sizeOf } from '../../src/model/size.ts';
import { CAPABILITY } from '../../src/model/xattr.ts';
import { directory, env, inode, NOW } from './given.ts';

/** A list in letters: "rwx" each for owner, a named user, group, mask, others. */
const listOf = (owner: number, named: number, group: number, mask: number, other: number): Acl => [
  { tag: ACL_TAG.USER_OBJ, perm: owner, id: NO_ID },
  { tag: ACL_TAG.USER, perm: named, id: 1001 },
  { tag: ACL_TAG.GROUP_OBJ, perm: group, id: NO_ID },
  { tag: ACL_TAG.MASK, perm: mask, id: NO_ID },
  { tag: ACL_TAG.OTHER, perm: other, id: NO_ID },
];
const minimal = (mode: number): Buffer =>
  encodeAcl([
    { tag: ACL_TAG.USER_OBJ, perm: (mode >> 6) & 7, id: NO_ID },
    { tag: ACL_TAG.GROUP_OBJ, perm: (mode >> 3) & 7, id: NO_ID },
    { tag: ACL_TAG.OTHER, perm: mode & 7, id: NO_ID },
  ]);
const FULL = encodeAcl(listOf(7, 7, 5, 7, 0));

const errno = (decision: Decision): string => (isRefusal(decision) ? decision.name : 'granted');
function events(decision: Decision): readonly Event[] {
  assert.not.ok(isRefusal(decision), `refused: ${errno(decision)}`);
  return decision as readonly Event[];
}
function only<T extends EventType>(decision: Decision, type: T): Extract<Event, { type: T }>[] {
  return events(decision).filter((e): e is Extract<Event, { type: T }> => e.type === type);
}
const types = (decision: Decision): EventType[] => events(decision).map(({ type }) => type);

const setAcl = (of: Inode, value: Buffer, more: object = {}): Decision => {
  const command = { name: ACL_ACCESS, value, flags: 0, killSetGid: false, ...more };
  return decideSetXattr(of, false, command, env());
};

test('an access list is set together with the mode that it stands for', () => {
  const [set, ...more] = events(setAcl(inode({ mode: S_IFREG | 0o4640 }), FULL));
  assert.is(more.length, 0);
  assert.equal(set, {
    type: 'XattrSet',
    ino: 2000,
    name: ACL_ACCESS,
    value: FULL,
    ctime: NOW,
    mode: S_IFREG | 0o4770,
  });
});

test('a list that is but a mode is kept as the mode, and takes an older one away', () => {
  const file = inode({ mode: S_IFREG | 0o600 });
  const fresh = setAcl(file, minimal(0o644));
  assert.equal(types(fresh), ['AttributesChanged']);
  assert.is(only(fresh, 'AttributesChanged')[0]!.mode, S_IFREG | 0o644);
  const command = { name: ACL_ACCESS, value: minimal(0o750), flags: 0, killSetGid: false };
  const over = decideSetXattr(file, true, command, env());
  assert.equal(types(over), ['XattrRemoved', 'AttributesChanged']);
  assert.is(only(over, 'AttributesChanged')[0]!.mode, S_IFREG | 0o750);
});

test('the set-gid bit goes where the caller may not keep it, and only there', () => {
  const file = inode({ mode: S_IFREG | 0o6755 });
  const modeOf = (killSetGid: boolean) =>
    only(setAcl(file, FULL, { killSetGid }), 'XattrSet')[0]!.mode;
  assert.is(modeOf(false), S_IFREG | 0o6770);
  assert.is(modeOf(true), S_IFREG | 0o4770);
  const dir = directory({ mode: S_IFDIR | 0o2755 });
  const byDefault = setAcl(dir, FULL, { name: ACL_DEFAULT, killSetGid: true });
  assert.is(only(byDefault, 'XattrSet')[0]!.mode, undefined, 'a default list says nothing of it');
});

test('lists are refused where they make no sense', () => {
  assert.is(errno(setAcl(inode({ mode: S_IFLNK | 0o777 }), FULL)), 'EOPNOTSUPP');
  assert.is(errno(setAcl(inode(), FULL, { name: ACL_DEFAULT })), 'EACCES');
  assert.is(errno(setAcl(inode(), Buffer.from('garbage'))), 'EOPNOTSUPP');
  assert.is(errno(setAcl(inode(), FULL.subarray(0, 12))), 'EINVAL');
  assert.is(errno(setAcl(inode(), FULL, { flags: 4 })), 'EINVAL');
  assert.is(errno(setAcl(inode(), FULL, { name: asByteString('system.other') })), 'EOPNOTSUPP');
});

test('removing a list leaves the mode; removing none is done already', () => {
  const remove = (exists: boolean) => decideRemoveXattr(inode(), exists, ACL_ACCESS, env());
  assert.equal(types(remove(true)), ['XattrRemoved']);
  assert.equal(events(remove(false)), []);
  const empty = { name: ACL_ACCESS, value: Buffer.alloc(0), flags: 0, killSetGid: false };
  assert.equal(types(decideSetXattr(inode(), true, empty, env())), ['XattrRemoved']);
  assert.equal(events(decideSetXattr(inode(), false, empty, env())), []);
  const link = inode({ mode: S_IFLNK | 0o777 });
  assert.is(errno(decideRemoveXattr(link, false, ACL_ACCESS, env())), 'EOPNOTSUPP');
});

const NO_CHANGE = { uid: undefined, gid: undefined, atime: undefined, mtime: undefined };
const chmod = (of: Inode, mode: number, acl: Buffer | undefined): Decision => {
  const command = { ...NO_CHANGE, mode, killPrivileges: false };
  return decideAttributes(of, { acl, capability: false }, command, env());
};

test('after any chmod the list and the mode agree', () => {
  check(
    property(integer({ min: 0, max: 0o7777 }), (mode) => {
      const decision = chmod(inode({ mode: S_IFREG | 0o770 }), mode, FULL);
      const set = only(decision, 'XattrSet')[0];
      const acl = decodeAcl(set?.value ?? FULL) as Acl;
      const changed = only(decision, 'AttributesChanged')[0]!.mode!;
      assert.is(changed & 0o7777, mode);
      assert.is(modeWithAcl(changed, acl), changed);
      assert.is(acl[1]!.perm, 7, 'the named user keeps its own');
    }),
  );
});

test('a chmod logs no list that stays the same, and none where there is none', () => {
  assert.equal(types(chmod(inode({ mode: S_IFREG | 0o700 }), 0o4770, FULL)), ['AttributesChanged']);
  assert.equal(types(chmod(inode(), 0o600, undefined)), ['AttributesChanged']);
  assert.is(errno(chmod(inode(), 0o600, Buffer.from('damaged'))), 'EIO');
});

const file = (mode: number) => ({ name: asByteString('f'), mode, rdev: 0, target: undefined });
const create = (defaultAcl: Buffer | undefined, mode: number, set = {}, dir = directory()) =>
  decideCreate({ dir, defaultAcl, exists: false }, file(mode), env(set));
const createdMode = (decision: Decision): number => only(decision, 'InodeCreated')[0]!.mode;

test('without a default list the umask counts, with one it does not, and links have neither', () => {
  const umask = { umask: 0o077 };
  assert.is(createdMode(create(undefined, S_IFREG | 0o666, umask)), S_IFREG | 0o600);
  assert.is(createdMode(create(undefined, S_IFDIR | 0o2777, umask)), S_IFDIR | 0o2700);
  assert.is(createdMode(create(FULL, S_IFREG | 0o666, umask)), S_IFREG | 0o660);
  const link = { ...file(S_IFLNK | 0o777), target: asByteString('t') };
  const facts = { dir: directory(), defaultAcl: FULL, exists: false };
  const linked = decideCreate(facts, link, env(umask));
  assert.is(createdMode(linked), S_IFLNK | 0o777);
  assert.equal(only(linked, 'XattrSet'), []);
});

test('a new inode gets the default list, masked by its mode, in the transaction of its creation', () => {
  const decision = create(FULL, S_IFREG | 0o640);
  assert.equal(types(decision), ['InodeCreated', 'XattrSet', 'DirentAdded', 'DirectoryChanged']);
  const [set] = only(decision, 'XattrSet');
  assert.equal(decodeAcl(set!.value), listOf(6, 7, 5, 4, 0));
  assert.equal([set!.ino, set!.name, set!.mode], [5000, ACL_ACCESS, undefined]);
  const dir = create(FULL, S_IFDIR | 0o755);
  assert.equal(
    only(dir, 'XattrSet').map(({ name }) => name),
    [ACL_DEFAULT, ACL_ACCESS],
  );
  assert.ok(only(dir, 'XattrSet')[0]!.value.equals(FULL), 'directories hand on all of it');
  assert.is(errno(create(Buffer.from('damaged'), S_IFREG | 0o600)), 'EIO');
});

test('a default list of three entries is inherited as a mode', () => {
  const decision = create(minimal(0o750), S_IFREG | 0o666);
  assert.is(createdMode(decision), S_IFREG | 0o640);
  assert.equal(only(decision, 'XattrSet'), []);
});

test('whatever is inherited, list and mode of the new inode agree', () => {
  const modes = integer({ min: 0, max: 0o7777 });
  const type = constantFrom(S_IFREG, S_IFDIR);
  check(
    property(modes, type, modes, (mode, kind, umask) => {
      const decision = create(FULL, kind | mode, { umask });
      const made = createdMode(decision);
      const access = only(decision, 'XattrSet').find(({ name }) => name === ACL_ACCESS)!;
      assert.is(modeWithAcl(made, decodeAcl(access.value) as Acl), made);
      assert.is(made & ~mode & ~S_IFMT, 0, 'never more than was asked for');
    }),
  );
});

test('a nameless file inherits and is masked as one with a name', () => {
  const facts = { dir: directory(), defaultAcl: FULL };
  const decision = decideTemporary(facts, S_IFREG | 0o644, env({ umask: 0o077 }));
  assert.equal(types(decision), ['InodeCreated', 'XattrSet', 'OrphanAdded']);
  assert.is(createdMode(decision), S_IFREG | 0o640);
  const bare = { dir: directory(), defaultAcl: undefined };
  const masked = decideTemporary(bare, S_IFREG | 0o644, env({ umask: 0o077 }));
  assert.is(createdMode(masked), S_IFREG | 0o600);
});

test('in a set-gid directory only a member makes a set-gid program', () => {
  const dir = directory({ mode: S_IFDIR | 0o2777, gid: 99 });
  const made = (mode: number, set: object) =>
    createdMode(create(undefined, S_IFREG | mode, set, dir)) & 0o7777;
  assert.is(made(0o2755, {}), 0o755, 'uid 7, gid 8');
  assert.is(made(0o2755, { gid: 99 }), 0o2755);
  assert.is(made(0o2755, { groups: [5, 99] }), 0o2755);
  assert.is(made(0o2755, { uid: 0 }), 0o2755);
  assert.is(made(0o2745, {}), 0o2745, 'no program: the bit means something else');
  assert.is(made(0o2755, { umask: 0o010 }), 0o745, 'asked for as a program');
  const plain = directory({ gid: 99 });
  assert.is(createdMode(create(undefined, S_IFREG | 0o2755, {}, plain)) & 0o7777, 0o2755);
});

test('capabilities go with new contents and with a new owner', () => {
  const attached: Attached = { acl: undefined, capability: true };
  const removed = { type: 'XattrRemoved', ino: 2000, name: CAPABILITY, ctime: NOW };
  const command = { ...NO_CHANGE, mode: undefined, killPrivileges: false };
  const change = (of: Inode, set: object, has = attached) =>
    decideAttributes(of, has, { ...command, ...set }, env());
  assert.equal(only(change(inode(), { uid: 5 }), 'XattrRemoved'), [removed]);
  assert.equal(only(change(inode(), { mode: 0o755 }), 'XattrRemoved'), []);
  assert.equal(only(change(directory(), { uid: 5 }), 'XattrRemoved'), []);
  assert.equal(only(change(inode(), { killPrivileges: true }), 'XattrRemoved'), [removed]);
  assert.equal(events(change(inode(), { killPrivileges: true }, NOTHING_ATTACHED)), []);
  const facts = { inode: inode(), attached, beyond: [], complete: true };
  const cut = { size: sizeOf(0), killPrivileges: false, lastBlock: [] };
  assert.equal(only(decideTruncate(facts, cut, env()), 'XattrRemoved'), [removed]);
  const written = {
    size: sizeOf(5),
    time: NOW,
    killPrivileges: false,
    extents: [],
    dataEvents: [],
  };
  assert.equal(only(decideWritten(inode(), attached, written), 'XattrRemoved'), [removed]);
  assert.equal(types(decideWritten(inode(), NOTHING_ATTACHED, written)), ['ContentsChanged']);
});

test.run();

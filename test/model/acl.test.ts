/** Access control lists: bytes, validity, and that list and mode always agree. */

import {
  array,
  assert as check,
  constantFrom,
  integer,
  option,
  property,
  record,
} from 'fast-check';
import { uint8Array } from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ACL_TAG,
  aclRefusal,
  aclWithMode,
  decodeAcl,
  encodeAcl,
  inheritedAcl,
  isMinimal,
  modeWithAcl,
  NO_ID,
  type Acl,
  type AclEntry,
} from '../../src/model/acl.ts';
import { isRefusal } from '../../src/model/errno.ts';

const { USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER } = ACL_TAG;
const entry = (tag: number, perm: number, id = NO_ID): AclEntry => ({ tag, perm, id });
const errno = (value: unknown): string => (isRefusal(value) ? value.name : 'valid');

const perm = integer({ min: 0, max: 7 });
const named = array(record({ id: integer({ min: 0, max: 0xffff_fffe }), perm }), { maxLength: 4 });
/** Any valid list. */
const acls = record({ user: perm, users: named, group: perm, groups: named, other: perm })
  .chain((parts) => {
    const isNamed = parts.users.length + parts.groups.length > 0;
    return record({ mask: isNamed ? perm : option(perm, { nil: undefined }) }).map(({ mask }) => ({
      ...parts,
      mask,
    }));
  })
  .map(({ user, users, group, groups, mask, other }): Acl => {
    return [
      entry(USER_OBJ, user),
      ...users.map((u) => entry(USER, u.perm, u.id)),
      entry(GROUP_OBJ, group),
      ...groups.map((g) => entry(GROUP, g.perm, g.id)),
      ...(mask === undefined ? [] : [entry(MASK, mask)]),
      entry(OTHER, other),
    ];
  });
const modes = integer({ min: 0, max: 0o7777 });

test('a list is its bytes: golden', () => {
  const acl = [
    entry(USER_OBJ, 6),
    entry(USER, 4, 1000),
    entry(GROUP_OBJ, 4),
    entry(MASK, 5),
    entry(OTHER, 0),
  ];
  const hex =
    '02000000' +
    '01000600ffffffff' +
    '02000400e8030000' +
    '04000400ffffffff' +
    '10000500ffffffff' +
    '20000000ffffffff';
  assert.is(encodeAcl(acl).toString('hex'), hex);
  assert.equal(decodeAcl(Buffer.from(hex, 'hex')), acl);
});

test('every valid list survives its bytes', () => {
  check(
    property(acls, (acl) => {
      assert.is(aclRefusal(acl), undefined);
      assert.equal(decodeAcl(encodeAcl(acl)), acl);
    }),
  );
});

test('no bytes make decoding throw, and what it takes is valid', () => {
  check(
    property(uint8Array({ maxLength: 60 }), constantFrom(true, false), (bytes, isHeaded) => {
      const value = Buffer.from(bytes);
      if (isHeaded && value.length >= 4) value.writeUInt32LE(2, 0);
      const acl = decodeAcl(value);
      if (!isRefusal(acl) && acl.length > 0) assert.is(aclRefusal(acl), undefined);
    }),
  );
});

test('nothing and no entries are no list; other versions and lengths are refused', () => {
  assert.equal(decodeAcl(Buffer.alloc(0)), []);
  assert.equal(decodeAcl(Buffer.from('02000000', 'hex')), []);
  assert.is(errno(decodeAcl(Buffer.from('020000', 'hex'))), 'EINVAL');
  assert.is(errno(decodeAcl(Buffer.from('01000000', 'hex'))), 'EOPNOTSUPP');
  assert.is(errno(decodeAcl(Buffer.from('0200000001000600', 'hex'))), 'EINVAL');
});

test('what Linux refuses is refused', () => {
  const minimal = [entry(USER_OBJ, 6), entry(GROUP_OBJ, 4), entry(OTHER, 4)];
  const [user, group, other] = minimal as [AclEntry, AclEntry, AclEntry];
  const wrong: Record<string, Acl> = {
    'no owner': [group, other],
    'no group': [user, other],
    'no others': [user, group],
    'owner twice': [user, user, group, other],
    'others twice': [user, group, other, other],
    'out of order': [user, group, entry(USER, 4, 1), entry(MASK, 7), other],
    'named without a mask': [user, entry(USER, 4, 1), group, other],
    'mask twice': [user, group, entry(MASK, 7), entry(MASK, 7), other],
    'more than rwx': [entry(USER_OBJ, 8), group, other],
    'an unknown tag': [user, entry(3, 4), group, other],
    'a name without an id': [user, entry(USER, 4), group, entry(MASK, 7), other],
    empty: [],
  };
  for (const [what, acl] of Object.entries(wrong))
    assert.is(errno(aclRefusal(acl)), 'EINVAL', what);
  assert.is(aclRefusal(minimal), undefined);
  assert.is(aclRefusal([user, group, entry(MASK, 7), other]), undefined, 'a mask for nobody');
  const twice = [user, entry(USER, 4, 9), entry(USER, 4, 1), entry(USER, 6, 1), group];
  assert.is(
    aclRefusal([...twice, entry(MASK, 7), other]),
    undefined,
    'Linux takes ids as they come',
  );
});

test('after a chmod the list says the mode, and what it says of others is as before', () => {
  check(
    property(acls, modes, (acl, mode) => {
      const after = aclWithMode(acl, mode);
      assert.is(modeWithAcl(0, after), mode & 0o777);
      assert.is(aclRefusal(after), undefined);
      const kept = (of: Acl): Acl => of.filter(({ tag }) => tag === USER || tag === GROUP);
      assert.equal(kept(after), kept(acl));
      const hasMask = acl.some(({ tag }) => tag === MASK);
      const groupOf = (of: Acl): unknown => of.find(({ tag }) => tag === GROUP_OBJ)?.perm;
      if (hasMask) assert.is(groupOf(after), groupOf(acl), 'a masked group is no part of the mode');
    }),
  );
});

test('a minimal list and a mode are the same thing', () => {
  check(
    property(modes, modes, (mode, other) => {
      const acl = aclWithMode([entry(USER_OBJ, 0), entry(GROUP_OBJ, 0), entry(OTHER, 0)], mode);
      assert.ok(isMinimal(acl));
      assert.is(modeWithAcl(other, acl), (other & ~0o777) | (mode & 0o777));
    }),
  );
  assert.not(isMinimal([entry(USER_OBJ, 6), entry(GROUP_OBJ, 4), entry(MASK, 4), entry(OTHER, 4)]));
});

test('what is inherited allows what the default list and the mode of the creation both allow', () => {
  check(
    property(acls, modes, (acl, mode) => {
      const inherited = inheritedAcl(acl, mode);
      assert.is(modeWithAcl(mode, inherited), (mode & ~0o777) | (mode & modeWithAcl(0, acl)));
      assert.is(aclRefusal(inherited), undefined);
      assert.equal(inheritedAcl(acl, 0o777), acl, 'all of it for 0777');
      assert.is(isMinimal(inherited), isMinimal(acl));
    }),
  );
});

test.run();

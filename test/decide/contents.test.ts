/** Given an inode, when attributes, contents or xattrs change, then these events or that errno. */

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { NOTHING_ATTACHED } from '../../src/decide/acl.ts';
import { decideAttributes, withoutSetId } from '../../src/decide/attributes.ts';
import { decideRemoveStep, decideTruncate, decideWritten } from '../../src/decide/contents.ts';
import type { Decision } from '../../src/decide/decision.ts';
import { decideRemoveXattr, decideSetXattr } from '../../src/decide/xattr.ts';
import { isRefusal } from '../../src/model/errno.ts';
import type { AttributesChanged, ContentsChanged, Event } from '../../src/model/event.ts';
import { asByteString, segmentNumber } from '../../src/model/ids.ts';
import { S_IFDIR, S_IFIFO, S_IFREG } from '../../src/model/inode.ts';
import { sizeOf } from '../../src/model/size.ts';
import { directory, env, inode, NOW } from './given.ts';

const errno = (decision: Decision): string => (isRefusal(decision) ? decision.name : 'granted');
const granted = (decision: Decision): readonly Event[] => {
  assert.not.ok(isRefusal(decision), errno(decision));
  return decision as readonly Event[];
};

const nothing = {
  mode: undefined,
  uid: undefined,
  gid: undefined,
  atime: undefined,
  mtime: undefined,
  killPrivileges: false,
};
const bare = { attached: NOTHING_ATTACHED };

test('chmod keeps the type, chown clears set-id bits of files', () => {
  const attributes = (before: number, set: object) =>
    granted(
      decideAttributes(inode({ mode: before }), NOTHING_ATTACHED, { ...nothing, ...set }, env()),
    )[0] as AttributesChanged;
  assert.is(attributes(S_IFREG | 0o644, { mode: 0o4711 }).mode, S_IFREG | 0o4711);
  assert.is(attributes(S_IFREG | 0o6755, { uid: 5 }).mode, S_IFREG | 0o755);
  assert.is(attributes(S_IFREG | 0o6644, { gid: 5 }).mode, S_IFREG | 0o2644);
  assert.is(attributes(S_IFDIR | 0o2755, { uid: 5 }).mode, undefined);
  assert.is(attributes(S_IFREG | 0o6755, { killPrivileges: true }).mode, S_IFREG | 0o755);
  const taken = { ...nothing, killPrivileges: true };
  const dir = inode({ mode: S_IFDIR | 0o2755 });
  assert.equal(decideAttributes(dir, NOTHING_ATTACHED, taken, env()), [], 'nothing to take away');
  assert.is(attributes(S_IFREG | 0o644, { uid: 5 }).mode, undefined);
  assert.equal(attributes(S_IFREG | 0o644, {}).ctime, NOW);
});

test('set-id bits: the group one goes only with group execution', () => {
  assert.is(withoutSetId(S_IFREG | 0o6755), S_IFREG | 0o755);
  assert.is(withoutSetId(S_IFREG | 0o2745), undefined);
  assert.is(withoutSetId(S_IFREG | 0o755), undefined);
});

const extent = (block: number, count: number) => ({
  block,
  count,
  segment: segmentNumber(1),
  segmentBlock: block,
  flags: 0,
});

test('written contents raise the version once and carry the size and time of the last write', () => {
  const time = { sec: 9, nsec: 9 };
  const command = {
    size: sizeOf(5000),
    time,
    killPrivileges: true,
    extents: [extent(0, 2)],
    dataEvents: [],
  };
  const events = granted(
    decideWritten(inode({ dataVersion: 6n, mode: S_IFREG | 0o4755 }), NOTHING_ATTACHED, command),
  );
  assert.is(events[0]!.type, 'ExtentsMapped');
  const changed = events[1] as ContentsChanged;
  assert.is(changed.dataVersion, 7n);
  assert.equal([changed.size, changed.mtime, changed.ctime], [sizeOf(5000), time, time]);
  assert.is(changed.mode, S_IFREG | 0o755);
});

const cut = (bytes: number) => ({ size: sizeOf(bytes), killPrivileges: false, lastBlock: [] });

test('a small cut removes its extents at once, from the first whole block beyond the end', () => {
  const facts = {
    inode: inode({ size: sizeOf(40960) }),
    ...bare,
    beyond: [extent(1, 9)],
    complete: true,
  };
  const events = granted(decideTruncate(facts, cut(5000), env()));
  assert.equal(events.at(-1), { type: 'ExtentsRemoved', ino: 2000, block: 2, count: 8 });
  assert.is((events[0] as ContentsChanged).truncateMark, undefined);
  assert.is((events[0] as ContentsChanged).dataVersion, 1n);
});

test('a huge cut sets the mark, and removes what lies across it', () => {
  const facts = {
    inode: inode({ size: sizeOf(1e9) }),
    ...bare,
    beyond: [extent(0, 9)],
    complete: false,
  };
  const events = granted(decideTruncate(facts, cut(4096), env()));
  assert.is((events[0] as ContentsChanged).truncateMark, 1);
  assert.equal(events[1], { type: 'ExtentsRemoved', ino: 2000, block: 1, count: 8 });
});

test('truncation to the same size changes times, not the version; growth removes nothing', () => {
  const same = { inode: inode({ size: sizeOf(10) }), ...bare, beyond: [], complete: true };
  const [kept, ...more] = granted(decideTruncate(same, cut(10), env()));
  assert.is((kept as ContentsChanged).dataVersion, 0n);
  assert.equal((kept as ContentsChanged).mtime, NOW);
  assert.is(more.length, 0);
  assert.is((granted(decideTruncate(same, cut(99), env()))[0] as ContentsChanged).dataVersion, 1n);
});

test('only regular files have a size to change', () => {
  const facts = { ...bare, beyond: [], complete: true };
  assert.is(errno(decideTruncate({ inode: directory(), ...facts }, cut(0), env())), 'EISDIR');
  const fifo = inode({ mode: S_IFIFO | 0o644 });
  assert.is(errno(decideTruncate({ inode: fifo, ...facts }, cut(0), env())), 'EINVAL');
});

test('a removal step covers its extents, and the last one clears the mark', () => {
  const events = decideRemoveStep(inode(), 5, [extent(3, 4), extent(20, 1)], true);
  assert.equal(events[0], { type: 'ExtentsRemoved', ino: 2000, block: 5, count: 16 });
  assert.is(events[1]!.type, 'TruncateFinished');
  assert.equal(decideRemoveStep(inode(), 5, [], false), []);
});

test('extended attributes: namespaces, limits, create and replace', () => {
  const set = (name: string, exists: boolean, flags: number, bytes = 1) =>
    errno(
      decideSetXattr(
        inode(),
        exists,
        { name: asByteString(name), value: Buffer.alloc(bytes), flags, killSetGid: false },
        env(),
      ),
    );
  assert.is(set('user.a', false, 0), 'granted');
  assert.is(set('user.a', false, 1), 'granted');
  assert.is(set('user.a', true, 1), 'EEXIST');
  assert.is(set('user.a', false, 2), 'ENODATA');
  assert.is(set('user.a', true, 2), 'granted');
  assert.is(set('user.a', true, 3), 'EINVAL');
  assert.is(set('user.', false, 0), 'EINVAL');
  assert.is(set('other.a', false, 0), 'EOPNOTSUPP');
  assert.is(set(`user.${'n'.repeat(250)}`, false, 0), 'granted');
  assert.is(set(`user.${'n'.repeat(251)}`, false, 0), 'ERANGE');
  assert.is(set('user.a', false, 0, 65535), 'granted');
  assert.is(set('user.a', false, 0, 65536), 'E2BIG');
  assert.is(errno(decideRemoveXattr(inode(), false, asByteString('user.a'), env())), 'ENODATA');
  assert.is(errno(decideRemoveXattr(inode(), true, asByteString('user.a'), env())), 'granted');
});

test('user attributes are for files and directories only, the others for every type', () => {
  const at = (mode: number, name: string) => {
    const command = { name: asByteString(name), value: Buffer.alloc(1), flags: 0 };
    return errno(decideSetXattr(inode({ mode }), false, { ...command, killSetGid: false }, env()));
  };
  assert.is(at(S_IFDIR | 0o755, 'user.a'), 'granted');
  assert.is(at(S_IFIFO | 0o644, 'user.a'), 'EPERM');
  assert.is(at(S_IFIFO | 0o644, 'trusted.a'), 'granted');
  const fifo = inode({ mode: S_IFIFO | 0o644 });
  assert.is(errno(decideRemoveXattr(fifo, true, asByteString('user.a'), env())), 'EPERM');
});

test.run();

/**
 * Random operations for two actors (`actor.c`): the same seed and the same features give the same
 * lines, whatever comes of them. Pure. Names are few, so that operations meet; a third of them are
 * hostile. Nothing here blocks: files are opened with O_NONBLOCK.
 */

import type { SimRandom } from '../sim/random.ts';
import { word } from './actor.ts';
import type { Feature } from './features.ts';
import { AT, FALLOC, O, RENAME, S, SEEK, XATTR } from './numbers.ts';

const { KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE } = FALLOC;

const PLAIN_NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const HOSTILE_NAMES: readonly (string | Buffer)[] = [
  ' ',
  '-rf',
  'new\nline',
  'täget',
  '...',
  '%2e',
  '*',
  '.hidden',
  '\u{1f4be}',
  Buffer.from([0xff, 0xfe]),
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from([1, 127, 9, 13]),
  'n'.repeat(255),
];
const TOO_LONG = 'n'.repeat(256);
const SLOTS = 6;
const BLOCK = 4096;
const USERS = ['0 0', '0 0', '0 0', '1000 1000 2000', '1001 1001 2000 3000'];
const MODES = [0o644, 0o755, 0o777, 0o777, 0o666, 0o600, 0, 0o4755, 0o2755, 0o6777, 0o1777, 0o2777];
const XATTR_NAMES = ['user.a', 'user.b', 'trusted.t', 'security.x'];
const BAD_XATTR_NAMES = ['user.', 'trusted.', 'nonsense', 'system.x', 'other.a', 'user'];
const ACL_NAMES = ['system.posix_acl_access', 'system.posix_acl_default'];

/** What each random script starts with; nothing that it does leads out of `folder`. */
export const opening = (folder: string): string[] => ['as 0 0', `jail ${word(folder)}`, 'watch 1'];

/** What each ends with: all that is there. */
export const ENDING = ['as 0 0', 'tree'];

type Maker = (it: Words) => string;

/** Draws the words of operations. */
class Words {
  readonly random: SimRandom;
  readonly features: ReadonlySet<Feature>;
  readonly #names: readonly string[];

  constructor(random: SimRandom, features: ReadonlySet<Feature>) {
    this.random = random;
    this.features = features;
    const pool = (names: readonly (string | Buffer)[], count: number): string[] =>
      Array.from({ length: count }, () => word(random.pick(names)));
    this.#names = [...pool(PLAIN_NAMES, 5), ...pool(HOSTILE_NAMES, 2)];
  }

  #name(): string {
    return this.random.chance(0.003) ? TOO_LONG : this.random.pick(this.#names);
  }

  /** A path of names, most of one or two. */
  path(): string {
    const { random } = this;
    const depth = random.weighted([
      [70, 1],
      [24, 2],
      [5, 3],
      [1, 9],
    ]);
    const path = Array.from({ length: depth }, () => this.#name()).join('/');
    return random.weighted<() => string>([
      [940, () => path],
      [15, () => `${path}/`],
      [15, () => `./${path}`],
      [15, () => `${path}/../${this.#name()}`],
      [5, () => `${path}/.`],
      [5, () => `${path}/..`],
      [3, () => '%'],
      [2, () => `.//${path}//`],
      [1, () => `${'./'.repeat(2040)}${path}`],
    ])();
  }

  slot(): number {
    return this.random.integer(SLOTS);
  }

  mode(): number {
    return this.random.chance(0.2) ? this.random.integer(0o10000) : this.random.pick(MODES);
  }

  flags(): number {
    const { random } = this;
    let flags: number = O.NONBLOCK | random.pick([O.RDONLY, O.WRONLY, O.RDWR, O.RDWR]);
    const maybe = (share: number, flag: number): void => {
      if (random.chance(share)) flags |= flag;
    };
    if (random.chance(0.6)) {
      flags |= O.CREAT;
      maybe(0.15, O.EXCL);
    }
    maybe(0.15, O.TRUNC);
    maybe(0.15, O.APPEND);
    maybe(0.03, O.SYNC);
    maybe(0.03, O.DSYNC);
    maybe(0.05, O.NOFOLLOW);
    maybe(0.04, O.DIRECTORY);
    maybe(0.03, O.PATH);
    maybe(0.02, O.NOATIME);
    return flags;
  }

  /** Near a block's edge, in the first hundred KiB; now and then far away, or no offset at all. */
  offset(): number {
    const { random } = this;
    const near = random.integer(26) * BLOCK;
    return random.weighted<() => number>([
      [40, () => near],
      [25, () => Math.max(0, near + random.pick([-1, 1]))],
      [30, () => near + random.integer(BLOCK)],
      [2, () => 2 ** 33 + random.integer(9 * BLOCK)],
      [1, () => -1],
    ])();
  }

  length(): number {
    const { random } = this;
    return random.weighted<() => number>([
      [30, () => random.integer(20_000)],
      [20, () => (1 + random.integer(4)) * BLOCK],
      [10, () => 1],
      [5, () => 0],
      [2, () => 200_000],
    ])();
  }

  seed(): number {
    return this.random.integer(1 << 30);
  }

  /** Two words of a time: one of this, the last or the next century, now, or no change. */
  time(): string {
    const { random } = this;
    return random.weighted<() => string>([
      [40, () => `${random.integer(2 ** 30)} ${random.integer(1_000_000_000)}`],
      [10, () => `-${1 + random.integer(2 ** 30)} ${random.integer(1_000_000_000)}`],
      [10, () => `${2 ** 32 + random.integer(2 ** 30)} 999999999`],
      [20, () => 'now 0'],
      [20, () => 'omit 0'],
      [1, () => '5 1000000000'],
    ])();
  }

  owner(): string {
    const id = (): number => this.random.pick([-1, 0, 1000, 1001, 2000, 3000, 4_000_000_000]);
    return `${id()} ${id()}`;
  }

  target(): string {
    const { random } = this;
    return random.chance(0.03) ? 'x/'.repeat(2000) : this.path();
  }
}

/** Operations by weight. */
const MAKERS: readonly (readonly [weight: number, name: string, make: Maker])[] = [
  [14, 'open', (it) => `open ${it.slot()} ${it.path()} ${it.flags()} ${it.mode()}`],
  [3, 'close', (it) => `close ${it.slot()}`],
  [4, 'read', (it) => `read ${it.slot()} ${it.length()}`],
  [6, 'pread', (it) => `pread ${it.slot()} ${it.offset()} ${it.length()}`],
  [6, 'write', (it) => `write ${it.slot()} ${it.seed()} ${it.length()}`],
  [8, 'pwrite', (it) => `pwrite ${it.slot()} ${it.offset()} ${it.seed()} ${it.length()}`],
  [3, 'truncate', (it) => `truncate ${it.path()} ${it.offset()}`],
  [4, 'ftruncate', (it) => `ftruncate ${it.slot()} ${it.offset()}`],
  [0.5, 'fsync', (it) => `fsync ${it.slot()}`],
  [0.5, 'fdatasync', (it) => `fdatasync ${it.slot()}`],
  [2, 'lseek', (it) => `lseek ${it.slot()} ${it.offset()} ${it.random.integer(3)}`],
  [3, 'copy', copy],
  [4, 'mwrite', mapped],
  [2, 'mread', (it) => `mread ${it.slot()} ${Math.max(0, it.offset())} ${it.length()}`],
  [
    5,
    'link',
    (it) => `link ${it.path()} ${it.path()} ${it.random.pick([0, 0, AT.SYMLINK_FOLLOW])}`,
  ],
  [3, 'symlink', (it) => `symlink ${it.target()} ${it.path()}`],
  [2, 'readlink', (it) => `readlink ${it.path()}`],
  [8, 'mkdir', (it) => `mkdir ${it.path()} ${it.mode()}`],
  [3, 'rmdir', (it) => `rmdir ${it.path()}`],
  [5, 'unlink', (it) => `unlink ${it.path()}`],
  [10, 'rename', rename],
  [4, 'chmod', (it) => `chmod ${it.path()} ${it.mode()}`],
  [2, 'fchmod', (it) => `fchmod ${it.slot()} ${it.mode()}`],
  [4, 'chown', chown],
  [1, 'lchown', (it) => `lchown ${it.path()} ${it.owner()}`],
  [1, 'fchown', (it) => `fchown ${it.slot()} ${it.owner()}`],
  [4, 'utimens', utimens],
  [1, 'futimens', (it) => `futimens ${it.slot()} ${it.time()} ${it.time()}`],
  [3, 'mknod', mknod],
  [3, 'access', (it) => `access ${it.path()} ${it.random.integer(8)}`],
  [3, 'stat', (it) => `stat ${it.path()}`],
  [1, 'lstat', (it) => `lstat ${it.path()}`],
  [1, 'fstat', (it) => `fstat ${it.slot()}`],
  [3, 'readdir', (it) => `readdir ${it.random.chance(0.3) ? '.' : it.path()}`],
  [3, 'setxattr', setxattr],
  [2, 'getxattr', (it) => `getxattr ${it.path()} ${it.random.pick(XATTR_NAMES)}`],
  [1, 'removexattr', (it) => `removexattr ${it.path()} ${it.random.pick(XATTR_NAMES)}`],
  [1, 'listxattr', (it) => `listxattr ${it.path()}`],
  [7, 'as', (it) => `as ${it.random.pick(USERS)}`],
  [1, 'umask', (it) => `umask ${it.random.pick([0, 0, 0o22, 0o77, 0o777])}`],
];

/** Operations of which a filesystem may have none. */
const OPTIONAL: readonly (readonly [weight: number, feature: Feature, make: Maker])[] = [
  [2, 'preallocation', (it) => fallocate(it, it.random.pick([0, KEEP_SIZE]))],
  [3, 'punch', (it) => fallocate(it, PUNCH_HOLE | KEEP_SIZE)],
  [3, 'zero-range', (it) => fallocate(it, ZERO_RANGE | it.random.pick([0, KEEP_SIZE]))],
  [2, 'seek-holes', (it) => `map ${it.slot()}`],
  [2, 'seek-holes', seek],
  [2, 'tmpfile', tmpfile],
  [1, 'xattr-names', (it) => `setxattr ${it.path()} ${it.random.pick(BAD_XATTR_NAMES)} 1 5 0`],
  [1, 'xattr-names', (it) => `getxattr ${it.path()} ${it.random.pick(BAD_XATTR_NAMES)}`],
  [1, 'xattr-names', (it) => `removexattr ${it.path()} ${it.random.pick(BAD_XATTR_NAMES)}`],
  [5, 'acl', (it) => `putxattr ${it.path()} ${it.random.pick(ACL_NAMES)} ${acl(it)} 0`],
  [1, 'acl', (it) => `getxattr ${it.path()} ${it.random.pick(ACL_NAMES)}`],
  [1, 'acl', (it) => `removexattr ${it.path()} ${it.random.pick(ACL_NAMES)}`],
  [2, 'tmpfile', (it) => `linkfd ${it.slot()} ${it.path()}`],
];

function copy(it: Words): string {
  const own = it.random.chance(0.3);
  const [from, to] = own ? [-1, -1] : [Math.max(0, it.offset()), Math.max(0, it.offset())];
  return `copy ${it.slot()} ${from} ${it.slot()} ${to} ${it.length()}`;
}

/** A chown of nothing is told apart by who asks, so it names its object itself. */
function chown(it: Words): string {
  const owner = it.owner();
  return `${owner === '-1 -1' ? 'lchown' : 'chown'} ${it.path()} ${owner}`;
}

function mapped(it: Words): string {
  const how = it.random.pick(['shared', 'shared', 'private']);
  const length = Math.max(1, it.length());
  return `mwrite ${it.slot()} ${Math.max(0, it.offset())} ${it.seed()} ${length} ${how}`;
}

function rename(it: Words): string {
  const { NOREPLACE, EXCHANGE, WHITEOUT } = RENAME;
  const flags = it.random.weighted([
    [70, 0],
    [12, NOREPLACE],
    [16, EXCHANGE],
    [1, NOREPLACE | EXCHANGE],
    [1, WHITEOUT | EXCHANGE],
    [1, 64],
  ]);
  return `rename ${it.path()} ${it.path()} ${flags}`;
}

function utimens(it: Words): string {
  const flags = it.random.pick([0, 0, 0, AT.SYMLINK_NOFOLLOW]);
  return `utimens ${it.path()} ${it.time()} ${it.time()} ${flags}`;
}

/** Devices: /dev/null, and one that no driver has. */
function mknod(it: Words): string {
  const [type, major, minor] = it.random.pick([
    [S.IFREG, 0, 0],
    [S.IFIFO, 0, 0],
    [S.IFSOCK, 0, 0],
    [S.IFCHR, 1, 3],
    [S.IFBLK, 240, 77],
    [S.IFDIR, 0, 0],
  ] as const);
  return `mknod ${it.path()} ${type | it.mode()} ${major} ${minor}`;
}

function setxattr(it: Words): string {
  const flags = it.random.pick([0, 0, 0, XATTR.CREATE, XATTR.REPLACE]);
  const length = it.random.pick([0, 1, 5, 60, 300]);
  const name = it.random.pick(XATTR_NAMES);
  return `setxattr ${it.path()} ${name} ${it.seed()} ${length} ${flags}`;
}

const [USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER] = [1, 2, 4, 8, 16, 32] as const;
const NOBODY = 0xffff_ffff;

/** An ACL as it stands in its xattr (linux/posix_acl_xattr.h); some are not well-formed. */
function acl(it: Words): string {
  const { random } = it;
  const entries: [tag: number, permissions: number, id: number][] = [];
  const add = (tag: number, id = NOBODY): void => void entries.push([tag, random.integer(8), id]);
  const isNamed = random.chance(0.7);
  add(USER_OBJ);
  if (isNamed) add(USER, random.pick([0, 1000, 1001]));
  add(GROUP_OBJ);
  if (isNamed && random.chance(0.5)) add(GROUP, random.pick([1000, 2000, 3000]));
  if (isNamed || random.chance(0.2)) add(MASK);
  add(OTHER);
  if (random.chance(0.05)) entries.splice(random.integer(entries.length), 1);
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(random.chance(0.02) ? 1 : 2);
  for (const [i, [tag, permissions, id]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + 8 * i);
    bytes.writeUInt16LE(permissions, 6 + 8 * i);
    bytes.writeUInt32LE(id, 8 + 8 * i);
  }
  return word(bytes);
}

function fallocate(it: Words, mode: number): string {
  return `fallocate ${it.slot()} ${mode} ${it.offset()} ${it.length()}`;
}

function seek(it: Words): string {
  return `seek ${it.slot()} ${it.offset()} ${it.random.pick([SEEK.DATA, SEEK.HOLE])}`;
}

function tmpfile(it: Words): string {
  const flags =
    O.TMPFILE | it.random.pick([O.RDWR, O.WRONLY]) | (it.random.chance(0.1) ? O.EXCL : 0);
  return `open ${it.slot()} ${it.random.chance(0.5) ? '.' : it.path()} ${flags} ${it.mode()}`;
}

/** Something to begin with: an open file and, often, a directory. */
function beginning(it: Words, slot: number): string[] {
  const file = `open ${slot} ${it.path()} ${O.NONBLOCK | O.RDWR | O.CREAT} ${it.mode()}`;
  return [file, `mkdir ${it.path()} 511`];
}

/** `count` operations. */
export function randomScript(
  random: SimRandom,
  count: number,
  features: ReadonlySet<Feature>,
): string[] {
  const words = new Words(random, features);
  const choices: (readonly [number, Maker])[] = [
    ...MAKERS.map(([weight, , make]) => [weight, make] as const),
    ...OPTIONAL.filter(([, feature]) => features.has(feature)).map(
      ([weight, , make]) => [weight, make] as const,
    ),
  ];
  const first = Array.from({ length: SLOTS }, (_, slot) => beginning(words, slot)).flat();
  const rest = Array.from({ length: count - first.length }, () => random.weighted(choices)(words));
  return [...first, ...rest];
}

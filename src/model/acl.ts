/**
 * POSIX access control lists (acl(5)): the bytes of `system.posix_acl_access` and
 * `system.posix_acl_default`, what makes a list valid, and how a list and a mode follow each other.
 * The rules are Linux's own (fs/posix_acl.c as its behaviour shows), so that a list means here what
 * it means on a local disk. The kernel enforces lists; it asks us only to keep them right.
 *
 * The bytes, little-endian: a header of 4 (version 2), then 8 for each entry: tag (16 bits),
 * permissions (16 bits), user or group id (32 bits, all ones where the tag names nobody).
 */

import { refuse, type Refusal } from './errno.ts';
import { asByteString } from './ids.ts';

export const ACL_ACCESS = asByteString('system.posix_acl_access');
export const ACL_DEFAULT = asByteString('system.posix_acl_default');

/** Tags in the order in which a list holds them. */
export const ACL_TAG = {
  USER_OBJ: 0x01,
  USER: 0x02,
  GROUP_OBJ: 0x04,
  GROUP: 0x08,
  MASK: 0x10,
  OTHER: 0x20,
} as const;

/** The id of an entry that names nobody. */
export const NO_ID = 0xffff_ffff;

export interface AclEntry {
  readonly tag: number;
  /** Read 4, write 2, execute 1. */
  readonly perm: number;
  /** Of a named user or group; else NO_ID. */
  readonly id: number;
}

/** Valid (see `aclRefusal`), or empty: no list at all. */
export type Acl = readonly AclEntry[];

const VERSION = 2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;
const PERM_BITS = 7;
const PERMISSIONS = 0o777;

export const isAclName = (name: string): boolean => name === ACL_ACCESS || name === ACL_DEFAULT;

/**
 * The list in a value that a caller gave or that is stored. Empty for no value or no entries: both
 * mean that there is no list. EOPNOTSUPP for another version, EINVAL for what is no valid list.
 */
export function decodeAcl(value: Buffer): Acl | Refusal {
  if (value.length === 0) return [];
  if (value.length < HEADER_BYTES) return refuse('EINVAL');
  if (value.readUInt32LE(0) !== VERSION) return refuse('EOPNOTSUPP');
  const bytes = value.length - HEADER_BYTES;
  if (bytes % ENTRY_BYTES !== 0) return refuse('EINVAL');
  const acl: AclEntry[] = [];
  for (let at = HEADER_BYTES; at < value.length; at += ENTRY_BYTES) {
    const tag = value.readUInt16LE(at);
    const id = isNamed(tag) ? value.readUInt32LE(at + 4) : NO_ID;
    acl.push({ tag, perm: value.readUInt16LE(at + 2), id });
  }
  return acl.length === 0 ? acl : (aclRefusal(acl) ?? acl);
}

export function encodeAcl(acl: Acl): Buffer {
  const value = Buffer.alloc(HEADER_BYTES + acl.length * ENTRY_BYTES);
  value.writeUInt32LE(VERSION, 0);
  acl.forEach(({ tag, perm, id }, i) => {
    const at = HEADER_BYTES + i * ENTRY_BYTES;
    value.writeUInt16LE(tag, at);
    value.writeUInt16LE(perm, at + 2);
    value.writeUInt32LE(id, at + 4);
  });
  return value;
}

const isNamed = (tag: number): boolean => tag === ACL_TAG.USER || tag === ACL_TAG.GROUP;

/** Which tags may stand after a tag; 0 is the beginning. MASK may be left out after GROUP_OBJ. */
const FOLLOWERS: Readonly<Record<number, readonly number[]>> = {
  0: [ACL_TAG.USER_OBJ],
  [ACL_TAG.USER_OBJ]: [ACL_TAG.USER, ACL_TAG.GROUP_OBJ],
  [ACL_TAG.USER]: [ACL_TAG.USER, ACL_TAG.GROUP_OBJ],
  [ACL_TAG.GROUP_OBJ]: [ACL_TAG.GROUP, ACL_TAG.MASK, ACL_TAG.OTHER],
  [ACL_TAG.GROUP]: [ACL_TAG.GROUP, ACL_TAG.MASK],
  [ACL_TAG.MASK]: [ACL_TAG.OTHER],
  [ACL_TAG.OTHER]: [],
};

/**
 * EINVAL unless the tags stand in order, the three of the mode once each, with a mask where
 * somebody is named, ids are ids and permissions are permissions. As on Linux, ids need not be
 * sorted, nor even be different: the first entry that fits is the one that counts.
 */
export function aclRefusal(acl: Acl): Refusal | undefined {
  let before = 0;
  let needsMask = false;
  for (const { tag, perm, id } of acl) {
    if (FOLLOWERS[before]?.includes(tag) !== true) return refuse('EINVAL');
    if ((perm & ~PERM_BITS) !== 0) return refuse('EINVAL');
    if (isNamed(tag) === (id === NO_ID)) return refuse('EINVAL');
    needsMask ||= isNamed(tag);
    if (tag === ACL_TAG.OTHER && needsMask && before !== ACL_TAG.MASK) return refuse('EINVAL');
    before = tag;
  }
  return before === ACL_TAG.OTHER ? undefined : refuse('EINVAL');
}

/** The list says no more than its mode: nobody is named, and there is no mask. */
export const isMinimal = (acl: Acl): boolean => acl.length <= 3;

const maskOf = (acl: Acl): AclEntry | undefined => acl.find(({ tag }) => tag === ACL_TAG.MASK);

/** `mode` with the permission bits of `acl`: its mask, where there is one, stands for the group. */
export function modeWithAcl(mode: number, acl: Acl): number {
  const permOf = (wanted: number): number => acl.find(({ tag }) => tag === wanted)?.perm ?? 0;
  const group = maskOf(acl)?.perm ?? permOf(ACL_TAG.GROUP_OBJ);
  const bits = (permOf(ACL_TAG.USER_OBJ) << 6) | (group << 3) | permOf(ACL_TAG.OTHER);
  return (mode & ~PERMISSIONS) | bits;
}

/** `acl` after a chmod to `mode`; the entries of named ones and of a masked group stay. */
export const aclWithMode = (acl: Acl, mode: number): Acl =>
  changed(acl, (_perm, bits) => bits, mode);

/**
 * What an inode made with `mode` gets from a default list: each entry that stands for a part of the
 * mode allows what both allow. The mode that goes with it is `modeWithAcl` of the same two.
 */
export const inheritedAcl = (acl: Acl, mode: number): Acl =>
  changed(acl, (perm, bits) => perm & bits, mode);

/** `acl` with each entry that stands for a part of `mode` made anew from it. */
function changed(acl: Acl, change: (perm: number, bits: number) => number, mode: number): Acl {
  const group = maskOf(acl) === undefined ? ACL_TAG.GROUP_OBJ : ACL_TAG.MASK;
  const shiftOf = (tag: number): number | undefined => {
    if (tag === ACL_TAG.USER_OBJ) return 6;
    if (tag === group) return 3;
    return tag === ACL_TAG.OTHER ? 0 : undefined;
  };
  return acl.map((entry) => {
    const shift = shiftOf(entry.tag);
    if (shift === undefined) return entry;
    return { ...entry, perm: change(entry.perm, (mode >> shift) & PERM_BITS) };
  });
}

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  direntBytes,
  invalEntry,
  invalInode,
  newFrame,
  putAttrOut,
  putDirent,
  putDirentPlus,
  putEntry,
  putHeader,
  putOpen,
  putSpace,
  putStatxOut,
  putWritten,
  validity,
} from '../../../src/fuse/kernel/encode.ts';
import { asByteString, generation, ino, position, ROOT_INO, seq } from '../../../src/model/ids.ts';
import { S_IFCHR, S_IFREG, type Inode } from '../../../src/model/inode.ts';
import { MAX_SIZE } from '../../../src/model/size.ts';

const encode = suite('fuse encode');

const INODE: Inode = {
  ino: ino(2 ** 40 + 5),
  generation: generation(0xfedcba98),
  mode: S_IFREG | 0o644,
  nlink: 3,
  uid: 4294967294,
  gid: 7,
  rdev: 0,
  size: { blocks: 2 ** 21, tail: 17 },
  atime: { sec: 1, nsec: 2 },
  mtime: { sec: -3, nsec: 999_999_999 },
  ctime: { sec: 2 ** 33, nsec: 5 },
  crtime: { sec: 9, nsec: 10 },
  metaSeq: seq(1),
  dataSeq: seq(1),
  dataVersion: 1n,
  projectId: 0n,
  flags: 0,
  entries: 0,
  nextPosition: position(2),
  parent: ino(0),
  target: undefined,
  truncateMark: undefined,
  onlineBlocks: 10,
  offlineBlocks: 3,
  extents: 1,
  xattrs: 0,
};
const VALID = validity(1500, 250);

/** A frame whose every byte is set, to show what an encoder leaves unwritten. */
function dirty(bytes: number): ReturnType<typeof newFrame> {
  const frame = newFrame(bytes);
  frame.bytes.fill(0xee);
  return frame;
}

function assertAttr(bytes: Buffer): void {
  assert.is(bytes.readBigUInt64LE(0), 2n ** 40n + 5n, 'ino');
  assert.is(bytes.readBigUInt64LE(8), 2n ** 33n + 17n, 'size');
  assert.is(bytes.readBigUInt64LE(16), 104n, 'blocks of 512');
  assert.is(bytes.readBigInt64LE(24), 1n, 'atime');
  assert.is(bytes.readBigInt64LE(32), -3n, 'mtime');
  assert.is(bytes.readBigInt64LE(40), 2n ** 33n, 'ctime');
  const words = [2, 999_999_999, 5, S_IFREG | 0o644, 3, 4294967294, 7, 0, 4096, 0];
  words.forEach((word, i) => assert.is(bytes.readUInt32LE(48 + 4 * i), word, `word ${i}`));
}

encode('an entry, with validity and generation', () => {
  const { bytes, words } = dirty(128);
  assert.is(putEntry(words, 0, INODE, VALID), 128);
  assert.is(bytes.readBigUInt64LE(0), 2n ** 40n + 5n);
  assert.is(bytes.readBigUInt64LE(8), 0xfedcba98n);
  assert.is(bytes.readBigUInt64LE(16), 1n);
  assert.is(bytes.readBigUInt64LE(24), 0n);
  assert.is(bytes.readUInt32LE(32), 500_000_000);
  assert.is(bytes.readUInt32LE(36), 250_000_000);
  assertAttr(bytes.subarray(40));
});

encode('the root as an entry has generation 0, as the kernel has it', () => {
  const { bytes, words } = dirty(128);
  putEntry(words, 0, { ...INODE, ino: ROOT_INO }, VALID);
  assert.is(bytes.readBigUInt64LE(8), 0n);
});

encode('attributes', () => {
  const { bytes, words } = dirty(104);
  assert.is(putAttrOut(words, 0, INODE, VALID), 104);
  assert.is(bytes.readBigUInt64LE(0), 0n);
  assert.is(bytes.readUInt32LE(8), 250_000_000);
  assert.is(bytes.readUInt32LE(12), 0);
  assertAttr(bytes.subarray(16));
});

encode('the largest size', () => {
  const { bytes, words } = dirty(104);
  putAttrOut(words, 0, { ...INODE, size: MAX_SIZE }, VALID);
  assert.is(bytes.readBigUInt64LE(24), 2n ** 63n - 1n);
});

encode('statx, with the birth time and device numbers', () => {
  const { bytes, words } = dirty(288);
  const device = { ...INODE, mode: S_IFCHR | 0o600, rdev: (0x123 << 20) | (0xabc << 8) | 0x45 };
  assert.is(putStatxOut(words, 0, device, VALID), 288);
  const stat = bytes.subarray(32);
  assert.is(stat.readUInt32LE(0), 0xfff, 'mask');
  assert.is(stat.readUInt16LE(28), S_IFCHR | 0o600);
  assert.is(stat.readBigUInt64LE(32), 2n ** 40n + 5n);
  assert.is(stat.readBigUInt64LE(40), 2n ** 33n + 17n);
  assert.is(stat.readBigInt64LE(80), 9n);
  assert.is(stat.readUInt32LE(88), 10);
  assert.is(stat.readBigInt64LE(112), -3n);
  assert.is(stat.readUInt32LE(128), 0xabc, 'major');
  assert.is(stat.readUInt32LE(132), 0x12345, 'minor');
  assert.ok(
    stat.subarray(144).every((byte) => byte === 0),
    'spare bytes show earlier replies',
  );
});

encode('headers: success, error, wide unique', () => {
  const { bytes, words } = dirty(16);
  putHeader(words, 2 ** 45 + 2, 2, 16);
  assert.is(bytes.toString('hex'), '10000000feffffff0200000000200000');
  putHeader(words, 4, 0, 144);
  assert.is(bytes.toString('hex'), '90000000000000000400000000000000');
});

encode('open, write, statfs', () => {
  const { bytes, words } = dirty(96);
  assert.is(putOpen(words, 0, 5, 34), 16);
  assert.is(bytes.toString('hex', 0, 16), '05000000000000002200000000000000');
  assert.is(putWritten(words, 0, 1048576), 8);
  assert.is(bytes.toString('hex', 0, 8), '0000100000000000');
  const space = { blocks: 2 ** 35, freeBlocks: 2, availableBlocks: 1, inodes: 9, freeInodes: 8 };
  assert.is(putSpace(words, 0, space), 80);
  assert.is(bytes.readBigUInt64LE(0), 2n ** 35n);
  assert.equal([...words.subarray(10, 14)], [4096, 255, 4096, 0]);
  assert.ok(bytes.subarray(52, 80).every((byte) => byte === 0));
});

encode('directory records are padded with zeros and say where to go on', () => {
  const frame = dirty(256);
  const name = asByteString('\xffabc');
  assert.is(direntBytes(4), 32);
  assert.is(putDirent(frame, 0, ino(9), 8, name, 77), 32);
  const expected =
    '0900000000000000' + '4d00000000000000' + '0400000008000000' + 'ff61626300000000';
  assert.is(frame.bytes.toString('hex', 0, 32), expected);
  assert.is(direntBytes(8), 32);
  assert.is(putDirent(frame, 0, ino(9), 8, asByteString('12345678'), 77), 32);
  assert.is(frame.bytes.toString('latin1', 24, 32), '12345678');
});

encode('a readdirplus record without an inode is not looked up', () => {
  const frame = dirty(256);
  const entry = { name: asByteString('a'), ino: ino(9), kind: 4, position: position(6) };
  assert.is(putDirentPlus(frame, 0, { ...entry, inode: undefined }, VALID), 160);
  assert.ok(frame.bytes.subarray(0, 128).every((byte) => byte === 0));
  assert.is(frame.bytes.readBigUInt64LE(136), 7n);
  assert.is(putDirentPlus(frame, 0, { ...entry, inode: INODE }, VALID), 160);
  assertAttr(frame.bytes.subarray(40));
});

encode('notifications', () => {
  assert.is(
    invalInode(ino(5), false).toString('hex'),
    '28000000020000000000000000000000' + '0500000000000000' + '00'.repeat(16),
  );
  assert.is(invalInode(ino(5), true).toString('hex', 24, 32), 'ff'.repeat(8));
  assert.is(
    invalEntry(ino(1), asByteString('ab')).toString('hex'),
    '23000000030000000000000000000000' + '0100000000000000' + '0200000000000000' + '616200',
  );
});

encode.run();

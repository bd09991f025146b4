/** Names and links: what may stand where, how many links there are, and how paths end. */

import type { Rule } from './rule.ts';

const PATHS = 'The kernel walks paths.';
const LONG = 'n'.repeat(255);
/** Ten directories, one in the other, with names of 255 bytes. */
const DEEP = Array.from({ length: 15 }, (_, i) => `${LONG}/`.repeat(i) + LONG);

/** Names of one byte each, of all values that a name may have, and of 255 bytes of them. */
const BYTES = Array.from({ length: 255 }, (_, i) => i + 1).filter((byte) => byte !== 0x2f);
const percent = (byte: number): string => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`;
const ALL_BYTES = BYTES.map(percent);

export const NAMES: readonly Rule[] = [
  {
    name: 'link counts of files and directories',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok | n=1
      root: link f g 0                         -> ok | n=2 | | n=2
      root: link g h 0                         -> ok | n=3 c=+ m==
      root: unlink f                           -> ok | -
      root: fstat 0                            -> n=2
      root: rename g h 0                       -> ok | n=2 | | n=2
      root: unlink g                           -> ok
      root: unlink h                           -> ok
      root: fstat 0                            -> n=0
      root: mkdir d 0755                       -> ok | n=2 | n=3
      root: mkdir d/e 0755                     -> ok | n=2 | n=3
      root: open 1 d/f O_CREAT|O_RDWR 0644     -> ok | n=1 | n=3
      root: rename d/e e 0                     -> ok | - | n=2 | n=2 | n=4
      root: rmdir e                            -> ok | - | n=3`,
  },
  {
    name: 'a file that is unlinked while open stays whole until it is closed',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: write 0 7 5000                     -> ok 5000
      root: unlink f                           -> ok | -
      root: pread 0 0 5000                     -> ok 5000 | n=0 s=5000
      root: ftruncate 0 10                     -> ok
      root: write 0 8 5                        -> ok 5 | n=0 s=5005
      root: open 1 f O_CREAT|O_RDWR 0644       -> ok | n=1 s=0 i=3
      root: fstat 0                            -> n=0 s=5005
      root: close 0                            -> ok`,
  },
  {
    name: 'EEXIST: nothing is made over a name that is there',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: mkdir d 0755                       -> ok
      root: symlink nowhere l                  -> ok
      root: open 1 f O_CREAT|O_EXCL|O_RDWR 0   -> EEXIST
      root: open 1 l O_CREAT|O_EXCL|O_RDWR 0   -> EEXIST
      root: mkdir f 0755                       -> EEXIST
      root: mkdir d 0755                       -> EEXIST
      root: mkdir l 0755                       -> EEXIST
      root: mknod f S_IFIFO|0644 0 0           -> EEXIST
      root: symlink x f                        -> EEXIST
      root: symlink x d                        -> EEXIST
      root: link f d 0                         -> EEXIST
      root: link f f 0                         -> EEXIST
      root: link f l 0                         -> EEXIST`,
  },
  {
    name: 'ENOTEMPTY, ENOTDIR, EISDIR and EINVAL of removal',
    script: `
      root: mkdir d 0755                       -> ok
      root: open 0 d/f O_CREAT|O_RDWR 0644     -> ok
      root: rmdir d                            -> ENOTEMPTY
      root: unlink d                           -> EISDIR
      root: rmdir d/f                          -> ENOTDIR
      root: unlink d/f                         -> ok | - | m=+ c=+
      root: rmdir d                            -> ok | - | m=+ c=+
      root: rmdir d                            -> ENOENT
      root: unlink d                           -> ENOENT`,
  },
  {
    name: 'paths with dots and slashes at their end',
    kernel: PATHS,
    script: `
      root: mkdir d 0755                       -> ok
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: rmdir d/.                          -> EINVAL
      root: rmdir d/..                         -> ENOTEMPTY
      root: unlink f/                          -> ENOTDIR
      root: unlink d/.                         -> EISDIR
      root: stat f/                            -> ENOTDIR
      root: stat d/                            -> ok
      root: stat %                             -> ENOENT
      root: mkdir e/ 0755                      -> ok
      root: symlink d l                        -> ok
      root: lstat l/                           -> t=d
      root: rmdir l                            -> ENOTDIR
      root: rmdir l/                           -> ENOTDIR
      root: rename d/. e 0                     -> EBUSY
      root: open 1 g/ O_CREAT|O_RDWR 0644      -> EISDIR
      root: open 1 f/x O_CREAT|O_RDWR 0644     -> ENOTDIR
      root: mkdir nowhere/x 0755               -> ENOENT`,
  },
  {
    name: 'symbolic links: followed, not followed, and in circles',
    kernel: PATHS,
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: symlink f l                        -> ok | t=l s=1
      root: readlink l                         -> ok 1 bytes=f
      root: readlink f                         -> EINVAL
      root: stat l                             -> t=f
      root: lstat l                            -> t=l
      root: open 1 l O_RDONLY|O_NOFOLLOW 0     -> ELOOP
      root: symlink b a                        -> ok
      root: symlink a b                        -> ok
      root: stat a                             -> ELOOP
      root: open 1 a O_CREAT|O_RDWR 0644       -> ELOOP
      root: chown l 5 5                        -> ok
      root: stat f                             -> u=5
      root: lchown l 6 6                       -> ok | u=6
      root: stat f                             -> u=5
      root: link l m 0                         -> ok | t=l n=2
      root: link l n AT_SYMLINK_FOLLOW         -> ok | t=l n=2 | | t=f n=2
      root: symlink % empty                    -> ENOENT
      root: symlink ${'x'.repeat(4095)} long   -> ok | s=4095
      root: symlink ${'x'.repeat(4096)} longer -> ENAMETOOLONG
      root: symlink nowhere dangling           -> ok
      root: open 1 dangling O_RDONLY 0         -> ENOENT
      root: open 1 dangling O_CREAT|O_RDWR 0644 -> ok
      root: stat nowhere                       -> t=f`,
  },
  {
    name: '40 symbolic links in a row are followed, 41 are not',
    kernel: PATHS,
    script: [
      'root: open 0 l0 O_CREAT|O_RDWR 0644 -> ok',
      ...Array.from({ length: 41 }, (_, i) => `root: symlink l${i} l${i + 1} -> ok`),
      'root: stat l40 -> ok t=f',
      'root: stat l41 -> ELOOP',
    ].join('\n'),
  },
  {
    name: 'directories are not linked, nor unlinked; specials are',
    script: `
      root: mkdir d 0755                       -> ok
      root: link d e 0                         -> EPERM
      root: mknod p S_IFIFO|0644 0 0           -> ok
      root: link p q 0                         -> ok | t=p n=2
      root: symlink x l                        -> ok
      root: link l m 0                         -> ok | t=l n=2
      root: link nowhere n 0                   -> ENOENT
      root: unlink p                           -> ok | -
      root: lstat q                            -> n=1`,
  },
  {
    name: 'names of 255 bytes; ENAMETOOLONG beyond, in every operation',
    script: `
      root: open 0 ${LONG} O_CREAT|O_RDWR 0644 -> ok
      root: open 1 ${LONG}x O_CREAT|O_RDWR 0644 -> ENAMETOOLONG
      root: mkdir ${LONG}x 0755                -> ENAMETOOLONG
      root: mknod ${LONG}x S_IFIFO|0644 0 0    -> ENAMETOOLONG
      root: symlink a ${LONG}x                 -> ENAMETOOLONG
      root: link ${LONG} ${LONG}x 0            -> ENAMETOOLONG
      root: rename ${LONG} ${LONG}x 0          -> ENAMETOOLONG
      root: rename ${LONG}x a 0                -> ENAMETOOLONG
      root: unlink ${LONG}x                    -> ENAMETOOLONG
      root: rmdir ${LONG}x                     -> ENAMETOOLONG
      root: stat ${LONG}x                      -> ENAMETOOLONG
      root: rename ${LONG} ${'m'.repeat(255)} 0 -> ok
      root: readdir .                          -> ok 3 ${'m'.repeat(255)}`,
  },
  {
    name: 'names of any bytes but nought and the slash',
    script: [
      ...ALL_BYTES.filter((byte) => byte !== '%2E').map(
        (byte) => `root: open 0 ${byte} O_CREAT|O_RDWR 0644 -> ok`,
      ),
      `root: mkdir ${ALL_BYTES.join('')} 0755 -> ok`,
      `root: open 0 ${ALL_BYTES.join('')}/${ALL_BYTES.toReversed().join('')} 66 0644 -> ok`,
      'root: readdir . -> ok 256 %25 %0A %FF a A',
      'root: open 0 %C3%A4 O_CREAT|O_EXCL|O_RDWR 0644 -> ok',
      'root: open 0 a%CC%88 O_CREAT|O_EXCL|O_RDWR 0644 -> ok',
      'root: open 0 ... O_CREAT|O_EXCL|O_RDWR 0644 -> ok',
    ].join('\n'),
  },
  {
    name: 'paths of up to PATH_MAX bytes',
    kernel: PATHS,
    script: [
      ...DEEP.map((path) => `root: mkdir ${path} 0755 -> ok`),
      `root: open 0 ${DEEP.at(-1)}/${'f'.repeat(4095 - 15 * 256)} O_CREAT|O_RDWR 0644 -> ok`,
      `root: open 1 ${DEEP.at(-1)}/${'f'.repeat(4096 - 15 * 256)} O_CREAT|O_RDWR 0644 -> ENAMETOOLONG`,
      `root: stat ${'./'.repeat(2047)}. -> ok t=d`,
      `root: stat ${'./'.repeat(2048)} -> ENAMETOOLONG`,
      `root: rmdir ${DEEP.at(-2)} -> ENOTEMPTY`,
    ].join('\n'),
  },
  {
    name: 'EXDEV: neither links nor renames leave the filesystem',
    kernel: 'The kernel compares mounts.',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: link f @other/x 0                  -> EXDEV
      root: rename f @other/x 0                -> EXDEV
      root: stat f                             -> n=1`,
  },
  {
    name: 'nothing is made in a directory that is gone',
    kernel: 'A process that stands in it is the kernel’s.',
    script: `
      root: mkdir d 0755                       -> ok
      root2: in d                              -> ok
      root: rmdir d                            -> ok
      root2: open 0 f O_CREAT|O_RDWR 0644      -> ENOENT
      root2: mkdir e 0755                      -> ENOENT
      root2: readdir .                         -> ok 0
      root2: stat .                            -> t=d n=0`,
  },
];

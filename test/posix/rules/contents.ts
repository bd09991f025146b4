/** Contents: how files are opened, written, mapped, cut and grown. */

import type { Rule } from './rule.ts';

const DESCRIPTORS = 'How a descriptor may be used is the kernel’s.';
const MAPPED = 'Mappings are the kernel’s.';
const END = 2n ** 63n - 1n;

export const CONTENTS: readonly Rule[] = [
  {
    name: 'a descriptor does what it was opened for',
    kernel: DESCRIPTORS,
    script: `
      root: open 0 f O_CREAT|O_WRONLY 0644     -> ok
      root: write 0 1 5                        -> ok 5
      root: read 0 5                           -> EBADF
      root: open 1 f O_RDONLY 0                -> ok
      root: write 1 1 5                        -> EBADF
      root: ftruncate 1 0                      -> EINVAL
      root: read 1 9                           -> ok 5
      root: read 1 9                           -> ok 0
      root: mkdir d 0755                       -> ok
      root: open 2 d O_RDONLY 0                -> ok
      root: read 2 5                           -> EISDIR
      root: open 3 d O_RDWR 0                  -> EISDIR
      root: open 3 f O_RDONLY|O_DIRECTORY 0    -> ENOTDIR
      root: truncate d 0                       -> EISDIR
      root: fsync 2                            -> ok
      root: fchmod 1 0600                      -> ok | p=0600`,
  },
  {
    name: 'O_EXCL makes it once, of two processes',
    script: `
      root: open 0 f O_CREAT|O_EXCL|O_RDWR 0644 -> ok
      root2: open 0 f O_CREAT|O_EXCL|O_RDWR 0644 -> EEXIST
      root: unlink f                           -> ok
      root2: open 0 f O_CREAT|O_EXCL|O_RDWR 0644 -> ok`,
  },
  {
    name: 'O_TRUNC empties a file that others have open',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: write 0 1 9000                     -> ok 9000
      root2: open 0 f O_RDWR|O_TRUNC 0         -> ok | s=0
      root: pread 0 0 10                       -> ok 0
      root: write 0 1 10                       -> ok 10 | s=9010
      root2: pread 0 8999 2                    -> ok 2 | s=9010`,
  },
  {
    name: 'O_APPEND writes at the end, whoever moved it',
    script: `
      root: open 0 f O_CREAT|O_RDWR|O_APPEND 0644 -> ok
      root2: open 0 f O_RDWR|O_APPEND 0        -> ok
      root: write 0 1 10                       -> ok | s=10
      root2: write 0 2 10                      -> ok | s=20
      root: lseek 0 0 SEEK_SET                 -> ok 0
      root: write 0 3 10                       -> ok | s=30
      root2: ftruncate 0 5                     -> ok | s=5
      root: write 0 4 10                       -> ok | s=15
      root: pwrite 0 0 5 10                    -> ok | s=25
      root2: pread 0 0 100                     -> ok 25`,
  },
  {
    name: 'a mapping of a descriptor that appends writes where it is mapped',
    kernel: MAPPED,
    script: `
      root: open 0 f O_CREAT|O_RDWR|O_APPEND 0644 -> ok
      root: write 0 1 9000                     -> ok 9000
      root: mwrite 0 4000 2 200 shared         -> ok | s=9000
      root: pread 0 0 9100                     -> ok 9000
      root2: open 0 f O_RDONLY|O_DIRECT 0      -> ok
      root2: pread 0 0 12288                   -> ok 9000`,
  },
  {
    name: 'a shared mapping is the file, a private one is not',
    kernel: MAPPED,
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: write 0 1 10000                    -> ok
      root: mwrite 0 5000 2 3000 shared        -> ok | s=10000
      root2: open 0 f O_RDWR 0                 -> ok
      root2: pread 0 0 10000                   -> ok 10000
      root2: pwrite 0 100 3 200                -> ok
      root: mread 0 0 10000                    -> ok 10000
      root: mwrite 0 0 4 5000 private          -> ok | m== c==
      root2: pread 0 0 10000                   -> ok 10000
      root2: mread 0 0 10000                   -> ok 10000
      root: mwrite 0 12288 5 10 shared         -> SIGBUS
      root: mwrite 0 10000 6 100 shared        -> ok | s=10000
      root: ftruncate 0 12288                  -> ok
      root: pread 0 9990 200                   -> ok 200
      root: open 1 f O_RDONLY 0                -> ok
      root: mwrite 1 0 1 10 shared             -> EACCES
      root: mwrite 1 0 1 10 private            -> ok`,
  },
  {
    name: 'O_DIRECT and the page cache show the same bytes',
    kernel: DESCRIPTORS,
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: open 1 f O_RDWR|O_DIRECT 0         -> ok
      root: write 0 1 16384                    -> ok 16384
      root: pread 1 4096 8192                  -> ok 8192
      root: pwrite 1 8192 2 4096               -> ok 4096
      root: pread 0 0 16384                    -> ok 16384
      root: mread 0 0 16384                    -> ok 16384
      root: mwrite 0 4096 3 4096 shared        -> ok
      root: pread 1 0 16384                    -> ok 16384
      root: pwrite 1 16384 4 4096              -> ok 4096 | s=20480
      root: pread 0 16000 9000                 -> ok 4480`,
  },
  {
    name: 'O_SYNC and O_DSYNC write like others',
    script: `
      root: open 0 f O_CREAT|O_RDWR|O_SYNC 0644 -> ok
      root: open 1 f O_RDWR|O_DSYNC 0          -> ok
      root: write 0 1 5000                     -> ok 5000 | s=5000 m=+
      root: pwrite 1 4000 2 5000               -> ok 5000 | s=9000 m=+
      root: fdatasync 1                        -> ok
      root: pread 0 0 9000                     -> ok 9000`,
  },
  {
    name: 'a sparse file: holes are zeros and take no blocks',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: pwrite 0 1048576 1 10              -> ok | s=1048586
      root: pread 0 1048570 16                 -> ok 16
      root: pread 0 500000 64                  -> ok 64 bytes=${'%00'.repeat(64)}
      root: fsync 0                            -> ok | b=8
      root: map 0                              -> map=1048576-1048586,
      root: lseek 0 0 SEEK_DATA                -> ok 1048576
      root: lseek 0 0 SEEK_HOLE                -> ok 0
      root: lseek 0 1048580 SEEK_HOLE          -> ok 1048586
      root: lseek 0 1048586 SEEK_DATA          -> ENXIO
      root: ftruncate 0 1048577                -> ok
      root: ftruncate 0 2097152                -> ok
      root: pread 0 1048576 64                 -> ok 64
      root: map 0                              -> map=1048576-1052672,
      root: ftruncate 0 0                      -> ok | s=0
      root: map 0                              -> map=`,
  },
  {
    name: 'what was cut off is zeros when the file grows again',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: write 0 1 10000                    -> ok
      root: ftruncate 0 4100                   -> ok
      root: ftruncate 0 10000                  -> ok
      root: pread 0 4100 64                    -> ok 64 bytes=${'%00'.repeat(64)}
      root: pread 0 0 10000                    -> ok 10000
      root: ftruncate 0 10                     -> ok
      root: pwrite 0 20 2 10                   -> ok | s=30
      root: pread 0 0 30                       -> ok 30`,
  },
  {
    name: 'a file of 8 EiB less one byte',
    own: 'The largest file of ext4 has 16 TiB.',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: ftruncate 0 ${END}                 -> ok | s=${END} b=0
      root: put 0 ${END - 3n} end              -> ok 3 | s=${END}
      root: put 0 0 begin                      -> ok 5
      root: pread 0 ${END - 3n} 3              -> ok 3 bytes=end
      root: pread 0 ${END - 5n} 5              -> ok 5 bytes=%00%00end
      root: pread 0 ${END - 5n} 6              -> EINVAL
      root: pwrite 0 ${END} 1 1                -> EINVAL
      root: pread 0 4611686018427387904 4      -> ok 4 bytes=%00%00%00%00
      root: lseek 0 4096 SEEK_DATA             -> ok ${END - 4095n}
      root: truncate f ${END - 2n}             -> ok | s=${END - 2n}
      root: fsync 0                            -> ok
      root: truncate f 5                       -> ok | s=5
      root: pread 0 0 10                       -> ok 5 bytes=begin`,
  },
  {
    name: 'a file of 9 TiB, as on ext4',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: pwrite 0 9895604649984 1 10        -> ok | s=9895604649994
      root: pread 0 9895604649980 20           -> ok 14
      root: lseek 0 -4 SEEK_END                -> ok 9895604649990
      root: read 0 10                          -> ok 4
      root: lseek 0 5 SEEK_DATA                -> ok 9895604649984
      root: ftruncate 0 1                      -> ok | s=1`,
  },
];

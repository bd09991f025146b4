/** Times: which operation moves which, and to what they can be set. */

import type { Rule } from './rule.ts';

export const TIMES: readonly Rule[] = [
  {
    name: 'times are kept to the nanosecond, before 1970 and beyond 2038',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644 -> ok
      root: utimens f 1 1 2 999999999 0 -> ok | a=1.000000001 m=2.999999999 c=+
      root: utimens f -5 7 -100000 123456789 0 -> ok | a=-5.000000007 m=-100000.123456789
      root: utimens f 4294967296 1 9999999999 5 0 -> ok | m=9999999999.000000005
      root: utimens f omit 0 3 4 0 -> ok | a=4294967296.000000001 m=3.000000004
      root: utimens f 5 6 omit 0 0 -> ok | a=5.000000006 m=3.000000004
      root: futimens 0 7 8 9 10 -> ok | a=7.000000008 m=9.000000010
      root: utimens f omit 0 omit 0 0 -> ok | a=7.000000008 m=9.000000010 c==
      root: utimens f 1 1000000000 1 0 0 -> EINVAL
      root: utimens f now 0 now 0 0 -> ok | m=+ c=+
      root: symlink f l -> ok
      root: utimens l 11 12 13 14 AT_SYMLINK_NOFOLLOW -> ok | a=11.000000012 m=13.000000014
      root: mkdir d 0755 -> ok
      root: utimens d 15 16 17 18 0 -> ok | a=15.000000016 m=17.000000018`,
  },
  {
    name: 'what is made has times of its own, and moves those of its directory',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok | m=n c=n a=n | m=n c=n
      root: mkdir d 0755                       -> ok | m=n c=n a=n | m=+ c=+
      root: mknod p S_IFIFO|0644 0 0           -> ok | c=n a=n | m=+ c=+
      root: symlink x l                        -> ok | m=n c=n a=n | m=+ c=+
      root: link f g 0                         -> ok | m== c=+ | m=+ c=+
      root: open 1 f O_CREAT|O_RDWR 0644       -> ok | m== c== | m== c==`,
  },
  {
    name: 'writing moves mtime and ctime, reading neither',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: write 0 1 10                       -> ok | m=+ c=+
      root: pread 0 0 10                       -> ok | m== c==
      root: pwrite 0 5000 1 10                 -> ok | m=+ c=+
      root: pwrite 0 0 1 0                     -> ok 0 | m== c==
      root: ftruncate 0 20                     -> ok | m=+ c=+ s=20
      root: truncate f 20                      -> ok | m=+ c=+ s=20
      root: truncate f 8000                    -> ok | m=+ c=+ s=8000
      root: open 1 f O_RDWR|O_TRUNC 0          -> ok | m=+ c=+ s=0
      root: open 1 f O_RDWR|O_TRUNC 0          -> ok | m=+ c=+ s=0
      root: fsync 0                            -> ok | m== c==
      root: close 1                            -> ok
      root: fstat 0                            -> m== c==`,
  },
  {
    name: 'changes of attributes move ctime only, and leave the directory',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: chmod f 0600                       -> ok | m== c=+ | m== c==
      root: chmod f 0600                       -> ok | m== c=+
      root: fchmod 0 0644                      -> ok | m== c=+
      root: chown f 5 6                        -> ok | m== c=+ | m== c==
      root: chown f -1 -1                      -> ok | m== c=+
      root: setxattr f user.a 1 3 0            -> ok | m== c=+ | m== c==
      root: removexattr f user.a               -> ok | m== c=+
      root: access f 4                         -> ok | m== c==
      root: getxattr f user.a                  -> ENODATA | m== c==`,
  },
  {
    name: 'removal moves the directory’s times, and ctime of what is left of the file',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: link f g 0                         -> ok | c=+
      root: unlink f                           -> ok | - | m=+ c=+
      root: lstat g                            -> m== c=+ n=1
      root: mkdir d 0755                       -> ok
      root: rmdir d                            -> ok | - | m=+ c=+
      root: unlink g                           -> ok | - | m=+ c=+
      root: fstat 0                            -> m== c=+ n=0`,
  },
  {
    name: 'what fails moves nothing',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: mkdir d 0755                       -> ok
      root: mkdir f 0755                       -> EEXIST | m== c== | m== c==
      root: rmdir f                            -> ENOTDIR | m== c== | m== c==
      root: rename f d 0                       -> EISDIR | m== c== | m== c== | m== c== | m== c==
      root: link f d 0                         -> EEXIST | m== c== | m== c==
      root: removexattr f user.none            -> ENODATA | m== c==
      root: ftruncate 0 -1                     -> EINVAL | m== c==`,
  },
];

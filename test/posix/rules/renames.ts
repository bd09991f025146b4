/** rename(2), and renameat2(2) with its flags: over everything allowed, and the refusals. */

import type { Rule } from './rule.ts';

export const RENAMES: readonly Rule[] = [
  {
    name: 'a rename over a file replaces it in one step; who has it open keeps it',
    script: `
      root: open 0 a O_CREAT|O_RDWR 0644       -> ok
      root: write 0 1 3                        -> ok 3
      root: open 1 b O_CREAT|O_RDWR 0600       -> ok
      root: write 1 2 9                        -> ok 9
      root: rename a b 0                       -> ok | - | m=+ c=+ | p=0644 s=3 n=1 c=+ m==
      root: fstat 1                            -> n=0 s=9 c=+
      root: pread 1 0 9                        -> ok 9
      root: pread 0 0 9                        -> ok 3
      root: readdir .                          -> ok 3 b`,
  },
  {
    name: 'what may replace what',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: symlink x l                        -> ok
      root: mknod p S_IFIFO|0644 0 0           -> ok
      root: mkdir d 0755                       -> ok
      root: mkdir e 0755                       -> ok
      root: mkdir full 0755                    -> ok
      root: open 1 full/f O_CREAT|O_RDWR 0644  -> ok
      root: rename f d 0                       -> EISDIR
      root: rename d f 0                       -> ENOTDIR
      root: rename d l 0                       -> ENOTDIR
      root: rename l d 0                       -> EISDIR
      root: rename d full 0                    -> ENOTEMPTY
      root: rename f l 0                       -> ok | - | | t=f
      root: rename l p 0                       -> ok | - | | t=f
      root: rename d e 0                       -> ok | - | | t=d n=2 | n=4
      root: rename full e 0                    -> ok | - | | t=d | n=3
      root: stat e/f                           -> ok
      root: rename nowhere z 0                 -> ENOENT`,
  },
  {
    name: 'a rename onto another name of the same file does nothing',
    script: `
      root: open 0 a O_CREAT|O_RDWR 0644       -> ok
      root: link a b 0                         -> ok
      root: rename a b 0                       -> ok | n=2 m== c== | m== c== | n=2
      root: rename a a 0                       -> ok | n=2 c==
      root: readdir .                          -> ok 4 a b`,
  },
  {
    name: 'a directory is not moved into itself, nor over what holds it',
    script: `
      root: mkdir a 0755                       -> ok
      root: mkdir a/b 0755                     -> ok
      root: mkdir a/b/c 0755                   -> ok
      root: rename a a/x 0                     -> EINVAL
      root: rename a a/b/c/x 0                 -> EINVAL
      root: rename a/b/c a 0                   -> ENOTEMPTY
      root: rename a/b a RENAME_EXCHANGE       -> EINVAL
      root: rename a a/b RENAME_EXCHANGE       -> EINVAL
      root: rename a/b/c c 0                   -> ok | - | n=2 | n=2 | n=4
      root: stat c/..                          -> n=4`,
  },
  {
    name: 'a moved directory has another parent: link counts and ".." follow',
    script: `
      root: mkdir a 0755                       -> ok
      root: mkdir b 0755                       -> ok
      root: mkdir a/d 0755                     -> ok
      root: mkdir b/d 0755                     -> ok
      root: rename a/d b/d 0                   -> ok | - | n=2 m=+ c=+ | n=2 c=+ m== | n=3 m=+ c=+
      root: chmod b 0700                       -> ok
      root: stat b/d/..                        -> p=0700`,
  },
  {
    name: 'RENAME_NOREPLACE',
    script: `
      root: open 0 a O_CREAT|O_RDWR 0644       -> ok
      root: open 1 b O_CREAT|O_RDWR 0600       -> ok
      root: mkdir d 0755                       -> ok
      root: rename a b RENAME_NOREPLACE        -> EEXIST | p=0644 | | p=0600
      root: rename a d RENAME_NOREPLACE        -> EEXIST
      root: rename a a RENAME_NOREPLACE        -> EEXIST
      root: rename a c RENAME_NOREPLACE        -> ok | - | | p=0644
      root: rename c b RENAME_NOREPLACE|RENAME_EXCHANGE -> EINVAL`,
  },
  {
    name: 'RENAME_EXCHANGE',
    script: `
      root: open 0 a O_CREAT|O_RDWR 0644       -> ok
      root: mkdir d 0755                       -> ok
      root: mkdir d/e 0755                     -> ok
      root: open 1 d/e/f O_CREAT|O_RDWR 0600   -> ok
      root: rename a d RENAME_EXCHANGE         -> ok | t=d | n=3 m=+ c=+ | t=f c=+ m==
      root: rename a/e d RENAME_EXCHANGE       -> ok | t=f | n=2 m=+ c=+ | t=d n=2 | n=4
      root: stat d/f                           -> p=0600
      root: rename a nowhere RENAME_EXCHANGE   -> ENOENT
      root: rename nowhere a RENAME_EXCHANGE   -> ENOENT
      root: rename a a RENAME_EXCHANGE         -> ok
      root: rename a d 64                      -> EINVAL`,
  },
];

/** Who may do what: permissions, sticky directories, set-id bits, umask, groups. */

import type { Rule } from './rule.ts';

const KERNEL = 'The kernel checks permissions (default_permissions).';

export const PERMISSIONS: readonly Rule[] = [
  {
    name: 'owner, group and others read and write as the mode says',
    kernel: KERNEL,
    script: `
      root: open 0 f O_CREAT|O_RDWR 0640       -> ok
      root: chown f 1000 3000                  -> ok | u=1000 g=3000
      alice: open 0 f O_RDWR 0                 -> ok
      bob: open 0 f O_RDONLY 0                 -> ok
      bob: open 1 f O_WRONLY 0                 -> EACCES
      carol: open 0 f O_RDONLY 0               -> EACCES
      carol: access f 4                        -> EACCES
      bob: access f 4                          -> ok
      bob: access f 2                          -> EACCES
      alice: access f 1                        -> EACCES
      root: access f 1                         -> EACCES
      root: access f 6                         -> ok
      alice: chmod f 0040                      -> ok
      alice: open 1 f O_RDONLY 0               -> EACCES
      bob: open 1 f O_RDONLY 0                 -> ok`,
  },
  {
    name: 'a directory: x to pass, r to list, w and x to change',
    kernel: KERNEL,
    script: `
      root: mkdir d 0751                       -> ok
      root: chown d 1000 3000                  -> ok
      alice: open 0 d/f O_CREAT|O_RDWR 0644    -> ok
      bob: readdir d                           -> ok 3
      bob: open 0 d/g O_CREAT|O_RDWR 0644      -> EACCES
      bob: unlink d/f                          -> EACCES
      carol: readdir d                         -> EACCES
      carol: open 0 d/f O_RDONLY 0             -> ok
      carol: stat d/f                          -> ok
      alice: chmod d 0666                      -> ok
      alice: stat d/f                          -> EACCES
      alice: readdir d                         -> ok 3
      alice: mkdir d/e 0777                    -> EACCES
      root: mkdir d/e 0777                     -> ok`,
  },
  {
    name: 'search is needed on every directory of a path',
    kernel: KERNEL,
    script: `
      root: mkdir a 0755                       -> ok
      root: mkdir a/b 0700                     -> ok
      root: mkdir a/b/c 0777                   -> ok
      root: open 0 a/b/c/f O_CREAT|O_RDWR 0666 -> ok
      alice: stat a/b/c/f                      -> EACCES
      alice: open 0 a/b/c/f O_RDONLY 0         -> EACCES
      alice: unlink a/b/c/f                    -> EACCES
      alice: rename a/b/c/f f 0                -> EACCES
      root: chmod a/b 0711                     -> ok
      alice: stat a/b/c/f                      -> ok
      alice: rename a/b/c/f f 0                -> ok`,
  },
  {
    name: 'only the owner and root change mode and times; only root gives files away',
    kernel: KERNEL,
    script: `
      alice: open 0 f O_CREAT|O_RDWR 0666      -> ok
      bob: chmod f 0777                        -> EPERM
      bob: utimens f 1 0 1 0 0                 -> EPERM
      bob: utimens f now 0 now 0 0             -> ok
      bob: chown f 1001 -1                     -> EPERM
      alice: chown f 1001 -1                   -> EPERM
      alice: chown f -1 2000                   -> ok | g=2000
      alice: chown f -1 3000                   -> EPERM
      alice: chmod f 0600                      -> ok
      bob: utimens f now 0 now 0 0             -> EACCES
      root: chown f 1001 1001                  -> ok | u=1001 g=1001
      bob: chmod f 0644                        -> ok | p=0644`,
  },
  {
    name: 'sticky: names go by the owner of the file, of the directory, and root only',
    kernel: KERNEL,
    script: `
      root: mkdir d 01777                      -> ok
      root: chown d 1002 1002                  -> ok | p=1777
      alice: open 0 d/a O_CREAT|O_RDWR 0666    -> ok
      alice: open 1 d/b O_CREAT|O_RDWR 0666    -> ok
      alice: open 2 d/c O_CREAT|O_RDWR 0666    -> ok
      alice: mkdir d/e 0777                    -> ok
      bob: open 0 d/mine O_CREAT|O_RDWR 0666   -> ok
      bob: unlink d/a                          -> EPERM
      bob: rename d/a d/z 0                    -> EPERM
      bob: rename d/mine d/a 0                 -> EPERM
      bob: rename d/mine d/a RENAME_EXCHANGE   -> EPERM
      bob: rmdir d/e                           -> EPERM
      alice: rename d/a d/z 0                  -> ok
      alice: unlink d/z                        -> ok
      carol: unlink d/b                        -> ok
      root: unlink d/c                         -> ok
      carol: rmdir d/e                         -> ok`,
  },
  {
    name: 'a directory of another cannot be moved elsewhere: its ".." would be written',
    kernel: KERNEL,
    script: `
      root: mkdir from 0777                    -> ok
      root: mkdir to 0777                      -> ok
      root: mkdir from/d 0755                  -> ok
      alice: rename from/d to/d 0              -> EACCES
      alice: rename from/d from/e 0            -> ok
      root: chmod from/e 0777                  -> ok
      alice: rename from/e to/d 0              -> ok`,
  },
  {
    name: 'a write by another than root clears set-id bits',
    kernel: 'The kernel says when bits must go.',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0600       -> ok
      root: fchmod 0 06777                     -> ok | p=6777
      root: write 0 1 10                       -> ok | p=6777
      alice: open 0 f O_RDWR 0                 -> ok
      alice: write 0 2 10                      -> ok | p=0777
      root: fchmod 0 04777                     -> ok
      alice: pwrite 0 4096 2 10                -> ok | p=0777
      root: fchmod 0 06777                     -> ok
      alice: ftruncate 0 5                     -> ok | p=0777
      root: fchmod 0 06777                     -> ok
      alice: truncate f 3                      -> ok | p=0777
      root: fchmod 0 06777                     -> ok
      alice: open 1 f O_WRONLY|O_TRUNC 0       -> ok | p=0777
      root: fchmod 0 06777                     -> ok
      root: ftruncate 0 9                      -> ok | p=6777`,
  },
  {
    name: 'chown clears set-id bits of a file, by root too, and leaves those of a directory',
    script: `
      root: open 0 f O_CREAT|O_RDWR 0600       -> ok
      root: fchmod 0 06755                     -> ok | p=6755
      root: chown f 1000 -1                    -> ok | p=0755 u=1000
      root: fchmod 0 06755                     -> ok
      root: fchown 0 -1 5                      -> ok | p=0755 g=5
      root: fchmod 0 06755                     -> ok
      root: chown f -1 -1                      -> ok | p=0755 c=+
      root: mkdir d 0755                       -> ok
      root: chmod d 06755                      -> ok
      root: chown d 1000 1000                  -> ok | p=6755`,
  },
  {
    name: 'set-group-ID is lost by chmod of an owner who is not in the group',
    kernel: KERNEL,
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: chown f 1000 3000                  -> ok
      alice: chmod f 02755                     -> ok | p=0755
      root: chown f 1000 2000                  -> ok
      alice: chmod f 02755                     -> ok | p=2755
      root: chmod f 06711                      -> ok | p=6711`,
  },
  {
    name: 'umask takes bits from what is made, and from nothing else',
    kernel: 'The kernel applies the umask.',
    script: `
      root: umask 027                          -> ok
      root: open 0 f O_CREAT|O_RDWR 0666       -> ok | p=0640
      root: mkdir d 0777                       -> ok | p=0750
      root: mknod p S_IFIFO|0666 0 0           -> ok | p=0640
      root: symlink f l                        -> ok | p=0777
      root: fchmod 0 0777                      -> ok | p=0777
      root: umask 0777                         -> ok
      root: open 1 g O_CREAT|O_RDWR 0666       -> ok | p=0000
      root: write 1 1 5                        -> ok 5`,
  },
  {
    name: 'a set-group-ID directory hands its group down, to directories with the bit',
    script: `
      root: mkdir d 0777                       -> ok
      root: chown d -1 3000                    -> ok
      root: chmod d 02777                      -> ok
      root: open 0 d/f O_CREAT|O_RDWR 0644     -> ok | g=3000
      root: mkdir d/e 0755                     -> ok | g=3000 p=2755
      root: mknod d/p S_IFIFO|0600 0 0         -> ok | g=3000
      root: symlink x d/l                      -> ok | g=3000
      root: mkdir d/e/e 0700                   -> ok | g=3000 p=2700`,
  },
  {
    name: 'in it, a file of one outside of the group is not made with set-group-ID',
    kernel: 'The kernel takes the bit away (mode_strip_sgid).',
    script: `
      root: mkdir d 0777                       -> ok
      root: chown d -1 3000                    -> ok
      root: chmod d 02777                      -> ok
      alice: open 0 d/a O_CREAT|O_RDWR 02775   -> ok | g=3000 p=0775
      bob: open 0 d/b O_CREAT|O_RDWR 02775     -> ok | g=3000 p=2775
      alice: mkdir d/e 0755                    -> ok | u=1000 g=3000 p=2755`,
  },
  {
    name: 'supplementary groups count',
    kernel: KERNEL,
    script: `
      root: open 0 f O_CREAT|O_RDWR 0660       -> ok
      root: chown f 0 3000                     -> ok
      bob: open 0 f O_RDWR 0                   -> ok
      alice: open 0 f O_RDWR 0                 -> EACCES
      root: mkdir d 0770                       -> ok
      root: chown d 0 2000                     -> ok
      alice: open 0 d/f O_CREAT|O_RDWR 0600    -> ok | u=1000 g=1000
      bob: readdir d                           -> ok 3
      carol: readdir d                         -> EACCES`,
  },
  {
    name: 'an O_NOATIME open needs the owner; a file of another is not linked by everybody',
    kernel: KERNEL,
    script: `
      root: open 0 f O_CREAT|O_RDWR 0666       -> ok
      alice: open 0 f O_RDONLY|O_NOATIME 0     -> EPERM
      root: open 1 f O_RDONLY|O_NOATIME 0      -> ok`,
  },
  {
    name: 'xattrs: user.* with the permissions of the contents, trusted.* for root',
    kernel: KERNEL,
    script: `
      root: open 0 f O_CREAT|O_RDWR 0644       -> ok
      root: setxattr f user.a 1 5 0            -> ok
      alice: getxattr f user.a                 -> ok 5
      alice: setxattr f user.a 1 5 0           -> EACCES
      root: setxattr f trusted.t 1 5 0         -> ok
      alice: getxattr f trusted.t              -> ENODATA
      alice: setxattr f trusted.t 1 5 0        -> EPERM
      root: setxattr f user.a 1 5 XATTR_CREATE -> EEXIST
      root: setxattr f user.b 1 5 XATTR_REPLACE -> ENODATA
      root: removexattr f user.a               -> ok | c=+ m==
      root: getxattr f user.a                  -> ENODATA
      root: symlink f l                        -> ok
      root: mknod p S_IFIFO|0666 0 0           -> ok
      root: setxattr p user.a 1 5 0            -> EPERM`,
  },
];

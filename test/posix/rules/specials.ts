/** FIFOs, sockets, devices, and files without a name. */

import type { Rule } from './rule.ts';

const KERNEL = 'What is behind a special file is the kernel’s.';

export const SPECIALS: readonly Rule[] = [
  {
    name: 'special files keep their type, mode and device',
    script: `
      root: mknod p S_IFIFO|0640 0 0           -> ok | t=p p=0640 n=1
      root: mknod s S_IFSOCK|0600 0 0          -> ok | t=s p=0600
      root: mknod c S_IFCHR|0666 1 3           -> ok | t=c p=0666 r=1:3
      root: mknod b S_IFBLK|0660 240 77        -> ok | t=b p=0660 r=240:77
      root: mknod big S_IFCHR|0600 4095 1048575 -> ok | r=4095:1048575
      root: mknod f S_IFREG|0644 0 0           -> ok | t=f p=0644
      root: truncate p 0                       -> EINVAL
      root: chmod c 0600                       -> ok | t=c p=0600 r=1:3
      root: rename c d 0                       -> ok | - | | t=c r=1:3`,
  },
  {
    name: 'special files work',
    kernel: KERNEL,
    script: `
      root: mknod p S_IFIFO|0640 0 0           -> ok
      root: open 0 p O_RDONLY|O_NONBLOCK 0     -> ok
      root2: open 0 p O_WRONLY|O_NONBLOCK 0    -> ok
      root2: write 0 1 10                      -> ok 10
      root: read 0 20                          -> ok 10
      root: close 0                            -> ok
      root2: write 0 1 10                      -> EPIPE
      root: open 0 p O_WRONLY|O_NONBLOCK 0     -> ENXIO
      root: socket s                           -> ok 4 | t=s
      root: socket s                           -> EADDRINUSE
      root: open 1 s O_RDONLY 0                -> ENXIO
      root: mknod null S_IFCHR|0666 1 3        -> ok
      root: open 2 null O_RDWR 0               -> ok
      root: write 2 1 10                       -> ok 10
      root: read 2 10                          -> ok 0
      alice: mknod c S_IFCHR|0666 1 3          -> EPERM
      alice: mknod q S_IFIFO|0666 0 0          -> ok | u=1000`,
  },
  {
    name: 'a file without a name gets one, once, and not where O_EXCL forbade it',
    kernel: 'A descriptor is named through /proc.',
    script: `
      root: open 0 . O_TMPFILE|O_RDWR 0640     -> ok | | | t=f n=0 p=0640
      root: write 0 1 5000                     -> ok 5000 | n=0 s=5000
      root: linkfd 0 f                         -> ok | n=1 c=+ | n=1
      root: linkfd 0 g                         -> ok | n=2
      root: linkfd 0 f                         -> EEXIST
      root: unlink f                           -> ok
      root: unlink g                           -> ok
      root: linkfd 0 h                         -> ENOENT
      root: open 1 . O_TMPFILE|O_RDWR|O_EXCL 0640 -> ok
      root: linkfd 1 h                         -> ENOENT
      root: open 2 . O_TMPFILE|O_RDONLY 0640   -> EINVAL`,
  },
];

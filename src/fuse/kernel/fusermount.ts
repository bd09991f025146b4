/**
 * Mounting and unmounting as an ordinary user, through fusermount3, which is set-uid root.
 *
 * Order of a mount: a socket pair is made; fusermount3 gets one end, checks that the mount point is
 * the user's, opens /dev/fuse as the user, mounts, sends the descriptor over the socket, and ends;
 * we take the descriptor. A crash before that lets the descriptor go, and the mount is dead then;
 * the next start takes it away.
 */

import { closeSync } from 'node:fs';
import { receiveDescriptor, setNonBlocking, socketPair } from '../../io/libc.ts';
import { MAX_IO_BYTES } from './layout.ts';
import type { MountRequest } from './mount.ts';
import { MountError, runProgram } from './programs.ts';

/** The name under which fuse3 installs it; fuse 2's `fusermount` knows no subtypes everywhere. */
export const FUSERMOUNT = 'fusermount3';

/** In the values of its options, fusermount3 takes a backslash before a comma or a backslash. */
const escaped = (value: string): string => value.replace(/[\\,]/g, '\\$&');

/** Given to every mount of a user; those about access times are ours to honour (`access.ts`). */
const LEFT_OUT =
  /^(?:nosuid|nodev|(?:no)?lazytime|(?:(?:no)?(?:rel|strict))?atime|(?:no)?diratime)$/;

/** The option string for fusermount3. Pure. */
export function fusermountOptions(request: MountRequest): string {
  const asked = request.options.flatMap((option) => option.split(','));
  const all = [
    `fsname=${escaped(request.source)}`,
    `subtype=${escaped(request.fsType)}`,
    'default_permissions',
    `max_read=${MAX_IO_BYTES}`,
    ...(request.readOnly ? ['ro'] : []),
    ...asked.filter((option) => option !== '' && !LEFT_OUT.test(option)),
  ];
  return [...new Set(all)].join(',');
}

/** What fusermount3 said, as one line and without its name. */
const reasonOf = (stderr: string): string =>
  stderr
    .split('\n')
    .map((line) => line.replace(/^fusermount3: /, ''))
    .join('; ');

/** The errno that fits a refusal of fusermount3, which tells text only. */
function codeOf(stderr: string): string {
  if (/user_allow_other|only.*privileged|unsafe option|not permitted/i.test(stderr)) return 'EPERM';
  if (/busy/i.test(stderr)) return 'EBUSY';
  return /permission denied|no write access|not owned/i.test(stderr) ? 'EACCES' : 'EINVAL';
}

/** Mounts; resolves to the descriptor, non-blocking. Throws `MountError`. */
export async function fusermount(request: MountRequest): Promise<number> {
  const [ours, theirs] = socketPair();
  try {
    const args = ['-o', fusermountOptions(request), '--', request.mountPoint];
    const environment = { _FUSE_COMMFD: '3' };
    const ran = runProgram(FUSERMOUNT, args, theirs, environment).finally(() => closeSync(theirs));
    const { status, stderr } = await ran;
    if (status !== 0) throw new MountError(codeOf(stderr), `${FUSERMOUNT}: ${reasonOf(stderr)}`);
    const fd = receiveDescriptor(ours);
    if (fd === undefined) throw new MountError('EIO', `${FUSERMOUNT} sent no descriptor`);
    setNonBlocking(fd);
    return fd;
  } finally {
    closeSync(ours);
  }
}

/**
 * Knowing when the kernel ended the connection that libfuse serves: the package never says so, not
 * after a umount(8) nor after an abort.
 *
 * libfuse opens /dev/fuse itself, in this process. Its descriptor is found, a second one is made
 * that belongs to the same connection (FUSE_DEV_IOC_CLONE), and that one is watched: the kernel
 * hangs it up at the moment when the last user of the mount is gone. It is never read. Watching
 * libfuse's own would make it non-blocking, which libfuse takes for the end.
 */

import { closeSync, constants, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { ioctl, pollHangUp, setCloseOnExec } from '../../io/libc.ts';
import { openDevice } from '../kernel/mount.ts';

const DEVICE = '/dev/fuse';
const DESCRIPTORS = '/proc/self/fd';
const IOC_CLONE = 0x8004e500;
const O_CLOEXEC = 0o2000000;

function flagsOf(fd: string): number {
  const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
  return Number.parseInt(/^flags:\s*([0-7]+)/m.exec(info)?.[1] ?? '0', 8);
}

/** libfuse 2 opens the device blocking and inheritable; nobody else here does either. */
function isUnclaimed(fd: string): boolean {
  try {
    if (readlinkSync(`${DESCRIPTORS}/${fd}`) !== DEVICE) return false;
    return (flagsOf(fd) & (O_CLOEXEC | constants.O_NONBLOCK)) === 0;
  } catch {
    // Closed since it was listed: the descriptor of the listing itself always is.
    return false;
  }
}

/**
 * The descriptors that libfuse has opened since the last call. They are marked as found: no program
 * that this process starts inherits them, so that none keeps a mount waiting after a crash.
 */
export function claimDescriptors(): number[] {
  const found = readdirSync(DESCRIPTORS).filter(isUnclaimed).map(Number);
  for (const fd of found) setCloseOnExec(fd);
  return found;
}

/** Calls `whenGone` once, when the connection of `fd` has ended. The result stops the watch. */
export function watchConnection(fd: number, whenGone: () => void): () => void {
  const clone = openDevice();
  let isOver = false;
  const argument = Buffer.alloc(4);
  argument.writeUInt32LE(fd);
  try {
    ioctl(clone, IOC_CLONE, argument);
  } catch (error) {
    closeSync(clone);
    throw error;
  }
  const stop = (): void => {
    if (isOver) return;
    isOver = true;
    poll.close();
    closeSync(clone);
  };
  const poll = pollHangUp(clone, () => {
    // An exception in koffi's callback would be swallowed; and its handle closes after its call.
    setImmediate(() => {
      if (isOver) return;
      stop();
      whenGone();
    });
  });
  return stop;
}

/** What a volume needs of the world; simulation hands in its own. */

import { bootId } from '../io/boot.ts';
import type { Clock } from '../io/clock.ts';
import type { Disk } from '../io/disk.ts';
import { nodeDisk } from '../io/node-disk.ts';
import type { Random } from '../io/random.ts';
import { removeTree } from '../io/remove-tree.ts';
import { systemClock } from '../io/system-clock.ts';
import { systemRandom } from '../io/system-random.ts';
import { isLockedElsewhere, takeVolumeLock, type VolumeLock } from '../io/volume-lock.ts';
import type { WriteLimits } from './dirty-files.ts';
import { VolumeError } from './volume-error.ts';

export interface VolumePorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  /** Which run of the kernel this is. */
  readonly bootId: string;
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Takes the kernel lock that makes one process the volume's owner. Throws EBUSY. */
  takeLock(path: string): VolumeLock;
  removeTree(path: string): Promise<void>;
  /** Directory of the index, where it is not the volume's own. LevelDB wants a real one. */
  readonly indexDir?: string;
  /** Log space kept for operations that free space; 64 MiB unless given. */
  readonly logReserveBytes?: number;
  /** When pending writes are shipped and waited for, where not as usual. */
  readonly writeLimits?: Partial<WriteLimits>;
}

export const systemPorts: VolumePorts = {
  disk: nodeDisk,
  clock: systemClock,
  random: systemRandom,
  get bootId() {
    return bootId();
  },
  owner: { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 },
  removeTree,
  takeLock: lockOrThrow,
};

/** The lock on `path`; EBUSY, naming the holder, if another process has it. */
function lockOrThrow(path: string): VolumeLock {
  const lock = takeVolumeLock(path);
  if (!isLockedElsewhere(lock)) return lock;
  const holder = lock.pid === undefined ? 'another process' : `process ${lock.pid}`;
  throw new VolumeError(`${path.replace(/\/lock$/, '')}: in use by ${holder}`, 'EBUSY');
}

/**
 * A program: `serve-volume VOLUME MOUNTPOINT` serves a volume as the daemon does, with timeouts of 0,
 * so that every stat of the kernel's reaches us. Prints "ready"; SIGTERM closes the volume.
 */

import { openVolume } from '../../src/engine/volume.ts';
import { startSession } from '../../src/fuse/session.ts';
import { silent } from '../../src/io/logger.ts';

const [dir = '', mountPoint = ''] = process.argv.slice(2);
const volume = await openVolume({
  dir,
  log: silent,
  onFailure: (error) => {
    throw error;
  },
});
const session = await startSession({
  filesystem: volume.filesystem,
  mountPoint,
  source: dir,
  entryTimeoutMs: 0,
  attrTimeoutMs: 0,
  log: silent,
  onUnmounted: () => void volume.close(),
});

async function leave(): Promise<void> {
  await session.unmount({ lazy: true });
  await volume.close();
  process.exit(0);
}

process.once('SIGTERM', () => void leave()).once('SIGINT', () => void leave());
process.stdout.write('ready\n');

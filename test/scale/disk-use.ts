/** What a directory takes: the bytes in its files, and those that the disk below gave them. */

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface DiskUse {
  readonly files: number;
  readonly bytes: number;
  readonly allocatedBytes: number;
}

/** The unit of st_blocks. */
const STAT_BLOCK_BYTES = 512;

/** Files that come and go meanwhile may be counted or not. */
export async function diskUse(dir: string): Promise<DiskUse> {
  let [files, bytes, allocatedBytes] = [0, 0, 0];
  for (const name of await readdir(dir, { recursive: true }).catch(() => [])) {
    const info = await stat(join(dir, name)).catch(() => undefined);
    if (info?.isFile() !== true) continue;
    files++;
    bytes += info.size;
    allocatedBytes += info.blocks * STAT_BLOCK_BYTES;
  }
  return { files, bytes, allocatedBytes };
}

/** The parts of a volume. The log's space that is allocated ahead is not in its bytes. */
export interface VolumeUse {
  readonly logBytes: number;
  readonly indexBytes: number;
  readonly checkpointBytes: number;
  readonly dataBytes: number;
}

export async function volumeUse(volume: string): Promise<VolumeUse> {
  const part = (name: string): Promise<DiskUse> => diskUse(join(volume, name));
  return {
    logBytes: (await part('log')).bytes,
    indexBytes: (await part('index')).allocatedBytes,
    checkpointBytes: (await part('checkpoints')).bytes,
    dataBytes: (await part('data')).allocatedBytes,
  };
}

/**
 * What stands in a volume's directory, and the two small files that describe it.
 *
 *   volume.json   identity and format; written last by mkfs: a directory without it is no volume
 *   state.json    the boot id of the kernel under the last run, and the position of a clean close
 *   lock          held by kernel lock while the volume is open; never removed
 *   log/          segments of the log: the volume itself
 *   data/         data segments, one folder a writer
 *   index/        LevelDB: derived, may be deleted at any time the volume is closed
 *   checkpoints/  whole states at positions of the log: derived
 *   daemon.log, control.sock
 *
 * Both files are replaced atomically. A crash between opening and closing leaves `cleanSeq` absent,
 * which is how the next open knows.
 */

import { readWhole, replaceWhole, type Disk } from '../io/disk.ts';
import { FORMAT_VERSION } from '../log/schema.ts';
import { NO_SEQ, seq, type Seq } from '../model/ids.ts';
import { VolumeError } from './volume-error.ts';

export const VOLUME_FILE = 'volume.json';
export const STATE_FILE = 'state.json';

export interface VolumePaths {
  readonly dir: string;
  readonly lock: string;
  readonly log: string;
  readonly data: string;
  readonly index: string;
  readonly checkpoints: string;
}

export const volumePaths = (dir: string): VolumePaths => ({
  dir,
  lock: `${dir}/lock`,
  log: `${dir}/log`,
  data: `${dir}/data`,
  index: `${dir}/index`,
  checkpoints: `${dir}/checkpoints`,
});

/** Names that mkfs may find in a directory it is to make a volume of, when told to replace one. */
export const VOLUME_NAMES: ReadonlySet<string> = new Set([
  VOLUME_FILE,
  `${VOLUME_FILE}.new`,
  STATE_FILE,
  `${STATE_FILE}.new`,
  'lock',
  'log',
  'data',
  'index',
  'index.new',
  'index.old',
  'index.check',
  'checkpoints',
  'daemon.log',
  'daemon.log.1',
  'control.sock',
]);

export interface VolumeDescription {
  /** 32 hex digits. */
  readonly fsid: string;
  readonly format: number;
}

/** ENOENT or EINVAL: not a volume; EOPNOTSUPP: a newer format than this program's. */
export async function readDescription(disk: Disk, dir: string): Promise<VolumeDescription> {
  const bytes = await readWhole(disk, `${dir}/${VOLUME_FILE}`);
  if (bytes === undefined) {
    throw new VolumeError(`${dir}: not a ledgerfs volume (it has no ${VOLUME_FILE})`, 'EINVAL');
  }
  const { fsid, format } = parsed(bytes) ?? {};
  if (typeof fsid !== 'string' || !/^[0-9a-f]{32}$/.test(fsid) || typeof format !== 'number') {
    throw new VolumeError(`${dir}: ${VOLUME_FILE} is damaged or foreign`, 'EINVAL');
  }
  if (format > FORMAT_VERSION) {
    throw new VolumeError(
      `${dir}: has format ${format}, this ledgerfs knows up to ${FORMAT_VERSION}; use a newer one`,
      'EOPNOTSUPP',
    );
  }
  return { fsid, format };
}

/**
 * The description of a volume that is to be changed. Like `readDescription`, and EOPNOTSUPP for an
 * older format too: what this program logs an older one could not read, and whether that one is
 * given up is the owner's decision (`ledgerfs upgrade`).
 */
export async function readOwnDescription(disk: Disk, dir: string): Promise<VolumeDescription> {
  const description = await readDescription(disk, dir);
  const { format } = description;
  if (format === FORMAT_VERSION) return description;
  throw new VolumeError(
    `${dir}: has format ${format}, this ledgerfs writes ${FORMAT_VERSION}; run ledgerfs upgrade`,
    'EOPNOTSUPP',
  );
}

/** Everybody may read what kind of volume this is. */
const DESCRIPTION_MODE = 0o644;

export async function writeDescription(
  disk: Disk,
  dir: string,
  description: VolumeDescription,
): Promise<void> {
  const bytes = jsonBytes({ ledgerfs: 'volume', ...description });
  await replaceWhole(disk, dir, VOLUME_FILE, bytes);
  await disk.chmod(`${dir}/${VOLUME_FILE}`, DESCRIPTION_MODE);
}

export interface RunState {
  /** The kernel's boot id during the last run. */
  readonly bootId: string;
  /** Last seq of a volume that was closed cleanly; undefined while open and after a crash. */
  readonly cleanSeq: Seq | undefined;
  /** The past up to here is given up: what it alone held may be destroyed. */
  readonly horizon: Seq;
}

/** The state of the last run; undefined if it is absent or unreadable, which proves nothing. */
export async function readState(disk: Disk, dir: string): Promise<RunState | undefined> {
  const bytes = await readWhole(disk, `${dir}/${STATE_FILE}`);
  const { bootId, cleanSeq, horizon } = bytes === undefined ? {} : (parsed(bytes) ?? {});
  if (typeof bootId !== 'string') return undefined;
  return {
    bootId,
    cleanSeq: typeof cleanSeq === 'number' ? seq(cleanSeq) : undefined,
    horizon: typeof horizon === 'number' ? seq(horizon) : NO_SEQ,
  };
}

export const writeState = (disk: Disk, dir: string, state: RunState) =>
  replaceWhole(disk, dir, STATE_FILE, jsonBytes({ ...state }));

const jsonBytes = (value: object): Buffer => Buffer.from(`${JSON.stringify(value, null, 2)}\n`);

function parsed(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

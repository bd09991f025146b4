/** The options that libfuse 2 is given, as one string. Pure. */

import { MountError } from '../kernel/programs.ts';

export interface NativeMountRequest {
  /** Absolute, without symlinks. */
  readonly mountPoint: string;
  readonly source: string;
  /** /proc/mounts shows the type as `fuse.` and this. */
  readonly fsType: string;
  readonly readOnly: boolean;
  /** Further options of mount(8). */
  readonly options: readonly string[];
  readonly entryTimeoutMs: number;
  readonly attrTimeoutMs: number;
}

/** The flags of mount(2) that libfuse 2 knows by name. */
const FLAGS = new Set(
  'rw suid nosuid dev nodev exec noexec async sync atime noatime dirsync allow_other default_permissions'.split(
    ' ',
  ),
);
/** What the daemon does itself (`access.ts`), and libfuse 2 has no word for. */
const OURS = new Set(['relatime', 'strictatime', 'diratime', 'nodiratime']);
/** The package cuts off, without a word, what is longer. */
const TEXT_BYTES = 1023;

/** libfuse's parser takes a comma for the end of an option unless a backslash stands before it. */
const escape = (value: string): string => value.replace(/[\\,]/g, '\\$&');

const seconds = (ms: number): string => String(ms / 1000);

/**
 * The package's own choice of options has no big_writes, and leaves out a timeout of 0.
 *
 * Throws `MountError`: EINVAL for an option that libfuse 2 would not take, ENAMETOOLONG where the
 * paths do not fit.
 */
export function nativeMountOptions(request: NativeMountRequest): string {
  const asked = request.options.flatMap((option) => option.split(',')).filter((o) => o !== '');
  const foreign = asked.find((option) => !FLAGS.has(option) && !OURS.has(option));
  if (foreign !== undefined) {
    throw new MountError('EINVAL', `-o ${foreign}: not offered by the fuse-native transport`);
  }
  const all = [
    `fsname=${escape(request.source)}`,
    `subtype=${request.fsType}`,
    'allow_other',
    'default_permissions',
    'nonempty',
    'use_ino',
    'big_writes',
    `entry_timeout=${seconds(request.entryTimeoutMs)}`,
    `attr_timeout=${seconds(request.attrTimeoutMs)}`,
    ...(request.readOnly ? ['ro'] : []),
    ...asked.filter((option) => FLAGS.has(option)),
  ];
  const text = `-o${[...new Set(all)].join(',')}`;
  for (const passed of [text, request.mountPoint]) {
    if (Buffer.byteLength(passed) > TEXT_BYTES) {
      throw new MountError('ENAMETOOLONG', 'the paths are too long for the fuse-native transport');
    }
  }
  return text;
}

/**
 * Which accesses a mount notes, from its options (mount(8)). Pure. The kernel leaves the access
 * times of FUSE mounts to the daemon, so these options are ours to honour.
 */

/** Open for access without noting it (open(2)): x86 and arm. */
export const O_NOATIME = 0o1000000;

export interface NotedAccesses {
  /** Reads of files, and of symbolic links' targets. */
  readonly files: boolean;
  /** Listings of directories. */
  readonly directories: boolean;
}

/** A later option wins over an earlier one; what was not said is relatime. */
export function notedAccesses(options: readonly string[], readOnly: boolean): NotedAccesses {
  let files = true;
  let directories = true;
  for (const option of options.flatMap((several) => several.split(','))) {
    if (option === 'noatime') files = false;
    if (option === 'atime' || option === 'relatime' || option === 'strictatime') files = true;
    if (option === 'nodiratime') directories = false;
    if (option === 'diratime') directories = true;
  }
  const isNoted = files && !readOnly;
  return { files: isNoted, directories: isNoted && directories };
}

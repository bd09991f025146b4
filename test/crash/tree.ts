/**
 * A lane's directory tree as it was found through the mount after a crash: plain data, by path.
 */

export interface FoundFile {
  readonly kind: 'file';
  /** Equal for names of one inode. */
  readonly ino: number;
  readonly nlink: number;
  readonly mode: number;
  /** Whole seconds. */
  readonly mtime: number;
  readonly xattrs: ReadonlyMap<string, string>;
  readonly bytes: Buffer;
  readonly digest: string;
}

export interface FoundDirectory {
  readonly kind: 'directory';
  readonly ino: number;
  readonly nlink: number;
  readonly mode: number;
  readonly mtime: number;
  readonly xattrs: ReadonlyMap<string, string>;
}

export interface FoundSymlink {
  readonly kind: 'symlink';
  readonly ino: number;
  readonly nlink: number;
  readonly mtime: number;
  readonly target: string;
}

export type FoundNode = FoundFile | FoundDirectory | FoundSymlink;

/** Relative paths; '' is the lane's directory itself. Parents come before what they hold. */
export type FoundTree = ReadonlyMap<string, FoundNode>;

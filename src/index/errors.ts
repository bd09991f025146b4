/** The operating failures of an index. Each of them ends in a rebuild from the log, but 'locked'. */

/** An index cannot be opened, and why. */
export class IndexUnusable extends Error {
  override readonly name = 'IndexUnusable';
  /** schema: made by another version. locked: in use. unreadable: the disk below refused. */
  readonly reason: 'schema' | 'corrupt' | 'locked' | 'unreadable';

  constructor(reason: IndexUnusable['reason'], message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

/** What LevelDB holds cannot be read, or is no value. */
export class IndexCorrupt extends Error {
  override readonly name = 'IndexCorrupt';
}

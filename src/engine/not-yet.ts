/**
 * Thrown within an attempt (never with a stack: it is control flow) that must wait for the disk
 * before it may log anything. It has had no effect that making the attempt again would repeat; the
 * committer awaits `ready`, which never rejects, and makes it again from its beginning.
 */
export class NotYet {
  readonly ready: Promise<void>;

  constructor(ready: Promise<void>) {
    this.ready = ready;
  }
}

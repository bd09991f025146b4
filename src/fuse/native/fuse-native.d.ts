/**
 * What we use of the package fuse-native 2.2.6, which has no types of its own. Members that begin
 * with an underscore are its inner ones; why we reach for them stands in `package.ts`.
 */

declare module 'fuse-native' {
  interface NativeStat {
    readonly ino: number;
    readonly mode: number;
    readonly nlink?: number;
    readonly uid?: number;
    readonly gid?: number;
    readonly rdev?: number;
    readonly size?: number;
    readonly blocks?: number;
    readonly blksize?: number;
    /** Milliseconds since 1970. */
    readonly atime: number;
    readonly mtime: number;
    readonly ctime: number;
  }

  interface NativeSpace {
    readonly bsize: number;
    readonly frsize: number;
    readonly blocks: number;
    readonly bfree: number;
    readonly bavail: number;
    readonly files: number;
    readonly ffree: number;
    readonly favail: number;
    readonly namemax: number;
  }

  /** 0 or a negative errno; of read and write also the count of bytes. To be called once. */
  type Done<A extends readonly unknown[] = []> = (code: number, ...value: Partial<A>) => void;

  interface Operations {
    getattr(path: string, done: Done<[NativeStat]>): void;
    statfs(path: string, done: Done<[NativeSpace]>): void;
    readdir(path: string, done: Done<[readonly string[], readonly NativeStat[]]>): void;
    readlink(path: string, done: Done<[string]>): void;
    truncate(path: string, size: number, done: Done): void;
    ftruncate(path: string, fh: number, size: number, done: Done): void;
    utimens(path: string, atimeMs: number, mtimeMs: number, done: Done): void;
    chown(path: string, uid: number, gid: number, done: Done): void;
    chmod(path: string, mode: number, done: Done): void;
    mknod(path: string, mode: number, rdev: number, done: Done): void;
    mkdir(path: string, mode: number, done: Done): void;
    symlink(target: string, path: string, done: Done): void;
    link(path: string, newPath: string, done: Done): void;
    unlink(path: string, done: Done): void;
    rmdir(path: string, done: Done): void;
    rename(path: string, newPath: string, done: Done): void;
    open(path: string, flags: number, done: Done<[number]>): void;
    /** `into` and `from` are libfuse's memory: not to be touched once `done` was called. */
    read(path: string, fh: number, into: Buffer, length: number, at: number, done: Done): void;
    write(path: string, fh: number, from: Buffer, length: number, at: number, done: Done): void;
    flush(path: string, fh: number, done: Done): void;
    fsync(path: string, isDataOnly: number, fh: number, done: Done): void;
    release(path: string, fh: number, done: Done): void;
    fsyncdir(path: string, isDataOnly: number, fh: number, done: Done): void;
    setxattr(
      path: string,
      name: string,
      value: Buffer,
      position: number,
      flags: number,
      done: Done,
    ): void;
    getxattr(path: string, name: string, position: number, done: Done<[Buffer]>): void;
    listxattr(path: string, done: Done<[readonly string[]]>): void;
    removexattr(path: string, name: string, done: Done): void;
  }

  type WhenDone = (error: Error | null) => void;
  /** Ends a request: the result, then what the operation fills in. */
  type Signal = (result: number, ...filled: unknown[]) => void;
  /** How the addon calls: with its record of the request, and the operation's number. */
  type Handler = (record: Buffer, opcode: number, ...args: unknown[]) => void;

  class Fuse {
    static unmount: (mountPoint: string, done: WhenDone) => void;
    readonly ops: Operations;
    readonly _handlers: Handler[];
    constructor(mountPoint: string, operations: Operations, options: { timeout: false });
    mount(done: WhenDone): void;
    close(done: WhenDone): void;
    _fuseOptions(): string;
    _op_getxattr(signal: Signal, path: string, name: string, into: Buffer): void;
    _op_listxattr(signal: Signal, path: string, into: Buffer): void;
  }

  export type { Done, Handler, NativeSpace, NativeStat, Operations, Signal };
  export default Fuse;
}

/**
 * The package fuse-native 2.2.6: loading it, and what has to be done differently from it. The only
 * file that loads it, and only when a mount wants it: it cannot be loaded without libfuse 2.
 *
 * Four things of the package are replaced, each by an inner method of it (the version is pinned):
 * 1. its options, by ours (`options.ts`);
 * 2. getxattr and listxattr, which answer a caller with too little room by more bytes than there
 *    are, so that libfuse sends memory that is not the answer: ERANGE instead;
 * 3. utimens, which gets the access time twice: the modification time stands in the addon's record
 *    of the request, right behind;
 * 4. unmount, which is a lazy fusermount by a shell: we have unmounted before we close.
 */

import type Fuse from 'fuse-native';
import type { Handler, Operations, Signal } from 'fuse-native';
import { ERRNO } from '../../model/errno.ts';
import { MountError } from '../kernel/programs.ts';

type FuseClass = typeof Fuse;

/** One mount through libfuse 2. */
export interface NativeMount {
  /** Resolves when the kernel's INIT was answered. */
  mount(): Promise<void>;
  /** Gives up what the addon holds of a mount that is gone. */
  close(): Promise<void>;
}

export type NativeMounter = (
  mountPoint: string,
  operations: Operations,
  options: string,
) => NativeMount;

const UTIMENS = 12;
/** The addon's record of a request on 64-bit Linux, as far as we need it. */
const RECORD = { bytes: 360, opcode: 8, atimeMs: 104, mtimeMs: 112 };

/**
 * The arguments that utimens should have been called with: path, then both times as two 32-bit
 * halves. The record is believed if it is as long as it should be and names this operation and the
 * access time that came as argument; else both times are NaN, which is refused.
 */
export function utimensArguments(record: Buffer, args: readonly unknown[]): unknown[] {
  const [path, low, high] = args;
  const isKnown =
    record.length === RECORD.bytes &&
    record.readUInt32LE(RECORD.opcode) === UTIMENS &&
    record.readUInt32LE(RECORD.atimeMs) === low &&
    record.readUInt32LE(RECORD.atimeMs + 4) === high;
  if (!isKnown) return [path, NaN, NaN, NaN, NaN];
  const { mtimeMs } = RECORD;
  return [path, low, high, record.readUInt32LE(mtimeMs), record.readUInt32LE(mtimeMs + 4)];
}

/** Fills `into`, which is as long as the caller has room; without any, the length is asked for. */
function giveSized(signal: Signal, into: Buffer, code: number, value: Buffer): void {
  if (code < 0) signal(code, into.buffer);
  else if (into.length === 0) signal(value.length, into.buffer);
  else if (value.length > into.length) signal(-ERRNO.ERANGE, into.buffer);
  else signal(value.copy(into), into.buffer);
}

const NOTHING = Buffer.alloc(0);

function correctedClass(Base: FuseClass): (...args: Parameters<NativeMounter>) => Fuse {
  Base.unmount = (_, done) => done(null);
  class Corrected extends Base {
    readonly #options: string;

    constructor(mountPoint: string, operations: Operations, options: string) {
      super(mountPoint, operations, { timeout: false });
      this.#options = options;
      const utimens = this._handlers[UTIMENS] as Handler;
      this._handlers[UTIMENS] = (record, opcode, ...args) =>
        utimens(record, opcode, ...utimensArguments(record, args));
    }

    override _fuseOptions(): string {
      return this.#options;
    }

    override _op_getxattr(signal: Signal, path: string, name: string, into: Buffer): void {
      this.ops.getxattr(path, name, 0, (code, value = NOTHING) =>
        giveSized(signal, into, code, value),
      );
    }

    override _op_listxattr(signal: Signal, path: string, into: Buffer): void {
      this.ops.listxattr(path, (code, names = []) =>
        giveSized(signal, into, code, Buffer.from(names.map((name) => `${name}\0`).join(''))),
      );
    }
  }
  return (mountPoint, operations, options) => new Corrected(mountPoint, operations, options);
}

const whenDone = (start: (done: (error: Error | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => {
    start((error) => (error === null || error === undefined ? resolve() : reject(error)));
  });

/** Why the package could not be loaded, and what to do. */
function loadFailure(cause: unknown): MountError {
  const { code, message = '' } = cause as { readonly code?: string; readonly message?: string };
  if (message.includes('libfuse.so.2')) {
    const why = 'the fuse-native transport needs libfuse 2, and libfuse.so.2 is not there';
    const advice = 'install it (apt-get install libfuse2) or mount with --transport kernel';
    return new MountError('ENOENT', `${why}; ${advice}`, cause);
  }
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') {
    const what = 'the package fuse-native is not installed; mount with --transport kernel';
    return new MountError('ENOENT', what, cause);
  }
  return new MountError('EIO', `the package fuse-native cannot be loaded: ${message}`, cause);
}

const importPackage = async (): Promise<FuseClass> => (await import('fuse-native')).default;

/** Loads the package. Throws `MountError` ENOENT where it, or libfuse 2, is not there. */
export async function loadNativeMounter(
  importing: () => Promise<FuseClass> = importPackage,
): Promise<NativeMounter> {
  const make = await importing().then(correctedClass, (cause: unknown) => {
    throw loadFailure(cause);
  });
  return (mountPoint, operations, options) => {
    const fuse = make(mountPoint, operations, options);
    return {
      mount: () => whenDone((done) => fuse.mount(done)),
      close: () => whenDone((done) => fuse.close(done)),
    };
  };
}

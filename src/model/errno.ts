/**
 * Errno names and numbers (Linux, asm-generic) and the refusal value.
 *
 * A refusal is a value, not an exception: a caller asked for something that the rules forbid
 * (ENOENT, EEXIST ...). Refusals are interned, one frozen object per errno, so returning one
 * allocates nothing.
 */

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  EOVERFLOW: 75,
  EILSEQ: 84,
  EOPNOTSUPP: 95,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ESTALE: 116,
  EDQUOT: 122,
} as const;

export type Errno = keyof typeof ERRNO;

/** A request that the rules forbid, with the errno that tells the caller why. */
export class Refusal {
  readonly name: Errno;
  /** The positive errno number. */
  readonly errno: number;

  constructor(name: Errno) {
    this.name = name;
    this.errno = ERRNO[name];
    Object.freeze(this);
  }
}

const interned = Object.fromEntries(
  Object.keys(ERRNO).map((name) => [name, new Refusal(name as Errno)]),
) as Record<Errno, Refusal>;

/** The interned refusal of `name`. */
export const refuse = (name: Errno): Refusal => interned[name];

export const isRefusal = (value: unknown): value is Refusal => value instanceof Refusal;

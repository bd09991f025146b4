/**
 * Assertions: bugs, as opposed to refusals (a value, `errno.ts`) and operating failures (thrown by
 * the ports). A failed assertion means that index or code is corrupt; the daemon stops.
 */

export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/**
 * Throws `AssertionError` unless `condition` holds. `message` says what is wrong; one that is put
 * together from values is given as a function, since this runs many times for each operation.
 */
export function assert(condition: unknown, message: string | (() => string)): asserts condition {
  if (condition) return;
  throw new AssertionError(typeof message === 'string' ? message : message());
}

/** Marks a branch that the type system proves unreachable. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`);
}

/** Returns `value`, which by the program's logic cannot be undefined. */
export function must<T>(value: T | undefined, message: string): T {
  if (value === undefined) throw new AssertionError(message);
  return value;
}

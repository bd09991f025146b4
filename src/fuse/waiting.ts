/** Two small tools for waiting. */

export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

/** A promise and the function that resolves it. */
export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** What `promise` brings, or `instead` where that takes longer than `ms`. */
export function within<T>(ms: number, promise: Promise<T>, instead: T): Promise<T> {
  let timeout: NodeJS.Timeout | undefined;
  const patience = new Promise<T>((settle) => {
    timeout = setTimeout(() => settle(instead), ms);
  });
  return Promise.race([promise, patience]).finally(() => clearTimeout(timeout));
}

/**
 * A map for what is nearly always a handful of entries, in order of insertion: most transactions
 * touch two inodes and three items, and comparing with those costs less than hashing a key that was
 * put together a moment ago. It turns into a `Map` when it grows.
 */

/** Entries that are found by comparing. */
const FEW = 8;

export class SmallMap<K, V> {
  readonly #keys: K[] = [];
  readonly #values: V[] = [];
  /** Positions by key, once there are more than a few. */
  #positions: Map<K, number> | undefined;

  get(key: K): V | undefined {
    return this.#values[this.#find(key)];
  }

  set(key: K, value: V): void {
    const at = this.#find(key);
    if (at >= 0) this.#values[at] = value;
    else this.#add(key, value);
  }

  forEach(visit: (value: V, key: K) => void): void {
    for (let i = 0; i < this.#keys.length; i++) visit(this.#values[i] as V, this.#keys[i] as K);
  }

  #find(key: K): number {
    return this.#positions === undefined
      ? this.#keys.indexOf(key)
      : (this.#positions.get(key) ?? -1);
  }

  #add(key: K, value: V): void {
    const at = this.#keys.push(key) - 1;
    this.#values.push(value);
    if (this.#positions !== undefined) this.#positions.set(key, at);
    else if (at === FEW) this.#positions = new Map(this.#keys.map((known, i) => [known, i]));
  }
}

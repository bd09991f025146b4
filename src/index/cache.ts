/**
 * A bounded cache in two generations. What is used moves to the young one; when that is full, the
 * old one is forgotten as a whole. Costs one map operation a use, and keeps between `capacity` and
 * twice as many of the most recently used values.
 *
 * Nothing here is the truth: the overlay and LevelDB are. Losing all of it costs time only.
 */

export class TwoGenerations<K, V> {
  readonly #capacity: number;
  #young = new Map<K, V>();
  #old = new Map<K, V>();

  /** `capacity` is the number of values in one generation. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get(key: K): V | undefined {
    const found = this.#young.get(key);
    if (found !== undefined) return found;
    const aged = this.#old.get(key);
    if (aged !== undefined) this.set(key, aged);
    return aged;
  }

  set(key: K, value: V): void {
    this.#young.set(key, value);
    if (this.#young.size < this.#capacity) return;
    this.#old = this.#young;
    this.#young = new Map();
  }

  /** Follows a change of the value, if it is here. */
  update(key: K, value: V): void {
    if (this.#young.has(key)) this.#young.set(key, value);
    else this.#old.delete(key);
  }

  delete(key: K): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}

/**
 * The advisory paths of the log: where a touched name stood at that moment (architecture 3).
 *
 * Owns a bounded map of the directories that were looked up, each with its parent and name; a path
 * is the walk up. It is a cache: a directory it does not know makes the path undefined, never wrong,
 * since every rename of a directory comes through here.
 */

import { asByteString, ROOT_INO, type ByteString, type Ino } from '../model/ids.ts';

const MAX_DIRECTORIES = 200_000;
/** Longer paths are left out: they would eat the transaction's bounds. */
const MAX_PATH_BYTES = 4096;

interface Place {
  readonly parent: Ino;
  readonly name: ByteString;
  path: string;
  /** The map's version for which `path` holds. */
  version: number;
}

export class Paths {
  readonly #places = new Map<Ino, Place>();
  #version = 1;

  /** `dir` is named `name` in `parent`, as a lookup, mkdir or rename just found. */
  learn(parent: Ino, name: ByteString, dir: Ino): void {
    const known = this.#places.get(dir);
    if (known !== undefined) {
      if (known.parent === parent && known.name === name) return;
      this.#version++;
    } else if (this.#places.size >= MAX_DIRECTORIES) {
      this.#places.clear();
      this.#version++;
    }
    this.#places.set(dir, { parent, name, path: '', version: 0 });
  }

  forget(dir: Ino): void {
    this.#places.delete(dir);
  }

  /** The path of `name` in `dir`, from the root, starting with "/"; undefined where not known. */
  of(dir: Ino, name: ByteString): ByteString | undefined {
    const path = this.#directory(dir, 0);
    if (path === undefined || path.length + name.length >= MAX_PATH_BYTES) return undefined;
    return asByteString(`${path}/${name}`);
  }

  /** The path of a directory without a trailing slash: "" for the root. */
  #directory(dir: Ino, depth: number): string | undefined {
    if (dir === ROOT_INO) return '';
    const place = this.#places.get(dir);
    if (place === undefined || depth > MAX_PATH_BYTES / 2) return undefined;
    if (place.version === this.#version) return place.path;
    const parent = this.#directory(place.parent, depth + 1);
    if (parent === undefined) return undefined;
    place.path = `${parent}/${place.name}`;
    place.version = this.#version;
    return place.path;
  }
}

/**
 * The advisory paths of the log: where a touched name stood at that moment (architecture 3).
 *
 * Owns bounded maps from inodes to the directory and name by which they were last looked up; a path
 * is the walk up. It is a cache: an inode that it does not know has no path here, never a wrong
 * one, since every rename and unlink comes through it. (A file with several names is known by the
 * one that was used last.)
 */

import { asByteString, ROOT_INO, type ByteString, type Ino } from '../model/ids.ts';
import { S_IFDIR } from '../model/inode.ts';
import type { TouchedPath } from '../model/transaction.ts';

const MAX_DIRECTORIES = 200_000;
/** Files are kept in two generations of this many: the older is dropped when the newer is full. */
const FILE_GENERATION = 16_384;
/** Longer paths are left out: they would eat the transaction's bounds. */
const MAX_PATH_BYTES = 4096;
const DIRECTORY_KIND = S_IFDIR >>> 12;

interface Name {
  readonly parent: Ino;
  readonly name: ByteString;
}

interface Directory extends Name {
  path: string;
  /** The map's version for which `path` holds. */
  version: number;
}

export class Paths {
  readonly #directories = new Map<Ino, Directory>();
  #files = new Map<Ino, Name>();
  #olderFiles = new Map<Ino, Name>();
  #version = 1;

  /** `ino` is named `name` in `parent`, as a lookup, a creation or a rename just found. */
  learn(parent: Ino, name: ByteString, ino: Ino, kind: number): void {
    if (kind === DIRECTORY_KIND) this.#learnDirectory(parent, name, ino);
    else this.#learnFile(parent, name, ino);
  }

  #learnDirectory(parent: Ino, name: ByteString, ino: Ino): void {
    const known = this.#directories.get(ino);
    if (known !== undefined) {
      if (known.parent === parent && known.name === name) return;
      this.#version++;
    } else if (this.#directories.size >= MAX_DIRECTORIES) {
      this.#directories.clear();
      this.#version++;
    }
    this.#directories.set(ino, { parent, name, path: '', version: 0 });
  }

  #learnFile(parent: Ino, name: ByteString, ino: Ino): void {
    const known = this.#files.get(ino);
    if (known !== undefined && known.parent === parent && known.name === name) return;
    if (this.#files.size >= FILE_GENERATION) {
      this.#olderFiles = this.#files;
      this.#files = new Map();
    }
    this.#files.set(ino, { parent, name });
  }

  /** `ino` lost a name. */
  forget(ino: Ino): void {
    if (this.#directories.delete(ino)) this.#version++;
    this.#files.delete(ino);
    this.#olderFiles.delete(ino);
  }

  /** The path of `name` in `dir`, from the root, starting with "/"; undefined where not known. */
  of(dir: Ino, name: ByteString): ByteString | undefined {
    const path = this.#directory(dir, 0);
    if (path === undefined || path.length + name.length >= MAX_PATH_BYTES) return undefined;
    return asByteString(`${path}/${name}`);
  }

  /** The path by which `ino` was last used: for transactions on an inode, without a name. */
  ofInode(ino: Ino): readonly TouchedPath[] {
    if (ino === ROOT_INO) return [{ ino, path: asByteString('/') }];
    const at = this.#files.get(ino) ?? this.#olderFiles.get(ino) ?? this.#directories.get(ino);
    const path = at === undefined ? undefined : this.of(at.parent, at.name);
    return path === undefined ? [] : [{ ino, path }];
  }

  /** The path of a directory without a trailing slash: "" for the root. */
  #directory(dir: Ino, depth: number): string | undefined {
    if (dir === ROOT_INO) return '';
    const place = this.#directories.get(dir);
    if (place === undefined || depth > MAX_PATH_BYTES / 2) return undefined;
    if (place.version === this.#version) return place.path;
    const parent = this.#directory(place.parent, depth + 1);
    if (parent === undefined) return undefined;
    place.path = `${parent}/${place.name}`;
    place.version = this.#version;
    return place.path;
  }
}

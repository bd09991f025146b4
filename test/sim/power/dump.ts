/** Reads a whole volume through the engine, every byte of it, into the oracle's form. */

import type { DirectoryEntry, FilesystemApi, OpenFile } from '../../../src/engine/api.ts';
import { isRefusal, type Refusal } from '../../../src/model/errno.ts';
import {
  bytesOf,
  FIRST_POSITION,
  position,
  ROOT_INO,
  type ByteString,
  type Ino,
} from '../../../src/model/ids.ts';
import { isDirectory, isSymlink, type Inode } from '../../../src/model/inode.ts';
import { bytesOfSize, sizeOf } from '../../../src/model/size.ts';
import { CUT, type Drive } from './drive.ts';
import { CALLER, Finding } from './scene.ts';
import { newNode, setBytes, type Node } from './tree.ts';

const READ_BYTES = 64 * 1024;
const LIST_ENTRIES = 3;

const textOf = (name: ByteString): string => bytesOf(name).toString('utf8');

export class Dump {
  readonly #fs: FilesystemApi;
  readonly #drive: Drive;
  /** A file with several names is one node. */
  readonly #nodes = new Map<Ino, Node>();

  constructor(fs: FilesystemApi, drive: Drive) {
    this.#fs = fs;
    this.#drive = drive;
  }

  /** Number of inodes that names lead to. */
  get inodes(): number {
    return this.#nodes.size;
  }

  /** The tree; undefined if the power was cut before all of it was read. Throws `Finding`. */
  async read(): Promise<Node | undefined> {
    const root = await this.#node(ROOT_INO);
    return this.#drive.isCut ? undefined : root;
  }

  async #ask<T>(what: string, answer: T | Refusal | Promise<T | Refusal>): Promise<T> {
    const value = await this.#drive.until(answer);
    if (value === CUT) throw new PowerCut();
    if (isRefusal(value)) throw new Finding(`${what}: refused with ${value.name}`);
    return value as T;
  }

  async #node(ino: Ino): Promise<Node> {
    const known = this.#nodes.get(ino);
    if (known !== undefined) return known;
    const inode = await this.#ask(`getattr of ${ino}`, this.#fs.getattr(ino));
    const node = await this.#bare(inode);
    this.#nodes.set(ino, node);
    node.ino = ino;
    node.uid = inode.uid;
    node.gid = inode.gid;
    await this.#readXattrs(inode, node);
    if (node.kind === 'directory') await this.#readEntries(inode, node);
    if (node.kind === 'file') setBytes(node, await this.#readBytes(inode), 0);
    return node;
  }

  async #bare(inode: Inode): Promise<Node> {
    const mode = inode.mode & 0o7777;
    if (isDirectory(inode.mode)) return newNode('directory', mode, 0);
    if (!isSymlink(inode.mode)) return newNode('file', mode, 0);
    const target = await this.#ask(`readlink of ${inode.ino}`, this.#fs.readlink(inode.ino));
    return newNode('symlink', mode, 0, textOf(target));
  }

  async #readXattrs({ ino }: Inode, node: Node): Promise<void> {
    const names = await this.#ask(`listxattr of ${ino}`, this.#fs.listXattrs(ino));
    for (const name of names) {
      const value = await this.#ask(`getxattr of ${ino}`, this.#fs.getXattr(ino, name));
      node.xattrs.set(textOf(name), value.toString('hex'));
    }
  }

  async #readEntries(inode: Inode, node: Node): Promise<void> {
    const { ino } = inode;
    const listing = await this.#ask(`opendir of ${ino}`, this.#fs.openDirectory(ino));
    const found: DirectoryEntry[] = [];
    for (let from = FIRST_POSITION; ;) {
      const some = await this.#ask(`readdir of ${ino}`, listing.read(from, LIST_ENTRIES, true));
      found.push(...some);
      const last = some.at(-1);
      if (last === undefined) break;
      from = position(last.position + 1);
    }
    listing.close();
    if (found.length !== inode.entries) {
      throw new Finding(`directory ${ino} lists ${found.length} names and counts ${inode.entries}`);
    }
    for (const entry of found) {
      const looked = await this.#ask(`lookup in ${ino}`, this.#fs.lookup(ino, entry.name));
      if (looked.ino !== entry.ino) throw new Finding(`${ino}: lookup and readdir differ`);
      node.entries.set(textOf(entry.name), await this.#node(entry.ino));
    }
  }

  async #readBytes({ ino, size }: Inode): Promise<Buffer> {
    const file = await this.#ask<OpenFile>(`open of ${ino}`, this.#fs.open(ino, 0, CALLER));
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < bytesOfSize(size); at += READ_BYTES) {
      const what = `read of ${ino} at ${at}`;
      for (const chunk of await this.#ask(what, this.#fs.read(file, sizeOf(at), READ_BYTES))) {
        chunks.push(Uint8Array.from(chunk));
      }
    }
    this.#fs.close(file);
    return Buffer.concat(chunks);
  }
}

/** The power was cut in the middle of something that needed it. */
export class PowerCut extends Error {
  override readonly name = 'PowerCut';
}

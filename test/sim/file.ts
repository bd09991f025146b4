/** A file of the simulated disk as one open of it shows it: the port, on `FileNode`. */

import type { File, FileInfo } from '../../src/io/disk.ts';
import { assert } from '../../src/model/assert.ts';
import type { SimDisk } from './disk.ts';
import { systemError, type CallKind } from './faults.ts';
import { PAGE_BYTES, type Effect } from './file-image.ts';
import type { FileNode } from './file-node.ts';
import { DirectoryNode, type SimNode } from './name-tree.ts';

export function infoOf(node: SimNode): FileInfo {
  const isDirectory = node instanceof DirectoryNode;
  return {
    sizeBytes: isDirectory ? 0 : node.live.sizeBytes,
    allocatedBytes: isDirectory ? 0 : node.live.allocatedPages * PAGE_BYTES,
    isDirectory,
  };
}

export class SimFile implements File {
  readonly path: string;
  readonly #disk: SimDisk;
  readonly #node: FileNode;
  readonly #isWritable: boolean;
  #isOpen = true;

  constructor(disk: SimDisk, node: FileNode, path: string, isWritable: boolean) {
    this.path = path;
    this.#disk = disk;
    this.#node = node;
    this.#isWritable = isWritable;
  }

  async write(chunks: readonly Uint8Array[], offset: number): Promise<void> {
    this.#assertOpen();
    const bytes = Buffer.concat(chunks);
    return this.#disk.call('write', this.path, offset, bytes.length, (fault) => {
      if (!this.#isWritable) throw systemError('EBADF', 'write', this.path);
      const failsAt =
        fault?.kind === 'error' ? this.#disk.random.integer(bytes.length + 1) : bytes.length;
      const written = this.#node.write(bytes.subarray(0, failsAt), offset, (page) =>
        this.#disk.admits(this.#node, page),
      );
      this.#disk.book(this.#node);
      if (written < failsAt) throw systemError('ENOSPC', 'write', this.path);
      if (fault?.kind === 'error') throw systemError(fault.code, 'write', this.path);
    });
  }

  /** Two calls here, since a crash may come between what they do. */
  async writeDurably(chunks: readonly Uint8Array[], offset: number): Promise<void> {
    await this.write(chunks, offset);
    await this.datasync();
  }

  read(into: Uint8Array, offset: number): Promise<number> {
    this.#assertOpen();
    return this.#disk.call('read', this.path, offset, into.length, () =>
      this.#node.live.read(into, offset),
    );
  }

  readCached(into: Uint8Array, offset: number): number {
    this.#assertOpen();
    const call = this.#disk.begin('readCached', this.path, offset, into.length);
    if (call === undefined || this.#disk.faults(call) !== undefined) return -1;
    if (this.#disk.isCold) {
      const some = this.#disk.random.integer(into.length + 1);
      return some === 0 ? -1 : this.#node.live.read(into.subarray(0, some), offset);
    }
    return this.#node.live.read(into, offset);
  }

  datasync(): Promise<void> {
    return this.#sync('datasync');
  }

  sync(): Promise<void> {
    return this.#sync('sync');
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#change('truncate', sizeBytes, 0, { kind: 'truncate', sizeBytes });
  }

  reserve(offset: number, length: number): Promise<void> {
    const effect: Effect = { kind: 'reserve', from: offset, to: offset + length };
    return this.#change('reserve', offset, length, effect);
  }

  async extend(offset: number, length: number): Promise<void> {
    await this.reserve(offset, length);
    // It grows at that moment or not at all: nobody cuts a file that is being extended.
    if (this.#node.live.sizeBytes < offset + length) {
      this.#node.change({ kind: 'size', sizeBytes: offset + length });
    }
  }

  punch(offset: number, length: number): Promise<void> {
    const effect: Effect = { kind: 'punch', from: offset, to: offset + length };
    return this.#change('punch', offset, length, effect);
  }

  info(): Promise<FileInfo> {
    this.#assertOpen();
    return this.#disk.call('info', this.path, 0, 0, () => infoOf(this.#node));
  }

  close(): Promise<void> {
    this.#assertOpen();
    this.#isOpen = false;
    return this.#disk.call('close', this.path, 0, 0, () => this.#disk.closed(this.#node));
  }

  #sync(kind: 'datasync' | 'sync'): Promise<void> {
    this.#assertOpen();
    const mark = this.#node.mark();
    return this.#disk.call(kind, this.path, 0, 0, (fault) =>
      this.#disk.settleSync(fault, kind, this.path, {
        succeed: () => this.#node.makeDurable(mark),
        fail: () => this.#node.loseSome(mark, this.#disk.random),
      }),
    );
  }

  #change(kind: CallKind, offset: number, length: number, effect: Effect): Promise<void> {
    this.#assertOpen();
    return this.#disk.call(kind, this.path, offset, length, () => {
      if (!this.#isWritable) throw systemError('EBADF', kind, this.path);
      if (effect.kind === 'reserve' && !this.#hasRoomFor(effect.from, effect.to)) {
        throw systemError('ENOSPC', kind, this.path);
      }
      this.#node.change(effect);
      this.#disk.book(this.#node);
    });
  }

  #hasRoomFor(from: number, to: number): boolean {
    const firstPage = Math.floor(from / PAGE_BYTES);
    const missing = this.#node.live.unallocatedIn(firstPage, Math.ceil(to / PAGE_BYTES));
    return missing * PAGE_BYTES <= this.#disk.freeBytes;
  }

  #assertOpen(): void {
    assert(this.#isOpen, `${this.path}: used after close`);
  }
}

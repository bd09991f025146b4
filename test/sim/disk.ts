/**
 * A disk in memory that tells the truth about power losses.
 *
 * Every change is visible at once and durable only by the rules of `src/io/disk.ts`. `crash` yields
 * the disk as it is found after a power loss: all that was synced, and of the rest an arbitrary
 * subset that a seed decides - pages reordered and torn, sizes old or new, names absent or present,
 * a rename undone, half done or done. Faults of single calls come from a script (`faults.ts`).
 *
 * Once its power is off, calls never return: code that waits for them is as dead as it would be.
 * Nothing here depends on Node's timers, or on chance beyond the seed.
 */

import type { Disk, DiskSpace, File, FileInfo, OpenMode } from '../../src/io/disk.ts';
import { assert } from '../../src/model/assert.ts';
import type { SimClock } from './clock.ts';
import {
  noFaults,
  systemError,
  type CallKind,
  type DiskCall,
  type Fault,
  type Faults,
} from './faults.ts';
import { infoOf, SimFile } from './file.ts';
import { PAGE_BYTES } from './file-image.ts';
import { FileNode } from './file-node.ts';
import { DirectoryNode, filesBelow, NameTree, type SimNode } from './name-tree.ts';
import type { SimRandom } from './random.ts';

export interface SimDiskOptions {
  readonly random: SimRandom;
  /** Size of the disk; default 64 GiB, of which only what is written costs memory. */
  readonly totalBytes?: number | undefined;
  readonly faults?: Faults | undefined;
  /** Calls take up to `maxMs` of simulated time, and so overtake each other. */
  readonly latency?: { readonly clock: SimClock; readonly maxMs: number } | undefined;
  /** Share of `readCached` calls that find nothing in the page cache; default 0. */
  readonly coldShare?: number | undefined;
}

const DEFAULT_TOTAL_BYTES = 64 * 2 ** 30;

interface Stop {
  readonly at: (call: DiskCall) => boolean;
  readonly when: 'before' | 'after';
  readonly whenOff: () => void;
}

/** A sync that claimed success and takes effect later (`swapping` of `faults.ts`). */
interface Deferred {
  readonly until: (call: DiskCall) => boolean;
  readonly takeEffect: () => void;
  isDue: boolean;
}

/** A call that never returns, because the power is off. */
const never = (): Promise<never> => new Promise(() => undefined);

/** Calls whose failure leaves part of their effect. */
const SETTLES_FAULTS: ReadonlySet<CallKind> = new Set(['write', 'datasync', 'sync', 'syncDir']);

/** Path of the directory that holds the name, and the name. */
function splitPath(path: string): [dir: string, name: string] {
  assert(path.startsWith('/'), `not an absolute path: ${path}`);
  const slash = path.lastIndexOf('/');
  return [path.slice(0, slash), path.slice(slash + 1)];
}

export class SimDisk implements Disk {
  readonly #options: SimDiskOptions;
  readonly #random: SimRandom;
  #names = new NameTree();
  #deferred: Deferred[] = [];
  #usedPages = 0;
  #isOff = false;
  #calls = 0;
  #stop: Stop | undefined;
  /** The script in force; tests may exchange it at any moment. */
  faults: Faults;
  /** Size of the disk in bytes; tests may change it at any moment. */
  totalBytes: number;

  constructor(options: SimDiskOptions) {
    this.#options = options;
    this.#random = options.random;
    this.faults = options.faults ?? noFaults;
    this.totalBytes = options.totalBytes ?? DEFAULT_TOTAL_BYTES;
  }

  /** Calls made so far. */
  get calls(): number {
    return this.#calls;
  }

  get isOff(): boolean {
    return this.#isOff;
  }

  /** Cuts the power: no call returns from now on. */
  powerOff(): void {
    this.#isOff = true;
  }

  /**
   * Cuts the power at the first call that `at` names: before it does anything, or when it has done
   * all but return. `whenOff` is told at that moment.
   */
  stopAt(at: (call: DiskCall) => boolean, when: 'before' | 'after', whenOff: () => void): void {
    this.#stop = { at, when, whenOff };
  }

  /**
   * The disk as the next process finds it when this one was killed: nothing is lost, since the
   * kernel lives on, and nothing more is durable. This one is off from now on.
   */
  outlive(random: SimRandom, options: Partial<SimDiskOptions> = {}): SimDisk {
    this.powerOff();
    const found = this.#successor(random, options);
    found.#names = this.#names;
    for (const file of found.#names.files()) {
      file.opens = 0;
      file.bookedPages = 0;
      found.book(file);
    }
    return found;
  }

  /**
   * The disk as found after a power loss; this one is off from now on. `random` decides what
   * survived, and is the new disk's own from then on. `options` override those of this disk.
   */
  crash(random: SimRandom, options: Partial<SimDiskOptions> = {}): SimDisk {
    this.powerOff();
    const found = this.#successor(random, options);
    found.#names = this.#names.afterPowerLoss(random, random.pick([0, 0.1, 0.5, 0.9, 1]));
    for (const file of found.#names.files()) found.book(file);
    return found;
  }

  /** Changes bits of a byte at rest, as a failing medium would. */
  corrupt(path: string, offset: number, mask: number): void {
    const node = this.#names.find(path);
    assert(node instanceof FileNode, `no such file: ${path}`);
    node.corrupt(offset, mask);
  }

  async open(path: string, mode: OpenMode): Promise<File> {
    return this.call('open', path, 0, 0, () => {
      const node = mode === 'create' ? this.#create(path) : this.#file('open', path);
      node.opens++;
      return new SimFile(this, node, path, mode !== 'read');
    });
  }

  list(path: string): Promise<string[]> {
    return this.call('list', path, 0, 0, () => [...this.#directory('list', path).live.keys()]);
  }

  info(path: string): Promise<FileInfo | undefined> {
    return this.call('info', path, 0, 0, () => {
      const node = this.#names.find(path);
      return node === undefined ? undefined : infoOf(node);
    });
  }

  mkdir(path: string): Promise<void> {
    return this.call('mkdir', path, 0, 0, () => {
      const [dir, name] = this.#place('mkdir', path);
      if (dir.live.has(name)) throw systemError('EEXIST', 'mkdir', path);
      this.#names.set(dir, name, new DirectoryNode());
    });
  }

  /** Whoever simulates is the owner of everything: modes are not kept. */
  async chmod(path: string, _mode: number): Promise<void> {
    if (this.#names.find(path) === undefined) throw systemError('ENOENT', 'chmod', path);
  }

  rename(from: string, to: string): Promise<void> {
    return this.call('rename', from, 0, 0, () => {
      const [oldDir, oldName] = this.#place('rename', from);
      const [newDir, newName] = this.#place('rename', to);
      const node = oldDir.live.get(oldName);
      const replaced = newDir.live.get(newName);
      if (node === undefined) throw systemError('ENOENT', 'rename', from);
      if (node === replaced) return;
      if (replaced instanceof DirectoryNode) throw systemError('EISDIR', 'rename', to);
      if (replaced !== undefined && node instanceof DirectoryNode) {
        throw systemError('ENOTDIR', 'rename', to);
      }
      const arrival = this.#names.set(newDir, newName, node);
      this.#names.set(oldDir, oldName, undefined, arrival);
      if (replaced !== undefined) this.#unname(replaced);
    });
  }

  unlink(path: string): Promise<void> {
    return this.call('unlink', path, 0, 0, () => {
      const [dir, name] = this.#place('unlink', path);
      const node = this.#file('unlink', path);
      this.#names.set(dir, name, undefined);
      this.#unname(node);
    });
  }

  /** Removes whatever `path` leads to, with all below; nothing there is fine. */
  removeTree(path: string): Promise<void> {
    return this.call('removeTree', path, 0, 0, () => {
      const [dir, name] = this.#place('removeTree', path);
      const node = dir.live.get(name);
      if (node === undefined) return;
      this.#names.set(dir, name, undefined);
      for (const file of filesBelow(node)) this.#unname(file);
    });
  }

  syncDir(path: string): Promise<void> {
    const mark = this.#names.mark();
    return this.call('syncDir', path, 0, 0, (fault) => {
      const dir = this.#directory('syncDir', path);
      this.settleSync(fault, 'syncDir', path, {
        succeed: () => this.#names.makeDurable(dir, mark),
        fail: () => this.#names.persistSome(dir, mark, this.#random),
      });
    });
  }

  space(path: string): Promise<DiskSpace> {
    return this.call('space', path, 0, 0, () => {
      const freeBytes = Math.max(0, this.freeBytes);
      return { totalBytes: this.totalBytes, availableBytes: freeBytes, freeBytes };
    });
  }

  /**
   * Makes one call: counts it, cuts the power where a test wants that, asks the script, lets `act`
   * do it at its moment, and returns when the latency is over. A fault that `act` does not settle
   * itself makes the call fail before it does anything.
   */
  async call<T>(
    kind: CallKind,
    path: string,
    offset: number,
    length: number,
    act: (fault: Fault | undefined) => T,
  ): Promise<T> {
    const call = this.begin(kind, path, offset, length);
    if (call === undefined) return never();
    const stop = this.#stop?.at(call) === true ? this.#stop : undefined;
    if (stop?.when === 'before') {
      this.#cut(stop);
      return never();
    }
    const fault = this.faults(call);
    await this.#wait();
    if (this.#isOff) return never();
    if (fault?.kind === 'error' && !SETTLES_FAULTS.has(kind)) {
      throw systemError(fault.code, kind, path);
    }
    try {
      return act(fault);
    } finally {
      if (stop !== undefined) {
        this.#cut(stop);
        await never();
      }
    }
  }

  /** Counts a call; undefined if the power is off. */
  begin(kind: CallKind, path: string, offset: number, length: number): DiskCall | undefined {
    if (this.#isOff) return undefined;
    const call: DiskCall = { number: ++this.#calls, kind, path, offset, length };
    for (const deferred of this.#deferred) {
      if (deferred.isDue) deferred.takeEffect();
      else if (deferred.until(call)) deferred.isDue = true;
    }
    return call;
  }

  /** Ends a sync as its fault demands. */
  settleSync(
    fault: Fault | undefined,
    kind: CallKind,
    path: string,
    outcomes: { readonly succeed: () => void; readonly fail: () => void },
  ): void {
    switch (fault?.kind) {
      case undefined:
        outcomes.succeed();
        break;
      case 'ignored':
        break;
      case 'deferred':
        this.#deferred.push({ until: fault.until, takeEffect: outcomes.succeed, isDue: false });
        break;
      case 'error':
        outcomes.fail();
        throw systemError(fault.code, kind, path);
    }
  }

  /** Whether a page of `node` has space already, or there is space for it. */
  admits(node: FileNode, page: number): boolean {
    this.book(node);
    return node.live.unallocatedIn(page, page + 1) === 0 || this.freeBytes >= PAGE_BYTES;
  }

  /** Counts the space that `node` took or gave back since it was counted last. */
  book(node: FileNode): void {
    this.#usedPages += node.live.allocatedPages - node.bookedPages;
    node.bookedPages = node.live.allocatedPages;
  }

  /** Bytes that no file occupies. */
  get freeBytes(): number {
    return this.totalBytes - this.#usedPages * PAGE_BYTES;
  }

  /** A file without names gives its space back when its last descriptor closes. */
  closed(node: FileNode): void {
    node.opens--;
    this.#reap(node);
  }

  get isCold(): boolean {
    const share = this.#options.coldShare ?? 0;
    return share > 0 && this.#random.chance(share);
  }

  get random(): SimRandom {
    return this.#random;
  }

  #successor(random: SimRandom, options: Partial<SimDiskOptions>): SimDisk {
    const { latency, coldShare } = this.#options;
    return new SimDisk({ totalBytes: this.totalBytes, latency, coldShare, ...options, random });
  }

  #wait(): Promise<void> {
    const latency = this.#options.latency;
    if (latency === undefined) return Promise.resolve();
    const ms = this.#random.integer(latency.maxMs * 1000 + 1) / 1000;
    return new Promise((resolve) => latency.clock.after(ms, resolve));
  }

  #cut(stop: Stop): void {
    this.powerOff();
    stop.whenOff();
  }

  #create(path: string): FileNode {
    const [dir, name] = this.#place('open', path);
    if (dir.live.has(name)) throw systemError('EEXIST', 'open', path);
    const node = new FileNode();
    this.#names.set(dir, name, node);
    return node;
  }

  #directory(kind: CallKind, path: string): DirectoryNode {
    const node = this.#names.find(path);
    if (node === undefined) throw systemError('ENOENT', kind, path);
    if (node instanceof FileNode) throw systemError('ENOTDIR', kind, path);
    return node;
  }

  #file(kind: CallKind, path: string): FileNode {
    const node = this.#names.find(path);
    if (node === undefined) throw systemError('ENOENT', kind, path);
    if (node instanceof DirectoryNode) throw systemError('EISDIR', kind, path);
    return node;
  }

  #place(kind: CallKind, path: string): [DirectoryNode, string] {
    const [dirPath, name] = splitPath(path);
    return [this.#directory(kind, dirPath), name];
  }

  #unname(node: SimNode): void {
    if (!(node instanceof FileNode)) return;
    node.isNamed = this.#names.files().has(node);
    this.#reap(node);
  }

  #reap(node: FileNode): void {
    if (!node.isNamed && node.opens === 0) this.#usedPages -= node.bookedPages;
  }
}

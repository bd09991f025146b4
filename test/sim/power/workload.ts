/**
 * Random operations on a mounted volume, and on the oracle's tree beside it. Only operations that
 * must succeed are asked for, so any refusal is a finding.
 *
 * Operations follow one another, but syncs may run beside those that come after them. One that was
 * under way when the power was cut counts as possible: its state is recorded, and nothing promised.
 */

import type { Answer, Caller, FilesystemApi, OpenFile } from '../../../src/engine/api.ts';
import { isRefusal, type Refusal } from '../../../src/model/errno.ts';
import { byteStringOf, ino, ROOT_INO } from '../../../src/model/ids.ts';
import { S_IFREG } from '../../../src/model/inode.ts';
import { sizeOf } from '../../../src/model/size.ts';
import type { SimRandom } from '../random.ts';
import { CUT, type Drive } from './drive.ts';
import type { History } from './history.ts';
import { newNode, overwritten, resized, setBytes, walk, type Node } from './tree.ts';

const CALLER: Caller = { uid: 0, gid: 0, pid: 1 };
const RENAME_EXCHANGE = 2;
const PERMISSIONS = 0o7777;

/** Few names, so that operations meet. */
const NAMES = ['a', 'b', 'c', 'dd', 'ee', 'x'.repeat(40)];
const XATTRS = ['user.one', 'user.two'];
/** Files reach this size, in bytes: several runs of blocks, several pages of the disk. */
const LARGEST = 200_000;
const MOST_NODES = 40;
const MOST_OPEN = 8;
/** Share of the steps in which nothing happens but time. */
const PASS_SHARE = 0.12;
/** Share of the syncs that run beside the operations after them. */
const BACKGROUND_SHARE = 0.3;

/** An operation that was refused although it must not be, or whose answer is wrong. */
export class Finding extends Error {
  override readonly name = 'Finding';
}

interface Open {
  readonly node: Node;
  readonly file: OpenFile;
}

interface Named {
  readonly dir: Node;
  readonly name: string;
  readonly node: Node;
}

interface Operation {
  readonly what: string;
  readonly call: () => Answer<unknown>;
  /** The change of the tree, given the answer; CUT if the power was cut before one came. */
  readonly apply?: (answer: unknown) => unknown;
  /** Files and directories whose names or attributes it changes. */
  readonly changes?: readonly Node[];
  /** A file whose pending writes the operation puts into the log. */
  readonly places?: Node | undefined;
}

export class Workload {
  readonly #fs: FilesystemApi;
  readonly #drive: Drive;
  readonly #random: SimRandom;
  readonly #root: Node;
  readonly #history: History;
  readonly #open: Open[] = [];
  readonly #syncs: Promise<unknown>[] = [];
  #step: number;
  readonly #mayFail: boolean;
  /** What was done, for people. */
  readonly journal: string[] = [];

  constructor(parts: {
    readonly fs: FilesystemApi;
    readonly drive: Drive;
    readonly random: SimRandom;
    readonly root: Node;
    readonly history: History;
    /** Number of the step before the first. */
    readonly step: number;
    /** Whether the disk may fail; with the first operation that says EIO this life is over. */
    readonly mayFail: boolean;
  }) {
    this.#fs = parts.fs;
    this.#drive = parts.drive;
    this.#random = parts.random;
    this.#root = parts.root;
    this.#history = parts.history;
    this.#step = parts.step;
    this.#mayFail = parts.mayFail;
  }

  get step(): number {
    return this.#step;
  }

  /** All files and directories, also those that are open and have no name. */
  *nodes(): Generator<Node> {
    for (const [, node] of walk(this.#root)) yield node;
    for (const { node } of this.#open) yield node;
  }

  /** Does `count` operations, fewer if the power is cut. Throws `Finding`. */
  async run(count: number): Promise<void> {
    for (let i = 0; i < count && !this.#drive.isCut; i++) await this.#once();
    if (!this.#drive.isCut) await this.#awaitSyncs();
  }

  async #awaitSyncs(): Promise<void> {
    for (const sync of this.#syncs.splice(0)) {
      const answer = await this.#outcome(() => sync as Promise<unknown>);
      if (isRefusal(answer)) throw this.#refused('a sync in the background', answer);
    }
  }

  async #once(): Promise<void> {
    this.#step++;
    if (this.#random.chance(PASS_SHARE)) return this.#pass();
    const operation = this.#choose();
    if (operation === undefined) return;
    this.journal.push(`${this.#step} ${operation.what}`);
    const answer = await this.#outcome(() => operation.call());
    if (isRefusal(answer)) throw this.#refused(operation.what, answer);
    if (answer === CUT) this.journal.push('... and no more');
    operation.apply?.(answer);
    if (operation.places !== undefined && answer !== CUT) {
      this.#history.placed(operation.places, this.#step);
    }
    if (operation.changes !== undefined) this.#history.changed(this.#step, operation.changes);
  }

  /** The answer; CUT where the power was cut, or the disk failed: whether it was done is unknown. */
  async #outcome(call: () => Answer<unknown>): Promise<unknown> {
    try {
      const answer = await this.#drive.until(call());
      if (!this.#mayFail || !isRefusal(answer) || answer.name !== 'EIO') return answer;
    } catch (error) {
      if (!this.#mayFail || (error as NodeJS.ErrnoException).code !== 'EIO') throw error;
    }
    this.#drive.cut();
    return CUT;
  }

  #refused(what: string, refusal: Refusal): Finding {
    return new Finding(`step ${this.#step}: ${what}: refused with ${refusal.name}`);
  }

  #choose(): Operation | undefined {
    const make = this.#random.weighted<() => Operation | undefined>([
      [10, () => this.#create()],
      [4, () => this.#mkdir()],
      [2, () => this.#symlink()],
      [3, () => this.#link()],
      [6, () => this.#unlink()],
      [3, () => this.#rmdir()],
      [8, () => this.#rename()],
      [20, () => this.#write()],
      [5, () => this.#truncate()],
      [4, () => this.#setAttributes()],
      [4, () => this.#setXattr()],
      [2, () => this.#removeXattr()],
      [3, () => this.#openExisting()],
      [3, () => this.#close()],
      [4, () => this.#flush()],
      [6, () => this.#read()],
      [8, () => this.#sync()],
    ]);
    return make();
  }

  // ---- choosing among what there is ----

  #named(): Named[] {
    const found: Named[] = [];
    for (const [, dir] of walk(this.#root)) {
      for (const [name, node] of dir.entries) found.push({ dir, name, node });
    }
    return found;
  }

  #pick(wanted: (named: Named) => boolean): Named | undefined {
    const fitting = this.#named().filter(wanted);
    return fitting.length > 0 ? this.#random.pick(fitting) : undefined;
  }

  #anyDirectory(): Node {
    const directories = [...walk(this.#root)].filter(([, node]) => node.kind === 'directory');
    return this.#random.pick(directories)[1];
  }

  /** A directory and a name that is free in it; undefined if there is enough already. */
  #free(): { readonly dir: Node; readonly name: string } | undefined {
    if (this.#named().length >= MOST_NODES) return undefined;
    const dir = this.#anyDirectory();
    const name = this.#random.pick(NAMES);
    return dir.entries.has(name) ? undefined : { dir, name };
  }

  #anyOpen(): Open | undefined {
    return this.#open.length > 0 ? this.#random.pick(this.#open) : undefined;
  }

  // ---- names ----

  #add(kind: Node['kind'], call: (dir: Node, name: string, node: Node) => Answer<unknown>) {
    const place = this.#free();
    if (place === undefined) return undefined;
    const { dir, name } = place;
    const mode = kind === 'symlink' ? 0o777 : this.#random.pick([0o600, 0o644, 0o755]);
    const node = newNode(kind, mode, this.#step, kind === 'symlink' ? `to/${name}` : '');
    return {
      what: `${kind} ${name} in ${dir.ino}`,
      changes: [dir, node],
      call: () => call(dir, name, node),
      apply: (answer: unknown) => {
        dir.entries.set(name, node);
        if (answer !== CUT) node.ino = (answer as { ino: number }).ino;
      },
    };
  }

  #create(): Operation | undefined {
    if (this.#open.length >= MOST_OPEN) return undefined;
    let created: Node | undefined;
    const operation = this.#add('file', (dir, name, node) => {
      created = node;
      const flags = this.#random.chance(0.05) ? 0o10000 : 0;
      return this.#fs.create(ino(dir.ino), byteStringOf(name), S_IFREG | node.mode, flags, CALLER);
    });
    return (
      operation && {
        ...operation,
        apply: (answer) => {
          if (answer === CUT) return operation.apply(CUT);
          const opened = answer as { readonly inode: unknown; readonly file: OpenFile };
          operation.apply(opened.inode);
          this.#open.push({ node: created as Node, file: opened.file });
        },
      }
    );
  }

  #mkdir(): Operation | undefined {
    return this.#add('directory', (dir, name, node) =>
      this.#fs.mkdir(ino(dir.ino), byteStringOf(name), 0o040000 | node.mode, CALLER),
    );
  }

  #symlink(): Operation | undefined {
    return this.#add('symlink', (dir, name, node) =>
      this.#fs.symlink(ino(dir.ino), byteStringOf(name), byteStringOf(node.target), CALLER),
    );
  }

  #link(): Operation | undefined {
    const source = this.#pick(({ node }) => node.kind === 'file');
    const place = this.#free();
    if (source === undefined || place === undefined) return undefined;
    return {
      what: `link ${source.node.ino} as ${place.name} in ${place.dir.ino}`,
      changes: [place.dir, source.node],
      places: source.node,
      call: () =>
        this.#fs.link(ino(source.node.ino), ino(place.dir.ino), byteStringOf(place.name), CALLER),
      apply: () => place.dir.entries.set(place.name, source.node),
    };
  }

  #unlink(): Operation | undefined {
    const victim = this.#pick(({ node }) => node.kind !== 'directory');
    if (victim === undefined) return undefined;
    return {
      what: `unlink ${victim.name} in ${victim.dir.ino}`,
      changes: [victim.dir, victim.node],
      places: victim.node,
      call: () => this.#fs.unlink(ino(victim.dir.ino), byteStringOf(victim.name), CALLER),
      apply: () => victim.dir.entries.delete(victim.name),
    };
  }

  #rmdir(): Operation | undefined {
    const victim = this.#pick(({ node }) => node.kind === 'directory' && node.entries.size === 0);
    if (victim === undefined) return undefined;
    return {
      what: `rmdir ${victim.name} in ${victim.dir.ino}`,
      changes: [victim.dir],
      call: () => this.#fs.rmdir(ino(victim.dir.ino), byteStringOf(victim.name), CALLER),
      apply: () => victim.dir.entries.delete(victim.name),
    };
  }

  #rename(): Operation | undefined {
    const from = this.#pick(() => true);
    if (from === undefined) return undefined;
    const dir = this.#anyDirectory();
    const name = this.#random.pick(NAMES);
    const target = dir.entries.get(name);
    if ([...walk(from.node)].some(([, below]) => below === dir)) return undefined;
    if (target === from.node) return undefined;
    if (target !== undefined && [...walk(target)].some(([, below]) => below === from.dir)) {
      return undefined;
    }
    const exchanges = target !== undefined && this.#random.chance(0.3);
    if (target !== undefined && !exchanges && !canReplace(from.node, target)) return undefined;
    return {
      what: `rename ${from.name} in ${from.dir.ino} to ${name} in ${dir.ino}${exchanges ? ' (exchange)' : ''}`,
      changes: [from.dir, dir],
      places: from.node.kind === 'file' ? from.node : undefined,
      call: () =>
        this.#fs.rename(
          ino(from.dir.ino),
          byteStringOf(from.name),
          ino(dir.ino),
          byteStringOf(name),
          exchanges ? RENAME_EXCHANGE : 0,
          CALLER,
        ),
      apply: () => {
        if (exchanges) from.dir.entries.set(from.name, target);
        else from.dir.entries.delete(from.name);
        dir.entries.set(name, from.node);
      },
    };
  }

  // ---- contents ----

  #write(): Operation | undefined {
    const open = this.#anyOpen();
    if (open === undefined) return undefined;
    const { node, file } = open;
    const length = this.#random.integer(2 ** this.#random.between(4, 16)) + 1;
    const farthest = Math.min(LARGEST - length, node.bytes.length + 10_000);
    const offset = this.#random.chance(0.4)
      ? Math.min(node.bytes.length, farthest)
      : this.#random.integer(farthest + 1);
    const bytes = this.#random.bytes(length);
    const payload = { bytes: Buffer.from(bytes), take: () => () => undefined };
    return {
      what: `write ${length} bytes at ${offset} of ${node.ino}${file.synchronous ? ' (O_DSYNC)' : ''}`,
      call: () => this.#fs.write(file, sizeOf(offset), payload, false, CALLER),
      apply: (answer) => {
        setBytes(node, overwritten(node.bytes, offset, bytes), this.#step);
        if (answer !== CUT && file.synchronous) {
          this.#history.keep(this.#history.promise(node));
        }
      },
    };
  }

  #truncate(): Operation | undefined {
    const file = this.#pick(({ node }) => node.kind === 'file');
    if (file === undefined) return undefined;
    const { node } = file;
    const length = this.#random.integer(this.#random.chance(0.6) ? node.bytes.length + 1 : LARGEST);
    return {
      what: `truncate ${node.ino} from ${node.bytes.length} to ${length}`,
      places: node,
      call: () => this.#fs.setattr(ino(node.ino), { size: sizeOf(length) }, CALLER),
      apply: () => setBytes(node, resized(node.bytes, length), this.#step),
    };
  }

  #read(): Operation | undefined {
    const open = this.#anyOpen();
    if (open === undefined) return undefined;
    const { node, file } = open;
    const offset = this.#random.integer(node.bytes.length + 1);
    const length = this.#random.integer(50_000) + 1;
    return {
      what: `read ${length} bytes at ${offset} of ${node.ino}`,
      call: () => this.#fs.read(file, sizeOf(offset), length),
      apply: (answer) => {
        if (answer === CUT) return;
        const found = Buffer.concat(answer as readonly Uint8Array[]);
        if (!found.equals(node.bytes.subarray(offset, offset + length))) {
          throw new Finding(`step ${this.#step}: a read of ${node.ino} at ${offset} is wrong`);
        }
      },
    };
  }

  #openExisting(): Operation | undefined {
    const file = this.#pick(({ node }) => node.kind === 'file');
    if (file === undefined || this.#open.length >= MOST_OPEN) return undefined;
    return {
      what: `open ${file.node.ino}`,
      call: () => this.#fs.open(ino(file.node.ino), 0, CALLER),
      apply: (answer) => {
        if (answer !== CUT) this.#open.push({ node: file.node, file: answer as OpenFile });
      },
    };
  }

  #close(): Operation | undefined {
    if (this.#open.length === 0) return undefined;
    const [closed] = this.#open.splice(this.#random.integer(this.#open.length), 1);
    const { node, file } = closed as Open;
    return {
      what: `close ${node.ino}`,
      places: node,
      call: async () => {
        const refused = await this.#fs.flush(file);
        this.#fs.close(file);
        return refused;
      },
    };
  }

  #flush(): Operation | undefined {
    const open = this.#anyOpen();
    if (open === undefined) return undefined;
    return {
      what: `flush ${open.node.ino}`,
      places: open.node,
      call: () => this.#fs.flush(open.file),
    };
  }

  // ---- attributes ----

  #attributed(): Node {
    const nodes = [...walk(this.#root)].filter(([, node]) => node.kind !== 'symlink');
    return this.#random.pick(nodes)[1];
  }

  #setAttributes(): Operation {
    const node = this.#attributed();
    // Set-group-ID on a directory would change what is created in it.
    const mode = this.#random.integer(PERMISSIONS + 1) & (node.kind === 'directory' ? ~0o2000 : -1);
    const [uid, gid] = [this.#random.integer(3), this.#random.integer(3)];
    const changesOwner = this.#random.chance(0.5);
    return {
      what: `chmod ${mode.toString(8)}${changesOwner ? `, chown ${uid}:${gid}` : ''} of ${node.ino}`,
      changes: [node],
      places: node,
      call: () =>
        this.#fs.setattr(ino(node.ino), changesOwner ? { mode, uid, gid } : { mode }, CALLER),
      apply: () => {
        node.mode = mode;
        if (changesOwner) [node.uid, node.gid] = [uid, gid];
      },
    };
  }

  #setXattr(): Operation {
    const node = this.#attributed();
    const name = this.#random.pick(XATTRS);
    const value = this.#random.bytes(this.#random.integer(300));
    return {
      what: `setxattr ${name} of ${node.ino}`,
      changes: [node],
      places: node,
      call: () => this.#fs.setXattr(ino(node.ino), byteStringOf(name), value, 0, CALLER),
      apply: () => node.xattrs.set(name, value.toString('hex')),
    };
  }

  #removeXattr(): Operation | undefined {
    const node = this.#attributed();
    const name = [...node.xattrs.keys()][0];
    if (name === undefined) return undefined;
    return {
      what: `removexattr ${name} of ${node.ino}`,
      changes: [node],
      places: node,
      call: () => this.#fs.removeXattr(ino(node.ino), byteStringOf(name), CALLER),
      apply: () => node.xattrs.delete(name),
    };
  }

  // ---- durability and time ----

  /** A sync of a file, a directory or all; sometimes beside the operations that follow. */
  #sync(): Operation | undefined {
    const { what, promise, call } = this.#anySync();
    if (!this.#random.chance(BACKGROUND_SHARE)) {
      return { what, call, apply: (answer) => answer !== CUT && this.#history.keep(promise) };
    }
    const keep = (refused: unknown): unknown => {
      if (this.#drive.isCut) return undefined;
      if (isRefusal(refused)) return refused;
      return this.#history.keep(promise);
    };
    return {
      what: `${what}, in the background`,
      call: () => {
        const sync = Promise.resolve(call()).then(keep);
        // It is waited for at the end, and may fail before.
        sync.catch(() => undefined);
        this.#syncs.push(sync);
      },
    };
  }

  #anySync() {
    const open = this.#anyOpen();
    const kind = this.#random.weighted([
      [6, 'file'],
      [2, 'directory'],
      [1, 'all'],
    ]);
    if (kind === 'file' && open !== undefined) {
      const promise = this.#history.promise(open.node);
      return { what: `fsync of ${open.node.ino}`, promise, call: () => this.#fs.fsync(open.file) };
    }
    if (kind === 'directory') {
      const dir = this.#anyDirectory();
      const promise = this.#history.promise(dir);
      const call = () => this.#fs.fsyncDirectory(ino(dir.ino));
      return { what: `fsync of directory ${dir.ino}`, promise, call };
    }
    const promise = this.#history.promiseAll(this.nodes());
    return { what: 'sync', promise, call: () => this.#fs.sync() };
  }

  async #pass(): Promise<void> {
    const ms = this.#random.pick([1, 20, 300, 1200]);
    this.journal.push(`${this.#step} ${ms} ms pass`);
    await this.#drive.pass(ms);
  }
}

/** Whether rename(2) may put `node` in the place of `target`. */
function canReplace(node: Node, target: Node): boolean {
  if (node.kind !== 'directory') return target.kind !== 'directory';
  return target.kind === 'directory' && target.entries.size === 0;
}

/** The oracle's root for a fresh volume. */
export function newRoot(mode: number): Node {
  const root = newNode('directory', mode, 0);
  root.ino = ROOT_INO;
  return root;
}

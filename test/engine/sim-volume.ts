/**
 * A volume on the simulated disk: for tests that make the disk below fail or fill up at will, or
 * that kill the process. It lives under the real clock unless it is given another. Its index is a
 * real directory, since LevelDB wants one.
 */

import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVolume } from '../../src/engine/create-volume.ts';
import { systemPorts, type VolumePorts } from '../../src/engine/ports.ts';
import { openVolume, type Volume } from '../../src/engine/volume.ts';
import { byteStringOf, NO_SEQ, ROOT_INO, seq, type Ino } from '../../src/model/ids.ts';
import { isRefusal } from '../../src/model/errno.ts';
import { sizeOf } from '../../src/model/size.ts';
import type { Transaction } from '../../src/model/transaction.ts';
import type { Caller, OpenFile } from '../../src/engine/api.ts';
import type { Clock } from '../../src/io/clock.ts';
import { FileLogStore } from '../../src/log/file-store.ts';
import { readTransactions } from '../../src/log/reader.ts';
import { SimDisk } from '../sim/disk.ts';
import { SimRandom } from '../sim/random.ts';

const DIR = '/volume';
export const CALLER: Caller = { uid: 0, gid: 0, pid: 1 };

export interface SimVolumeOptions {
  readonly totalBytes?: number;
  readonly historyMicros?: number;
  readonly logReserveBytes?: number;
  /** `mkfs --size`; none unless given. */
  readonly sizeLimitBlocks?: number;
  /** Instead of a directory of its own. */
  readonly indexDir?: string;
  readonly clock?: Clock;
  readonly writeLimits?: VolumePorts['writeLimits'];
}

export interface SimOpenOptions {
  readonly quiet?: boolean;
  readonly commitMs?: number;
}

export class SimVolume {
  disk: SimDisk;
  readonly dir = DIR;
  /** What `onFailure` was told. */
  readonly failures: Error[] = [];
  /** Lines of the journal. */
  readonly journal: string[] = [];
  volume!: Volume;
  /** Tests may exchange parts of it before they open again. */
  ports: VolumePorts;
  /** A real directory, removed at the end. */
  readonly scratch: string;
  #kills = 0;
  #isDead = false;
  /** The engine's timers keep no process alive, and a test may wait for one of them. */
  readonly #awake = setInterval(() => undefined, 1000);

  private constructor(scratch: string, options: SimVolumeOptions) {
    const random = new SimRandom(1);
    this.scratch = scratch;
    this.disk = new SimDisk({ random, totalBytes: options.totalBytes ?? 2 ** 32 });
    this.ports = {
      ...systemPorts,
      clock: options.clock ?? systemPorts.clock,
      disk: this.disk,
      bootId: 'boot',
      takeLock: () => ({ release: () => undefined }),
      removeTree: (path) => rm(path, { recursive: true, force: true }),
      indexDir: options.indexDir ?? join(scratch, 'index'),
      logReserveBytes: options.logReserveBytes ?? 2 ** 20,
      ...(options.writeLimits === undefined ? {} : { writeLimits: options.writeLimits }),
    };
  }

  static async create(options: SimVolumeOptions = {}): Promise<SimVolume> {
    const scratch = await mkdtemp(join(tmpdir(), 'sim-volume-'));
    const it = new SimVolume(scratch, options);
    const historyMicros = options.historyMicros ?? 0;
    const sizeLimitBlocks = options.sizeLimitBlocks ?? 0;
    const fixed = { sizeLimitBlocks, force: false, owner: CALLER };
    await createVolume({ dir: DIR, historyMicros, ports: it.ports, ...fixed });
    await it.open();
    return it;
  }

  async open(options: SimOpenOptions = {}): Promise<void> {
    this.volume = await openVolume({
      ...options,
      dir: DIR,
      ports: this.ports,
      log: (_level, message) => void this.journal.push(message),
      onFailure: (error) => void this.failures.push(error),
    });
    this.#isDead = false;
  }

  get indexDir(): string {
    return this.ports.indexDir ?? '';
  }

  /**
   * The process dies while the kernel lives on: what was written to files is there, what was in
   * memory is not. The next `open` has a copy of the index, since nobody closes the dead one's.
   */
  async kill(): Promise<void> {
    this.disk = this.disk.outlive(new SimRandom(++this.#kills));
    const indexDir = join(this.scratch, `index-${this.#kills}`);
    await cp(this.indexDir, indexDir, { recursive: true });
    this.ports = { ...this.ports, disk: this.disk, indexDir };
    this.#isDead = true;
  }

  /** Everything durable in the log, from `from` on. */
  async transactions(from = 1): Promise<Transaction[]> {
    const { store } = await FileLogStore.open({
      disk: this.disk,
      dir: `${DIR}/log`,
      fsid: this.volume.fsid,
      clock: this.ports.clock,
      proof: { cleanSeq: undefined, appliedSeq: NO_SEQ, acknowledgedSeq: NO_SEQ },
      readOnly: true,
    });
    const found: Transaction[] = [];
    for await (const tx of readTransactions(store, { from: seq(from) })) found.push(tx);
    await store.close();
    return found;
  }

  /** Closes what is open, in whatever state, and removes the scratch files. */
  async dispose(): Promise<void> {
    if (!this.#isDead) await this.volume.close().catch(() => undefined);
    clearInterval(this.#awake);
    await rm(this.scratch, { recursive: true, force: true });
  }

  /** Creates `name` in the root and opens it. */
  async create(name: string): Promise<{ readonly ino: Ino; readonly file: OpenFile } | string> {
    const { filesystem } = this.volume;
    const made = await filesystem.create(ROOT_INO, byteStringOf(name), 0o644, 2, CALLER);
    return isRefusal(made) ? made.name : { ino: made.inode.ino, file: made.file };
  }

  /** Creates `name`, writes `bytes` and closes it; the name of the first refusal, if any. */
  async put(name: string, bytes: Buffer): Promise<string | undefined> {
    const made = await this.create(name);
    if (typeof made === 'string') return made;
    const wrote = await this.write(made.file, bytes);
    const flushed = refusalName(await this.volume.filesystem.flush(made.file));
    this.volume.filesystem.close(made.file);
    return wrote ?? flushed;
  }

  async write(file: OpenFile, bytes: Buffer, offset = 0): Promise<string | undefined> {
    const payload = { bytes: Buffer.from(bytes), take: () => () => undefined };
    const { filesystem } = this.volume;
    return refusalName(await filesystem.write(file, sizeOf(offset), payload, false, CALLER));
  }

  /** Opens `name`, writes `bytes` at `offset` and closes it; the name of the first refusal. */
  async openAndWrite(name: string, bytes: Buffer, offset: number): Promise<string | undefined> {
    const { filesystem } = this.volume;
    const inode = await filesystem.lookup(ROOT_INO, byteStringOf(name));
    if (isRefusal(inode)) return inode.name;
    const file = await filesystem.open(inode.ino, 2, CALLER);
    if (isRefusal(file)) return file.name;
    const wrote = await this.write(file, bytes, offset);
    const flushed = refusalName(await filesystem.flush(file));
    filesystem.close(file);
    return wrote ?? flushed;
  }

  /** Paths of the data segments that hold something. */
  async dataFiles(): Promise<string[]> {
    const folders = await this.disk.list(`${DIR}/data`);
    const paths: string[] = [];
    for (const folder of folders) {
      const names = await this.disk.list(`${DIR}/data/${folder}`);
      for (const path of names.map((name) => `${DIR}/data/${folder}/${name}`)) {
        const info = await this.disk.info(path);
        if (info !== undefined && info.sizeBytes > 0) paths.push(path);
      }
    }
    return paths.toSorted();
  }

  /** The contents of `name`, or the name of a refusal. */
  async get(name: string): Promise<Buffer | string> {
    const { filesystem } = this.volume;
    const inode = await filesystem.lookup(ROOT_INO, byteStringOf(name));
    if (isRefusal(inode)) return inode.name;
    const file = await filesystem.open(inode.ino, 0, CALLER);
    if (isRefusal(file)) return file.name;
    try {
      const read = await filesystem.read(file, sizeOf(0), 1 << 20);
      return isRefusal(read) ? read.name : Buffer.concat([...read]);
    } finally {
      filesystem.close(file);
    }
  }

  async remove(name: string): Promise<string | undefined> {
    const { filesystem } = this.volume;
    return refusalName(await filesystem.unlink(ROOT_INO, byteStringOf(name), CALLER));
  }
}

export const refusalName = (answer: unknown): string | undefined =>
  isRefusal(answer) ? answer.name : undefined;

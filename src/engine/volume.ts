/**
 * An open volume: its parts joined, its life from open to close.
 *
 * Opening, in this order; a crash after any step leaves what the next open starts from again:
 *   1. the kernel lock: one process owns the volume
 *   2. the index is opened, or put aside where it cannot be trusted (`recover-index.ts`)
 *   3. the log is opened: a torn tail is cut, corruption refuses
 *   4. `state.json` loses its clean mark: from here on a crash is known as one
 *   5. the index is caught up with the log, and `state.json` gets this kernel's boot id
 *   6. after an unclean stop, data that no transaction names is swept; this run gets its own folder
 *   7. unfinished truncations and orphans of the last run are taken up
 * Closing: pending writes are appended, the log commits, the index is written whole and synced (the
 * next open trusts it, even after a power loss), and the clean mark is set last. A volume whose log
 * or data failed closes without that mark.
 */

import type { SegmentStore } from '../data/segment-store.ts';
import type { Index } from '../index/index.ts';
import { Store } from '../index/store.ts';
import type { LogFunction } from '../io/logger.ts';
import { nodeDisk } from '../io/node-disk.ts';
import { FileLogStore, type OpenedLog } from '../log/file-store.ts';
import { LogWriter } from '../log/writer.ts';
import { generation, NO_SEQ, rid, seq, type Seq } from '../model/ids.ts';
import { AccessTimes } from './access-times.ts';
import { Changes } from './changes.ts';
import { checkIndex, checkLog, damagedLog, type FsckReport, type OnProgress } from './check.ts';
import { Committer } from './commit.ts';
import type { Core } from './core.ts';
import { DataWrites } from './data-writes.ts';
import { DirtyFiles } from './dirty-files.ts';
import { Filesystem } from './filesystem.ts';
import { Maintenance } from './maintenance.ts';
import { openData, sweepData } from './open-data.ts';
import { Paths } from './paths.ts';
import { systemPorts, type VolumePorts } from './ports.ts';
import { Reader } from './reading.ts';
import { openTrustedIndex, recoverIndex } from './recover-index.ts';
import { Removals } from './removal.ts';
import { VolumeError } from './volume-error.ts';
import {
  readOwnDescription,
  readState,
  volumePaths,
  writeState,
  type RunState,
  type VolumeDescription,
  type VolumePaths,
} from './volume-files.ts';

export interface Progress {
  readonly phase: string;
  readonly done: number;
  readonly total: number;
}

export interface OpenOptions {
  /** Absolute path of the volume's directory. */
  readonly dir: string;
  /** Time after which an answered operation is durable without being asked for; 1,000 ms. */
  readonly commitMs?: number;
  readonly log: LogFunction;
  readonly onProgress?: (progress: Progress) => void;
  /** Log or data cannot be written any more: everything that changes something gets EIO. */
  readonly onFailure: (error: Error) => void;
  /**
   * Open to look only: nothing is logged that nobody asked for (no reaping, no reclaiming), so that
   * a digest taken now is that of the log as it stands.
   */
  readonly quiet?: boolean;
  readonly ports?: VolumePorts;
}

const DEFAULT_COMMIT_MS = 1000;

/**
 * Opens a volume for use. Throws `VolumeError` (EINVAL not a volume, EOPNOTSUPP another format, EBUSY
 * in use), `LogCorruption` and `LogUnusable`, and the disk's errors; then nothing has changed.
 */
export async function openVolume(options: OpenOptions): Promise<Volume> {
  const ports = options.ports ?? systemPorts;
  const paths = volumePaths(options.dir);
  const description = await readOwnDescription(ports.disk, paths.dir);
  const lock = ports.takeLock(paths.lock);
  let index: Index | undefined;
  let log: OpenedLog | undefined;
  try {
    const state = await readState(ports.disk, paths.dir);
    const indexDir = ports.indexDir ?? paths.index;
    index = await openTrustedIndex(ports, indexDir, state, options.log);
    log = await openLog(ports, paths, description, state, index?.applied ?? NO_SEQ);
    if (state?.cleanSeq !== undefined) await dropCleanMark(ports, paths, state);
    index = await recoverIndex(index, {
      ports,
      dir: indexDir,
      checkpoints: paths.checkpoints,
      store: log.store,
      horizon: state?.horizon ?? NO_SEQ,
      log: options.log,
      onReplay: (done, total) => options.onProgress?.({ phase: 'replay', done, total }),
    });
    const wasClean = log.recovered.clean && state?.cleanSeq === log.last.seq;
    const opened = { options, ports, paths, index, log, state, wasClean };
    const volume = await startVolume(opened, () => lock.release());
    return volume;
  } catch (error) {
    await log?.store.close().catch(() => undefined);
    await index?.close().catch(() => undefined);
    lock.release();
    throw error;
  }
}

/**
 * From here on a crash is known as one: before anything writes to the index. The boot id stays that
 * of the run that left the index, until the index is known to be good: a crash while an index that
 * cannot be trusted is made anew must not make it trusted.
 */
const dropCleanMark = (ports: VolumePorts, paths: VolumePaths, state: RunState): Promise<void> =>
  writeState(ports.disk, paths.dir, { ...state, cleanSeq: undefined });

function openLog(
  ports: VolumePorts,
  paths: VolumePaths,
  { fsid }: VolumeDescription,
  state: RunState | undefined,
  appliedSeq: Seq,
): Promise<OpenedLog> {
  return FileLogStore.open({
    disk: ports.disk,
    dir: paths.log,
    fsid,
    clock: ports.clock,
    proof: { cleanSeq: state?.cleanSeq, appliedSeq, acknowledgedSeq: NO_SEQ },
    ...(ports.logReserveBytes === undefined ? {} : { reserveBytes: ports.logReserveBytes }),
  });
}

/** What opening found, for the parts to be built on. */
export interface Opened {
  readonly options: OpenOptions;
  readonly ports: VolumePorts;
  readonly paths: VolumePaths;
  readonly index: Index;
  readonly log: OpenedLog;
  readonly state: RunState | undefined;
  readonly wasClean: boolean;
}

async function startVolume(opened: Opened, unlock: () => void): Promise<Volume> {
  const { index, log, options, ports, paths, state } = opened;
  const facts = index.volume();
  if (facts === undefined) throw new VolumeError(`${paths.dir}: its log is empty`, 'EINVAL');
  const horizon = state?.horizon ?? NO_SEQ;
  await writeState(ports.disk, paths.dir, { bootId: ports.bootId, cleanSeq: undefined, horizon });
  if (!opened.wasClean) await sweepData(opened);
  // A write waits up to one half to become a transaction, and that one up to the other half.
  const halfMs = Math.ceil((options.commitMs ?? DEFAULT_COMMIT_MS) / 2);
  const run = rid(1 + ports.random.integer(2 ** 40));
  const maintenance = new Maintenance(opened, horizon);
  const data = await openData(opened, run, facts.nextSegment, maintenance);
  const writes = new DataWrites(data);
  const writer: LogWriter = new LogWriter({
    store: log.store,
    clock: ports.clock,
    node: run,
    last: log.last,
    beforeCommit: () => writes.syncNamed(),
    onDurable: (durable) => {
      committer.durable();
      maintenance.durable(durable);
    },
    onFailure: options.onFailure,
    commitMs: halfMs,
  });
  const changes = new Changes();
  const committer: Committer = new Committer({
    index,
    log: writer,
    clock: ports.clock,
    onApplied: (decided) => changes.applied(decided),
    onIndexTrouble: (error) => tellIndexTrouble(options.log, error),
  });
  const pathCache = new Paths();
  const dirty = new DirtyFiles({
    committer,
    index,
    data,
    writes,
    clock: ports.clock,
    placeMs: halfMs,
    pathsOf: (ino) => pathCache.ofInode(ino),
    journal: options.log,
    limits: ports.writeLimits,
  });
  const accesses = new AccessTimes({ index, committer, clock: ports.clock, journal: options.log });
  const core: Core = {
    index,
    log: writer,
    data,
    writes,
    clock: ports.clock,
    committer,
    changes,
    dirty,
    accesses,
    paths: pathCache,
    generation: generation(ports.random.integer(2 ** 32)),
    journal: options.log,
  };
  const volume = new Volume(opened, core, data, maintenance, unlock);
  await volume.start();
  return volume;
}

function tellIndexTrouble(log: LogFunction, error: Error | undefined): void {
  if (error === undefined) log('info', 'the index can be written again');
  else log('error', `the index cannot be written, it is kept in memory: ${error.message}`);
}

export interface VolumeStatus {
  readonly fsid: string;
  readonly log: {
    readonly head: Seq;
    readonly durable: Seq;
    readonly oldest: Seq;
    readonly segments: number;
    readonly bytes: number;
  };
  readonly index: { readonly applied: Seq; readonly persisted: Seq };
  readonly space: { readonly blocks: number; readonly freeBlocks: number };
  readonly openFiles: number;
  /** Why nothing can be written any more, until the volume is opened anew. */
  readonly failure: string | undefined;
}

export class Volume {
  readonly dir: string;
  readonly fsid: string;
  readonly filesystem: Filesystem;
  readonly #opened: Opened;
  readonly #core: Core;
  readonly #data: SegmentStore;
  readonly #maintenance: Maintenance;
  readonly #removals: Removals;
  readonly #reader: Reader;
  readonly #unlock: () => void;
  #closing: Promise<void> | undefined;

  constructor(
    opened: Opened,
    core: Core,
    data: SegmentStore,
    maintenance: Maintenance,
    unlock: () => void,
  ) {
    this.dir = opened.paths.dir;
    this.fsid = core.index.volume()?.fsid ?? '';
    this.#opened = opened;
    this.#core = core;
    this.#data = data;
    this.#maintenance = maintenance;
    this.#unlock = unlock;
    this.#removals = new Removals(core);
    this.#reader = new Reader(core);
    this.filesystem = new Filesystem({
      core,
      reader: this.#reader,
      removals: this.#removals,
      space: () => maintenance.space(),
    });
  }

  /** Takes up unfinished work and starts maintenance. Called once, by `openVolume`. */
  async start(): Promise<void> {
    if (this.#opened.options.quiet !== true) await this.#removals.resume();
    await this.#maintenance.start(this.#core, this.#data, () => this.#reader.oldestPin());
  }

  async status(): Promise<VolumeStatus> {
    const { index, log } = this.#core;
    const { store } = this.#opened.log;
    const { blocks, freeBlocks } = await this.#maintenance.space();
    return {
      fsid: this.fsid,
      log: {
        head: log.lastSeq,
        durable: log.durable,
        oldest: store.oldest,
        ...(await this.#maintenance.logSize()),
      },
      index: { applied: index.applied, persisted: index.persisted },
      space: { blocks, freeBlocks },
      openFiles: this.#removals.openFiles,
      failure: (this.#data.failure ?? log.failure)?.message,
    };
  }

  /** Resolves when everything answered so far is durable; its seq. */
  async sync(): Promise<Seq> {
    const head = this.#core.log.lastSeq;
    await this.filesystem.sync();
    return seq(Math.max(head, this.#core.log.durable));
  }

  /** The state digest (hex), after committing everything answered so far. */
  async digest(): Promise<string> {
    await this.sync();
    return this.#maintenance.digest();
  }

  /** Verifies the log and compares the index with it, while operations go on. */
  async check(onProgress: OnProgress): Promise<FsckReport> {
    const { log, paths, ports } = this.#opened;
    await this.sync();
    const lines: string[] = [];
    const place = { disk: ports.disk, dir: paths.log, fsid: this.fsid };
    if (!(await checkLog(place, lines, onProgress))) return damagedLog(lines);
    const snapshot = this.#core.index.snapshot();
    try {
      await this.#core.log.commit(snapshot.seq);
      const { checkpoints } = paths;
      // Beside the index, wherever that is: it is as real a directory.
      const scratch = `${ports.indexDir ?? paths.index}.check`;
      const options = { ports, checkpoints, scratch, store: log.store, onProgress };
      return await checkIndex(snapshot, lines, options);
    } finally {
      snapshot.close();
    }
  }

  async checkpoint(): Promise<Seq> {
    await this.sync();
    return this.#maintenance.checkpoint();
  }

  /** Drops log segments that lie wholly before `before`; the oldest seq that is left. */
  trim(before: Seq): Promise<Seq> {
    return this.#maintenance.trim(before);
  }

  scrub(onProgress: (progress: Progress) => void) {
    return this.#maintenance.scrub(onProgress, this.#reader.storedChecksums());
  }

  /** Commits, writes the index, marks the volume clean, gives up the lock. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const core = this.#core;
    const { ports, paths, log } = this.#opened;
    try {
      await this.#removals.close();
      await this.#maintenance.stop();
      core.dirty.stop();
      const failed = await core.dirty.placeAll();
      if (failed !== undefined) core.journal('error', `pending writes are lost: ${failed.name}`);
      await core.accesses.stop();
      await core.committer.drain();
      await core.log.close();
      await this.#data.close();
      await log.store.close();
      await core.index.close();
      // LevelDB keeps real files, whatever disk the volume is simulated on.
      await Store.sync(nodeDisk, ports.indexDir ?? paths.index);
      await writeState(ports.disk, paths.dir, {
        bootId: ports.bootId,
        cleanSeq: failed === undefined ? core.log.durable : undefined,
        horizon: this.#maintenance.horizon,
      });
    } catch (error) {
      core.journal('error', `the volume was not closed cleanly: ${(error as Error).message}`);
      await log.store.close().catch(() => undefined);
      await core.index.close().catch(() => undefined);
      throw error;
    } finally {
      this.#unlock();
    }
  }
}

/**
 * What goes on beside the operations: giving back dead data, space figures, checkpoints, digests,
 * trimming, scrubbing.
 *
 * Owns the history horizon: it is noted in `state.json` before anything behind it is destroyed, so
 * that no later run offers a past whose data is gone. A volume without history offers no past, and
 * then the horizon is not noted.
 */

import { Reclaimer, type ReclaimedFiles } from '../data/reclaimer.ts';
import { scrub, type ScrubbedFiles, type ScrubReport } from '../data/scrub.ts';
import { STREAM_SEGMENT_BLOCKS } from '../data/segments.ts';
import type { SegmentStore } from '../data/segment-store.ts';
import { spaceFigures } from '../data/space.ts';
import type { Checksums } from '../data/types.ts';
import { digestOf } from '../index/digest.ts';
import { listCheckpoints, writeCheckpoint } from '../index/checkpoint.ts';
import type { DiskSpace } from '../io/disk.ts';
import { seqDigits } from '../log/container.ts';
import { must } from '../model/assert.ts';
import { isRefusal } from '../model/errno.ts';
import { NO_SEQ, type SegmentNumber, type Seq } from '../model/ids.ts';
import { DAEMON } from '../model/transaction.ts';
import type { SpaceInfo } from './api.ts';
import type { Core } from './core.ts';
import { nameFiles, type NamedRange } from './damage.ts';
import { restFor } from './remove-extents.ts';
import { turn } from '../io/turn.ts';
import type { Opened, Progress } from './volume.ts';
import { VolumeError } from './volume-error.ts';
import { writeState } from './volume-files.ts';

/** The disk below is asked for its space at most so often. */
const SPACE_MS = 1000;
/** A checkpoint is taken every so many log positions: it bounds what a rebuild replays. */
const CHECKPOINT_EVERY = 5_000_000;
const KEPT_CHECKPOINTS = 2;
/** The reclaimer rests so long when there is nothing to do. */
const RECLAIM_IDLE_MS = 2000;

export interface NamedScrubReport extends ScrubReport {
  readonly bad: readonly NamedRange[];
}

export class Maintenance {
  readonly #opened: Opened;
  readonly #stopping = new AbortController();
  #horizon: Seq;
  #data: SegmentStore | undefined;
  #reclaimer: Reclaimer | undefined;
  #running: Promise<void> = Promise.resolve();
  #core: Core | undefined;
  #checkpointing: Promise<Seq> | undefined;
  #lastCheckpoint: Seq = NO_SEQ;
  #diskSpace: DiskSpace | undefined;
  #spaceAsked = Number.NEGATIVE_INFINITY;

  constructor(opened: Opened, horizon: Seq) {
    this.#opened = opened;
    this.#horizon = horizon;
  }

  get horizon(): Seq {
    return this.#horizon;
  }

  /** Begins reclaiming. `oldestPin` is the oldest position that a running read may still need. */
  async start(core: Core, data: SegmentStore, oldestPin: () => Seq | undefined): Promise<void> {
    this.#core = core;
    this.#data = data;
    const { options, ports, paths, index } = this.#opened;
    this.#reclaimer = new Reclaimer({
      items: {
        snapshot: () => index.snapshot(),
        volume: () => index.volume(),
        applyUnlogged: (mutations) => core.committer.applyUnlogged(mutations),
      },
      files: filesOf(core, data),
      clock: ports.clock,
      diskSpace: () => ports.disk.space(paths.data),
      bounds: () => {
        const pin = oldestPin();
        return { durable: core.log.durable, pins: pin === undefined ? [] : [pin] };
      },
      horizon: this.#horizon,
      advance: (horizon) => this.#advance(horizon),
      removed: (segment) => logRemoved(core, segment),
    });
    const failed = (error: Error) => core.journal('error', `reclaiming: ${error.message}`);
    const [newest] = await listCheckpoints(ports.disk, paths.checkpoints);
    this.#lastCheckpoint = newest ?? NO_SEQ;
    if (options.quiet === true) return;
    this.#running = this.#reclaimer.run(this.#stopping.signal, RECLAIM_IDLE_MS, failed);
  }

  async #advance(horizon: Seq): Promise<void> {
    if (this.#opened.index.volume()?.historyMicros === 0) this.#horizon = horizon;
    else await this.#noteHorizon(horizon);
  }

  async #noteHorizon(horizon: Seq): Promise<void> {
    if (horizon > this.#horizon) this.#horizon = horizon;
    const { ports, paths } = this.#opened;
    const { bootId } = ports;
    const state = { bootId, cleanSeq: undefined, horizon: this.#horizon };
    await writeState(ports.disk, paths.dir, state);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#checkpointing?.catch(() => undefined);
  }

  /** Frees about `bytes` that only history holds; false if there is none. */
  makeSpace(bytes: number): Promise<boolean> {
    return this.#reclaimer?.makeSpace(bytes) ?? Promise.resolve(false);
  }

  async space(): Promise<SpaceInfo> {
    const { ports, paths, index } = this.#opened;
    const now = ports.clock.monotonicMs();
    if (this.#diskSpace === undefined || now - this.#spaceAsked >= SPACE_MS) {
      this.#spaceAsked = now;
      this.#diskSpace = await ports.disk.space(paths.data);
    }
    const use = index.volume() ?? NO_USE;
    return spaceFigures(use, this.#diskSpace, this.#data?.aheadBytes ?? 0);
  }

  /** Segments of the log and the bytes in them, without the space that is allocated ahead. */
  async logSize(): Promise<{ segments: number; bytes: number }> {
    const { disk } = this.#opened.ports;
    const { log } = this.#opened.paths;
    let bytes = 0;
    const names = (await disk.list(log)).filter((name) => name.endsWith('.avro'));
    for (const name of names) bytes += (await disk.info(`${log}/${name}`))?.sizeBytes ?? 0;
    return { segments: names.length, bytes };
  }

  async digest(): Promise<string> {
    const snapshot = this.#opened.index.snapshot();
    try {
      return await digestOf(snapshot);
    } finally {
      snapshot.close();
    }
  }

  /**
   * Writes a checkpoint of what is durable now, or joins one that is being written; its seq. Ends
   * without one (EBUSY) where the volume is closed first: a large volume's takes minutes.
   */
  checkpoint(): Promise<Seq> {
    return this.#checkpointOnce(() => turn());
  }

  #checkpointOnce(pause: () => Promise<void>): Promise<Seq> {
    this.#checkpointing ??= this.#checkpoint(pause).finally(() => {
      this.#checkpointing = undefined;
    });
    return this.#checkpointing;
  }

  async #checkpoint(pause: () => Promise<void>): Promise<Seq> {
    const { ports, paths, index } = this.#opened;
    const { log } = must(this.#core, 'the volume is started');
    const pauseOrEnd = (): Promise<void> => {
      if (this.#stopping.signal.aborted) {
        throw new VolumeError(`${paths.dir}: no checkpoint, the volume is being closed`, 'EBUSY');
      }
      return pause();
    };
    const snapshot = index.snapshot();
    const { seal } = log;
    try {
      // A checkpoint never holds what a crash could undo: the seqs would be given again.
      await log.commit(snapshot.seq);
      await writeCheckpoint(ports.disk, paths.checkpoints, snapshot, seal, pauseOrEnd);
      this.#lastCheckpoint = snapshot.seq;
      if (index.volume()?.historyMicros === 0) await this.#noteHorizon(snapshot.seq);
    } finally {
      snapshot.close();
    }
    await this.#dropOldCheckpoints();
    return this.#lastCheckpoint;
  }

  /** The newest two stay, and the newest that an index with all kept history could begin with. */
  async #dropOldCheckpoints(): Promise<void> {
    const { disk } = this.#opened.ports;
    const { checkpoints } = this.#opened.paths;
    const seqs = await listCheckpoints(disk, checkpoints);
    const base = seqs.find((at) => at <= this.#horizon);
    for (const at of seqs.slice(KEPT_CHECKPOINTS)) {
      if (at !== base) await disk.unlink(`${checkpoints}/${seqDigits(at)}.avro`);
    }
  }

  /**
   * Called whenever the log committed: takes a checkpoint when enough has happened since the last.
   * Nobody waits for it, so it rests after each step for as long as the step took.
   */
  durable(head: Seq): void {
    if (head - this.#lastCheckpoint < CHECKPOINT_EVERY || this.#stopping.signal.aborted) return;
    this.#lastCheckpoint = head;
    this.#checkpointOnce(this.#rests()).catch((error: Error) => {
      if (!this.#stopping.signal.aborted) {
        this.#opened.options.log('error', `checkpoint: ${error.message}`);
      }
    });
  }

  #rests(): () => Promise<void> {
    const core = must(this.#core, 'the volume is started');
    let begun = core.clock.monotonicMs();
    return async () => {
      await restFor(core, core.clock.monotonicMs() - begun);
      begun = core.clock.monotonicMs();
    };
  }

  /**
   * Drops log segments that lie wholly before `before`; the oldest seq that is left. EBUSY where a
   * rebuild with all of the kept history would need them: it begins with the newest checkpoint at
   * or before the horizon.
   */
  async trim(before: Seq): Promise<Seq> {
    const { ports, paths, log } = this.#opened;
    const seqs = await listCheckpoints(ports.disk, paths.checkpoints);
    const base = seqs.find((at) => at <= this.#horizon);
    if (base === undefined) {
      const why = `no checkpoint lies at or before the history horizon (${this.#horizon})`;
      throw new VolumeError(`${paths.dir}: ${why}; ledgerfs checkpoint makes one`, 'EBUSY');
    }
    if (before > base + 1) {
      const why = `a rebuild begins with the checkpoint at ${base}`;
      throw new VolumeError(`${paths.dir}: ${why}; trim --before ${base + 1} can be done`, 'EBUSY');
    }
    return log.store.trim(before);
  }

  /** Verifies all data, and names the files of what is bad. */
  async scrub(
    onProgress: (progress: Progress) => void,
    checksums: Checksums,
  ): Promise<NamedScrubReport> {
    const { ports, index } = this.#opened;
    if (this.#data === undefined || this.#core === undefined)
      throw new Error('the volume is not started');
    const report = await scrub({
      items: index,
      checksums,
      files: filesOf(this.#core, this.#data),
      clock: ports.clock,
      signal: this.#stopping.signal,
      onProgress: ({ done, total }) => onProgress({ phase: 'scrub', done, total }),
    });
    const bad = await nameFiles(index, report.bad, (done) =>
      onProgress({ phase: 'name files', done, total: 0 }),
    );
    return { ...report, bad };
  }
}

/**
 * The segment files, a segment being open also while something lies in it that is still to be
 * logged: until then nobody seems to own that.
 */
const filesOf = (core: Core, data: SegmentStore): ReclaimedFiles & ScrubbedFiles => ({
  isOpen: (segment) => core.dirty.holds(segment) || data.isOpen(segment),
  punch: (segment, block, count) => data.punch(segment, block, count),
  remove: (segment) => data.remove(segment),
  read: (place, into, checksums) => data.read(place, into, checksums),
  allocatedBytes: (segment) => data.allocatedBytes(segment),
});

/** Says in the log that the segment's file is gone. */
async function logRemoved(core: Core, segment: SegmentNumber): Promise<void> {
  const { committer } = core;
  const events = [{ type: 'SegmentRemoved' as const, segment, blocks: STREAM_SEGMENT_BLOCKS }];
  const answer = await committer.mutate(() =>
    committer.append({ cause: 'reclaim', actor: DAEMON, paths: [], events, privileged: true }),
  );
  if (isRefusal(answer)) throw Object.assign(new Error(answer.name), { code: answer.name });
}

const NO_USE = { sizeLimitBlocks: 0, usedBlocks: 0, heldBlocks: 0, inodes: 0 };

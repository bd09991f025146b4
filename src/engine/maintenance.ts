/**
 * What goes on beside the operations: giving back dead data, space figures, checkpoints, digests,
 * trimming, scrubbing.
 *
 * Owns the history horizon: it is noted in `state.json` before anything behind it is destroyed, so
 * that no later run offers a past whose data is gone. A volume without history offers no past, and
 * then the horizon is not noted.
 */

import { Reclaimer } from '../data/reclaimer.ts';
import { scrub, type ScrubReport } from '../data/scrub.ts';
import type { SegmentStore } from '../data/segment-store.ts';
import { spaceFigures } from '../data/space.ts';
import type { Checksums } from '../data/types.ts';
const digestOf = async (_s: unknown) => 'x';
import type { DiskSpace } from '../io/disk.ts';
import type { Seq } from '../model/ids.ts';
import type { SpaceInfo } from './api.ts';
import type { Core } from './core.ts';
import type { Opened, Progress } from './volume.ts';
import { writeState } from './volume-files.ts';

/** The disk below is asked for its space at most so often. */
const SPACE_MS = 1000;
/** The reclaimer rests so long when there is nothing to do. */
const RECLAIM_IDLE_MS = 2000;

export class Maintenance {
  readonly #opened: Opened;
  readonly #stopping = new AbortController();
  #horizon: Seq;
  #data: SegmentStore | undefined;
  #reclaimer: Reclaimer | undefined;
  #running: Promise<void> = Promise.resolve();
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
  start(core: Core, data: SegmentStore, oldestPin: () => Seq | undefined): void {
    this.#data = data;
    const { ports, paths, index } = this.#opened;
    this.#reclaimer = new Reclaimer({
      items: {
        snapshot: () => index.snapshot(),
        volume: () => index.volume(),
        applyUnlogged: (mutations) => core.committer.applyUnlogged(mutations),
      },
      files: data,
      clock: ports.clock,
      diskSpace: () => ports.disk.space(paths.data),
      bounds: () => {
        const pin = oldestPin();
        return { durable: core.log.durable, pins: pin === undefined ? [] : [pin] };
      },
      horizon: this.#horizon,
      advance: (horizon) => this.#advance(horizon),
    });
    const failed = (error: Error) => core.journal('error', `reclaiming: ${error.message}`);
    this.#running = this.#reclaimer.run(this.#stopping.signal, RECLAIM_IDLE_MS, failed);
  }

  async #advance(horizon: Seq): Promise<void> {
    this.#horizon = horizon;
    const { ports, paths, index } = this.#opened;
    if (index.volume()?.historyMicros === 0) return;
    const { bootId } = ports;
    await writeState(ports.disk, paths.dir, { bootId, cleanSeq: undefined, horizon });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
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

  /** Segments of the log and the bytes that they take on the disk. */
  async logSize(): Promise<{ segments: number; bytes: number }> {
    const { disk } = this.#opened.ports;
    const { log } = this.#opened.paths;
    let bytes = 0;
    const names = (await disk.list(log)).filter((name) => name.endsWith('.avro'));
    for (const name of names) bytes += (await disk.info(`${log}/${name}`))?.allocatedBytes ?? 0;
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

  async checkpoint(): Promise<Seq> {
    const { ports, paths, index } = this.#opened;
    const { writeCheckpoint } = await import('../index/checkpoint.ts');
    return writeCheckpoint({ disk: ports.disk, dir: paths.checkpoints, index });
  }

  trim(before: Seq): Promise<Seq> {
    return this.#opened.log.store.trim(before);
  }

  scrub(onProgress: (progress: Progress) => void, checksums: Checksums): Promise<ScrubReport> {
    const { ports, index } = this.#opened;
    if (this.#data === undefined) throw new Error('the volume is not started');
    return scrub({
      items: index,
      checksums,
      files: this.#data,
      clock: ports.clock,
      signal: this.#stopping.signal,
      onProgress: ({ done, total }) => onProgress({ phase: 'scrub', done, total }),
    });
  }
}

const NO_USE = { sizeLimitBlocks: 0, usedBlocks: 0, heldBlocks: 0, inodes: 0 };

/**
 * The supply of log space: the active segment, the disk space ahead of its end, and the next
 * segment.
 *
 * The active segment always has the reserve and some working space allocated behind its end,
 * renewed in the background and never on the path of a commit. Ordinary records take what is beyond
 * the reserve, those that free space may take all of it. While new space is on its way the reserve
 * bridges; only a disk that said no keeps ordinary records out.
 *
 * A segment that has reached its size is followed by the next one only when that has its own space:
 * until then it grows on. So a full disk never stops what was promised.
 */

import type { Clock } from '../io/clock.ts';
import type { Disk, File } from '../io/disk.ts';
import type { SegmentHeader } from './container.ts';
import { createUnnamed, nameSegment, removeUnnamed, type ActiveSegment } from './active-segment.ts';

const MIB = 1024 * 1024;

/** Allocated ahead of the end beyond the reserve; renewed when half of it is used. */
export const WORKING_BYTES = 16 * MIB;
const RESERVE_BYTES = 64 * MIB;
/** The reserve takes no more than this part of a small disk. */
const LARGEST_RESERVE_SHARE = 1 / 8;
/** The next segment is prepared when the active one has this part of its size. */
const PREPARE_SHARE = 3 / 4;
/** Pause before space is asked for again where there was none. */
const RETRY_MS = 250;

/**
 * The reserve of a log on the disk of `dir`: 64 MiB, at most an eighth of the disk. It is allocated
 * for good, so it is no larger on a large disk: there the data layer leaves the last 1 % alone
 * (`data/space.ts`), and the log can still grow into that.
 */
export async function defaultReserve(disk: Disk, dir: string): Promise<number> {
  const { totalBytes } = await disk.space(dir);
  return Math.min(RESERVE_BYTES, Math.floor(totalBytes * LARGEST_RESERVE_SHARE));
}

export interface SupplyOptions {
  readonly disk: Disk;
  readonly dir: string;
  readonly clock: Clock;
  readonly segmentBytes: number;
  readonly reserveBytes: number;
}

/** The next segment while it has no name yet; its space is allocated. */
interface NextSegment {
  readonly file: File;
  readonly allocatedBytes: number;
}

/** A new segment in `dir`, on disk under its name. For a log that has no active one. */
export async function bearSegment(
  { disk, dir }: { readonly disk: Disk; readonly dir: string },
  header: SegmentHeader,
): Promise<ActiveSegment> {
  const file = await createUnnamed(disk, dir);
  return nameSegment(disk, dir, file, header, 0);
}

export class SegmentSupply {
  readonly #options: SupplyOptions;
  readonly #wantedBytes: number;
  #active: ActiveSegment;
  #next: NextSegment | undefined;
  /** The disk had no space when it was last asked. */
  #diskFull = false;
  #refusedMs = -Infinity;
  #renewal: Promise<void> | undefined;
  #preparation: Promise<void> | undefined;
  #retirement: Promise<void> | undefined;

  private constructor(options: SupplyOptions, active: ActiveSegment) {
    this.#options = options;
    this.#active = active;
    this.#wantedBytes = options.reserveBytes + WORKING_BYTES;
  }

  /** Takes `active` over and allocates space for it, as much as there is. */
  static async open(options: SupplyOptions, active: ActiveSegment): Promise<SegmentSupply> {
    const supply = new SegmentSupply(options, active);
    if (!(await active.allocateWhatFits(supply.#wantedBytes))) supply.#refused();
    return supply;
  }

  get active(): ActiveSegment {
    return this.#active;
  }

  /** See `LogStore.reserve`. */
  reserve(bytes: number, privileged: boolean): boolean {
    const { reserveBytes } = this.#options;
    const granted = this.#active.promise(bytes, privileged || !this.#diskFull ? 0 : reserveBytes);
    if (this.#active.freeBytes < reserveBytes + WORKING_BYTES / 2) this.#renew();
    return granted;
  }

  /** Whether the next commit should begin a new segment, and can. */
  get isDue(): boolean {
    const { endBytes, promisedBytes } = this.#active;
    if (endBytes < this.#options.segmentBytes || this.#next === undefined) return false;
    return this.#next.allocatedBytes >= promisedBytes + WORKING_BYTES / 2;
  }

  /** Makes the prepared segment the active one, with `header`. A failure breaks the log. */
  async advance(header: SegmentHeader): Promise<ActiveSegment> {
    const next = this.#next as NextSegment;
    this.#next = undefined;
    const { disk, dir } = this.#options;
    const born = await nameSegment(disk, dir, next.file, header, next.allocatedBytes);
    const old = this.#active;
    born.adopt(old.promisedBytes);
    this.#active = born;
    this.#retirement = this.#retire(old, this.#renewal);
    return born;
  }

  /** Begins, in the background, what the commits to come will need. */
  prepare(): void {
    const { segmentBytes } = this.#options;
    if (this.#active.endBytes < segmentBytes * PREPARE_SHARE) return;
    if (this.#next !== undefined || this.#preparation !== undefined || this.#isTooSoon) return;
    this.#preparation = this.#prepareNext().finally(() => (this.#preparation = undefined));
  }

  async close(): Promise<void> {
    await Promise.all([this.#renewal, this.#preparation, this.#retirement]);
    const next = this.#next;
    this.#next = undefined;
    if (next !== undefined) {
      await next.file.close();
      await removeUnnamed(this.#options.disk, this.#options.dir);
    }
    await this.#active.close();
  }

  get #isTooSoon(): boolean {
    return this.#options.clock.monotonicMs() - this.#refusedMs < RETRY_MS;
  }

  #refused(): void {
    this.#diskFull = true;
    this.#refusedMs = this.#options.clock.monotonicMs();
  }

  #renew(): void {
    if (this.#renewal !== undefined || (this.#diskFull && this.#isTooSoon)) return;
    this.#renewal = this.#active
      .allocate(this.#wantedBytes)
      .then(
        () => {
          this.#diskFull = false;
        },
        // Whatever the reason, there is no more space: writing on would fail, refusing does not.
        () => this.#refused(),
      )
      .finally(() => (this.#renewal = undefined));
  }

  /** Whatever goes wrong: the active segment grows on, and this is tried again. */
  async #prepareNext(): Promise<void> {
    const { disk, dir } = this.#options;
    let file: File | undefined;
    try {
      file = await createUnnamed(disk, dir);
      await file.reserve(0, this.#wantedBytes);
      this.#next = { file, allocatedBytes: this.#wantedBytes };
    } catch {
      this.#refusedMs = this.#options.clock.monotonicMs();
      await file?.close();
    }
  }

  /** Gives back the space behind the end of a segment that nothing is appended to any more. */
  async #retire(old: ActiveSegment, renewal: Promise<void> | undefined): Promise<void> {
    await renewal;
    // Should that fail, it keeps some space. Its commits are durable.
    await old.release().catch(() => undefined);
    await old.close();
  }
}

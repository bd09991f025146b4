/**
 * The directory of LevelDB in a simulation, and what a crash makes of it. It is a real one, on a
 * filesystem in memory where there is one. Its loss is played by hand: LevelDB does not use our
 * disk port, and the engine may not trust it after a power loss, whatever it looks like.
 */

import {
  closeSync,
  cpSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { Level } from 'level';
import { FAMILY } from '../../../src/index/keys.ts';
import type { SimRandom } from '../random.ts';

const PAGE_BYTES = 4096;

/** What is found in the place of the index. */
export type IndexLoss = 'intact' | 'missing' | 'older' | 'zeroed pages' | 'lost rows';

const scratch = (): string => (existsSync('/dev/shm') ? '/dev/shm' : tmpdir());

export class IndexDir {
  /** Different in each run: not to be shown in findings. */
  readonly base = mkdtempSync(`${scratch()}/ledgerfs-power-`);
  readonly path = `${this.base}/index`;
  readonly #copy = `${this.base}/copy`;
  /** Where the index stands that `setAside` took away. */
  readonly aside = `${this.base}/aside`;

  /** Keeps a copy of the index as it is now. */
  keepCopy(): void {
    if (!existsSync(this.path)) return;
    rmSync(this.#copy, { recursive: true, force: true });
    cpSync(this.path, this.#copy, { recursive: true });
  }

  /** Does to the index, which nobody has open, what a crash may have done. */
  async lose(loss: IndexLoss, random: SimRandom): Promise<void> {
    if (loss === 'missing') rmSync(this.path, { recursive: true, force: true });
    if (loss === 'older' && existsSync(this.#copy)) {
      rmSync(this.path, { recursive: true, force: true });
      cpSync(this.#copy, this.path, { recursive: true });
    }
    if (loss === 'zeroed pages' && existsSync(this.path)) this.#zeroPages(random);
    if (loss === 'lost rows' && existsSync(this.path)) await this.#loseRows(random);
  }

  /** Takes the index, which nobody has open, away from its place. */
  setAside(): void {
    renameSync(this.path, this.aside);
  }

  remove(): void {
    rmSync(this.base, { recursive: true, force: true });
  }

  /**
   * What a damaged block of LevelDB's own log was seen to do: rows are gone without a word, and the
   * newest applied seq is there.
   */
  async #loseRows(random: SimRandom): Promise<void> {
    const database = new Level(this.path);
    try {
      await database.open();
    } catch {
      return; // Lost as a whole by an earlier crash.
    }
    const keys = (await database.keys().all()).filter((key) => !key.startsWith(FAMILY.meta));
    await database.batch(
      keys.filter(() => random.chance(0.1)).map((key) => ({ type: 'del', key }) as const),
    );
    await database.close();
  }

  #zeroPages(random: SimRandom): void {
    for (const name of readdirSync(this.path).sort()) {
      const path = `${this.path}/${name}`;
      const pages = Math.ceil(statSync(path).size / PAGE_BYTES);
      if (pages === 0 || random.chance(0.5)) continue;
      const at = random.integer(pages) * PAGE_BYTES;
      const length = Math.min(PAGE_BYTES, statSync(path).size - at);
      const fd = openSync(path, 'r+');
      writeSync(fd, Buffer.alloc(length), 0, length, at);
      closeSync(fd);
    }
  }
}

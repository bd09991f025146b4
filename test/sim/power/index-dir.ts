/**
 * The directory of LevelDB in a simulation, and what a crash makes of it. It is a real one, on a
 * filesystem in memory where there is one. Its loss is played by hand: LevelDB does not use our disk
 * port, and the engine may not trust it after a power loss, whatever it looks like.
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
import type { SimRandom } from '../random.ts';

const PAGE_BYTES = 4096;

/** What is found in the place of the index. */
export type IndexLoss = 'intact' | 'missing' | 'older' | 'zeroed pages';

const scratch = (): string => (existsSync('/dev/shm') ? '/dev/shm' : tmpdir());

export class IndexDir {
  readonly #base = mkdtempSync(`${scratch()}/ledgerfs-power-`);
  readonly path = `${this.#base}/index`;
  readonly #copy = `${this.#base}/copy`;
  /** Where the index stands that `setAside` took away. */
  readonly aside = `${this.#base}/aside`;

  /** Keeps a copy of the index as it is now. */
  keepCopy(): void {
    if (!existsSync(this.path)) return;
    rmSync(this.#copy, { recursive: true, force: true });
    cpSync(this.path, this.#copy, { recursive: true });
  }

  /** Does to the index, which nobody has open, what a crash may have done. */
  lose(loss: IndexLoss, random: SimRandom): void {
    if (loss === 'missing') rmSync(this.path, { recursive: true, force: true });
    if (loss === 'older' && existsSync(this.#copy)) {
      rmSync(this.path, { recursive: true, force: true });
      cpSync(this.#copy, this.path, { recursive: true });
    }
    if (loss === 'zeroed pages' && existsSync(this.path)) this.#zeroPages(random);
  }

  /** Takes the index, which nobody has open, away from its place. */
  setAside(): void {
    renameSync(this.path, this.aside);
  }

  remove(): void {
    rmSync(this.#base, { recursive: true, force: true });
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

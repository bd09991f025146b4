/**
 * A simulated file: its live and its durable image, and the effects between them. Says what a sync,
 * a failed sync and a power loss do to those; knows no names, no calls and no faults.
 */

import { FileImage, effectsOfWrite, survivingPart } from './file-image.ts';
import type { Effect } from './file-image.ts';
import type { SimRandom } from './random.ts';

interface Pending {
  readonly order: number;
  readonly effect: Effect;
}

export class FileNode {
  readonly live: FileImage;
  readonly #durable: FileImage;
  #pending: Pending[] = [];
  #order = 0;
  /** The size that the file has once all pending effects are durable. */
  #promisedBytes: number;
  /** Descriptors open on it. */
  opens = 0;
  /** Pages of disk space that the disk has counted for it. */
  bookedPages = 0;
  /** Whether a name leads to it, as programs see it. */
  isNamed = true;

  constructor(image: FileImage = new FileImage()) {
    this.live = image;
    this.#durable = image.copy();
    this.#promisedBytes = image.sizeBytes;
  }

  /** Marks this moment: what was done before it is what a sync issued now makes durable. */
  mark(): number {
    return this.#order;
  }

  /**
   * Writes page by page, asking `admit` for each whether there is room for it. Returns the bytes
   * written, fewer than all where it said no.
   */
  write(bytes: Uint8Array, offset: number, admit: (page: number) => boolean): number {
    let written = 0;
    for (const effect of effectsOfWrite(this.live, bytes, offset)) {
      if (effect.kind === 'page' && !admit(effect.page)) break;
      if (effect.kind === 'size') written = effect.sizeBytes - offset;
      this.change(effect);
    }
    return written;
  }

  /** Takes an effect: visible at once, durable later. */
  change(effect: Effect): void {
    this.live.apply(effect);
    if (effect.kind === 'size') {
      if (effect.sizeBytes <= this.#promisedBytes) return;
      this.#promisedBytes = effect.sizeBytes;
    }
    if (effect.kind === 'truncate') this.#promisedBytes = effect.sizeBytes;
    this.#pending.push({ order: this.#order++, effect });
  }

  /** A sync that was issued at `mark` succeeded. */
  makeDurable(mark: number): void {
    this.#settle(mark, (effect) => effect);
  }

  /**
   * A sync that was issued at `mark` failed: some effects reached the disk, the others never will,
   * because their pages count as clean now. Programs go on seeing them.
   */
  loseSome(mark: number, random: SimRandom): void {
    this.#settle(mark, (effect) => survivingPart(effect, this.#durable, random, 0.5));
  }

  /** The file as it is found after a power loss in which `share` of the pending effects survived. */
  afterPowerLoss(random: SimRandom, share: number): FileImage {
    const image = this.#durable.copy();
    for (const { effect } of this.#pending) {
      const part = survivingPart(effect, image, random, share);
      if (part !== undefined) image.apply(part);
    }
    image.forgetBeyondEnd();
    return image;
  }

  /** Changes a byte at rest, behind everybody's back. */
  corrupt(offset: number, mask: number): void {
    for (const image of [this.live, this.#durable]) {
      const byte = new Uint8Array(1);
      if (image.read(byte, offset) === 0) continue;
      const changed = Uint8Array.of((byte[0] ?? 0) ^ mask);
      for (const effect of effectsOfWrite(image, changed, offset)) image.apply(effect);
    }
  }

  #settle(mark: number, part: (effect: Effect) => Effect | undefined): void {
    const settled = this.#pending.filter(({ order }) => order < mark);
    this.#pending = this.#pending.filter(({ order }) => order >= mark);
    for (const { effect } of settled) {
      const reached = part(effect);
      if (reached !== undefined) this.#durable.apply(reached);
    }
    this.#promisedBytes = this.#pending.reduce(
      (bytes, { effect }) => ('sizeBytes' in effect ? effect.sizeBytes : bytes),
      this.#durable.sizeBytes,
    );
  }
}

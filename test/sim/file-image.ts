/**
 * What a simulated file holds, as pages, and the effects that calls have on it. Pure.
 *
 * A file exists twice: `live`, as programs see it, and `durable`, as it surely is after a power
 * loss. Between them stand the pending effects, in order. A sync applies them to `durable`; a power
 * loss applies an arbitrary subset, in order. Every page effect carries the whole page as it was in
 * the page cache, so a later write of a page brings the earlier ones with it, as on a real disk.
 */

import type { SimRandom } from './random.ts';

export const PAGE_BYTES = 4096;
/** What a disk writes as a unit: a page may hold some sectors of one version, some of another. */
const SECTOR_BYTES = 512;

/** Immutable: a changed page is a new array. */
type Page = Uint8Array;

export type Effect =
  | { readonly kind: 'page'; readonly page: number; readonly bytes: Page }
  | { readonly kind: 'size'; readonly sizeBytes: number }
  | { readonly kind: 'truncate'; readonly sizeBytes: number }
  | { readonly kind: 'reserve'; readonly from: number; readonly to: number }
  | { readonly kind: 'punch'; readonly from: number; readonly to: number };

const ZERO_PAGE: Page = new Uint8Array(PAGE_BYTES);

const pagesHolding = (bytes: number): number => Math.ceil(bytes / PAGE_BYTES);

export class FileImage {
  sizeBytes = 0;
  /** Pages that hold bytes; others are holes, or reserved. */
  readonly pages = new Map<number, Page>();
  /** One byte a page: whether disk space is allocated. */
  #allocated = new Uint8Array(0);
  #allocatedPages = 0;

  get allocatedPages(): number {
    return this.#allocatedPages;
  }

  copy(): FileImage {
    const copy = new FileImage();
    copy.sizeBytes = this.sizeBytes;
    for (const [page, bytes] of this.pages) copy.pages.set(page, bytes);
    copy.#allocated = this.#allocated.slice();
    copy.#allocatedPages = this.#allocatedPages;
    return copy;
  }

  page(page: number): Page {
    return this.pages.get(page) ?? ZERO_PAGE;
  }

  /** Pages of [from, to), in pages, without space yet. */
  unallocatedIn(from: number, to: number): number {
    let missing = to - from;
    for (let page = from; page < Math.min(to, this.#allocated.length); page++) {
      missing -= this.#allocated[page] ?? 0;
    }
    return missing;
  }

  /** The file's bytes from `offset` on, into `into`; returns how many there are. */
  read(into: Uint8Array, offset: number): number {
    const count = Math.max(0, Math.min(into.length, this.sizeBytes - offset));
    for (let done = 0; done < count;) {
      const at = offset + done;
      const inPage = at % PAGE_BYTES;
      const part = Math.min(PAGE_BYTES - inPage, count - done);
      const bytes = this.page((at - inPage) / PAGE_BYTES).subarray(inPage, inPage + part);
      into.set(bytes, done);
      done += part;
    }
    return count;
  }

  apply(effect: Effect): void {
    switch (effect.kind) {
      case 'page':
        this.pages.set(effect.page, effect.bytes);
        this.#mark(effect.page, effect.page + 1, 1);
        break;
      case 'size':
        this.sizeBytes = Math.max(this.sizeBytes, effect.sizeBytes);
        break;
      case 'truncate':
        this.#truncate(effect.sizeBytes);
        break;
      case 'reserve':
        this.#mark(Math.floor(effect.from / PAGE_BYTES), pagesHolding(effect.to), 1);
        break;
      case 'punch':
        this.#punch(effect.from, effect.to);
        break;
    }
  }

  /** Cuts or extends; frees all space behind, also what was reserved (as ext4 does). */
  #truncate(sizeBytes: number): void {
    this.sizeBytes = sizeBytes;
    this.forgetBeyondEnd();
    const end = pagesHolding(sizeBytes);
    this.#mark(end, Math.max(end, this.#allocated.length), 0);
  }

  /** Bytes behind the end of file are never seen again, also when the file grows later. */
  forgetBeyondEnd(): void {
    const end = pagesHolding(this.sizeBytes);
    for (const page of this.pages.keys()) if (page >= end) this.pages.delete(page);
    const tail = this.sizeBytes % PAGE_BYTES;
    if (tail > 0) this.#zero(end - 1, tail, PAGE_BYTES);
  }

  /** Space beyond the end of file stays reserved (as ext4 does). */
  #punch(from: number, to: number): void {
    const end = Math.min(to, pagesHolding(this.sizeBytes) * PAGE_BYTES);
    if (from >= end) return;
    const firstWhole = pagesHolding(from);
    const lastWhole = Math.floor(end / PAGE_BYTES);
    if (firstWhole > lastWhole) {
      this.#zero(lastWhole, from % PAGE_BYTES, end % PAGE_BYTES);
      return;
    }
    if (from % PAGE_BYTES > 0) this.#zero(firstWhole - 1, from % PAGE_BYTES, PAGE_BYTES);
    if (end % PAGE_BYTES > 0) this.#zero(lastWhole, 0, end % PAGE_BYTES);
    for (let page = firstWhole; page < lastWhole; page++) this.pages.delete(page);
    this.#mark(firstWhole, lastWhole, 0);
  }

  #zero(page: number, from: number, to: number): void {
    const bytes = this.pages.get(page);
    if (bytes !== undefined && from < to) this.pages.set(page, bytes.slice().fill(0, from, to));
  }

  #mark(from: number, to: number, value: 0 | 1): void {
    if (from >= to) return;
    if (to > this.#allocated.length) {
      const grown = new Uint8Array(Math.max(to, this.#allocated.length * 2));
      grown.set(this.#allocated);
      this.#allocated = grown;
    }
    const before = to - from - this.unallocatedIn(from, to);
    this.#allocated.fill(value, from, to);
    this.#allocatedPages += value * (to - from) - before;
  }
}

/** The effects of writing `bytes` at `offset` to `live`, in the order that the page cache sees. */
export function* effectsOfWrite(
  live: FileImage,
  bytes: Uint8Array,
  offset: number,
): Generator<Effect> {
  for (let done = 0; done < bytes.length;) {
    const inPage = (offset + done) % PAGE_BYTES;
    const part = Math.min(PAGE_BYTES - inPage, bytes.length - done);
    const page = (offset + done - inPage) / PAGE_BYTES;
    const image = Uint8Array.from(live.page(page));
    image.set(bytes.subarray(done, done + part), inPage);
    done += part;
    yield { kind: 'page', page, bytes: image };
    yield { kind: 'size', sizeBytes: offset + done };
  }
}

/**
 * Whether and how far a pending effect reached the disk by the time the power went: undefined, the
 * effect, or a part of it. `share` of the effects survive.
 */
export function survivingPart(
  effect: Effect,
  base: FileImage,
  random: SimRandom,
  share: number,
): Effect | undefined {
  if (!random.chance(share)) return undefined;
  if (effect.kind === 'page' && random.chance(TORN_SHARE)) {
    return { ...effect, bytes: torn(base.page(effect.page), effect.bytes, random) };
  }
  if (effect.kind === 'punch' && random.chance(TORN_SHARE)) {
    const pages = Math.floor((effect.to - effect.from) / PAGE_BYTES);
    return { ...effect, to: effect.from + random.integer(pages + 1) * PAGE_BYTES };
  }
  return effect;
}

const TORN_SHARE = 0.1;

/** Some sectors of `before`, some of `after`. */
function torn(before: Page, after: Page, random: SimRandom): Page {
  const bytes = Uint8Array.from(before);
  for (let at = 0; at < PAGE_BYTES; at += SECTOR_BYTES) {
    if (random.chance(0.5)) bytes.set(after.subarray(at, at + SECTOR_BYTES), at);
  }
  return bytes;
}

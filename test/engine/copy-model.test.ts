/**
 * Files that are written, copied into one another, cut, removed and made without a name, in a
 * random order, against byte arrays. The model also knows which blocks are data and which are
 * holes, so what SEEK_DATA and SEEK_HOLE answer is compared exactly. Between the operations the
 * volume is closed or killed, with its index or without; in the end the index equals one
 * replayed from the log. A failure names its seed; `SEEDS=n,m` runs those again, `RUNS=n` so
 * many new ones.
 */

import { randomInt } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRefusal, type Refusal } from '../../src/model/errno.ts';
import { BLOCK_BYTES, byteStringOf, ROOT_INO } from '../../src/model/ids.ts';
import { bytesOfSize, sizeOf } from '../../src/model/size.ts';
import type { OpenFile } from '../../src/engine/api.ts';
import { SimRandom } from '../sim/random.ts';
import { CALLER, refusalName, SimVolume } from './sim-volume.ts';

const test = suite('copies against a model');

const STEPS = 160;
const RUNS = Number(process.env['RUNS'] ?? 6);
const chosen = process.env['SEEDS'];
const seeds =
  chosen === undefined
    ? Array.from({ length: RUNS }, () => randomInt(2 ** 32))
    : chosen.split(',').map(Number);

const NAMES = ['a', 'b', 'c', 'd', 'e'];
const MAX_BLOCKS = 40;

class ModelFile {
  bytes = Buffer.alloc(0);
  /** Blocks that are data; all others are holes. */
  readonly data = new Set<number>();

  write(at: number, bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#grow(at + bytes.length);
    bytes.copy(this.bytes, at);
    const last = Math.floor((at + bytes.length - 1) / BLOCK_BYTES);
    for (let i = Math.floor(at / BLOCK_BYTES); i <= last; i++) this.data.add(i);
  }

  truncate(size: number): void {
    this.#grow(size);
    this.bytes = this.bytes.subarray(0, size);
    for (const block of this.data) if (block * BLOCK_BYTES >= size) this.data.delete(block);
  }

  #grow(size: number): void {
    if (size <= this.bytes.length) return;
    this.bytes = Buffer.concat([this.bytes, Buffer.alloc(size - this.bytes.length)]);
  }

  /** The documented rule: whole blocks that stand alike are shared, holes and all. */
  copyFrom(source: ModelFile, at: number, toAt: number, asked: number): number {
    const length = Math.max(0, Math.min(asked, source.bytes.length - at));
    const bytes = Buffer.from(source.bytes.subarray(at, at + length));
    const isAlike = at % BLOCK_BYTES === toAt % BLOCK_BYTES;
    // A file that is copied within itself grows, and does not end where it did.
    const isBothEnds =
      source !== this && at + length === source.bytes.length && toAt + length >= this.bytes.length;
    for (let done = 0; done < length;) {
      const inBlock = (toAt + done) % BLOCK_BYTES;
      const count = Math.min(BLOCK_BYTES - inBlock, length - done);
      const isWhole = count === BLOCK_BYTES || (inBlock === 0 && isBothEnds);
      const from = Math.floor((at + done) / BLOCK_BYTES);
      this.write(toAt + done, bytes.subarray(done, done + count));
      if (isAlike && isWhole && !source.data.has(from)) {
        this.data.delete((toAt + done) / BLOCK_BYTES);
      }
      done += count;
    }
    return length;
  }
}

class Subject {
  readonly #it: SimVolume;
  readonly #random: SimRandom;
  readonly #files = new Map<string, ModelFile>();
  #nameless: { readonly file: OpenFile; readonly model: ModelFile } | undefined;

  constructor(it: SimVolume, random: SimRandom) {
    this.#it = it;
    this.#random = random;
  }

  step(): Promise<void> {
    return this.#random.weighted<() => Promise<void>>([
      [26, () => this.#write()],
      [30, () => this.#copy()],
      [8, () => this.#truncate()],
      [5, () => this.#remove()],
      [6, () => this.#nameSomething()],
      [8, () => this.#seekSomewhere()],
      [3, () => this.#it.volume.sync().then(() => undefined)],
      [2, () => this.#reopen()],
    ])();
  }

  get #fs() {
    return this.#it.volume.filesystem;
  }

  async #done<T>(answer: T | Refusal | Promise<T | Refusal>): Promise<T> {
    const value = await answer;
    if (isRefusal(value)) throw new Error(`refused: ${value.name}`);
    return value;
  }

  /** Opens one of the files, which is created where it does not exist; mostly closed again. */
  async #with(
    name: string,
    body: (file: OpenFile, model: ModelFile) => Promise<void>,
  ): Promise<void> {
    if (this.#nameless !== undefined && this.#random.chance(0.15)) {
      return body(this.#nameless.file, this.#nameless.model);
    }
    let model = this.#files.get(name);
    let file: OpenFile;
    if (model === undefined) {
      this.#files.set(name, (model = new ModelFile()));
      const made = await this.#it.create(name);
      if (typeof made === 'string') throw new Error(made);
      file = made.file;
    } else {
      const { ino } = await this.#done(this.#fs.lookup(ROOT_INO, byteStringOf(name)));
      file = await this.#done(this.#fs.open(ino, 2, CALLER));
    }
    await body(file, model);
    if (this.#random.chance(0.4)) await this.#done(this.#fs.flush(file));
    this.#fs.close(file);
  }

  #offset(): number {
    const random = this.#random;
    const block = random.integer(MAX_BLOCKS) * BLOCK_BYTES;
    return random.weighted([
      [5, block],
      [2, block + 100],
      [2, block + random.integer(BLOCK_BYTES)],
    ]);
  }

  #length(): number {
    const random = this.#random;
    const blocks = (1 + random.integer(12)) * BLOCK_BYTES;
    return random.weighted([
      [4, blocks],
      [2, random.integer(blocks)],
      [1, 1 + random.integer(200)],
    ]);
  }

  #write(): Promise<void> {
    return this.#with(this.#random.pick(NAMES), async (file, model) => {
      const bytes = this.#random.bytes(this.#length());
      const at = this.#offset();
      assert.is(await this.#it.write(file, bytes, at), undefined);
      model.write(at, bytes);
    });
  }

  async #copy(): Promise<void> {
    const [from, to] = [this.#random.pick(NAMES), this.#random.pick(NAMES)];
    const at = this.#offset();
    const isAlike = this.#random.chance(0.6);
    const toAt = isAlike
      ? this.#random.integer(MAX_BLOCKS) * BLOCK_BYTES + (at % BLOCK_BYTES)
      : this.#offset();
    const length = this.#random.chance(0.3) ? 2 ** 35 : this.#length();
    await this.#with(from, (source, model) =>
      this.#with(to, async (target, targetModel) => {
        const what = `copy ${from} ${at} to ${to} ${toAt}, ${length}`;
        const within = Math.max(0, Math.min(length, model.bytes.length - at));
        if (model === targetModel && at < toAt + within && toAt < at + within) {
          const refused = this.#fs.copyRange(
            source,
            sizeOf(at),
            target,
            sizeOf(toAt),
            length,
            CALLER,
          );
          assert.is(refusalName(await refused), 'EINVAL', what);
          return;
        }
        const copied = await this.#copyAll(source, at, target, toAt, within);
        assert.is(copied, targetModel.copyFrom(model, at, toAt, length), what);
        await this.#assertShown(target, targetModel, what);
      }),
    );
  }

  async #copyAll(
    source: OpenFile,
    at: number,
    target: OpenFile,
    toAt: number,
    length: number,
  ): Promise<number> {
    let done = 0;
    while (done < length) {
      const [from, to] = [sizeOf(at + done), sizeOf(toAt + done)];
      const rest = length - done;
      const some = await this.#done(this.#fs.copyRange(source, from, target, to, rest, CALLER));
      assert.ok(some > 0, 'nothing is copied before the end of the source');
      done += some;
    }
    return done;
  }

  async #truncate(): Promise<void> {
    const name = this.#random.pick(NAMES);
    await this.#with(name, async (file, model) => {
      const size = this.#random.chance(0.2) ? 0 : this.#offset();
      await this.#done(this.#fs.setattr(file.ino, { size: sizeOf(size) }, CALLER));
      model.truncate(size);
    });
  }

  async #remove(): Promise<void> {
    const name = this.#random.pick(NAMES);
    const removed = await this.#it.remove(name);
    assert.is(removed, this.#files.delete(name) ? undefined : 'ENOENT');
  }

  /** Makes a file without a name, or gives the one that is there a name or up. */
  async #nameSomething(): Promise<void> {
    if (this.#nameless === undefined) {
      const made = await this.#done(this.#fs.createTemporary(ROOT_INO, 0o600, 2, CALLER));
      this.#nameless = { file: made.file, model: new ModelFile() };
      return;
    }
    const { file, model } = this.#nameless;
    if (this.#random.chance(0.6)) {
      const name = this.#random.pick(NAMES);
      const linked = await this.#fs.link(file.ino, ROOT_INO, byteStringOf(name), CALLER);
      if (this.#files.has(name)) assert.is(refusalName(linked), 'EEXIST');
      else {
        assert.is(refusalName(linked), undefined);
        this.#files.set(name, model);
      }
    }
    this.#nameless = undefined;
    this.#fs.close(file);
  }

  async #seekSomewhere(): Promise<void> {
    await this.#with(this.#random.pick(NAMES), (file, model) =>
      this.#assertSeeks(file, model, this.#offset(), 'seek'),
    );
  }

  async #reopen(): Promise<void> {
    if (this.#nameless !== undefined) this.#fs.close(this.#nameless.file);
    this.#nameless = undefined;
    if (this.#random.chance(0.5)) {
      await this.#it.volume.sync();
      await this.#it.kill();
    } else {
      await this.#it.volume.close();
    }
    if (this.#random.chance(0.4)) await rm(this.#it.indexDir, { recursive: true });
    await this.#it.open();
  }

  async #assertSeeks(file: OpenFile, model: ModelFile, at: number, what: string): Promise<void> {
    const end = model.bytes.length;
    for (const wanted of ['data', 'hole'] as const) {
      const answer = await this.#fs.seek(file, sizeOf(at), wanted);
      let expected: number | string = at >= end ? 'ENXIO' : at;
      for (let i = at; i < end; i = (Math.floor(i / BLOCK_BYTES) + 1) * BLOCK_BYTES) {
        expected = i;
        if (model.data.has(Math.floor(i / BLOCK_BYTES)) === (wanted === 'data')) break;
        expected = wanted === 'data' ? 'ENXIO' : end;
      }
      const found = isRefusal(answer) ? answer.name : bytesOfSize(answer);
      assert.is(found, expected, `${what}: ${wanted} from ${at} of ${end}`);
    }
  }

  async #assertShown(file: OpenFile, model: ModelFile, what: string): Promise<void> {
    const inode = await this.#done(this.#fs.getattr(file.ino));
    assert.is(bytesOfSize(inode.size), model.bytes.length, what);
    const read = await this.#done(this.#fs.read(file, sizeOf(0), 1 << 20));
    assert.ok(model.bytes.equals(Buffer.concat([...read])), `${what}: the contents`);
    for (let at = 0; at < model.bytes.length; at += BLOCK_BYTES) {
      await this.#assertSeeks(file, model, at, what);
    }
  }

  async assertAll(): Promise<void> {
    for (const [name, model] of this.#files) {
      const { ino } = await this.#done(this.#fs.lookup(ROOT_INO, byteStringOf(name)));
      const file = await this.#done(this.#fs.open(ino, 0, CALLER));
      await this.#assertShown(file, model, name);
      this.#fs.close(file);
    }
  }

  close(): void {
    if (this.#nameless !== undefined) this.#fs.close(this.#nameless.file);
  }
}

/** Half of the volumes ship and wait so early that every file is a stream. */
function limitsOf(random: SimRandom): { shipBlocks?: number; settleBytes?: number } {
  if (random.chance(0.5)) return {};
  return { shipBlocks: random.between(1, 6), settleBytes: random.integer(12) * BLOCK_BYTES };
}

async function run(seed: number): Promise<void> {
  const random = new SimRandom(seed);
  const historyMicros = random.pick([0, 7 * 86_400e6]);
  const writeLimits = limitsOf(random.fork('limits'));
  const it = await SimVolume.create({ historyMicros, writeLimits });
  try {
    const subject = new Subject(it, random.fork('steps'));
    for (let i = 0; i < STEPS; i++) await subject.step();
    await subject.assertAll();
    const report = await it.volume.check(() => undefined);
    assert.ok(report.clean, report.lines.join('\n'));
    subject.close();
    await it.volume.close();
    await it.open({ quiet: true });
    const digest = await it.volume.digest();
    await it.volume.close();
    await rm(it.indexDir, { recursive: true });
    await it.open({ quiet: true });
    assert.is(await it.volume.digest(), digest, 'a replayed index is the same');
    await subject.assertAll();
  } finally {
    await it.dispose();
  }
}

for (const seed of seeds) {
  test(`seed ${seed}: copies, holes and nameless files are as a model has them`, () => run(seed));
}

test.run();

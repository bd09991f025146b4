/**
 * What is told to a kernel and what is not, and that mounts that wait for each other's kernels never
 * wait in a circle.
 */

import { assert as check, asyncProperty, integer } from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Change } from '../../src/engine/api.ts';
import { KernelCopies, RequestOrigin } from '../../src/fuse/copies.ts';
import { Lookups } from '../../src/fuse/lookups.ts';
import { QueuedNotifier } from '../../src/fuse/notifier.ts';
import { PageCache } from '../../src/fuse/page-cache.ts';
import type { FuseTransport, Receiver } from '../../src/fuse/transport.ts';
import { asByteString, ino, type Ino } from '../../src/model/ids.ts';
import { seeded } from '../index/generate.ts';
import { RecordingTransport } from './messages.ts';

const test = suite('fuse copies');
const DIR = ino(1);
const F = ino(2000);
const NAME = asByteString('n');

const attributes = (of: Ino): Change => ({ type: 'attributes', ino: of });
const contents = (of: Ino): Change => ({ type: 'contents', ino: of });
const entry = (of: Ino): Change => ({ type: 'entry', dir: DIR, name: NAME, ino: of });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function make(transport: FuseTransport = new RecordingTransport()) {
  const lookups = new Lookups();
  lookups.add(F);
  const notifier = new QueuedNotifier(transport, lookups, new PageCache(), () => undefined);
  const copies = new KernelCopies(lookups, notifier);
  copies.setAlone(false);
  return { copies, notifier, lookups };
}

/** What a notification says: `entry` or `attributes` or `contents`, and of which inode. */
function said(message: Buffer): string {
  const of = Number(message.readBigUInt64LE(16));
  if (message.readUInt32LE(4) === 3) return `entry ${of}`;
  return `${message.readBigInt64LE(24) < 0n ? 'attributes' : 'contents'} ${of}`;
}

function recorded() {
  const transport = new RecordingTransport();
  const made = make(transport);
  const take = (): string[] => transport.notifications.splice(0).map(said);
  return { ...made, transport, take };
}

test('only what the kernel knows, and until it looks again only once', async () => {
  const { copies, take } = recorded();
  assert.is(copies.changed([attributes(ino(5000)), entry(ino(5000))]), undefined);
  assert.equal(take(), []);
  await copies.changed([attributes(F)]);
  assert.is(copies.changed([attributes(F)]), undefined);
  assert.equal(take(), [`attributes ${F}`]);
  copies.gaveAttributes(F);
  await copies.changed([attributes(F)]);
  assert.equal(take(), [`attributes ${F}`]);
});

test('pages are dropped again only after the kernel asked for some', async () => {
  const { copies, take } = recorded();
  await copies.changed([contents(F)]);
  assert.is(copies.changed([contents(F), attributes(F)]), undefined);
  copies.gaveAttributes(F);
  await copies.changed([contents(F)]);
  assert.equal(take(), [`contents ${F}`, `attributes ${F}`], 'it has no pages');
  copies.gavePages(F);
  await copies.changed([contents(F)]);
  assert.equal(take(), [`contents ${F}`]);
  copies.forgot(F);
  await copies.changed([contents(F)]);
  assert.equal(take(), [`contents ${F}`]);
});

test('who changes it again waits for the notification that is under way', async () => {
  const { copies, transport } = recorded();
  let release: () => void = () => undefined;
  transport.notifying = new Promise((resolve) => (release = resolve));
  const first = copies.changed([contents(F)]);
  const second = copies.changed([attributes(F)]);
  assert.ok(first !== undefined && second !== undefined);
  let isDone = false;
  const both = Promise.all([first, second]).then(() => (isDone = true));
  await turn();
  assert.not(isDone);
  release();
  await both;
});

test('an answer is held for others, unless its own kernel may be waiting for it', async () => {
  const [a, b] = [recorded(), recorded()];
  let release: () => void = () => undefined;
  a.transport.notifying = new Promise((resolve) => (release = resolve));
  const told = Promise.resolve();
  const through = (of: Ino, change: Change): RequestOrigin => {
    const origin = new RequestOrigin(a.copies, of);
    origin.telling([change], told);
    return origin;
  };
  assert.is(new RequestOrigin(a.copies, DIR).takeHold(), undefined, 'nothing was told');
  const free = through(DIR, entry(F));
  assert.ok(free.takeHold() !== undefined);
  assert.is(free.takeHold(), undefined, 'held once');
  void a.copies.changed([attributes(F)]);
  assert.ok(through(F, attributes(F)).takeHold() !== undefined, 'takes no lock');
  void a.copies.changed([entry(F)]);
  assert.is(through(DIR, attributes(F)).takeHold(), undefined);
  assert.is(through(F, entry(F)).takeHold(), undefined, 'the directory of a name counts');
  assert.ok(through(ino(3000), attributes(F)).takeHold() !== undefined);
  release();
  for (let i = 0; i < 5; i++) await turn();
  assert.ok(through(DIR, attributes(F)).takeHold() !== undefined);
  await b.copies.changed([entry(F)]);
});

/**
 * A kernel of which only the locks are modelled: a request holds those of its inodes until it is
 * answered; notifications are carried out one after the other, each waiting for its lock.
 */
class LockingKernel implements FuseTransport {
  readonly #held = new Set<Ino>();
  #last = Promise.resolve();
  #waiting: { readonly inos: readonly Ino[]; readonly go: () => void }[] = [];

  async lock(inos: readonly Ino[]): Promise<void> {
    if (inos.some((one) => this.#held.has(one))) {
      await new Promise<void>((go) => this.#waiting.push({ inos, go }));
    } else for (const one of inos) this.#held.add(one);
  }

  unlock(inos: readonly Ino[]): void {
    for (const one of inos) this.#held.delete(one);
    this.#waiting = this.#waiting.filter(({ inos: wanted, go }) => {
      if (wanted.some((one) => this.#held.has(one))) return true;
      for (const one of wanted) this.#held.add(one);
      go();
      return false;
    });
  }

  expectNotifications(): void {}

  notify(message: Buffer): Promise<void> {
    this.#last = this.#last.then(async () => {
      await turn();
      if (said(message).startsWith('attributes')) return;
      const of = [ino(Number(message.readBigUInt64LE(16)))];
      await this.lock(of);
      this.unlock(of);
    });
    return this.#last;
  }

  start(_receiver: Receiver): void {}
  take = () => () => undefined;
  send = () => true;
  sendParts = () => true;
  async close(): Promise<void> {}
}

const INOS = [DIR, F, ino(2001), ino(2002)];

/** Requests through several mounts at once, each to end; how many of them were held back. */
async function storm(seed: number, mounts: number, requests: number): Promise<number> {
  const random = seeded(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const all = Array.from({ length: mounts }, () => {
    const kernel = new LockingKernel();
    const made = make(kernel);
    for (const of of INOS) made.lookups.add(of);
    return { kernel, ...made };
  });
  let held = 0;
  const one = async (): Promise<void> => {
    for (let i = below(6); i > 0; i--) await turn();
    const at = all[below(mounts)]!;
    const inos = INOS.filter(() => below(3) === 0);
    const locks = inos.length === 0 ? [DIR] : inos;
    await at.kernel.lock(locks);
    for (let i = below(4); i > 0; i--) await turn();
    const origin = new RequestOrigin(at.copies, locks[0]!);
    const changes: Change[] = locks.map((of): Change => {
      const kind = below(3);
      if (kind === 0) return attributes(of);
      return kind === 1 ? contents(of) : { type: 'entry', dir: of, name: NAME, ino: of };
    });
    for (const other of all) {
      if (other !== at) origin.telling(changes, other.copies.changed(changes));
    }
    const hold = origin.takeHold();
    if (hold !== undefined) held++;
    await hold;
    for (const of of locks) {
      if (below(2) === 0) at.copies.gaveAttributes(of);
      if (below(2) === 0) at.copies.gavePages(of);
    }
    at.kernel.unlock(locks);
  };
  let left = requests;
  const ended = Promise.all(Array.from({ length: requests }, () => one().then(() => left--))).then(
    () => true,
  );
  const late = async (): Promise<boolean> => {
    for (let i = 0; i < 20_000 && left > 0; i++) await turn();
    return false;
  };
  assert.ok(await Promise.race([ended, late()]), `seed ${seed}: ${left} requests wait for ever`);
  return held;
}

test('mounts that wait for each other’s kernels never wait in a circle', async () => {
  let held = 0;
  const seeds = integer({ min: 0, max: 2 ** 32 - 1 });
  const property = asyncProperty(seeds, integer({ min: 2, max: 4 }), async (seed, mounts) => {
    held += await storm(seed, mounts, 40);
  });
  await check(property, { numRuns: 60 });
  assert.ok(held > 0, 'nothing was ever held back');
});

test.run();

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { segmentFolder, segmentPath } from '../../src/data/segments.ts';
import { DamagedBlock, MissingSegment } from '../../src/data/types.ts';
import { BLOCK_BYTES, rid, segmentNumber } from '../../src/model/ids.ts';
import { settle, SimClock } from '../sim/clock.ts';
import { forgetting, type DiskCall } from '../sim/faults.ts';
import { SimRandom } from '../sim/random.ts';
import {
  allocate,
  blocks,
  checksumsOf,
  DATA,
  noChecksums,
  only,
  openStore,
  put,
  readBack,
  simDisk,
} from './store-kit.ts';

const test = suite('segment store');
const MIB = 1024 ** 2;
const isSegment = (call: DiskCall): boolean => call.path.endsWith('.seg');

/** Whether a synced place is lost in a power loss, with some syncs forgotten. */
async function loses(seed: number, forgotten: (call: DiskCall) => boolean): Promise<boolean> {
  const disk = await simDisk(seed, { faults: forgetting(forgotten) });
  const store = await openStore(disk);
  const synced = only(put(store, blocks(300, 1000)));
  await store.sync();
  put(store, blocks(300, 5000));
  const found = disk.crash(new SimRandom(seed), { faults: () => undefined });
  const after = await openStore(found, {
    rid: rid(2),
    nextSegment: segmentNumber(100),
    segmentRid: () => rid(1),
  }).catch(() => undefined);
  const bytes = await (after && readBack(after, synced).catch(() => undefined));
  return bytes?.equals(blocks(300, 1000)) !== true;
}

test('what was synced survives a power loss, whatever the disk does with the rest', async () => {
  for (let seed = 1; seed <= 25; seed++) {
    assert.not.ok(await loses(seed, () => false), `seed ${seed}`);
  }
});

test('each of the syncs is needed for that', async () => {
  const folder = segmentFolder(DATA, rid(1));
  const needed: [string, (call: DiskCall) => boolean][] = [
    ['segment data', (call) => call.kind === 'datasync' && isSegment(call)],
    ['segment name', (call) => call.kind === 'syncDir' && call.path === folder],
    ['folder name', (call) => call.kind === 'syncDir' && call.path === DATA],
  ];
  for (const [what, forgotten] of needed) {
    let lost = false;
    for (let seed = 1; seed <= 25 && !lost; seed++) lost = await loses(seed, forgotten);
    assert.ok(lost, `${what} not synced, and nothing was lost`);
  }
});

test('sync writes, then syncs; the name of a segment is durable before its use', async () => {
  const calls: DiskCall[] = [];
  const disk = await simDisk(1, {
    faults: (call) => {
      calls.push(call);
      return undefined;
    },
  });
  const store = await openStore(disk);
  const folder = segmentFolder(DATA, rid(1));
  const made = calls.filter((c) => c.kind === 'open' || (c.kind === 'syncDir' && c.path !== '/'));
  const segment = segmentPath(DATA, rid(1), segmentNumber(1));
  assert.equal(
    made.slice(0, 3).map((c) => [c.kind, c.path]),
    [
      ['syncDir', DATA],
      ['open', segment],
      ['syncDir', folder],
    ],
  );
  calls.length = 0;
  put(store, blocks(3, 0));
  assert.is(calls.length, 0, 'writing is memory');
  await store.sync();
  const kinds = calls.filter(isSegment).map((call) => call.kind);
  assert.equal(kinds, ['write', 'datasync']);
});

test("one-block writes leave in large ones, from the callers' own memory", async () => {
  const disk = await simDisk(1);
  const store = await openStore(disk);
  let done = 0;
  for (let i = 0; i < 2000; i++) {
    store.write(only(allocate(store, 1).places), blocks(1, i), () => done++);
  }
  const before = disk.calls;
  await store.sync();
  assert.is(done, 2000);
  assert.is(store.queuedBytes, 0);
  assert.ok(disk.calls - before <= 20, `${disk.calls - before} calls`);
});

test('few writes wait for others, but not for long', async () => {
  const clock = new SimClock();
  const store = await openStore(await simDisk(1), { clock });
  let done = 0;
  store.write(only(allocate(store, 1).places), blocks(1, 1), () => done++);
  await settle();
  assert.is(done, 0);
  assert.is(store.queuedBytes, BLOCK_BYTES);
  clock.advance(10);
  await settle();
  assert.is(done, 1);
});

test('reads see queued, written and half queued places', async () => {
  const store = await openStore(await simDisk(3));
  const place = only(allocate(store, 12).places);
  const part = (from: number, count: number): typeof place => ({
    ...place,
    segmentBlock: place.segmentBlock + from,
    count,
  });
  store.write(part(0, 4), blocks(4, 0));
  assert.ok(store.readNow(part(1, 2), Buffer.alloc(2 * BLOCK_BYTES), noChecksums));
  await store.sync();
  store.write(part(8, 4), blocks(4, 8));
  const bytes = await readBack(store, place);
  assert.ok(bytes.subarray(0, 4 * BLOCK_BYTES).equals(blocks(4, 0)), 'from the disk');
  assert.ok(
    bytes.subarray(4 * BLOCK_BYTES, 8 * BLOCK_BYTES).every((b) => b === 0),
    'never written',
  );
  assert.ok(bytes.subarray(8 * BLOCK_BYTES).equals(blocks(4, 8)), 'from the queue');
});

test('reads give what was written last, under random interleavings', async () => {
  for (let seed = 1; seed <= 5; seed++) {
    const clock = new SimClock();
    const random = new SimRandom(seed);
    const disk = await simDisk(seed, { coldShare: 0.3 });
    const store = await openStore(disk, { clock });
    const written: { place: ReturnType<typeof put>[number]; bytes: Buffer }[] = [];
    for (let i = 0; i < 150; i++) {
      const act = random.integer(6);
      if (act <= 2) {
        const bytes = blocks(1 + random.integer(random.integer(4) === 0 ? 400 : 4), i * 1000);
        const { places } = allocate(store, bytes.length / BLOCK_BYTES, random.integer(3));
        let at = 0;
        for (const place of places) {
          const piece = bytes.subarray(at, at + place.count * BLOCK_BYTES);
          at += piece.length;
          store.write(place, piece, () => written.push({ place, bytes: Buffer.from(piece) }));
          assert.ok((await readBack(store, place)).equals(piece), `seed ${seed}: just written`);
        }
      } else if (act === 3) void store.sync();
      else if (act === 4) clock.advance(10);
      const some = written[random.integer(written.length + 1)];
      if (some !== undefined) {
        assert.ok((await readBack(store, some.place)).equals(some.bytes), `seed ${seed}: earlier`);
      }
    }
    await store.sync();
    for (const { place, bytes } of written) {
      assert.ok((await readBack(store, place)).equals(bytes), `seed ${seed}: in the end`);
    }
    await store.close();
  }
});

test('a flipped bit is found, and its place named', async () => {
  const disk = await simDisk(1);
  const store = await openStore(disk);
  const bytes = blocks(16, 7);
  const place = only(put(store, bytes));
  await store.sync();
  const checksums = checksumsOf(place, bytes);
  const into = Buffer.alloc(bytes.length);
  await store.read(place, into, checksums);
  const bad = place.segmentBlock + 11;
  disk.corrupt(segmentPath(DATA, rid(1), place.segment), bad * BLOCK_BYTES + 17, 4);
  const named = (error: unknown): boolean =>
    error instanceof DamagedBlock && error.segment === place.segment && error.segmentBlock === bad;
  assert.throws(() => store.readNow(place, into, checksums), named);
  const error = await store.read(place, into, checksums).catch((e: unknown) => e);
  assert.ok(named(error));
  const good = { ...place, count: 11 };
  assert.ok(store.readNow(good, into.subarray(0, 11 * BLOCK_BYTES), checksums));
});

test('a segment whose file is gone is named', async () => {
  const store = await openStore(await simDisk(1), { segmentRid: () => rid(77) });
  const place = { segment: segmentNumber(5), segmentBlock: 0, count: 1 };
  const error = await store
    .read(place, Buffer.alloc(BLOCK_BYTES), noChecksums)
    .catch((e: unknown) => e);
  assert.instance(error, MissingSegment);
  assert.is((error as MissingSegment).segment, 5);
});

for (const kind of ['write', 'datasync'] as const) {
  test(`a failed ${kind} breaks writing for ever, and reading goes on`, async () => {
    const disk = await simDisk(1);
    const store = await openStore(disk);
    const early = only(put(store, blocks(2, 3)));
    await store.sync();
    disk.faults = (call) =>
      call.kind === kind && isSegment(call) ? { kind: 'error', code: 'EIO' } : undefined;
    let done = 0;
    store.write(only(allocate(store, 1).places), blocks(1, 1), () => done++);
    const error = await store.sync().catch((e: unknown) => e as Error);
    assert.is((error as NodeJS.ErrnoException).code, 'EIO');
    assert.is(store.failure, error);
    assert.is(done, 1, 'the buffer comes back');
    disk.faults = () => undefined;
    assert.is(await store.sync().catch((e: unknown) => e), error, 'not even after the disk healed');
    assert.is(store.reserve(1), 'EIO');
    assert.is(store.allocate(1, 0), 'EIO');
    assert.is(store.ready(1), undefined);
    assert.ok((await readBack(store, early)).equals(blocks(2, 3)));
    store.write(early, blocks(2, 9), () => done++);
    assert.is(done, 2, 'later buffers come back at once');
    assert.is(await store.close().catch((e: unknown) => e), error);
  });
}

test('writing that fails in the background is not lost', async () => {
  const clock = new SimClock();
  const disk = await simDisk(1);
  const store = await openStore(disk, { clock });
  disk.faults = (call) => (call.kind === 'write' ? { kind: 'error', code: 'EIO' } : undefined);
  put(store, blocks(1, 1));
  clock.advance(10);
  await settle();
  assert.is((store.failure as NodeJS.ErrnoException).code, 'EIO');
});

test('a full disk refuses, touches no reserve, and goes on once there is space', async () => {
  const disk = await simDisk(1, { totalBytes: 200 * MIB });
  const store = await openStore(disk);
  let taken = 0;
  for (;;) {
    const ready = store.ready(256);
    if (ready !== undefined && !(await ready)) break;
    if (store.reserve(256) === undefined) taken++;
    assert.ok(taken <= 136, 'the disk has 136 MiB beside its reserve');
  }
  assert.ok(taken >= 120, `${taken} MiB were granted`);
  assert.is(store.reserve(4096), 'ENOSPC');
  assert.ok((await disk.space(DATA)).availableBytes >= 64 * MIB);
  let small = 0;
  while (store.reserve(1) === undefined) small++;
  assert.is(store.reserve(256, true), undefined, 'what frees space is granted some blocks');
  assert.is(store.reserve(1, true), 'ENOSPC', 'not any number');
  assert.is(await store.ready(1, true), false);
  store.unreserve(256 + small);
  for (let i = 0; i < taken; i++) {
    const a = store.allocate(256, 0);
    if (a === 'EIO') throw store.failure as Error;
    for (const place of a.places) store.write(place, blocks(place.count, i));
    if (i % 16 === 0) await store.sync();
  }
  await store.sync();
  assert.is(store.failure, undefined, 'what was granted could be written');
  disk.totalBytes += 64 * MIB;
  assert.is(await store.ready(4096), true);
  assert.is(store.reserve(4096), undefined);
});

test('on a full disk history gives space up for those who wait', async () => {
  const disk = await simDisk(1, { totalBytes: 128 * MIB });
  let asked = 0;
  const store = await openStore(disk, {
    makeSpace: async (bytes) => {
      asked += bytes;
      disk.totalBytes += bytes;
      return await Promise.resolve(true);
    },
  });
  assert.is(asked, 0, 'space ahead of use is not worth history');
  let ready = store.ready(20_000);
  while (ready !== undefined) {
    assert.ok(await ready);
    ready = store.ready(20_000);
  }
  assert.is(store.reserve(20_000), undefined);
  assert.ok(asked > 0);
});

test('ENOSPC while reserving refuses, another failure breaks', async () => {
  const disk = await simDisk(1);
  disk.faults = (call) => (call.kind === 'reserve' ? { kind: 'error', code: 'ENOSPC' } : undefined);
  const store = await openStore(disk);
  assert.is(store.reserve(1), 'ENOSPC');
  assert.is(await store.ready(1), false);
  assert.equal(await disk.list(segmentFolder(DATA, rid(1))), [], 'no empty segment stays behind');
  disk.faults = () => undefined;
  assert.is(await store.ready(1), true);
  disk.faults = (call) => (call.kind === 'reserve' ? { kind: 'error', code: 'EIO' } : undefined);
  assert.is(await store.ready(100_000), true);
  assert.is(store.reserve(1), 'EIO');
});

test('open files are bounded, however many segments are read', async () => {
  const disk = await simDisk(1);
  let open = 0;
  let most = 0;
  disk.faults = (call) => {
    if (isSegment(call) && call.kind === 'open') most = Math.max(most, ++open);
    if (isSegment(call) && call.kind === 'close') open--;
    return undefined;
  };
  const folder = segmentFolder(DATA, rid(9));
  await disk.mkdir(folder);
  for (let n = 1000; n < 1060; n++) {
    const file = await disk.open(segmentPath(DATA, rid(9), segmentNumber(n)), 'create');
    await file.write([blocks(1, n)], 0);
    await file.close();
  }
  const store = await openStore(disk, { descriptors: 8, segmentRid: () => rid(9) });
  most = open;
  const reads = Array.from({ length: 300 }, async (_, i) => {
    const n = 1000 + ((i * 7) % 60);
    const bytes = await readBack(store, { segment: segmentNumber(n), segmentBlock: 0, count: 1 });
    assert.is(bytes.readUInt32LE(0), n);
  });
  await Promise.all(reads.slice(0, 8));
  await Promise.all(reads);
  await settle();
  assert.ok(store.openFiles <= 8, `${store.openFiles} files are open`);
  await store.close();
  assert.is(open, 0, 'all are closed in the end');
});

test('no more than the limit is written and not durable while nobody waits', async () => {
  const disk = await simDisk(1);
  let unsynced = 0;
  let most = 0;
  const release: (() => void)[] = [];
  disk.faults = (call) => {
    if (call.kind === 'write') most = Math.max(most, (unsynced += call.length));
    return undefined;
  };
  const slow = {
    ...proxied(disk),
    open: async (...args: Parameters<typeof disk.open>) => {
      const file = await disk.open(...args);
      const datasync = file.datasync.bind(file);
      file.datasync = async () => {
        await new Promise<void>((resolve) => release.push(resolve));
        await datasync();
      };
      return file;
    },
  };
  const store = await openStore(slow, { unsyncedLimit: 16 * MIB });
  for (let i = 0; i < 32; i++) put(store, blocks(256, i));
  for (let i = 0; i < 20; i++) await settle();
  assert.ok(most <= 16 * MIB, `${most} bytes are written and not synced`);
  assert.is(release.length, 1, 'a sync is under way in the background');
  assert.ok(store.queuedBytes >= 16 * MIB, 'the rest waits');
  const synced = store.sync();
  let over = false;
  void synced.then(() => (over = true));
  while (!over) {
    release.splice(0).forEach((go) => go());
    await settle();
  }
  assert.is(store.queuedBytes, 0);
});

test('a write is told that it is durable once its sync has ended, before who asked for that', async () => {
  const disk = await simDisk(1);
  const order: string[] = [];
  const store = await openStore(disk);
  const call = disk.call.bind(disk);
  disk.call = async (kind, path, ...rest) => {
    const answer = await call(kind, path, ...rest);
    if (kind === 'datasync') order.push('synced');
    return answer;
  };
  const place = only(allocate(store, 1).places);
  const write = (name: string) =>
    store.write(
      place,
      blocks(1, 1),
      () => order.push(`${name} written`),
      () => order.push(`${name} durable`),
    );
  write('first');
  write('second');
  await store.sync();
  order.push('answered');
  // The second took the turn of the first, whose bytes nobody needs any more.
  const told = ['first written', 'second written', 'synced', 'first durable', 'second durable'];
  assert.equal(order, [...told, 'answered']);
  disk.faults = ({ kind }) => (kind === 'datasync' ? { kind: 'error', code: 'EIO' } : undefined);
  store.write(only(allocate(store, 1).places), blocks(1, 1), undefined, () => order.push('lost'));
  await store.sync().catch(() => undefined);
  assert.not.ok(order.includes('lost'), 'never where writing failed');
});

/** The methods of a disk as own properties. */
function proxied(disk: Awaited<ReturnType<typeof simDisk>>): Omit<typeof disk, 'open'> {
  const names = ['list', 'info', 'mkdir', 'rename', 'unlink', 'syncDir', 'space'] as const;
  return Object.fromEntries(
    names.map((name) => [name, (disk[name] as (...a: never[]) => unknown).bind(disk)]),
  ) as unknown as Omit<typeof disk, 'open'>;
}

test('a sync of one segment leaves the others alone', async () => {
  const calls: DiskCall[] = [];
  const disk = await simDisk(1);
  const store = await openStore(disk);
  // Beyond 4 MiB a stream gets a segment of its own.
  for (let i = 0; i < 5; i++) put(store, blocks(256, i), 42);
  await store.sync();
  const stream = only(put(store, blocks(4, 0), 42));
  const shared = only(put(store, blocks(4, 0), 0));
  assert.is.not(stream.segment, shared.segment);
  disk.faults = (call) => {
    calls.push(call);
    return undefined;
  };
  await store.sync(new Set([shared.segment]));
  const touched = calls.filter((call) => call.kind === 'write' || call.kind === 'datasync');
  assert.equal(
    touched.map((call) => [call.kind, call.path]),
    ['write', 'datasync'].map((kind) => [kind, segmentPath(DATA, rid(1), shared.segment)]),
  );
  assert.is(store.queuedBytes, 4 * BLOCK_BYTES);
});

test('what is discarded is punched, after it was written', async () => {
  const disk = await simDisk(1);
  const store = await openStore(disk);
  const place = only(put(store, blocks(64, 1)));
  const kept = only(put(store, blocks(1, 500)));
  const kinds: string[] = [];
  disk.faults = (call) => {
    if (isSegment(call)) kinds.push(call.kind);
    return undefined;
  };
  store.discard(place);
  await store.sync();
  await settle();
  assert.equal(
    kinds.filter((k) => k === 'write' || k === 'punch'),
    ['write', 'punch'],
  );
  assert.ok((await readBack(store, place)).every((byte) => byte === 0));
  assert.ok((await readBack(store, kept)).equals(blocks(1, 500)));
});

test('closing gives back what was reserved and leaves no unused segment', async () => {
  const disk = await simDisk(1);
  const store = await openStore(disk);
  put(store, blocks(5, 1));
  const a = allocate(store, 3000);
  store.unallocate(a);
  await store.close();
  const names = await disk.list(segmentFolder(DATA, rid(1)));
  assert.is(names.length, 1);
  const info = await disk.info(`${segmentFolder(DATA, rid(1))}/${only(names)}`);
  assert.is(info?.allocatedBytes, 5 * BLOCK_BYTES);
});

test('a full segment is let go and can be read, punched and removed', async () => {
  const disk = await simDisk(1);
  const store = await openStore(disk);
  const places = [];
  for (let i = 0; i < 80; i++) {
    for (let ready = store.ready(256); ready !== undefined; ready = store.ready(256)) await ready;
    places.push(...put(store, blocks(256, i)));
    if (i % 8 === 0) await store.sync();
  }
  await store.sync();
  await settle();
  const first = only(places);
  assert.not.ok(store.isOpen(first.segment));
  assert.ok(store.isOpen(only(places.toReversed()).segment));
  assert.is(await store.allocatedBytes(first.segment), 64 * MIB);
  assert.ok((await readBack(store, first)).equals(blocks(256, 0)));
  await store.punch(first.segment, 0, 16384);
  assert.is(await store.allocatedBytes(first.segment), 0);
  await store.remove(first.segment);
  await store.remove(first.segment);
  await store.punch(first.segment, 0, 1);
  assert.is(await store.allocatedBytes(first.segment), undefined);
  const again = await store.sync();
  assert.is(again, undefined);
});

test('a place allocated before its segment was full can be written after', async () => {
  const disk = await simDisk(1);
  const store = await openStore(disk);
  const late = only(allocate(store, 8).places);
  for (let i = 0; i < 72; i++) {
    for (let ready = store.ready(256); ready !== undefined; ready = store.ready(256)) await ready;
    put(store, blocks(256, i));
    if (i % 8 === 0) await store.sync();
  }
  await store.sync();
  await settle();
  assert.not.ok(store.isOpen(late.segment));
  store.write(late, blocks(8, 4000));
  await store.sync();
  assert.ok((await readBack(store, late)).equals(blocks(8, 4000)));
  assert.not.ok(store.isOpen(late.segment));
  assert.is(await store.allocatedBytes(late.segment), 64 * MIB);
});

test('space that is held survives a power loss, in a file that reaches as far', async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const disk = await simDisk(seed);
    const store = await openStore(disk);
    const place = only(allocate(store, 300).places);
    let told = 0;
    store.hold(place, () => told++);
    assert.is(told, 0);
    await store.sync(new Set([place.segment]));
    assert.is(told, 1);
    const found = disk.crash(new SimRandom(seed));
    const path = segmentPath(DATA, rid(1), place.segment);
    const info = await found.info(path);
    assert.ok((info?.sizeBytes ?? 0) >= 300 * BLOCK_BYTES, `seed ${seed}: ${info?.sizeBytes}`);
    assert.ok((info?.allocatedBytes ?? 0) >= 300 * BLOCK_BYTES, `seed ${seed}`);
  }
});

test('space that is held is synced after its segment was let go, and punched there', async () => {
  const disk = await simDisk(1);
  const store = await openStore(disk);
  const late = only(allocate(store, 8).places);
  for (let i = 0; i < 72; i++) {
    for (let ready = store.ready(256); ready !== undefined; ready = store.ready(256)) await ready;
    put(store, blocks(256, i));
    if (i % 8 === 0) await store.sync();
  }
  await store.sync();
  await settle();
  assert.not.ok(store.isOpen(late.segment));
  let told = 0;
  store.hold(late, () => told++);
  assert.ok(store.isOpen(late.segment));
  await store.sync();
  await settle();
  assert.is(told, 1);
  assert.not.ok(store.isOpen(late.segment));
  const before = (await store.allocatedBytes(late.segment)) ?? 0;
  await store.punch(late.segment, late.segmentBlock, 8);
  assert.is(await store.allocatedBytes(late.segment), before - 8 * BLOCK_BYTES);
});

test('a place of another run is written once it was adopted, and keeps its space', async () => {
  const disk = await simDisk(1, { totalBytes: 200 * MIB });
  const first = await openStore(disk);
  const place = only(allocate(first, 64).places);
  first.hold(place, () => undefined);
  put(first, blocks(3, 1));
  await first.close();
  const store = await openStore(disk, {
    rid: rid(2),
    nextSegment: segmentNumber(50),
    segmentRid: (segment) => (segment === place.segment ? rid(1) : undefined),
  });
  const part = { ...place, segmentBlock: place.segmentBlock + 5, count: 9 };
  assert.is(store.isWritable(part), undefined, 'nobody knows yet');
  const before = await store.allocatedBytes(place.segment);
  await store.adopt(place);
  assert.is(store.isWritable(part), true);
  assert.is(store.isWritable({ ...place, count: 65 }), undefined, 'that is more');
  assert.is(await store.allocatedBytes(place.segment), before, 'it had the space');
  store.write(part, blocks(9, 700));
  await store.sync();
  assert.ok((await readBack(store, part)).equals(blocks(9, 700)));
  assert.not.ok(store.isOpen(place.segment));
  const own = only(allocate(store, 2).places);
  assert.is(store.isWritable(own), true);
});

test('a place whose file is gone, or has lost its space on a full disk, is not writable', async () => {
  const disk = await simDisk(1);
  const first = await openStore(disk);
  const place = only(allocate(first, 64).places);
  first.hold(place, () => undefined);
  await first.close();
  const later = { rid: rid(2), nextSegment: segmentNumber(50) };
  const store = await openStore(disk, { ...later, segmentRid: () => rid(1) });
  const gone = { ...place, segment: segmentNumber(40) };
  await store.adopt(gone);
  assert.is(store.isWritable(gone), false);
  // As in a copy of the volume that left the holes of files out.
  await store.punch(place.segment, place.segmentBlock, place.count);
  disk.faults = ({ kind }) => (kind === 'reserve' ? { kind: 'error', code: 'ENOSPC' } : undefined);
  await store.adopt(place);
  assert.is(store.isWritable(place), false);
  assert.is(store.failure, undefined, 'nothing is broken by that');
  disk.faults = () => undefined;
  await store.adopt(place);
  assert.is(store.isWritable(place), true, 'the newest answer counts');
});

test.run();

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readWhole, replaceWhole } from '../../src/io/disk.ts';
import { runDiskSuite } from '../suites/disk-suite.ts';
import { SimClock, settle } from './clock.ts';
import { SimDisk } from './disk.ts';
import { failing, forgetting, swapping, type DiskCall } from './faults.ts';
import { SimRandom } from './random.ts';

const open = (seed: number): SimDisk => new SimDisk({ random: new SimRandom(seed) });

runDiskSuite('simulated', async () => {
  const disk = open(1);
  await disk.mkdir('/dir');
  return { disk, dir: '/dir', dispose: async () => undefined };
});

runDiskSuite('simulated, cold', async () => {
  const disk = new SimDisk({ random: new SimRandom(1), coldShare: 0.7 });
  await disk.mkdir('/dir');
  return { disk, dir: '/dir', dispose: async () => undefined };
});

const SEEDS = 300;

const page = (letter: string): Buffer => Buffer.alloc(4096, letter);

/** The outcomes that `SEEDS` power losses show, of a scenario that `prepare` plays each time. */
async function outcomes(
  prepare: (disk: SimDisk) => Promise<void>,
  look: (disk: SimDisk) => Promise<string>,
): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  for (let seed = 0; seed < SEEDS; seed++) {
    const disk = open(seed);
    await prepare(disk);
    const outcome = await look(disk.crash(new SimRandom(seed)));
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
  }
  return seen;
}

const keys = (seen: Map<string, number>): string[] => [...seen.keys()].toSorted();

async function letters(disk: SimDisk, path: string): Promise<string> {
  const bytes = await readWhole(disk, path);
  if (bytes === undefined) return 'absent';
  const first = (at: number): string => String.fromCharCode(bytes[at] || 46);
  return Array.from({ length: Math.ceil(bytes.length / 4096) }, (_, i) => first(i * 4096)).join('');
}

async function synced(disk: SimDisk, content: string): Promise<void> {
  const file = await disk.open('/f', 'create');
  await file.write(Array.from(content, page), 0);
  await file.sync();
  await disk.syncDir('/');
  await file.close();
}

test('what was synced survives every power loss', async () => {
  const seen = await outcomes(
    (disk) => synced(disk, 'abc'),
    (disk) => letters(disk, '/f'),
  );
  assert.equal(keys(seen), ['abc']);
});

test('unsynced pages survive in any combination', async () => {
  const seen = await outcomes(
    async (disk) => {
      await synced(disk, 'abc');
      const file = await disk.open('/f', 'write');
      await file.write([page('A'), page('B'), page('C')], 0);
    },
    (disk) => letters(disk, '/f'),
  );
  const expected = ['ABC', 'ABc', 'AbC', 'Abc', 'aBC', 'aBc', 'abC', 'abc'];
  assert.equal(keys(seen), expected);
});

test('a later version of a page brings the earlier bytes with it', async () => {
  const seen = await outcomes(
    async (disk) => {
      await synced(disk, 'a');
      const file = await disk.open('/f', 'write');
      await file.write([Buffer.from('x')], 0);
      await file.write([Buffer.from('y')], 1);
    },
    async (disk) => ((await readWhole(disk, '/f')) ?? Buffer.alloc(0)).toString('latin1', 0, 2),
  );
  assert.equal(keys(seen), ['aa', 'xa', 'xy'], 'never ay');
});

test('pages are torn at sectors', async () => {
  let torn = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const disk = open(seed);
    await synced(disk, 'a');
    const file = await disk.open('/f', 'write');
    await file.write([page('b')], 0);
    const found = (await readWhole(disk.crash(new SimRandom(seed)), '/f')) ?? Buffer.alloc(0);
    const sectors = Array.from({ length: 8 }, (_, i) =>
      found.toString('latin1', i * 512, i * 512 + 512),
    );
    assert.ok(sectors.every((s) => s === 'a'.repeat(512) || s === 'b'.repeat(512)));
    if (new Set(sectors).size === 2) torn++;
  }
  assert.ok(torn > 0 && torn < SEEDS / 4, `${torn} torn`);
});

test('an unsynced size may be old or new, and lost bytes are zeros', async () => {
  const seen = await outcomes(
    async (disk) => {
      await synced(disk, 'a');
      const file = await disk.open('/f', 'write');
      await file.write([page('b'), page('c')], 4096);
    },
    (disk) => letters(disk, '/f'),
  );
  for (const outcome of ['a', 'ab', 'abc', 'a.', 'a..', 'a.c', 'ab.']) {
    assert.ok(seen.has(outcome), `${outcome} of ${keys(seen).join(' ')}`);
  }
});

test('datasync covers what was written before it was issued, and nothing later', async () => {
  const seen = await outcomes(
    async (disk) => {
      await synced(disk, 'abc');
      const file = await disk.open('/f', 'write');
      await file.write([page('A')], 0);
      const syncing = file.datasync();
      const writing = file.write([page('B')], 4096);
      await Promise.all([syncing, writing]);
    },
    (disk) => letters(disk, '/f'),
  );
  assert.equal(keys(seen), ['ABc', 'Abc']);
});

test('what was written durably stays; on the way any part of it does', async () => {
  const write = (wait: boolean) => async (disk: SimDisk) => {
    await synced(disk, 'a');
    const file = await disk.open('/f', 'write');
    const writing = file.writeDurably([page('B')], 4096);
    if (wait) await writing;
  };
  assert.equal(keys(await outcomes(write(true), (disk) => letters(disk, '/f'))), ['aB']);
  assert.ok(keys(await outcomes(write(false), (disk) => letters(disk, '/f'))).includes('a'));
});

test('datasync makes an extension durable', async () => {
  const seen = await outcomes(
    async (disk) => {
      await synced(disk, 'a');
      const file = await disk.open('/f', 'write');
      await file.write([page('b')], 4096);
      await file.datasync();
    },
    (disk) => letters(disk, '/f'),
  );
  assert.equal(keys(seen), ['ab']);
});

test('a name is durable with syncDir only, whatever was done to the file', async () => {
  const create = async (disk: SimDisk): Promise<void> => {
    const file = await disk.open('/f', 'create');
    await file.write([page('a')], 0);
    await file.sync();
  };
  const without = await outcomes(create, (disk) => letters(disk, '/f'));
  assert.equal(keys(without), ['a', 'absent']);
  const withSync = async (disk: SimDisk): Promise<void> => {
    await create(disk);
    await disk.syncDir('/');
  };
  assert.equal(keys(await outcomes(withSync, (disk) => letters(disk, '/f'))), ['a']);
});

test('a directory needs the sync of its own parent', async () => {
  const seen = await outcomes(
    async (disk) => {
      await disk.mkdir('/d');
      const file = await disk.open('/d/f', 'create');
      await file.sync();
      await disk.syncDir('/d');
    },
    async (disk) => ((await disk.info('/d/f')) === undefined ? 'absent' : 'there'),
  );
  assert.equal(keys(seen), ['absent', 'there']);
});

test('an unsynced unlink may come undone', async () => {
  const seen = await outcomes(
    async (disk) => {
      await synced(disk, 'a');
      await disk.unlink('/f');
    },
    (disk) => letters(disk, '/f'),
  );
  assert.equal(keys(seen), ['a', 'absent']);
});

test('an unsynced rename is found undone, half done or done, and never loses the file', async () => {
  const seen = await outcomes(
    async (disk) => {
      await synced(disk, 'a');
      await disk.mkdir('/d');
      await disk.syncDir('/');
      await disk.rename('/f', '/d/g');
      await disk.syncDir('/');
    },
    async (disk) => `${await letters(disk, '/f')} ${await letters(disk, '/d/g')}`,
  );
  assert.equal(
    keys(seen),
    ['absent a'],
    'the old name cannot be durably gone before the new one came',
  );
  const unsynced = await outcomes(
    async (disk) => {
      await synced(disk, 'a');
      await disk.rename('/f', '/g');
    },
    async (disk) => `${await letters(disk, '/f')} ${await letters(disk, '/g')}`,
  );
  assert.equal(keys(unsynced), ['a a', 'a absent', 'absent a']);
});

test('a name changed twice is found in one of its states, and never falls back behind a sync', async () => {
  const seen = await outcomes(
    async (disk) => {
      await synced(disk, 'a');
      await disk.unlink('/f');
      const file = await disk.open('/other', 'create');
      await file.write([page('b')], 0);
      await file.sync();
      await disk.rename('/other', '/f');
      await disk.syncDir('/');
    },
    (disk) => letters(disk, '/f'),
  );
  assert.equal(keys(seen), ['b']);
});

test('replaceWhole leaves the old or the new file, whole', async () => {
  for (let call = 1; ; call++) {
    const disk = open(call);
    await replaceWhole(disk, '/', 'f', Buffer.from('old'));
    const first = disk.calls;
    let isOff = false;
    disk.stopAt(
      ({ number }) => number === first + call,
      call % 2 === 0 ? 'before' : 'after',
      () => (isOff = true),
    );
    let isDone = false;
    void replaceWhole(disk, '/', 'f', Buffer.from('new')).then(() => (isDone = true));
    await settle();
    const found = await readWhole(disk.crash(new SimRandom(call)), '/f');
    const text = found?.toString('latin1');
    assert.ok(text === 'new' || (text === 'old' && !isDone), `call ${call}: ${text}`);
    if (!isOff) break;
  }
});

test('the mutation check bites: without one of its syncs, replaceWhole is caught', async () => {
  for (const kind of ['sync', 'syncDir'] as const) {
    const seen = await outcomes(
      async (disk) => {
        await replaceWhole(disk, '/', 'f', Buffer.from('old'));
        disk.faults = forgetting((call) => call.kind === kind);
        await replaceWhole(disk, '/', 'f', Buffer.from('new'));
      },
      async (disk) => (await readWhole(disk, '/f'))?.toString('latin1') ?? 'absent',
    );
    assert.ok(seen.size > 1, `${kind}: ${keys(seen).join(' ')}`);
  }
});

test('swapped syncs leave the second durable and the first not', async () => {
  const isFirst = (call: DiskCall): boolean => call.path === '/first';
  const isSecond = (call: DiskCall): boolean => call.path === '/second';
  const seen = await outcomes(
    async (disk) => {
      disk.faults = swapping(isFirst, isSecond);
      for (const path of ['/first', '/second']) await (await disk.open(path, 'create')).close();
      await disk.syncDir('/');
      for (const path of ['/first', '/second']) {
        const file = await disk.open(path, 'write');
        await file.write([page('x')], 0);
        await file.datasync();
        if (path === '/second') disk.powerOff();
        else await file.close();
      }
    },
    async (disk) => `${await letters(disk, '/first')}|${await letters(disk, '/second')}`,
  );
  assert.ok(seen.has('|x'), keys(seen).join(' '));
  assert.ok(keys(seen).every((outcome) => outcome.endsWith('|x')));
});

test('after a power cut no call returns', async () => {
  const disk = open(1);
  const file = await disk.open('/f', 'create');
  disk.powerOff();
  let returned = false;
  for (const promise of [file.write([page('a')], 0), disk.list('/'), file.close()]) {
    void promise.then(
      () => (returned = true),
      () => (returned = true),
    );
  }
  await settle();
  assert.is(returned, false);
});

test('a failed sync loses pages, and the next one reports success', async () => {
  const seen = await outcomes(
    async (disk) => {
      await synced(disk, 'ab');
      const file = await disk.open('/f', 'write');
      await file.write([page('A'), page('B')], 0);
      disk.faults = (call) =>
        call.kind === 'datasync' ? { kind: 'error', code: 'EIO' } : undefined;
      await file.datasync().then(
        () => assert.unreachable('must fail'),
        (error: NodeJS.ErrnoException) => assert.is(error.code, 'EIO'),
      );
      disk.faults = () => undefined;
      assert.is(await letters(disk, '/f'), 'AB', 'the page cache still shows them');
      await file.datasync();
    },
    (disk) => letters(disk, '/f'),
  );
  assert.equal(keys(seen), ['AB', 'Ab', 'aB', 'ab']);
});

test('bytes written again after a failed sync are durable with the next', async () => {
  const seen = await outcomes(
    async (disk) => {
      await synced(disk, 'a');
      const file = await disk.open('/f', 'write');
      await file.write([page('b')], 4096);
      disk.faults = (call) =>
        call.kind === 'datasync' ? { kind: 'error', code: 'EIO' } : undefined;
      await file.datasync().catch(() => undefined);
      disk.faults = () => undefined;
      await file.write([page('b')], 4096);
      await file.datasync();
    },
    (disk) => letters(disk, '/f'),
  );
  assert.equal(keys(seen), ['ab']);
});

test('a failing write leaves a part of its bytes', async () => {
  const lengths = new Set<number>();
  for (let seed = 0; seed < 50; seed++) {
    const random = new SimRandom(seed);
    const disk = new SimDisk({ random });
    const file = await disk.open('/f', 'create');
    disk.faults = failing('EIO', (call) => call.kind === 'write', random);
    const error = await file.write([page('a'), page('b')], 0).then(
      () => undefined,
      (thrown: NodeJS.ErrnoException) => thrown.code,
    );
    assert.is(error, 'EIO');
    lengths.add((await file.info()).sizeBytes);
  }
  assert.ok(lengths.size > 10, 'many different lengths');
});

test('a full disk refuses writes and reservations, and serves reserved space', async () => {
  const disk = new SimDisk({ random: new SimRandom(1), totalBytes: 10 * 4096 });
  const reserved = await disk.open('/reserved', 'create');
  await reserved.reserve(0, 4 * 4096);
  const file = await disk.open('/f', 'create');
  const code = async (promise: Promise<void>): Promise<string | undefined> =>
    promise.then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error.code,
    );
  assert.is(await code(file.write([Buffer.alloc(7 * 4096)], 0)), 'ENOSPC');
  assert.is((await disk.space('/')).freeBytes, 0);
  assert.is(await code(reserved.reserve(0, 5 * 4096)), 'ENOSPC');
  assert.is(await code(reserved.write([Buffer.alloc(4 * 4096)], 0)), undefined);
  assert.is(await code(reserved.write([Buffer.alloc(1)], 4 * 4096)), 'ENOSPC');
  await disk.unlink('/f');
  assert.is((await disk.space('/')).freeBytes, 0, 'still open');
  await file.close();
  assert.is((await disk.space('/')).freeBytes, 6 * 4096);
});

test('a flipped bit stays', async () => {
  const disk = open(1);
  await synced(disk, 'ab');
  disk.corrupt('/f', 5000, 0x80);
  const found = await readWhole(disk.crash(new SimRandom(2)), '/f');
  assert.is(found?.[5000], 'b'.charCodeAt(0) ^ 0x80);
  assert.is(found?.[4999], 'b'.charCodeAt(0));
});

test('with latency, calls overtake each other on the simulated clock', async () => {
  const clock = new SimClock();
  const disk = new SimDisk({ random: new SimRandom(3), latency: { clock, maxMs: 10 } });
  const order: number[] = [];
  for (let i = 0; i < 8; i++) void disk.space('/').then(() => order.push(i));
  await settle();
  assert.equal(order, [], 'nothing returns while time stands still');
  while (clock.step()) await settle();
  assert.is(order.length, 8);
  assert.not.equal(
    order,
    order.toSorted((a, b) => a - b),
  );
});

test('one seed, one run', async () => {
  const run = async (seed: number): Promise<string> => {
    const disk = open(seed);
    await synced(disk, 'abcdefgh');
    const file = await disk.open('/f', 'write');
    await file.write(Array.from('ABCDEFGH', page), 0);
    return letters(disk.crash(new SimRandom(seed)), '/f');
  };
  for (let seed = 0; seed < 20; seed++) assert.is(await run(seed), await run(seed));
});

test.run();

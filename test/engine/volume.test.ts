/** An open volume as a whole: what it shows of itself, and how it goes on when its disk fails. */

import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createVolume } from '../../src/engine/create-volume.ts';
import { openVolume } from '../../src/engine/volume.ts';
import { silent } from '../../src/io/logger.ts';
import type { DiskCall } from '../sim/faults.ts';
import { SimVolume } from './sim-volume.ts';

const test = suite('volume');

async function withVolume(body: (it: SimVolume) => Promise<void>): Promise<void> {
  const it = await SimVolume.create();
  try {
    await body(it);
  } finally {
    await it.dispose();
  }
}

const failed = async (promise: Promise<unknown>): Promise<boolean> =>
  promise.then(
    () => false,
    () => true,
  );

/** Bytes larger than one block, so that nothing but the whole file passes. */
const contents = (seed: number): Buffer => Buffer.alloc(10_000, `contents ${seed} `);

for (const [what, breaks] of [
  ['log', ({ kind, path }: DiskCall) => kind === 'datasync' && path.endsWith('.avro')],
  ['log, at a write', ({ kind, path }: DiskCall) => kind === 'write' && path.endsWith('.avro')],
  ['data', ({ kind, path }: DiskCall) => kind === 'datasync' && path.endsWith('.seg')],
  ['data, at a write', ({ kind, path }: DiskCall) => kind === 'write' && path.endsWith('.seg')],
] as const) {
  test(`when the ${what} fails, changes get EIO, reads go on, and status says why`, () =>
    withVolume(async (it) => {
      assert.is(await it.put('before', contents(1)), undefined);
      await it.volume.sync();
      assert.is((await it.volume.status()).failure, undefined);

      it.disk.faults = (call) => (breaks(call) ? { kind: 'error', code: 'EIO' } : undefined);
      assert.is(await it.put('lost', contents(2)), undefined, 'answered from memory');
      assert.ok(await failed(it.volume.sync()), 'nothing is called durable');
      assert.is(it.failures.length, 1, 'told once');
      assert.match((await it.volume.status()).failure ?? '', /EIO/);

      it.disk.faults = () => undefined;
      assert.is(await it.put('after', contents(3)), 'EIO', 'also when the disk works again');
      assert.is(await it.remove('before'), 'EIO');
      assert.equal(await it.get('before'), contents(1));
      assert.ok(await failed(it.volume.close()), 'not closed cleanly');

      await it.open();
      assert.equal(await it.get('before'), contents(1));
      assert.is((await it.volume.status()).failure, undefined);
      assert.is(await it.put('again', contents(4)), undefined);
      await it.volume.sync();
    }));
}

test('the log is as large as its records, whatever is allocated ahead', () =>
  withVolume(async (it) => {
    const { log } = await it.volume.status();
    assert.ok(log.bytes > 100 && log.bytes < 100_000, `${log.bytes} bytes`);
    assert.is(log.segments, 1);
  }));

test('only the control socket and the description of a volume are for everybody', async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'volume-modes-'));
  const dir = join(scratch, 'volume');
  const modeOf = async (name: string) => ((await stat(join(dir, name))).mode & 0o777).toString(8);
  const options = { historyMicros: 0, sizeLimitBlocks: 0, force: false };
  try {
    await createVolume({ dir, ...options });
    const volume = await openVolume({ dir, log: silent, onFailure: () => undefined });
    await volume.checkpoint();
    await volume.close();
    assert.is(await modeOf('.'), '711');
    assert.is(await modeOf('volume.json'), '644');
    for (const name of await readdir(dir)) {
      if (name !== 'volume.json') assert.match(await modeOf(name), /00$/, name);
    }
    const own = join(scratch, 'own');
    await mkdir(own, { mode: 0o750 });
    await createVolume({ dir: own, ...options });
    assert.is((await stat(own)).mode & 0o777, 0o750, 'a directory that was there is left alone');
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
});

test('closing does not wait for a checkpoint, which leaves nothing', () =>
  withVolume(async (it) => {
    for (let i = 0; i < 300; i++) assert.is(await it.put(`f${i}`, Buffer.from('x')), undefined);
    await it.volume.sync();
    const written = it.volume.checkpoint();
    const refused = written.then(
      () => undefined,
      (error: Error) => error.message,
    );
    await it.volume.close();
    assert.match((await refused) ?? '', /no checkpoint, the volume is being closed/);
    assert.equal(await it.disk.list(`${it.dir}/checkpoints`), []);
    await it.open();
    assert.ok((await it.volume.checkpoint()) > 300);
  }));

test.run();

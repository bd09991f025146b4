/** Work on volumes that are not open: replay to any position, fsck, rebuild, accepted loss. */

import { mkdir, mkdtemp, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createVolume } from '../../src/engine/create-volume.ts';
import { checkVolume, replayInto, upgradeVolume } from '../../src/engine/offline.ts';
import { openVolume, type Volume } from '../../src/engine/volume.ts';
import { readDescription, writeDescription } from '../../src/engine/volume-files.ts';
import { FAMILY } from '../../src/index/keys.ts';
import { silent } from '../../src/io/logger.ts';
import { nodeDisk } from '../../src/io/node-disk.ts';
import { FORMAT_VERSION } from '../../src/log/schema.ts';
import { isRefusal } from '../../src/model/errno.ts';
import { byteStringOf, ROOT_INO, seq, type Seq } from '../../src/model/ids.ts';
import { S_IFREG } from '../../src/model/inode.ts';
import { CALLER } from './sim-volume.ts';

const test = suite('offline');
const CHECK = { rebuild: false, acceptLoss: false, onProgress: () => undefined };
const none = () => undefined;

/** A test on a real directory with a new volume, not open. */
function on(what: string, body: (dir: string, scratch: string) => Promise<void>): void {
  test(what, async () => {
    const scratch = await mkdtemp(join(tmpdir(), 'offline-'));
    const dir = join(scratch, 'volume');
    try {
      await createVolume({ dir, historyMicros: 0, sizeLimitBlocks: 0, force: false });
      await body(dir, scratch);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  });
}

async function inVolume<T>(dir: string, body: (volume: Volume) => Promise<T>): Promise<T> {
  const volume = await openVolume({ dir, log: silent, onFailure: none });
  try {
    return await body(volume);
  } finally {
    await volume.close();
  }
}

async function make(volume: Volume, from: number, to: number): Promise<Seq> {
  for (let i = from; i < to; i++) {
    const called = byteStringOf(`file ${i}`);
    const made = await volume.filesystem.mknod(ROOT_INO, called, S_IFREG | 0o644, 0, CALLER);
    assert.not.ok(isRefusal(made));
  }
  return volume.sync();
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return (error as { code?: unknown } | undefined)?.code;
}

on('a replay to any position has the digest that the volume had there', async (dir, scratch) => {
  const digests = await inVolume(dir, async (volume) => {
    const found: { at: Seq; digest: string }[] = [];
    for (let i = 0; i < 3; i++) {
      const at = await make(volume, 10 * i, 10 * i + 10);
      found.push({ at, digest: await volume.digest() });
    }
    const last = found.at(-1);
    assert.equal(await replayInto(dir, join(scratch, 'beside'), last?.at, none), {
      digest: last?.digest,
      seq: last?.at,
    });
    return found;
  });
  for (const { at, digest } of digests) {
    const replayed = await replayInto(dir, join(scratch, `at-${at}`), at, none);
    assert.equal(replayed, { digest, seq: at });
  }
  const whole = await replayInto(dir, join(scratch, 'whole'), undefined, none);
  assert.is(whole.digest, digests.at(-1)?.digest);
});

on('a replay goes into an empty directory only', async (dir, scratch) => {
  const full = join(scratch, 'full');
  await mkdir(full);
  await writeFile(join(full, 'precious'), '');
  assert.is(await codeOf(replayInto(dir, full, undefined, none)), 'ENOTEMPTY');
  assert.is(await codeOf(replayInto(dir, join(full, 'precious'), undefined, none)), 'ENOTEMPTY');
  assert.equal(await readdir(full), ['precious']);
});

for (const family of ['inode', 'dirent', 'position', 'backref', 'metaSeq'] as const) {
  on(`fsck finds one missing item of ${family}, and a rebuild heals it`, async (dir) => {
    const digest = await inVolume(dir, async (volume) => {
      await make(volume, 0, 20);
      return volume.digest();
    });
    const sound = await checkVolume(dir, CHECK);
    assert.ok(sound.clean, sound.lines.join('\n'));

    const database = new Level(join(dir, 'index'));
    const keys = await database.keys({ gte: FAMILY[family], limit: 5 }).all();
    await database.del(keys.at(-1) ?? '');
    await database.close();
    const tampered = await checkVolume(dir, CHECK);
    assert.not.ok(tampered.clean);
    assert.match(tampered.lines.join('\n'), new RegExp(`differs at ${family} `));

    assert.ok((await checkVolume(dir, { ...CHECK, rebuild: true })).clean);
    assert.ok((await checkVolume(dir, CHECK)).clean);
    assert.is(await inVolume(dir, (volume) => volume.digest()), digest);
  });
}

on('a damaged log refuses to open; what is lost is accepted by name only', async (dir) => {
  await inVolume(dir, (volume) => make(volume, 0, 20));
  const kept = await inVolume(dir, (volume) => volume.sync());
  await inVolume(dir, (volume) => make(volume, 20, 40));
  const log = join(dir, 'log');
  const name = (await readdir(log)).filter((each) => each.endsWith('.avro')).at(-1) ?? '';
  const { size } = await stat(join(log, name));
  const file = await open(join(log, name), 'r+');
  await file.write(Buffer.from([0xff, 0xff, 0xff]), 0, 3, size - 600);
  await file.close();

  const found = await checkVolume(dir, CHECK);
  assert.not.ok(found.clean);
  assert.is(found.summary, 'the log is damaged');
  await rm(join(dir, 'index'), { recursive: true });
  const refusal = await openVolume({ dir, log: silent, onFailure: none }).then(
    () => undefined,
    (error: Error) => error,
  );
  assert.match(refusal?.message ?? 'it opened', /avro/);
  assert.not.ok((await checkVolume(dir, { ...CHECK, rebuild: true })).clean, 'not unasked');

  const accepted = await checkVolume(dir, { ...CHECK, rebuild: true, acceptLoss: true });
  assert.ok(accepted.clean);
  assert.is(accepted.lost?.from, kept + 1);
  assert.is(accepted.lost?.to, kept + 20);
  await inVolume(dir, async ({ filesystem }) => {
    assert.not.ok(isRefusal(await filesystem.lookup(ROOT_INO, byteStringOf('file 19'))));
    assert.ok(isRefusal(await filesystem.lookup(ROOT_INO, byteStringOf('file 20'))));
  });
  const sound = await checkVolume(dir, CHECK);
  assert.ok(sound.clean, sound.lines.join('\n'));
});

on('an open volume is nobody else’s', async (dir) => {
  await inVolume(dir, async (volume) => {
    assert.is(await codeOf(checkVolume(dir, CHECK)), 'EBUSY');
    assert.is(await codeOf(openVolume({ dir, log: silent, onFailure: none })), 'EBUSY');
    const options = { dir, historyMicros: 0, sizeLimitBlocks: 0, force: true };
    assert.is(await codeOf(createVolume(options)), 'EBUSY');
    assert.is(await make(volume, 0, 1), seq(2), 'and goes on');
  });
});

on('a volume of an older format is left as it is until it is upgraded', async (dir) => {
  const last = await inVolume(dir, (volume) => make(volume, 0, 3));
  const { fsid, format } = await readDescription(nodeDisk, dir);
  assert.is(format, FORMAT_VERSION);
  await writeDescription(nodeDisk, dir, { fsid, format: 1 });
  const refused = await openVolume({ dir, log: silent, onFailure: none }).catch((e: Error) => e);
  assert.match((refused as Error).message, /has format 1, .* run ledgerfs upgrade/);
  assert.is((await checkVolume(dir, CHECK)).clean, true, 'it can be read');
  assert.equal(await upgradeVolume(dir), { from: 1, to: FORMAT_VERSION });
  assert.equal(await upgradeVolume(dir), { from: FORMAT_VERSION, to: FORMAT_VERSION });
  await inVolume(dir, async (volume) => {
    assert.is((await volume.status()).log.head, last + 1, 'one event says so');
    await make(volume, 3, 4);
  });
});

test.run();

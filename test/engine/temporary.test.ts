/** Files without a name (O_TMPFILE): what a close and a kill leave, before and after link. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isRefusal } from '../../src/model/errno.ts';
import { BLOCK_BYTES, byteStringOf, ROOT_INO, type Ino } from '../../src/model/ids.ts';
import { S_IFDIR } from '../../src/model/inode.ts';
import type { OpenFile } from '../../src/engine/api.ts';
import { CALLER, refusalName, SimVolume } from './sim-volume.ts';

const test = suite('temporary files');

const O_EXCL = 0o200;
const BYTES = Buffer.alloc(3 * BLOCK_BYTES, 'nameless');

function on(what: string, body: (it: SimVolume) => Promise<void>): void {
  test(what, async () => {
    const it = await SimVolume.create();
    try {
      await body(it);
    } finally {
      await it.dispose();
    }
  });
}

async function made(it: SimVolume, flags = 2, dir: Ino = ROOT_INO): Promise<OpenFile> {
  const answer = await it.volume.filesystem.createTemporary(dir, 0o600, flags, CALLER);
  if (isRefusal(answer)) throw new Error(answer.name);
  assert.is(await it.write(answer.file, BYTES), undefined);
  return answer.file;
}

const link = (it: SimVolume, file: OpenFile, name: string) =>
  it.volume.filesystem.link(file.ino, ROOT_INO, byteStringOf(name), CALLER);

async function isGone(it: SimVolume, ino: Ino): Promise<boolean> {
  for (let i = 0; i < 5000; i++) {
    if (refusalName(await it.volume.filesystem.getattr(ino)) === 'ESTALE') return true;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return false;
}

async function assertSound(it: SimVolume): Promise<void> {
  const report = await it.volume.check(() => undefined);
  assert.ok(report.clean, report.lines.join('\n'));
}

on('one that is closed without a name is reaped, with all its blocks', async (it) => {
  const file = await made(it);
  await it.volume.sync();
  it.volume.filesystem.close(file);
  assert.ok(await isGone(it, file.ino));
  await assertSound(it);
});

on('one that got a name stays, and goes with its last name', async (it) => {
  const file = await made(it);
  assert.is(refusalName(await link(it, file, 'a')), undefined);
  assert.is(refusalName(await link(it, file, 'b')), undefined, 'it is a file like any other');
  it.volume.filesystem.close(file);
  assert.equal(await it.get('a'), BYTES);
  assert.is(await it.remove('a'), undefined);
  assert.equal(await it.get('b'), BYTES);
  assert.is(await it.remove('b'), undefined);
  assert.ok(await isGone(it, file.ino));
  await assertSound(it);
});

on('after a kill an unnamed one is reaped, and a named one is there', async (it) => {
  const [unnamed, named] = [await made(it), await made(it)];
  assert.is(refusalName(await link(it, named, 'named')), undefined);
  await it.volume.sync();
  await it.kill();
  await it.open();
  assert.ok(await isGone(it, unnamed.ino));
  assert.equal(await it.get('named'), BYTES);
  await assertSound(it);
});

on('a link that no commit had is lost with its file', async (it) => {
  const file = await made(it);
  await it.volume.sync();
  assert.is(refusalName(await link(it, file, 'late')), undefined);
  await it.kill();
  await it.open();
  assert.is(await it.get('late'), 'ENOENT');
  assert.ok(await isGone(it, file.ino));
  await assertSound(it);
});

on('with O_EXCL it never gets a name; nor does one that lost its last', async (it) => {
  const exclusive = await made(it, 2 | O_EXCL);
  assert.is(refusalName(await link(it, exclusive, 'x')), 'ENOENT');
  const file = await made(it);
  assert.is(refusalName(await link(it, file, 'y')), undefined);
  assert.is(await it.remove('y'), undefined);
  assert.is(refusalName(await link(it, file, 'y')), 'ENOENT');
  it.volume.filesystem.close(exclusive);
  it.volume.filesystem.close(file);
  assert.ok((await isGone(it, exclusive.ino)) && (await isGone(it, file.ino)));
});

on('group and owner are as of a file created there; a removed directory has none', async (it) => {
  const { filesystem } = it.volume;
  const caller = { uid: 7, gid: 8, pid: 1 };
  const dir = await filesystem.mkdir(ROOT_INO, byteStringOf('d'), S_IFDIR | 0o755, CALLER);
  if (isRefusal(dir)) throw new Error(dir.name);
  await filesystem.setattr(dir.ino, { gid: 99 }, CALLER);
  await filesystem.setattr(dir.ino, { mode: 0o2777 }, CALLER);
  const before = await filesystem.getattr(dir.ino);
  const answer = await filesystem.createTemporary(dir.ino, 0o644, 2, caller);
  if (isRefusal(answer)) throw new Error(answer.name);
  assert.equal([answer.inode.uid, answer.inode.gid], [7, 99]);
  assert.equal(await filesystem.getattr(dir.ino), before, 'the directory is not changed');
  filesystem.close(answer.file);
  assert.is(refusalName(await filesystem.rmdir(ROOT_INO, byteStringOf('d'), CALLER)), undefined);
  const late = await filesystem.createTemporary(dir.ino, 0o644, 2, caller);
  assert.ok(['ENOENT', 'ESTALE'].includes(refusalName(late) ?? 'made'), 'the directory is gone');
});

test.run();

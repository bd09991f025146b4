/** What every `Disk` does, asked of each implementation: the real one and the simulated one. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readWhole, replaceWhole, type Disk, type File } from '../../src/io/disk.ts';

export interface DiskUnderTest {
  readonly disk: Disk;
  /** An empty directory on it. */
  readonly dir: string;
  readonly dispose: () => Promise<void>;
}

/** The code of the error that `promise` rejects with; fails if it resolves. */
async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
  return assert.unreachable('expected a failure') as never;
}

/** Bytes whose value depends on their position, so that a shifted read shows. */
function pattern(length: number, seed = 0): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8) * 7 + seed) & 255;
  return bytes;
}

async function readRange(file: File, offset: number, length: number): Promise<Buffer> {
  const into = Buffer.alloc(length, 0xee);
  return into.subarray(0, await file.read(into, offset));
}

export function runDiskSuite(name: string, open: () => Promise<DiskUnderTest>): void {
  const test = suite<{ it: DiskUnderTest; path: string }>(`disk: ${name}`);

  test.before.each(async (context) => {
    context.it = await open();
    context.path = `${context.it.dir}/file`;
  });
  test.after.each((context) => context.it.dispose());

  test('writes chunks one after another and reads them at any offset', async ({ it, path }) => {
    const file = await it.disk.open(path, 'create');
    const bytes = pattern(20_000);
    const chunks = [bytes.subarray(0, 1), Buffer.alloc(0), bytes.subarray(1, 9000)];
    await file.write([...chunks, bytes.subarray(9000)], 5000);
    assert.equal((await file.info()).sizeBytes, 25_000);
    assert.equal(await readRange(file, 5000, 20_000), bytes);
    assert.equal(await readRange(file, 9999, 5000), bytes.subarray(4999, 9999));
    assert.equal(await readRange(file, 0, 5000), Buffer.alloc(5000), 'the hole reads as zeros');
    await file.close();
  });

  test('a durable write is a write', async ({ it, path }) => {
    const file = await it.disk.open(path, 'create');
    const bytes = pattern(9000);
    await it.disk.rename(path, `${path}2`);
    await file.writeDurably([bytes.subarray(0, 100), bytes.subarray(100)], 50);
    await file.writeDurably([bytes], 9050);
    assert.equal(await readRange(file, 50, 18_000), Buffer.concat([bytes, bytes]));
    await file.close();
    assert.is((await it.disk.info(`${path}2`))?.sizeBytes, 18_050);
  });

  test('writes more chunks than one system call takes', async ({ it, path }) => {
    const file = await it.disk.open(path, 'create');
    const bytes = pattern(3000);
    await file.write(
      Array.from(bytes, (byte) => Uint8Array.of(byte)),
      0,
    );
    assert.equal(await readRange(file, 0, 4000), bytes);
    await file.close();
  });

  test('reads fewer bytes at the end of file, and none behind it', async ({ it, path }) => {
    const file = await it.disk.open(path, 'create');
    await file.write([pattern(100)], 0);
    assert.equal(await readRange(file, 60, 1000), pattern(100).subarray(60));
    assert.equal(await readRange(file, 100, 10), Buffer.alloc(0));
    assert.equal(await readRange(file, 100_000, 10), Buffer.alloc(0));
    await file.close();
  });

  test('readCached gives a prefix of what read gives, or -1', async ({ it, path }) => {
    const file = await it.disk.open(path, 'create');
    const bytes = pattern(12_000);
    await file.write([bytes], 0);
    const into = Buffer.alloc(12_000);
    const n = file.readCached(into, 0);
    assert.ok(n >= -1 && n <= 12_000);
    if (n > 0) assert.equal(into.subarray(0, n), bytes.subarray(0, n));
    assert.ok(file.readCached(Buffer.alloc(10), 12_000) <= 0, 'nothing behind the end');
    await file.close();
  });

  test('overwrites in place', async ({ it, path }) => {
    const file = await it.disk.open(path, 'create');
    await file.write([pattern(10_000)], 0);
    await file.write([pattern(5000, 9)], 3000);
    const expected = Buffer.concat([
      pattern(10_000).subarray(0, 3000),
      pattern(5000, 9),
      pattern(10_000).subarray(8000),
    ]);
    assert.equal(await readRange(file, 0, 10_000), expected);
    await file.close();
  });

  test('truncate cuts, and a file that grows again shows zeros', async ({ it, path }) => {
    const file = await it.disk.open(path, 'create');
    await file.write([pattern(10_000)], 0);
    await file.truncate(5000);
    assert.equal((await file.info()).sizeBytes, 5000);
    await file.truncate(9000);
    const expected = Buffer.concat([pattern(5000), Buffer.alloc(4000)]);
    assert.equal(await readRange(file, 0, 10_000), expected);
    await file.close();
  });

  test('reserve takes space and leaves size and bytes alone', async ({ it, path }) => {
    const file = await it.disk.open(path, 'create');
    await file.write([pattern(5000)], 0);
    await file.reserve(0, 1 << 20);
    const info = await file.info();
    assert.equal(info.sizeBytes, 5000);
    assert.ok(info.allocatedBytes >= 1 << 20, `${info.allocatedBytes} allocated`);
    assert.equal(await readRange(file, 0, 6000), pattern(5000));
    await file.reserve(0, 0);
    await file.close();
  });

  test('extend takes space, and the file reaches to its end', async ({ it, path }) => {
    const file = await it.disk.open(path, 'create');
    await file.write([pattern(5000)], 0);
    await file.extend(0, 4096);
    assert.is((await file.info()).sizeBytes, 5000, 'what is longer stays so');
    await file.extend(4096, 1 << 20);
    const info = await file.info();
    assert.is(info.sizeBytes, 4096 + (1 << 20));
    assert.ok(info.allocatedBytes >= 1 << 20, `${info.allocatedBytes} bytes`);
    const expected = Buffer.concat([pattern(5000), Buffer.alloc(5000)]);
    assert.equal(await readRange(file, 0, 10_000), expected);
    await file.punch(8192, (1 << 20) - 4096);
    const left = await file.info();
    assert.is(left.sizeBytes, info.sizeBytes);
    assert.ok(left.allocatedBytes < 1 << 20, `${left.allocatedBytes} bytes after the punch`);
    await file.extend(0, 0);
    await file.close();
  });

  test('truncate to the same size gives back what is reserved behind it', async ({ it, path }) => {
    const file = await it.disk.open(path, 'create');
    await file.write([pattern(5000)], 0);
    await file.datasync();
    await file.reserve(0, 1 << 20);
    await file.truncate(5000);
    assert.equal((await file.info()).allocatedBytes, 8192);
    assert.equal(await readRange(file, 0, 6000), pattern(5000));
    await file.close();
  });

  test('punch gives whole pages back, zeros the rest, keeps the size; twice is once', async ({
    it,
    path,
  }) => {
    const file = await it.disk.open(path, 'create');
    const bytes = pattern(40_960);
    await file.write([bytes], 0);
    await file.datasync();
    const before = (await file.info()).allocatedBytes;
    const expected = Buffer.from(bytes).fill(0, 5000, 25_000);
    for (let round = 0; round < 2; round++) {
      await file.punch(5000, 20_000);
      const info = await file.info();
      assert.equal(info.sizeBytes, 40_960);
      assert.equal(before - info.allocatedBytes, 4 * 4096, 'pages 2 to 5 lie within');
      assert.equal(await readRange(file, 0, 40_960), expected);
    }
    await file.punch(0, 0);
    assert.equal(await readRange(file, 0, 40_960), expected);
    await file.close();
  });

  test('syncs of files and directories resolve', async ({ it, path }) => {
    const file = await it.disk.open(path, 'create');
    await file.write([pattern(10)], 0);
    await file.datasync();
    await file.sync();
    await file.close();
    await it.disk.syncDir(it.dir);
  });

  test('open says what is wrong', async ({ it, path }) => {
    assert.is(await codeOf(it.disk.open(path, 'read')), 'ENOENT');
    assert.is(await codeOf(it.disk.open(path, 'write')), 'ENOENT');
    assert.is(await codeOf(it.disk.open(`${it.dir}/no/file`, 'create')), 'ENOENT');
    await (await it.disk.open(path, 'create')).close();
    assert.is(await codeOf(it.disk.open(path, 'create')), 'EEXIST');
    assert.is(await codeOf(it.disk.open(it.dir, 'write')), 'EISDIR');
  });

  test('a file opened for reading cannot be written', async ({ it, path }) => {
    await (await it.disk.open(path, 'create')).close();
    const file = await it.disk.open(path, 'read');
    assert.is(await codeOf(file.write([pattern(1)], 0)), 'EBADF');
    await file.close();
  });

  test('directories list what they hold', async ({ it, path }) => {
    await it.disk.mkdir(`${it.dir}/sub`);
    await (await it.disk.open(path, 'create')).close();
    await (await it.disk.open(`${it.dir}/sub/inner`, 'create')).close();
    assert.equal((await it.disk.list(it.dir)).toSorted(), ['file', 'sub']);
    assert.equal(await it.disk.list(`${it.dir}/sub`), ['inner']);
    assert.is((await it.disk.info(`${it.dir}/sub`))?.isDirectory, true);
    assert.is((await it.disk.info(path))?.isDirectory, false);
    assert.is(await it.disk.info(`${it.dir}/none`), undefined);
    assert.is(await codeOf(it.disk.mkdir(`${it.dir}/sub`)), 'EEXIST');
    assert.is(await codeOf(it.disk.mkdir(`${it.dir}/no/sub`)), 'ENOENT');
    assert.is(await codeOf(it.disk.list(`${it.dir}/none`)), 'ENOENT');
    assert.is(await codeOf(it.disk.syncDir(`${it.dir}/none`)), 'ENOENT');
  });

  test('rename moves a file, and replaces one', async ({ it, path }) => {
    const { disk, dir } = it;
    for (const [name, seed] of [['a', 1] as const, ['b', 2] as const]) {
      const file = await disk.open(`${dir}/${name}`, 'create');
      await file.write([pattern(50, seed)], 0);
      await file.close();
    }
    await disk.mkdir(`${dir}/sub`);
    await disk.rename(`${dir}/a`, `${dir}/b`);
    assert.equal(await readWhole(disk, `${dir}/b`), pattern(50, 1));
    await disk.rename(`${dir}/b`, `${dir}/sub/c`);
    assert.equal(await disk.list(dir), ['sub']);
    assert.equal(await readWhole(disk, `${dir}/sub/c`), pattern(50, 1));
    assert.is(await codeOf(disk.rename(`${dir}/a`, path)), 'ENOENT');
  });

  test('an unlinked file lives on in those who have it open', async ({ it, path }) => {
    const file = await it.disk.open(path, 'create');
    await file.write([pattern(100)], 0);
    await it.disk.unlink(path);
    assert.is(await it.disk.info(path), undefined);
    assert.equal(await readRange(file, 0, 100), pattern(100));
    await file.close();
    assert.is(await codeOf(it.disk.unlink(path)), 'ENOENT');
    await it.disk.mkdir(`${it.dir}/sub`);
    assert.ok(['EISDIR', 'EPERM'].includes((await codeOf(it.disk.unlink(`${it.dir}/sub`))) ?? ''));
  });

  test('replaceWhole replaces, also over what a crash left behind', async ({ it, path }) => {
    await replaceWhole(it.disk, it.dir, 'file', pattern(10, 1));
    await (await it.disk.open(`${path}.new`, 'create')).close();
    await replaceWhole(it.disk, it.dir, 'file', pattern(20, 2));
    assert.equal(await readWhole(it.disk, path), pattern(20, 2));
    assert.equal(await it.disk.list(it.dir), ['file']);
    assert.is(await readWhole(it.disk, `${it.dir}/none`), undefined);
  });

  test('opens a file to others', async ({ it, path }) => {
    assert.is(await codeOf(it.disk.chmod(path, 0o644)), 'ENOENT');
    await (await it.disk.open(path, 'create')).close();
    await it.disk.chmod(path, 0o644);
  });

  test('tells its space', async ({ it }) => {
    const space = await it.disk.space(it.dir);
    assert.ok(space.totalBytes > 0);
    assert.ok(space.availableBytes >= 0 && space.availableBytes <= space.totalBytes);
    assert.ok(space.freeBytes >= space.availableBytes && space.freeBytes <= space.totalBytes);
  });

  test('using a closed file is a bug, not an error', async ({ it, path }) => {
    const file = await it.disk.open(path, 'create');
    await file.close();
    let thrown: unknown;
    try {
      await file.read(Buffer.alloc(1), 0);
    } catch (error) {
      thrown = error;
    }
    assert.is((thrown as Error | undefined)?.name, 'AssertionError');
  });

  test.run();
}

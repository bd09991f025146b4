import { closeSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readInto, setNonBlocking, socketPair, writeFrom } from '../../src/io/libc.ts';
import {
  chooseWatcher,
  pipeWatcher,
  pollWatcher,
  watcherWorks,
  type Watcher,
} from '../../src/io/watcher.ts';

const WATCHERS: readonly (readonly [string, Watcher])[] = [
  ['poll', pollWatcher],
  ['pipe', pipeWatcher],
];

/** Resolves when `condition` holds, looking once a turn of the event loop. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

const send = (fd: number, text: string): number => writeFrom(fd, Buffer.from(text), text.length);

for (const [name, watcher] of WATCHERS) {
  const test = suite<{ near: number; far: number }>(`watcher: ${name}`);

  test.before.each((context) => {
    [context.near, context.far] = socketPair();
    setNonBlocking(context.near);
  });
  test.after.each(({ near }) => closeSync(near));

  test('delivers what comes, then the end', async ({ near, far }) => {
    const buffer = Buffer.alloc(64);
    const seen: string[] = [];
    let end: number | undefined;
    watcher(near, {
      buffer,
      read: (length) => seen.push(buffer.toString('latin1', 0, length)),
      ended: (errno) => (end = errno),
    });
    for (const text of ['one', 'two']) {
      send(far, text);
      await until(() => seen.at(-1) === text);
    }
    closeSync(far);
    await until(() => end !== undefined);
    assert.equal(seen, ['one', 'two']);
    assert.is(end, 0);
  });

  test('lets its target take more in the same turn', async ({ near, far }) => {
    const buffer = Buffer.alloc(2);
    const seen: string[] = [];
    const stop = watcher(near, {
      buffer,
      read(length) {
        for (let n = length; n > 0; n = readInto(near, buffer, buffer.length)) {
          seen.push(buffer.toString('latin1', 0, n));
        }
      },
      ended: () => assert.unreachable('not ended'),
    });
    send(far, 'aabbcc');
    await until(() => seen.length > 0);
    assert.equal(seen, ['aa', 'bb', 'cc']);
    stop();
    closeSync(far);
  });

  test('after a stop nothing comes, and the descriptor is open', async ({ near, far }) => {
    let reads = 0;
    const stop = watcher(near, {
      buffer: Buffer.alloc(16),
      read: () => reads++,
      ended: () => assert.unreachable('not ended'),
    });
    send(far, 'x');
    await until(() => reads === 1);
    stop();
    stop();
    send(far, 'y');
    for (let turn = 0; turn < 5; turn++) await until(() => true);
    assert.is(reads, 1);
    const rest = Buffer.alloc(16);
    assert.is(readInto(near, rest, 16), 1, 'still there to be read');
    closeSync(far);
  });

  test('an exception of the target is seen, and the watch goes on', async ({ near, far }) => {
    const thrown: unknown[] = [];
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => thrown.push(error));
    let reads = 0;
    const stop = watcher(near, {
      buffer: Buffer.alloc(16),
      read() {
        reads++;
        if (reads === 1) throw new Error('on purpose');
      },
      ended: () => assert.unreachable('not ended'),
    });
    try {
      send(far, 'x');
      await until(() => thrown.length === 1);
      send(far, 'y');
      await until(() => reads === 2);
    } finally {
      stop();
      closeSync(far);
      process.removeAllListeners('uncaughtException');
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
    assert.is((thrown[0] as Error).message, 'on purpose');
  });

  test('passes its self-test', async ({ far }) => {
    assert.is(await watcherWorks(watcher), true);
    closeSync(far);
  });

  test.run();
}

const choosing = suite('watcher: choice');

const silent: Watcher = () => () => undefined;
const broken: Watcher = () => {
  throw new Error('not on this machine');
};

choosing('takes the first that works', async () => {
  assert.is(await chooseWatcher(), pollWatcher);
  assert.is(await chooseWatcher([broken, pipeWatcher]), pipeWatcher);
});

choosing('a watcher that stays silent does not work', async () => {
  assert.is(await watcherWorks(silent), false);
});

choosing('says so where none works', async () => {
  await chooseWatcher([broken]).then(
    () => assert.unreachable('none works'),
    (error: Error) => assert.match(error.message, 'no way to watch'),
  );
});

choosing.run();

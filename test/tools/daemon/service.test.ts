/** The daemon's life: its mounts, and the one orderly end, whoever asks for it. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { silent } from '../../../src/io/logger.ts';
import { seq } from '../../../src/model/ids.ts';
import type { MountSession, ServedVolume } from '../../../tools/daemon/service.ts';
import { Service } from '../../../tools/daemon/service.ts';

/** What happened, in order. */
type Story = string[];

class FakeSession implements MountSession {
  readonly ended: Promise<void>;
  readonly #point: string;
  readonly #story: Story;
  #end: () => void = () => undefined;
  isBusy = false;
  isDetached = false;

  constructor(point: string, story: Story) {
    this.#point = point;
    this.#story = story;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  isAttached(): boolean {
    return !this.isDetached;
  }

  unmount(lazy: boolean): Promise<void> {
    if (this.isBusy && !lazy) {
      return Promise.reject(Object.assign(new Error('target is busy'), { code: 'EBUSY' }));
    }
    this.#story.push(`unmount ${this.#point}${lazy ? ' lazily' : ''}`);
    this.#end();
    return Promise.resolve();
  }

  /** umount(8). */
  endFromOutside(): void {
    this.#story.push(`gone ${this.#point}`);
    this.#end();
  }
}

const volumeOf = (story: Story, failing: ReadonlySet<string>): ServedVolume => {
  const act = (what: string): Promise<void> => {
    story.push(what);
    return failing.has(what) ? Promise.reject(new Error(`${what} failed`)) : Promise.resolve();
  };
  return {
    dir: '/volume',
    fsid: 'ab'.repeat(16),
    status: () =>
      Promise.resolve({
        log: { head: 1, durable: 1, oldest: 1, segments: 1, bytes: 1 },
        index: { applied: 1, persisted: 1 },
        space: { blocks: 1, freeBlocks: 1 },
        openFiles: 0,
      }),
    sync: () => act('sync').then(() => seq(1)),
    digest: () => Promise.resolve(''),
    check: () => Promise.resolve(undefined),
    checkpoint: () => Promise.resolve(seq(1)),
    trim: () => Promise.resolve(seq(1)),
    scrub: () => Promise.resolve({}),
    close: () => act('close'),
  };
};

interface Scene {
  readonly service: Service;
  readonly story: Story;
  readonly session: (point: string) => FakeSession;
}

function scene(failing: readonly string[] = []): Scene {
  const story: Story = [];
  const sessions = new Map<string, FakeSession>();
  const service = new Service({
    volume: volumeOf(story, new Set(failing)),
    version: '1',
    ownerUid: 0,
    log: silent,
    startSession: ({ mountPoint }) => {
      if (failing.includes(`mount ${mountPoint}`)) return Promise.reject(new Error('no mount'));
      const session = new FakeSession(mountPoint, story);
      sessions.set(mountPoint, session);
      story.push(`mount ${mountPoint}`);
      return Promise.resolve(session);
    },
  });
  return { service, story, session: (point) => sessions.get(point) as FakeSession };
}

const mountAt = (service: Service, mountPoint: string): Promise<void> =>
  service.addMount({ mountPoint, options: [] });

const codeOf = async (promise: Promise<unknown>): Promise<string | undefined> =>
  promise.then(
    () => assert.unreachable('should have failed') as never,
    (cause: NodeJS.ErrnoException) => cause.code,
  );

const test = suite('service');

test('a stop commits, unmounts, closes, in this order', async () => {
  const { service, story } = scene();
  await mountAt(service, '/a');
  await mountAt(service, '/b');
  await Promise.all([service.stop(), service.stop()]);
  await service.ended;
  assert.equal(story.slice(2), ['sync', 'unmount /a', 'unmount /b', 'close']);
});

test('the volume is closed after its last umount, not before', async () => {
  const { service, story } = scene();
  await mountAt(service, '/a');
  await mountAt(service, '/b');
  await service.removeMount('/a', false);
  assert.not.ok(story.includes('close'));
  assert.equal(
    (await service.status()).mounts.map(({ mountPoint }) => mountPoint),
    ['/b'],
  );
  await service.removeMount('/b', false);
  assert.is(story.at(-1), 'close', 'closed before removeMount answers');
  assert.is(story.filter((what) => what === 'close').length, 1);
});

test('a mount taken away from outside ends the daemon like any other', async () => {
  const { service, story, session } = scene();
  await mountAt(service, '/a');
  session('/a').endFromOutside();
  await service.ended;
  assert.equal(story, ['mount /a', 'gone /a', 'sync', 'close']);
});

test('a busy mount refuses umount, and stays', async () => {
  const { service, story, session } = scene();
  await mountAt(service, '/a');
  session('/a').isBusy = true;
  assert.is(await codeOf(service.removeMount('/a', false)), 'EBUSY');
  assert.is((await service.status()).mounts.length, 1);
  await service.removeMount('/a', true);
  assert.equal(story.slice(-3), ['unmount /a lazily', 'sync', 'close']);
});

test('a stop takes a busy mount away lazily, after the commit', async () => {
  const { service, story, session } = scene();
  await mountAt(service, '/a');
  session('/a').isBusy = true;
  await service.stop();
  assert.equal(story.slice(1), ['sync', 'unmount /a lazily', 'close']);
});

test('a volume that cannot commit any more is unmounted and closed all the same', async () => {
  const { service, story } = scene(['sync']);
  await mountAt(service, '/a');
  await service.stop();
  assert.equal(story.slice(1), ['sync', 'unmount /a', 'close']);
});

test('a failed close is told to all who wait for the end', async () => {
  const { service } = scene(['close']);
  await mountAt(service, '/a');
  await codeOf(service.stop());
  await codeOf(service.ended);
});

test('a mount point is taken once, and free again after a failure', async () => {
  const { service } = scene(['mount /bad']);
  await mountAt(service, '/a');
  assert.is(await codeOf(mountAt(service, '/a')), 'EBUSY');
  await codeOf(mountAt(service, '/bad'));
  assert.is((await service.status()).mounts.length, 1);
  const [first, second] = await Promise.allSettled([
    mountAt(service, '/c'),
    mountAt(service, '/c'),
  ]);
  assert.equal([first.status, second.status].sort(), ['fulfilled', 'rejected']);
});

test('the place of a detached mount is free, and the daemon serves both', async () => {
  const { service, story, session } = scene();
  await mountAt(service, '/a');
  const old = session('/a');
  old.isDetached = true;
  await mountAt(service, '/a');
  assert.is((await service.status()).mounts.length, 2);
  await service.removeMount('/a', false);
  assert.equal(story, ['mount /a', 'mount /a', 'sync', 'unmount /a']);
  assert.is(await codeOf(service.removeMount('/a', false)), 'EINVAL');
  old.endFromOutside();
  await service.ended;
  assert.is(story.at(-1), 'close');
});

test('one commit interval holds for all mounts of a volume', async () => {
  const { service } = scene();
  await mountAt(service, '/a');
  const asking = (commitMs: number) =>
    service.addMount({ mountPoint: '/b', options: [], commitMs });
  assert.is(await codeOf(asking(5000)), 'EINVAL');
  assert.is((await service.status()).mounts.length, 1);
});

test('an ending daemon takes no mounts, and does not know foreign mount points', async () => {
  const { service } = scene();
  await mountAt(service, '/a');
  assert.is(await codeOf(service.removeMount('/x', false)), 'EINVAL');
  const stopping = service.stop();
  assert.is(await codeOf(mountAt(service, '/b')), 'ESHUTDOWN');
  await stopping;
});

test.run();

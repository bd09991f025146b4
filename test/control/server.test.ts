/** The control plane over a real socket: every route, its refusals, long work, long paths. */

import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { ControlClient } from '../../src/control/client.ts';
import { connect } from '../../src/control/client.ts';
import type { DaemonStatus, MountRequest, MountStatus } from '../../src/control/protocol.ts';
import { ControlError } from '../../src/control/protocol.ts';
import type { ControlledDaemon } from '../../src/control/routes.ts';
import { checkAccess, ROUTES } from '../../src/control/routes.ts';
import type { ControlServer } from '../../src/control/server.ts';
import { startServer } from '../../src/control/server.ts';
import { silent } from '../../src/io/logger.ts';

interface Context {
  volume: string;
  daemon: FakeDaemon;
  server: ControlServer;
  client: ControlClient;
}

/** Records what it is asked to do. */
class FakeDaemon implements ControlledDaemon {
  readonly ownerUid = 0;
  readonly uid = 0;
  readonly mounted: MountStatus[] = [];
  readonly calls: string[] = [];
  refusal: ControlError | undefined;

  status(): Promise<DaemonStatus> {
    return Promise.resolve({
      fsid: '00'.repeat(16),
      pid: process.pid,
      version: '0.0.0',
      volume: '/volume',
      mounts: this.mounted,
      log: { head: 7, durable: 5, oldest: 1, segments: 1, bytes: 4096 },
      index: { applied: 6, persisted: 4 },
      space: { blocks: 100, freeBlocks: 50 },
      openFiles: 2,
    });
  }
  sync(): Promise<number> {
    this.calls.push('sync');
    return Promise.resolve(5);
  }
  addMount(request: MountRequest): Promise<void> {
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    const { mountPoint, options, transport = 'kernel' } = request;
    this.mounted.push({ mountPoint, options, transport });
    return Promise.resolve();
  }
  removeMount(mountPoint: string, lazy: boolean): Promise<void> {
    this.calls.push(`remove ${mountPoint} ${String(lazy)}`);
    return Promise.resolve();
  }
  digest(): Promise<string> {
    return Promise.resolve('ab12');
  }
  checkpoint(): Promise<number> {
    return Promise.resolve(42);
  }
  trim(before: number): Promise<number> {
    return Promise.resolve(before - 1);
  }
  scrub(onProgress: (p: { phase: string; done: number; total: number }) => void): Promise<unknown> {
    onProgress({ phase: 'scrub', done: 1, total: 2 });
    onProgress({ phase: 'scrub', done: 2, total: 2 });
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    return Promise.resolve({ bad: [] });
  }
  check(): Promise<unknown> {
    return Promise.resolve({ clean: true });
  }
}

const test = suite<Context>('control', {} as Context);

test.before.each(async (context) => {
  context.volume = await mkdtemp(join(tmpdir(), 'control-'));
  context.daemon = new FakeDaemon();
  context.server = await startServer(context.volume, context.daemon, silent);
  const client = await connect(context.volume);
  assert.ok(client);
  context.client = client;
});
test.after.each(async ({ server, volume }) => {
  await server.close();
  await rm(volume, { recursive: true, force: true });
});

interface Raw {
  readonly status: number;
  readonly body: string;
}

/** A request as any stranger could send it. */
const raw = (volume: string, method: string, path: string, body?: string): Promise<Raw> =>
  new Promise((resolve, reject) => {
    const socketPath = `${volume}/control.sock`;
    const request = httpRequest({ socketPath, method, path, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    request.on('error', reject);
    request.end(body);
  });

const rejection = async (promise: Promise<unknown>): Promise<ControlError> => {
  try {
    await promise;
  } catch (cause) {
    assert.instance(cause, ControlError);
    return cause as ControlError;
  }
  return assert.unreachable('should have failed') as never;
};

test('status comes over as it is', async ({ client, daemon }) => {
  assert.equal(await client.status(), await daemon.status());
});

test('sync commits, and tells what is durable', async ({ client, daemon }) => {
  assert.is(await client.sync(), 5);
  assert.equal(daemon.calls, ['sync']);
});

test('mounts are added and removed', async ({ client, daemon }) => {
  await client.addMount({ mountPoint: '/mnt/ä', options: ['ro'] });
  assert.equal(daemon.mounted, [{ mountPoint: '/mnt/ä', options: ['ro'], transport: 'kernel' }]);
  await client.removeMount('/mnt/ä', true);
  assert.equal(daemon.calls, ['remove /mnt/ä true']);
});

test('positions, hashes and reports come over', async ({ client }) => {
  assert.is(await client.digest(), 'ab12');
  assert.is(await client.checkpoint(), 42);
  assert.is(await client.trim(9), 8);
});

test('long work reports progress before its result', async ({ client }) => {
  const seen: number[] = [];
  assert.equal(await client.scrub((progress) => seen.push(progress.done)), { bad: [] });
  assert.equal(seen, [1, 2]);
});

test('failures keep message and code, in short and in long work', async ({ client, daemon }) => {
  daemon.refusal = new ControlError('/mnt: in use', 'EBUSY');
  for (const failed of [
    client.addMount({ mountPoint: '/mnt', options: [] }),
    client.scrub(() => undefined),
  ]) {
    const error = await rejection(failed);
    assert.is(error.message, '/mnt: in use');
    assert.is(error.code, 'EBUSY');
  }
});

test('malformed requests are refused and the server goes on', async ({ client, volume }) => {
  const cases: readonly (readonly [string, string, string | undefined, number])[] = [
    ['GET', '/v1/nothing', undefined, 404],
    ['PUT', '/v1/status', undefined, 405],
    ['POST', '/v1/mounts', undefined, 400],
    ['POST', '/v1/mounts', '{"mountPoint":', 400],
    ['POST', '/v1/mounts', '{"mountPoint":"relative"}', 400],
    ['POST', '/v1/mounts', '{"mountPoint":"/m","options":[1]}', 400],
    ['POST', '/v1/mounts', '[]', 400],
    ['POST', '/v1/mounts', `"${'x'.repeat(70_000)}"`, 413],
    ['GET', '//', undefined, 404],
  ];
  for (const [method, path, body, status] of cases) {
    const answer = await raw(volume, method, path, body);
    assert.is(answer.status, status, `${method} ${path}`);
    assert.ok((JSON.parse(answer.body) as { failure: { code: string } }).failure.code);
  }
  const bad = await raw(volume, 'POST', '/v1/trim', '{"before":-1}');
  assert.match(bad.body, 'EINVAL');
  assert.is((await client.status()).pid, process.pid);
});

test('strangers may look and sync, and nothing else', () => {
  const stranger = { pid: 1, uid: 1234, gid: 1234, groups: [] };
  const allowed = ROUTES.filter((route) => {
    try {
      checkAccess(route, stranger, { ownerUid: 0, uid: 0 });
      return true;
    } catch (cause) {
      assert.is((cause as ControlError).code, 'EPERM');
      return false;
    }
  }).map(({ method, path }) => `${method} ${path}`);
  assert.equal(allowed, ['GET /v1/status', 'POST /v1/sync']);
  const owner = { ...stranger, uid: 77 };
  for (const route of ROUTES) checkAccess(route, owner, { ownerUid: 77, uid: 77 });
});

test("a daemon of root mounts nothing for the owner of a user's volume", () => {
  const owner = { pid: 1, uid: 77, gid: 77, groups: [] };
  const refused = ROUTES.filter((route) => {
    try {
      checkAccess(route, owner, { ownerUid: 77, uid: 0 });
      return false;
    } catch (cause) {
      assert.is((cause as ControlError).code, 'EPERM');
      return true;
    }
  }).map(({ method, path }) => `${method} ${path}`);
  assert.equal(refused, ['POST /v1/mounts', 'DELETE /v1/mounts']);
});

test('the socket is open to all, and goes with the server', async ({ volume, server }) => {
  assert.is((await stat(`${volume}/control.sock`)).mode & 0o777, 0o666);
  await server.close();
  assert.is(await connect(volume), undefined);
});

test('the socket of a dead daemon is replaced', async () => {
  const volume = await mkdtemp(join(tmpdir(), 'control-'));
  await writeFile(`${volume}/control.sock`, '');
  assert.is(await connect(volume), undefined);
  const server = await startServer(volume, new FakeDaemon(), silent);
  assert.ok(await connect(volume));
  await server.close();
  await rm(volume, { recursive: true });
});

test('a volume may lie deeper than a socket path can be long', async () => {
  const top = await mkdtemp(join(tmpdir(), 'control-'));
  const volume = join(top, 'd'.repeat(100), 'e'.repeat(100));
  await mkdir(volume, { recursive: true });
  const server = await startServer(volume, new FakeDaemon(), silent);
  const client = await connect(volume);
  assert.is((await client?.status())?.fsid, '00'.repeat(16));
  await server.close();
  assert.is(await connect(volume), undefined);
  await rm(top, { recursive: true });
});

test.run();

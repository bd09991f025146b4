/**
 * The control socket's server: HTTP on VOLUME/control.sock. It owns the socket file.
 *
 * Order of events: whoever calls `startServer` holds the volume's lock, so a socket file that is
 * there already belongs to a dead daemon and is removed; then bind, then open to all (mode 0666):
 * each route checks the peer's credentials, which the kernel vouches for. A crash leaves the socket
 * file; connecting to it is refused by the kernel, and the next daemon removes it. Closing waits
 * for the answers under way and removes the file.
 */

import { chmod, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import type { PeerCredentials } from '../io/libc.ts';
import { peerCredentials } from '../io/libc.ts';
import type { LogFunction } from '../io/logger.ts';
import { socketAddress } from './address.ts';
import type { Failure, OnProgress, WorkLine } from './protocol.ts';
import { ControlError } from './protocol.ts';
import type { ControlledDaemon, Route } from './routes.ts';
import { checkAccess, ROUTES } from './routes.ts';

/** No request of ours has a body near this; more is refused unread. */
const MAX_BODY_BYTES = 64 * 1024;
/** Idle and half-sent connections are closed: strangers may connect, and descriptors are few. */
const MAX_CONNECTIONS = 256;

export interface ControlServer {
  close(): Promise<void>;
}

/** Serves `daemon` on the control socket of `volume`. Throws if the socket cannot be bound. */
export async function startServer(
  volume: string,
  daemon: ControlledDaemon,
  log: LogFunction,
): Promise<ControlServer> {
  const address = await socketAddress(volume);
  const server = createServer((request, response) => {
    answer(daemon, request, response, log).catch((cause: unknown) => {
      log('error', 'control: answer failed', { cause });
      response.destroy();
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  try {
    await rm(address.path, { force: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(address.path, resolve);
    });
    await chmod(address.path, 0o666);
  } catch (cause) {
    await address[Symbol.asyncDispose]();
    throw cause;
  }
  return {
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      await closed;
      await address[Symbol.asyncDispose]();
    },
  };
}

async function answer(
  daemon: ControlledDaemon,
  request: IncomingMessage,
  response: ServerResponse,
  log: LogFunction,
): Promise<void> {
  // One request a connection: a kept connection would hold up the end of the daemon.
  response.setHeader('connection', 'close');
  try {
    const peer = peerOf(request.socket);
    const [path = ''] = (request.url ?? '').split('?', 1);
    const route = findRoute(request.method ?? '', path);
    checkAccess(route, peer, daemon);
    const body = await readBody(request);
    const run = (onProgress: OnProgress): Promise<unknown> =>
      route.run(daemon, { body, peer }, onProgress);
    if (route.isLong) await streamWork(response, run);
    else sendJson(response, 200, await run(() => undefined));
  } catch (cause) {
    const failure = failureOf(cause);
    log(
      'warn',
      `control: ${request.method ?? ''} ${request.url ?? ''}: ${failure.message}`,
      failure,
    );
    sendJson(response, statusOf(failure.code), { failure });
  }
}

/** What the kernel says about who connected. */
function peerOf(socket: Socket): PeerCredentials {
  // libuv's handle is the only way to a socket's descriptor; Node's types do not have it.
  const { _handle: pipe } = socket as unknown as { _handle: { fd: number } | null };
  if (pipe === null || pipe.fd < 0) throw new ControlError('the peer is gone', 'ENOTCONN');
  return peerCredentials(pipe.fd);
}

function findRoute(method: string, path: string): Route {
  const atPath = ROUTES.filter((route) => route.path === path);
  const route = atPath.find((candidate) => candidate.method === method);
  if (route !== undefined) return route;
  if (atPath.length === 0) throw new ControlError(`no such route: ${path}`, 'ENOENT');
  throw new ControlError(`${path} does not know ${method}`, 'EOPNOTSUPP');
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new ControlError('the body is too large', 'E2BIG');
    chunks.push(chunk);
  }
  if (bytes === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new ControlError('the body is not JSON', 'EINVAL', { cause });
  }
}

/** Sends progress as it comes, then the result; too slow a reader loses progress lines only. */
async function streamWork(
  response: ServerResponse,
  run: (onProgress: OnProgress) => Promise<unknown>,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  const send = (line: WorkLine<unknown>): boolean => response.write(`${JSON.stringify(line)}\n`);
  try {
    const result = await run((progress) => {
      if (!response.writableNeedDrain && !response.destroyed) send({ progress });
    });
    send({ result });
  } catch (cause) {
    send({ failure: failureOf(cause) });
  }
  response.end();
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent) return;
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}

function failureOf(cause: unknown): Failure {
  if (!(cause instanceof Error)) return { message: String(cause), code: 'EIO' };
  const { code } = cause as NodeJS.ErrnoException;
  // Node's own codes (ERR_...) are no errnos, and mean a failure inside.
  return { message: cause.message, code: /^E[A-Z0-9]+$/.test(code ?? '') ? (code ?? '') : 'EIO' };
}

function statusOf(code: string): number {
  switch (code) {
    case 'ENOENT':
      return 404;
    case 'EPERM':
    case 'EACCES':
      return 403;
    case 'EOPNOTSUPP':
      return 405;
    case 'E2BIG':
      return 413;
    case 'EINVAL':
      return 400;
    case 'EBUSY':
    case 'EEXIST':
      return 409;
    case 'ESHUTDOWN':
      return 503;
    default:
      return 500;
  }
}

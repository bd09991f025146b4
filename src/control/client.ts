/**
 * The control socket's client. Each call is one connection; a daemon that is not there is told from
 * one that refuses: the former is `undefined` from `connect`, the latter a `ControlError`.
 */

import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';
import { socketAddress } from './address.ts';
import type { DaemonStatus, FailureBody, MountRequest, OnProgress, WorkLine } from './protocol.ts';
import { ControlError } from './protocol.ts';

export interface ControlClient {
  status(): Promise<DaemonStatus>;
  /** Resolves to the durable position when all that was answered before the call is durable. */
  sync(): Promise<number>;
  addMount(request: MountRequest): Promise<void>;
  /** Resolves when it is unmounted and, if it was the last mount, the volume is closed. */
  removeMount(mountPoint: string, lazy: boolean): Promise<void>;
  digest(): Promise<string>;
  checkpoint(): Promise<number>;
  /** Resolves to the oldest position that is left. */
  trim(before: number): Promise<number>;
  scrub<T>(onProgress: OnProgress): Promise<T>;
  check<T>(onProgress: OnProgress): Promise<T>;
}

/** A client of the daemon that serves `volume`, or undefined if none listens there. */
export async function connect(volume: string): Promise<ControlClient | undefined> {
  return (await isListening(volume)) ? clientOf(volume) : undefined;
}

/** These say that nobody is there: no socket, one of a dead daemon, no such directory. */
const ABSENT = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTDIR', 'ENOTSOCK']);

async function isListening(volume: string): Promise<boolean> {
  try {
    await using address = await socketAddress(volume);
    await new Promise<void>((resolve, reject) => {
      const probe = createConnection(address.path, () => {
        probe.destroy();
        resolve();
      });
      probe.once('error', reject);
    });
    return true;
  } catch (cause) {
    if (ABSENT.has((cause as NodeJS.ErrnoException).code ?? '')) return false;
    throw cause;
  }
}

function clientOf(volume: string): ControlClient {
  const call = <T>(method: string, path: string, body?: unknown): Promise<T> =>
    send(volume, method, path, body).then(readJson<T>);
  const work = <T>(
    method: string,
    path: string,
    body: unknown,
    onProgress: OnProgress,
  ): Promise<T> =>
    send(volume, method, path, body).then((response) => readWork<T>(response, onProgress));
  const quietly: OnProgress = () => {};
  return {
    status: () => call<DaemonStatus>('GET', '/v1/status'),
    sync: async () => (await call<{ durable: number }>('POST', '/v1/sync')).durable,
    addMount: (request) => call<void>('POST', '/v1/mounts', request),
    removeMount: (mountPoint, lazy) => call<void>('DELETE', '/v1/mounts', { mountPoint, lazy }),
    digest: async () =>
      (await work<{ digest: string }>('GET', '/v1/digest', undefined, quietly)).digest,
    checkpoint: async () =>
      (await work<{ seq: number }>('POST', '/v1/checkpoint', undefined, quietly)).seq,
    trim: async (before) =>
      (await work<{ oldest: number }>('POST', '/v1/trim', { before }, quietly)).oldest,
    scrub: <T>(onProgress: OnProgress) => work<T>('POST', '/v1/scrub', undefined, onProgress),
    check: <T>(onProgress: OnProgress) => work<T>('POST', '/v1/check', undefined, onProgress),
  };
}

async function send(
  volume: string,
  method: string,
  path: string,
  body: unknown,
): Promise<IncomingMessage> {
  await using address = await socketAddress(volume);
  const text = body === undefined ? '' : JSON.stringify(body);
  return await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpRequest({ socketPath: address.path, method, path, agent: false }, resolve);
    request.once('error', reject);
    request.setHeader('content-length', Buffer.byteLength(text));
    request.end(text);
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** Answers come from the daemon of the same package, so their shape is trusted, not validated. */
async function readJson<T>(response: IncomingMessage): Promise<T> {
  const body: unknown = JSON.parse(await readText(response));
  if (response.statusCode !== 200) throw errorOf(body as FailureBody);
  return body as T;
}

async function readWork<T>(response: IncomingMessage, onProgress: OnProgress): Promise<T> {
  if (response.statusCode !== 200) return readJson<T>(response);
  for await (const text of createInterface({ input: response })) {
    const line = JSON.parse(text) as WorkLine<T>;
    if ('progress' in line) onProgress(line.progress);
    else if ('failure' in line) throw errorOf(line);
    else return line.result;
  }
  throw new ControlError('the daemon ended before it answered', 'ECONNRESET');
}

const errorOf = ({ failure }: FailureBody): ControlError =>
  new ControlError(failure.message, failure.code);

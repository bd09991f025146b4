/**
 * The routes of the control socket, and who may use them. A route validates its input, calls the
 * daemon and returns what is to be sent; `server.ts` does the HTTP.
 */

import type { PeerCredentials } from '../io/libc.ts';
import type { DaemonStatus, MountRequest, OnProgress, TransportName } from './protocol.ts';
import { ControlError, TRANSPORTS } from './protocol.ts';

/** What the daemon offers to the control plane. All promises reject with an error with a `code`. */
export interface ControlledDaemon {
  /** Owner of the volume's directory: may do what root may, to what is in this volume. */
  readonly ownerUid: number;
  /** Whom the daemon runs as: in whose name it mounts. */
  readonly uid: number;
  status(): Promise<DaemonStatus>;
  /** Resolves to the durable position when everything answered so far is durable. */
  sync(): Promise<number>;
  addMount(request: MountRequest): Promise<void>;
  /** After the last mount the volume is closed too, before this resolves, and the daemon ends. */
  removeMount(mountPoint: string, lazy: boolean): Promise<void>;
  digest(): Promise<string>;
  checkpoint(): Promise<number>;
  /** Resolves to the oldest position that is left. */
  trim(before: number): Promise<number>;
  scrub(onProgress: OnProgress): Promise<unknown>;
  check(onProgress: OnProgress): Promise<unknown>;
}

export interface RouteRequest {
  /** The parsed body; undefined without one. */
  readonly body: unknown;
  readonly peer: PeerCredentials;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /**
   * 'owner' is root or the owner of the volume's directory; 'runner' is root or whom the daemon runs
   * as: a daemon of root mounts anywhere, and what an ordinary user's volume holds is that user's say.
   */
  readonly access: 'anyone' | 'owner' | 'runner';
  /** Long work sends NDJSON, and may report progress. */
  readonly isLong: boolean;
  run(daemon: ControlledDaemon, request: RouteRequest, onProgress: OnProgress): Promise<unknown>;
}

const invalid = (what: string): ControlError => new ControlError(what, 'EINVAL');

function field(body: unknown, name: string): unknown {
  if (typeof body !== 'object' || body === null) throw invalid('the body must be a JSON object');
  return (body as Readonly<Record<string, unknown>>)[name];
}

function mountPointOf(body: unknown): string {
  const value = field(body, 'mountPoint');
  if (typeof value !== 'string' || !value.startsWith('/')) {
    throw invalid('mountPoint must be an absolute path');
  }
  return value;
}

function optionsOf(body: unknown): string[] {
  const value = field(body, 'options') ?? [];
  if (!Array.isArray(value) || !value.every((option) => typeof option === 'string')) {
    throw invalid('options must be an array of strings');
  }
  return value as string[];
}

function transportOf(body: unknown): TransportName {
  const value = field(body, 'transport') ?? TRANSPORTS[0];
  const transport = TRANSPORTS.find((name) => name === value);
  if (transport === undefined) throw invalid(`transport must be ${TRANSPORTS.join(' or ')}`);
  return transport;
}

function commitMsOf(body: unknown): number | undefined {
  const value = field(body, 'commitMs');
  if (value === undefined || typeof value === 'number') return value;
  throw invalid('commitMs must be a number');
}

/** A log position: a whole number from 1 on. */
function positionOf(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1) {
    throw invalid(`${name} must be a position in the log`);
  }
  return value;
}

const short = { isLong: false } as const;
const long = { isLong: true } as const;

export const ROUTES: readonly Route[] = [
  {
    ...short,
    method: 'GET',
    path: '/v1/status',
    access: 'anyone',
    run: (daemon) => daemon.status(),
  },
  {
    ...short,
    method: 'POST',
    path: '/v1/sync',
    access: 'anyone',
    run: async (daemon) => ({ durable: await daemon.sync() }),
  },
  {
    ...short,
    method: 'POST',
    path: '/v1/mounts',
    access: 'runner',
    run: async (daemon, { body }) => {
      const mountPoint = mountPointOf(body);
      const options = optionsOf(body);
      const transport = transportOf(body);
      await daemon.addMount({ mountPoint, options, transport, commitMs: commitMsOf(body) });
      return {};
    },
  },
  {
    ...short,
    method: 'DELETE',
    path: '/v1/mounts',
    access: 'runner',
    run: async (daemon, { body }) => {
      await daemon.removeMount(mountPointOf(body), field(body, 'lazy') === true);
      return {};
    },
  },
  {
    ...long,
    method: 'GET',
    path: '/v1/digest',
    access: 'owner',
    run: async (daemon) => ({ digest: await daemon.digest() }),
  },
  {
    ...long,
    method: 'POST',
    path: '/v1/checkpoint',
    access: 'owner',
    run: async (daemon) => ({ seq: await daemon.checkpoint() }),
  },
  {
    ...long,
    method: 'POST',
    path: '/v1/trim',
    access: 'owner',
    run: async (daemon, { body }) => ({
      oldest: await daemon.trim(positionOf(field(body, 'before'), 'before')),
    }),
  },
  {
    ...long,
    method: 'POST',
    path: '/v1/scrub',
    access: 'owner',
    run: (daemon, _, onProgress) => daemon.scrub(onProgress),
  },
  {
    ...long,
    method: 'POST',
    path: '/v1/check',
    access: 'owner',
    run: (daemon, _, onProgress) => daemon.check(onProgress),
  },
];

/** Throws EPERM unless `peer` may use `route`. */
export function checkAccess(
  route: Route,
  peer: PeerCredentials,
  daemon: Pick<ControlledDaemon, 'ownerUid' | 'uid'>,
): void {
  if (route.access === 'anyone' || peer.uid === 0) return;
  const allowed = route.access === 'owner' ? daemon.ownerUid : daemon.uid;
  if (peer.uid === allowed) return;
  const who = route.access === 'owner' ? "the volume's owner" : 'whoever runs the daemon';
  throw new ControlError(`only root and ${who} may do this`, 'EPERM');
}

/**
 * The address of a volume's control socket. A unix socket's path holds at most 107 bytes, volumes
 * may lie deeper: then the socket is named through an open descriptor of the volume's directory.
 */

import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { SOCKET_NAME } from './protocol.ts';

/** sizeof(sockaddr_un.sun_path) - 1. */
const MAX_PATH_BYTES = 107;

/** Valid until closed; whoever listens keeps it open, since closing a socket unlinks its path. */
export interface SocketAddress extends AsyncDisposable {
  readonly path: string;
}

/** The control socket's path in `volume`, made short enough to bind and connect to. */
export async function socketAddress(volume: string): Promise<SocketAddress> {
  const path = `${volume}/${SOCKET_NAME}`;
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) {
    return { path, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  const directory: FileHandle = await open(volume, 'r');
  return {
    path: `/proc/self/fd/${directory.fd}/${SOCKET_NAME}`,
    [Symbol.asyncDispose]: () => directory.close(),
  };
}

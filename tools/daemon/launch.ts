/**
 * Starting the daemon in the background. The child leads its own session, stands in `/`, holds no
 * terminal and no pipe of ours but the IPC one, which it and we let go of once the mount is usable:
 * so closing the terminal does not reach it.
 */

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { OnProgress } from '../../src/control/protocol.ts';
import { CommandFailure } from '../console/failure.ts';
import type { DaemonMessage, LaunchOrder } from './messages.ts';

/** From sources (tests, with tsx) the daemon's file ends in .ts, built it ends in .js. */
const DAEMON = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../daemon.ts' : '../daemon.js', import.meta.url),
);

/** Starts a daemon; resolves when its mount is usable. Rejects with what the daemon reports. */
export function launchDaemon(order: LaunchOrder, onProgress: OnProgress): Promise<void> {
  const child = spawn(process.execPath, [...process.execArgv, DAEMON, JSON.stringify(order)], {
    // tsx is found from the working directory; built code needs none and lets go of it.
    cwd: DAEMON.endsWith('.ts') ? process.cwd() : '/',
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      const how = signal === null ? `exit status ${String(code)}` : signal;
      reject(new CommandFailure(`the daemon ended at its start (${how})`));
    });
    child.on('message', (message: DaemonMessage) => {
      switch (message.type) {
        case 'progress':
          onProgress(message.progress);
          break;
        case 'ready':
          child.removeAllListeners();
          child.disconnect();
          child.unref();
          resolve();
          break;
        case 'failed': {
          const { failure, stack } = message;
          const error = new CommandFailure(failure.message, failure.code);
          error.stack = `${error.stack ?? ''}\nin the daemon: ${stack}`;
          reject(error);
          break;
        }
      }
    });
  });
}

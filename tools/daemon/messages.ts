/** What the daemon tells the `mount` that started it, over Node's IPC pipe. */

import type { Failure, Progress, TransportName } from '../../src/control/protocol.ts';
import type { MountOptions } from './options.ts';

/** How the daemon is to be started: its only argument, as JSON. */
export interface LaunchOrder {
  readonly volume: string;
  readonly mountPoint: string;
  readonly mountOptions: MountOptions;
  readonly transport: TransportName;
  readonly verbose: boolean;
}

export type DaemonMessage =
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly failure: Failure; readonly stack: string };

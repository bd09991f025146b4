/** Calls on a simulated disk as data, and what a test may have go wrong with them. */

import type { SimRandom } from './random.ts';

export type CallKind =
  | 'open'
  | 'close'
  | 'write'
  | 'read'
  | 'readCached'
  | 'datasync'
  | 'sync'
  | 'truncate'
  | 'reserve'
  | 'punch'
  | 'info'
  | 'list'
  | 'mkdir'
  | 'chmod'
  | 'rename'
  | 'unlink'
  | 'removeTree'
  | 'syncDir'
  | 'space';

export interface DiskCall {
  /** Counts from 1, over the life of one disk. */
  readonly number: number;
  readonly kind: CallKind;
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

export type Fault =
  /** The call fails: a write after part of it, a sync with part of the bytes lost for good. */
  | { readonly kind: 'error'; readonly code: string }
  /** A sync that does nothing and says that it did: the mutation "this sync was forgotten". */
  | { readonly kind: 'ignored' }
  /** A sync that says it did, but takes effect only behind the first call that `until` names. */
  | { readonly kind: 'deferred'; readonly until: (call: DiskCall) => boolean };

/** Decides the fate of each call; undefined lets it pass. */
export type Faults = (call: DiskCall) => Fault | undefined;

export const noFaults: Faults = () => undefined;

export const isSync = (call: DiskCall): boolean =>
  call.kind === 'datasync' || call.kind === 'sync' || call.kind === 'syncDir';

/** Fails the calls that `wanted` names, each with probability `share`. */
export const failing =
  (code: string, wanted: (call: DiskCall) => boolean, random: SimRandom, share = 1): Faults =>
  (call) =>
    wanted(call) && random.chance(share) ? { kind: 'error', code } : undefined;

/** Makes the syncs that `wanted` names do nothing. */
export const forgetting =
  (wanted: (call: DiskCall) => boolean): Faults =>
  (call) =>
    isSync(call) && wanted(call) ? { kind: 'ignored' } : undefined;

/** Makes the syncs that `first` names take effect only behind the next sync that `then` names. */
export const swapping =
  (first: (call: DiskCall) => boolean, then: (call: DiskCall) => boolean): Faults =>
  (call) =>
    isSync(call) && first(call)
      ? { kind: 'deferred', until: (later) => isSync(later) && then(later) }
      : undefined;

/** An error as Node's fs throws it. */
export const systemError = (code: string, kind: CallKind, path: string): Error =>
  Object.assign(new Error(`${code}: ${kind} '${path}'`), { code, syscall: kind, path });

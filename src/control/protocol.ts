/**
 * What goes over the control socket: HTTP/1.1 on VOLUME/control.sock, JSON bodies. All of this is
 * public (`ledgerfs status --json` prints `DaemonStatus`): fields may be added, never changed.
 *
 * A failed request answers with a status of 400 or above and `FailureBody`. Long work answers with
 * NDJSON: any number of `{ progress }` lines, then one line `{ result }` or `{ failure }`.
 */

export const SOCKET_NAME = 'control.sock';

/** How a mount speaks with the kernel; the first is the default. */
export const TRANSPORTS = ['kernel', 'fuse-native'] as const;
export type TransportName = (typeof TRANSPORTS)[number];

/** Unix mount options ('ro', 'noatime' ...) are passed to the kernel as they stand. */
export interface MountRequest {
  /** Absolute, without symlinks. Bytes that are not valid UTF-8 cannot be named here. */
  readonly mountPoint: string;
  readonly options: readonly string[];
  /** 'kernel' unless said. */
  readonly transport?: TransportName | undefined;
  /** What the mount was asked to have; one for all mounts of a volume. */
  readonly commitMs?: number | undefined;
}

export interface MountStatus {
  readonly mountPoint: string;
  readonly options: readonly string[];
  readonly transport: TransportName;
}

export interface DaemonStatus {
  /** 32 hex digits. */
  readonly fsid: string;
  readonly pid: number;
  readonly version: string;
  /** The volume's directory, absolute. */
  readonly volume: string;
  readonly mounts: readonly MountStatus[];
  /** Positions in the log; bytes on disk. */
  readonly log: {
    readonly head: number;
    readonly durable: number;
    readonly oldest: number;
    readonly segments: number;
    readonly bytes: number;
  };
  readonly index: { readonly applied: number; readonly persisted: number };
  /** In 4 KiB blocks, as statfs(2) shows them. */
  readonly space: { readonly blocks: number; readonly freeBlocks: number };
  readonly openFiles: number;
  /** Why nothing can be written until the volume is mounted anew; absent while all is well. */
  readonly failure?: string | undefined;
}

export interface Progress {
  /** What is being done, in a word or two: 'replay', 'scrub'. */
  readonly phase: string;
  readonly done: number;
  /** 0 where it is not known. */
  readonly total: number;
}

export type OnProgress = (progress: Progress) => void;

export interface Failure {
  /** What failed and why, for people, without the code. */
  readonly message: string;
  /** Errno name. */
  readonly code: string;
}

export interface FailureBody {
  readonly failure: Failure;
}

/** A line of an NDJSON answer. */
export type WorkLine<T> = { readonly progress: Progress } | { readonly result: T } | FailureBody;

/** An operating failure with an errno name, as it travels over the socket. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly code: string;

  constructor(message: string, code: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

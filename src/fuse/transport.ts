/**
 * The interface of a transport: FUSE messages in, replies and notifications out.
 *
 * What crosses it are messages of the FUSE protocol (`kernel/layout.ts`). The kernel transport
 * (`kernel/channel.ts`) moves them through a /dev/fuse descriptor; tests make them by hand.
 * Everything above - operations, lookup counts, handles, pending requests - is the same for both.
 * The fuse-native transport (`native/`) has paths and callbacks in the place of messages. What it
 * shares with this one are both ends: the filesystem, and the `Session` that the daemon sees.
 */

/** Request memory: the same bytes seen twice. Words are little-endian 32-bit, byte offset / 4. */
export interface Frame {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
}

export interface Receiver {
  /**
   * One whole request stands in the first `length` bytes of `frame`, until this returns, or, after
   * `FuseTransport.take`, until it is given back. Must not throw.
   */
  receive(frame: Frame, length: number): void;
  /** No more requests will come: unmounted or aborted (`reason`), or `close` was called. Once. */
  ended(reason: string): void;
}

export interface FuseTransport {
  /** Begins to deliver requests. Once. */
  start(receiver: Receiver): void;
  /**
   * Called within `receive`: the request's memory stays as it is until the returned function is
   * called (once); the transport goes on with other memory.
   */
  take(): () => void;
  /**
   * Sends one whole reply, the first `length` bytes of `reply`. False if nobody took it: the request
   * was given up, or the mount is gone; what the reply granted (lookups, handles) was not granted.
   */
  send(reply: Uint8Array, length: number): boolean;
  /** Sends one whole reply from several pieces of memory, the first of which holds the header. */
  sendParts(parts: readonly Uint8Array[]): boolean;
  /** Notifications are to be expected: the first one shall not wait for what sends them. */
  expectNotifications(): void;
  /** Sends a notification. Resolves when the kernel has carried it out; see `notifier.ts`. */
  notify(message: Buffer): Promise<void>;
  /** Stops delivering and gives the descriptor up; the kernel then ends the mount's connection. */
  close(): Promise<void>;
}

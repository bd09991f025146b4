/** Requests made by hand, and a transport that keeps what is sent: tests without a kernel. */

import type { Frame, FuseTransport, Receiver } from '../../src/fuse/transport.ts';
import { newFrame } from '../../src/fuse/kernel/encode.ts';

const HEADER = 40;

/** An in-header and `body`; the caller is uid 10, gid 20, pid 30. */
export function message(opcode: number, unique: number, nodeid: number, body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(HEADER + body.length);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt32LE(opcode, 4);
  bytes.writeBigUInt64LE(BigInt(unique), 8);
  bytes.writeBigUInt64LE(BigInt(nodeid), 16);
  bytes.writeUInt32LE(10, 24);
  bytes.writeUInt32LE(20, 28);
  bytes.writeUInt32LE(30, 32);
  bytes.set(body, HEADER);
  return bytes;
}

/** A number is 32 bits, a bigint 64, little-endian; a string is its bytes and a NUL. */
export type Field = number | bigint | string;

/** Fields in order. */
export function body(...fields: readonly Field[]): Buffer {
  const parts = fields.map((field) => {
    if (typeof field === 'string') return Buffer.from(`${field}\0`, 'latin1');
    const bytes = Buffer.alloc(typeof field === 'bigint' ? 8 : 4);
    if (typeof field === 'bigint') bytes.writeBigInt64LE(field);
    else bytes.writeUInt32LE(field);
    return bytes;
  });
  return Buffer.concat(parts);
}

/** A message in a frame, as a transport delivers it. */
export function framed(bytes: Buffer): Frame {
  const frame = newFrame((bytes.length + 7) & ~7);
  frame.bytes.set(bytes);
  return frame;
}

export interface Reply {
  readonly unique: number;
  readonly errno: number;
  readonly body: Buffer;
}

export class RecordingTransport implements FuseTransport {
  readonly replies: Reply[] = [];
  readonly notifications: Buffer[] = [];
  /** What `send` answers: false is a kernel that gave the request up. */
  isTaken = true;
  /** Whether `expectNotifications` was called. */
  isExpecting = false;
  /** Notifications stay under way while this is unresolved. */
  notifying: Promise<void> = Promise.resolve();
  #receiver: Receiver | undefined;

  start(receiver: Receiver): void {
    this.#receiver = receiver;
  }

  expectNotifications(): void {
    this.isExpecting = true;
  }

  deliver(bytes: Buffer): void {
    this.#receiver?.receive(framed(bytes), bytes.length);
  }

  take(): () => void {
    return () => undefined;
  }

  send(reply: Uint8Array, length: number): boolean {
    const bytes = Buffer.from(reply.subarray(0, length));
    if (bytes.readUInt32LE(0) !== length) throw new Error('a reply of the wrong length');
    this.replies.push({
      unique: Number(bytes.readBigUInt64LE(8)),
      errno: -bytes.readInt32LE(4),
      body: bytes.subarray(16),
    });
    return this.isTaken;
  }

  sendParts(parts: readonly Uint8Array[]): boolean {
    const whole = Buffer.concat(parts);
    return this.send(whole, whole.length);
  }

  async notify(notification: Buffer): Promise<void> {
    this.notifications.push(notification);
    await this.notifying;
  }

  async close(): Promise<void> {
    this.#receiver?.ended('closed');
  }
}

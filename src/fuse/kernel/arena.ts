/**
 * Request memory. Owns the buffers that requests are read into, and lets a write's bytes stay where
 * the kernel put them.
 *
 * Reading happens at the current place of the current arena, again and again at the same place,
 * which stays in the processor's cache. When a request is taken, the next place begins behind it;
 * when what is left cannot hold the largest request, the next arena follows. So taken requests lie
 * dense, and small ones do not pin a megabyte each. An arena is used again once everything taken
 * from it was given back. How much is out at a time is bounded by who takes (the engine's limit on
 * queued bytes); some idle arenas are kept, more are left to the garbage collector.
 */

import { assert } from '../../model/assert.ts';
import type { Frame } from '../transport.ts';
import { MAX_REQUEST_BYTES } from './layout.ts';

/** Four of the largest writes. */
const ARENA_BYTES = 4 * MAX_REQUEST_BYTES;
/** Idle arenas that are kept: 16 MiB. */
const IDLE_ARENAS = 4;

interface Arena {
  readonly memory: ArrayBuffer;
  /** Requests taken and not given back. */
  taken: number;
}

const newArena = (): Arena => ({ memory: new ArrayBuffer(ARENA_BYTES), taken: 0 });

function frameAt(arena: Arena, offset: number): Frame {
  return {
    bytes: Buffer.from(arena.memory, offset, MAX_REQUEST_BYTES),
    words: new Uint32Array(arena.memory, offset, MAX_REQUEST_BYTES / 4),
  };
}

export class RequestMemory {
  #arena = newArena();
  #offset = 0;
  #frame = frameAt(this.#arena, 0);
  readonly #idle: Arena[] = [];

  /** Where the next request is to be read: MAX_REQUEST_BYTES of room. */
  get frame(): Frame {
    return this.#frame;
  }

  /**
   * Sets the current request of `length` bytes apart: its bytes stay valid until the returned
   * function is called. Later requests are read elsewhere.
   */
  take(length: number): () => void {
    const arena = this.#arena;
    arena.taken++;
    this.#offset += (length + 7) & ~7;
    if (this.#offset + MAX_REQUEST_BYTES > ARENA_BYTES) this.#next();
    else this.#frame = frameAt(arena, this.#offset);
    let isBack = false;
    return () => {
      assert(!isBack, 'request memory was given back twice');
      isBack = true;
      this.#giveBack(arena);
    };
  }

  #next(): void {
    this.#arena = this.#idle.pop() ?? newArena();
    this.#offset = 0;
    this.#frame = frameAt(this.#arena, 0);
  }

  #giveBack(arena: Arena): void {
    arena.taken--;
    if (arena.taken > 0 || arena === this.#arena) return;
    if (this.#idle.length < IDLE_ARENAS) this.#idle.push(arena);
  }
}

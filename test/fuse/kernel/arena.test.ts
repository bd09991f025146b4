import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { RequestMemory } from '../../../src/fuse/kernel/arena.ts';
import { MAX_REQUEST_BYTES } from '../../../src/fuse/kernel/layout.ts';

const arena = suite('fuse request memory');

arena('what is not taken is read over, at the same place', () => {
  const memory = new RequestMemory();
  const { frame } = memory;
  assert.is(memory.frame, frame);
  assert.is(frame.bytes.length, MAX_REQUEST_BYTES);
  frame.words[2] = 0x01020304;
  assert.is(frame.bytes.readUInt32LE(8), 0x01020304, 'words and bytes are one memory');
});

arena('what is taken is never written to again until it is given back', () => {
  const memory = new RequestMemory();
  const taken: { bytes: Buffer; mark: number; giveBack: () => void }[] = [];
  for (let i = 0; i < 400; i++) {
    const length = 80 + ((i * 7919) % 1_048_576);
    memory.frame.bytes.fill(i & 255, 0, length);
    const bytes = memory.frame.bytes.subarray(0, length);
    taken.push({ bytes, mark: i & 255, giveBack: memory.take(length) });
    if (taken.length < 20) continue;
    const oldest = taken.shift();
    assert.ok(
      oldest?.bytes.every((byte) => byte === oldest.mark),
      `request ${i} overwrote`,
    );
    oldest?.giveBack();
  }
});

arena('small requests lie dense', () => {
  const memory = new RequestMemory();
  const buffers = new Set<ArrayBufferLike>();
  for (let i = 0; i < 500; i++) {
    buffers.add(memory.frame.bytes.buffer);
    memory.take(4096 + 80);
  }
  assert.is(buffers.size, 1, 'each took a buffer of its own');
});

arena('giving back twice is a bug', () => {
  const giveBack = new RequestMemory().take(100);
  giveBack();
  assert.throws(giveBack, 'twice');
});

arena.run();

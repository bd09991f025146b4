import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { newFrame } from '../../../src/fuse/kernel/encode.ts';
import { isFinal, negotiate, putInit } from '../../../src/fuse/kernel/init.ts';
import { INIT_FLAG } from '../../../src/fuse/kernel/layout.ts';

const init = suite('fuse init');
const OFFER = { major: 7, minor: 45, maxReadahead: 131072, flags: 0x73fffffb };

init('asks only for what was offered', () => {
  const offered = INIT_FLAG.ASYNC_READ | INIT_FLAG.BIG_WRITES | (1 << 16);
  const settled = negotiate({ ...OFFER, flags: offered });
  if (settled === 'unsupported') return assert.unreachable();
  assert.is(settled.flags, INIT_FLAG.ASYNC_READ | INIT_FLAG.BIG_WRITES);
});

init('never asks for writeback, umask or ACL duties', () => {
  const settled = negotiate({ ...OFFER, flags: 0xffffffff });
  if (settled === 'unsupported') return assert.unreachable();
  for (const bit of [6, 16, 20]) assert.is(settled.flags & (1 << bit), 0, `bit ${bit}`);
  for (const bit of [12, 13, 14, 22, 28]) assert.not.equal(settled.flags & (1 << bit), 0);
});

init('the version: the older of both, and 7 for a newer major', () => {
  const minorOf = (minor: number): unknown => {
    const settled = negotiate({ ...OFFER, minor });
    return settled === 'unsupported' ? settled : settled.minor;
  };
  assert.is(minorOf(31), 31);
  assert.is(minorOf(99), 45);
  assert.is(minorOf(27), 'unsupported');
  assert.is(negotiate({ ...OFFER, major: 6 }), 'unsupported');
  assert.ok(isFinal(OFFER));
  assert.not(isFinal({ ...OFFER, major: 8, minor: 0 }));
});

init('the reply, byte by byte', () => {
  const frame = newFrame(64);
  frame.bytes.fill(0xee);
  const settled = negotiate({ ...OFFER, flags: 1 });
  if (settled === 'unsupported') return assert.unreachable();
  assert.is(putInit(frame.words, 0, settled), 64);
  const expected = [7, 45, 1048576, 1, 256 | (192 << 16), 1048576, 1, 256, 0, 0, 0, 0, 0, 0, 0, 0];
  assert.equal([...frame.words], expected);
});

init.run();

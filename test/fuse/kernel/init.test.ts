import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { newFrame } from '../../../src/fuse/kernel/encode.ts';
import { isFinal, negotiate, putInit } from '../../../src/fuse/kernel/init.ts';
import { INIT_FLAG } from '../../../src/fuse/kernel/layout.ts';

const init = suite('fuse init');
const OFFER = { major: 7, minor: 45, maxReadahead: 131072, flags: 0x73fffffb, flags2: 0x5fd };

init('asks only for what was offered', () => {
  const offered = INIT_FLAG.ASYNC_READ | INIT_FLAG.BIG_WRITES | (1 << 16);
  const settled = negotiate({ ...OFFER, flags: offered });
  if (settled === 'unsupported') return assert.unreachable();
  assert.is(settled.flags, INIT_FLAG.ASYNC_READ | INIT_FLAG.BIG_WRITES);
});

init('never asks for writeback', () => {
  const settled = negotiate({ ...OFFER, flags: 0xffffffff });
  if (settled === 'unsupported') return assert.unreachable();
  assert.is(settled.flags & (1 << 16), 0);
  for (const bit of [12, 13, 14, 22, 28, 29]) assert.not.equal(settled.flags & (1 << bit), 0);
});

init('lists and the umask come together or not at all', () => {
  const both = INIT_FLAG.DONT_MASK | INIT_FLAG.POSIX_ACL;
  for (const offered of [0, INIT_FLAG.DONT_MASK, INIT_FLAG.POSIX_ACL, both]) {
    const settled = negotiate({ ...OFFER, flags: offered });
    if (settled === 'unsupported') return assert.unreachable();
    assert.is(settled.flags, offered === both ? both : 0);
  }
});

init('the second 32 flags count only with INIT_EXT', () => {
  const flags2 = (flags: number, offered: number): unknown => {
    const settled = negotiate({ ...OFFER, flags, flags2: offered });
    return settled === 'unsupported' ? settled : settled.flags2;
  };
  assert.is(flags2(INIT_FLAG.INIT_EXT, 4), 4);
  assert.is(flags2(INIT_FLAG.INIT_EXT, 0), 0);
  assert.is(flags2(0, 0xffffffff), 0);
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
  const settled = negotiate({ ...OFFER, flags: INIT_FLAG.INIT_EXT | 1, flags2: 4 });
  if (settled === 'unsupported') return assert.unreachable();
  assert.is(putInit(frame.words, 0, settled), 64);
  const flags = INIT_FLAG.INIT_EXT | 1;
  const expected = [
    7,
    45,
    1048576,
    flags,
    256 | (192 << 16),
    1048576,
    1,
    256,
    4,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
  ];
  assert.equal([...frame.words], expected);
});

init.run();

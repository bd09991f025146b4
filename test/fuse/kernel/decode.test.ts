import { assert as check, integer, property, uint8Array } from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Request } from '../../../src/fuse/kernel/decode.ts';
import { MountService } from '../../../src/fuse/service.ts';
import { silent } from '../../../src/io/logger.ts';
import { MemoryFilesystem } from '../memory-filesystem.ts';
import { body, framed, message, RecordingTransport } from '../messages.ts';

const decode = suite('fuse decode');

function filled(bytes: Buffer): Request {
  const request = new Request();
  assert.ok(request.fill(framed(bytes), bytes.length));
  return request;
}

decode('the header and fields of every width', () => {
  const request = filled(message(16, 2 ** 40 + 6, 2 ** 50 + 1, body(7n, -1n, 5, 'name', 'two')));
  assert.is(request.opcode, 16);
  assert.is(request.unique, 2 ** 40 + 6);
  assert.is(request.ino, 2 ** 50 + 1);
  assert.equal(request.caller, { uid: 10, gid: 20, pid: 30 });
  assert.is(request.caller, request.caller, 'the caller is one object');
  assert.is(request.u64(0), 7);
  assert.is(request.i64(8), -1);
  assert.is(request.u64(8), 2 ** 53, 'an id beyond 2^53 is none of ours');
  assert.is(request.u32(16), 5);
  assert.is(request.name(20), 'name');
  assert.is(request.name(25), 'two');
  assert.is(request.name(29), undefined, 'a name beyond the end');
});

decode('sizes up to 2^63-1', () => {
  const request = filled(message(3, 2, 1, body(2n ** 63n - 1n, 4097n, -1n)));
  assert.equal(request.size(0), { blocks: 2 ** 51 - 1, tail: 4095 });
  assert.equal(request.size(8), { blocks: 1, tail: 1 });
  assert.is(request.size(16), undefined);
});

decode('extensions at the end are no part of names or data', () => {
  const bytes = message(35, 2, 1, Buffer.concat([body('ab'), Buffer.alloc(8, 0x61)]));
  bytes.writeUInt16LE(1, 36);
  const request = filled(bytes);
  assert.is(request.name(0), 'ab');
  assert.is(request.data(0, 4), undefined);
  assert.equal(request.data(0, 3), Buffer.from('ab\0'));
});

/** A CREATE of a name with these extensions, given in words. */
function creating(what: string, ...extensions: readonly number[]): Request {
  const bytes = message(35, 2, 1, body(0, 0, 0o027, 0, what, ...extensions));
  bytes.writeUInt16LE(extensions.length / 2, 36);
  return filled(bytes);
}

decode(
  'a creator has a umask, and the groups that an extension tells, wherever that begins',
  () => {
    const plain = creating('name');
    assert.equal(plain.creator(0o027), { uid: 10, gid: 20, pid: 30, umask: 0o027 });
    assert.is(plain.creator(0o027), plain.creator(0o027), 'the creator is one object');
    assert.is(plain.creator(0o022).umask, 0o022);
    for (const what of ['a', 'ab', 'abc', 'abcd']) {
      const [groups, other] = [
        [16, 32, 1, 4003],
        [16, 31, 9, 9],
      ] as const;
      assert.equal(creating(what, ...groups).creator(0).groups, [4003], what);
      assert.is(creating(what, ...groups).name(16), what);
      assert.equal(creating(what, ...other, ...groups).creator(0).groups, [4003]);
      assert.equal(creating(what, ...other).creator(0).groups, []);
    }
  },
);

decode('extensions that make no sense tell no groups', () => {
  const groups = (...words: readonly number[]) => creating('n', ...words).creator(0).groups;
  assert.equal(groups(16, 32, 99, 7), [7], 'more are counted than there are');
  assert.equal(groups(8, 32), []);
  assert.equal(groups(0, 32, 1, 7), []);
  assert.equal(groups(99, 32, 1, 7), []);
});

decode('messages that are cut short or lie about their length are refused', () => {
  const bytes = message(1, 2, 1, body('x'));
  const request = new Request();
  assert.not(request.fill(framed(bytes), 39));
  assert.not(request.fill(framed(bytes), bytes.length - 1));
  bytes.writeUInt16LE(9, 36);
  assert.not(request.fill(framed(bytes), bytes.length), 'more extensions than message');
});

/** Replies owed to the opcode: FORGET, INTERRUPT and BATCH_FORGET have none. */
const REPLYLESS = new Set([2, 36, 42]);

function service(): RecordingTransport {
  const transport = new RecordingTransport();
  const options = { filesystem: new MemoryFilesystem(), log: silent };
  transport.start(
    new MountService(
      transport,
      options,
      () => undefined,
      () => undefined,
    ),
  );
  return transport;
}

decode('random bytes: never an exception, always an answer', () => {
  const transport = service();
  check(
    property(
      integer({ min: 0, max: 70 }),
      integer({ min: 0, max: 3 }),
      uint8Array({ maxLength: 300 }),
      (opcode, nodeid, random) => {
        transport.replies.length = 0;
        transport.deliver(message(opcode, 8, nodeid, random));
        const isFsync = opcode === 20 || opcode === 30;
        if (REPLYLESS.has(opcode) && random.length >= 8) return;
        if (!isFsync) assert.is(transport.replies.length, 1, `opcode ${opcode}`);
        assert.ok(transport.replies.every((reply) => reply.unique === 8));
      },
    ),
    { numRuns: 5000, verbose: true },
  );
});

decode('wholly random bytes with a right length: never an exception', () => {
  const transport = service();
  check(
    property(uint8Array({ minLength: 1, maxLength: 200 }), (random) => {
      const bytes = Buffer.from(random);
      if (bytes.length >= 40) bytes.writeUInt32LE(bytes.length, 0);
      transport.deliver(bytes);
    }),
    { numRuns: 5000, verbose: true },
  );
});

decode.run();

/** The lock operations without a kernel: mounts, handles, interrupts, and closes. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { OPCODE } from '../../src/fuse/kernel/layout.ts';
import { MountService } from '../../src/fuse/service.ts';
import { MemoryFilesystem } from './memory-filesystem.ts';
import { body, message, RecordingTransport, type Field } from './messages.ts';

const service = suite('fuse locks');
const MAX = 2n ** 63n - 1n;
const [READ, WRITE, UNLOCK] = [0, 1, 2] as const;
const [EINTR, EBADF, EAGAIN, EINVAL, EDEADLK] = [4, 9, 11, 22, 35] as const;
const FLOCK = 1;
/** The kernel's ids are hashes: any 64 bits. */
const P = 0xffff_ffff_ffff_fff0n;
const Q = 0x8000_0000_0000_0001n;

class Mount {
  readonly transport = new RecordingTransport();
  readonly service: MountService;
  #unique = 0;

  constructor(filesystem: MemoryFilesystem) {
    this.service = new MountService(
      this.transport,
      { filesystem, log: () => undefined },
      () => undefined,
      () => undefined,
    );
    this.transport.start(this.service);
  }

  /** Sends a request; its unique number. */
  send(opcode: number, nodeid: number, ...fields: readonly Field[]): number {
    this.#unique += 2;
    this.transport.deliver(message(opcode, this.#unique, nodeid, body(...fields)));
    return this.#unique;
  }

  /** The errno that a request was answered with; undefined while it is not. */
  answerOf = (unique: number): number | undefined =>
    this.transport.replies.find((reply) => reply.unique === unique)?.errno;

  ask(opcode: number, nodeid: number, ...fields: readonly Field[]): Buffer {
    const unique = this.send(opcode, nodeid, ...fields);
    const reply = this.transport.replies.find((one) => one.unique === unique);
    if (reply === undefined) throw new Error('no reply');
    return reply.body;
  }

  /** Creates a file; its nodeid and handle. */
  create(name: string): { nodeid: number; fh: bigint } {
    const made = this.ask(OPCODE.CREATE, 1, 0o102, 0o100644, 0, 0, name);
    return { nodeid: Number(made.readBigUInt64LE(0)), fh: made.readBigUInt64LE(128) };
  }

  open = (nodeid: number): bigint => this.ask(OPCODE.OPEN, nodeid, 2, 0).readBigUInt64LE(0);

  lock(opcode: number, nodeid: number, fh: bigint, lock: Lock): number {
    const { owner, type, start = 0n, end = MAX, flags = 0, pid = 77 } = lock;
    return this.send(opcode, nodeid, fh, signed(owner), start, end, type, pid, flags, 0);
  }

  set = (nodeid: number, fh: bigint, lock: Lock): number | undefined =>
    this.answerOf(this.lock(OPCODE.SETLK, nodeid, fh, lock));

  wait = (nodeid: number, fh: bigint, lock: Lock): number =>
    this.lock(OPCODE.SETLKW, nodeid, fh, lock);

  get(nodeid: number, fh: bigint, lock: Lock): Record<string, bigint | number> {
    const unique = this.lock(OPCODE.GETLK, nodeid, fh, lock);
    const reply = this.transport.replies.find((one) => one.unique === unique);
    if (reply === undefined || reply.body.length !== 24) throw new Error('no reply');
    const [start, end] = [reply.body.readBigUInt64LE(0), reply.body.readBigUInt64LE(8)];
    return { start, end, type: reply.body.readUInt32LE(16), pid: reply.body.readUInt32LE(20) };
  }

  flush = (nodeid: number, fh: bigint, owner: bigint): Buffer =>
    this.ask(OPCODE.FLUSH, nodeid, fh, 0, 0, signed(owner));

  release = (nodeid: number, fh: bigint, flags = 0, owner = 0n): Buffer =>
    this.ask(OPCODE.RELEASE, nodeid, fh, 0, flags, signed(owner));
}

interface Lock {
  readonly owner: bigint;
  readonly type: number;
  readonly start?: bigint;
  readonly end?: bigint;
  readonly flags?: number;
  readonly pid?: number;
}

const signed = (id: bigint): bigint => BigInt.asIntN(64, id);

function make() {
  const filesystem = new MemoryFilesystem();
  const mount = new Mount(filesystem);
  return { filesystem, mount, ...mount.create('f') };
}

service('exclusion, and F_GETLK with the range, kind and pid of the one in the way', () => {
  const { mount, nodeid, fh } = make();
  const lock = { owner: P, type: WRITE, start: 2n ** 62n + 1n, end: MAX - 1n, pid: 4321 };
  assert.is(mount.set(nodeid, fh, lock), 0);
  assert.is(mount.set(nodeid, fh, { owner: Q, type: READ }), EAGAIN);
  assert.equal(mount.get(nodeid, fh, { owner: Q, type: READ }), {
    start: 2n ** 62n + 1n,
    end: MAX - 1n,
    type: WRITE,
    pid: 4321,
  });
  assert.is(mount.get(nodeid, fh, { owner: P, type: WRITE })['type'], UNLOCK);
  assert.is(mount.get(nodeid, fh, { owner: P, type: UNLOCK })['type'], WRITE, 'its own');
  assert.is(mount.set(nodeid, fh, { owner: P, type: UNLOCK }), 0);
  assert.is(mount.get(nodeid, fh, { owner: Q, type: READ })['type'], UNLOCK);
});

service('what makes no sense is refused', () => {
  const { mount, nodeid, fh, filesystem } = make();
  assert.is(mount.set(nodeid, fh, { owner: P, type: 3 }), EINVAL);
  assert.is(mount.set(nodeid, fh, { owner: P, type: WRITE, start: 5n, end: 4n }), EINVAL);
  assert.is(mount.set(nodeid, fh, { owner: P, type: WRITE, end: -1n }), EINVAL);
  assert.is(mount.set(nodeid, 999n, { owner: P, type: WRITE }), EBADF);
  assert.is(filesystem.locks.held, 0);
});

service('a wait is answered when the lock is granted, and does not stop spinning', () => {
  const { mount, nodeid, fh } = make();
  mount.set(nodeid, fh, { owner: P, type: WRITE });
  const waiting = mount.wait(nodeid, fh, { owner: Q, type: WRITE });
  assert.is(mount.answerOf(waiting), undefined);
  assert.is(mount.service.serving.pending.size, 0);
  assert.is(mount.service.serving.pending.parked, 1);
  mount.set(nodeid, fh, { owner: P, type: UNLOCK });
  assert.is(mount.answerOf(waiting), 0);
  assert.is(mount.service.serving.pending.parked, 0);
  assert.is(mount.set(nodeid, fh, { owner: P, type: READ }), EAGAIN);
});

service('an interrupt ends a wait at once, in which state soever', () => {
  const { mount, nodeid, fh, filesystem } = make();
  mount.set(nodeid, fh, { owner: P, type: WRITE });
  const waiting = mount.wait(nodeid, fh, { owner: Q, type: WRITE });
  mount.send(OPCODE.INTERRUPT, 0, BigInt(waiting));
  assert.is(mount.answerOf(waiting), EINTR);
  assert.is(filesystem.locks.waiting, 0);
  mount.set(nodeid, fh, { owner: P, type: UNLOCK });
  assert.is(filesystem.locks.held, 0, 'a lock that nobody knows of');
  // Granted first, interrupted then: the caller has been told that it holds the lock.
  mount.set(nodeid, fh, { owner: P, type: WRITE });
  const second = mount.wait(nodeid, fh, { owner: Q, type: WRITE });
  mount.set(nodeid, fh, { owner: P, type: UNLOCK });
  mount.send(OPCODE.INTERRUPT, 0, BigInt(second));
  assert.is(mount.answerOf(second), 0);
  assert.is(mount.transport.replies.filter(({ unique }) => unique === second).length, 1);
  assert.is(filesystem.locks.held, 1);
});

service('a deadlock is EDEADLK', () => {
  const { mount, nodeid, fh } = make();
  mount.set(nodeid, fh, { owner: P, type: WRITE, end: 0n });
  mount.set(nodeid, fh, { owner: Q, type: WRITE, start: 1n, end: 1n });
  const waiting = mount.wait(nodeid, fh, { owner: P, type: WRITE, start: 1n, end: 1n });
  const refused = mount.wait(nodeid, fh, { owner: Q, type: WRITE, end: 0n });
  assert.is(mount.answerOf(waiting), undefined);
  assert.is(mount.answerOf(refused), EDEADLK);
});

service('a flush through any handle ends the record locks of that owner alone', () => {
  const { mount, nodeid, fh, filesystem } = make();
  const other = mount.open(nodeid);
  mount.set(nodeid, fh, { owner: P, type: WRITE, end: 9n });
  mount.set(nodeid, fh, { owner: Q, type: WRITE, start: 10n });
  mount.set(nodeid, fh, { owner: P, type: WRITE, flags: FLOCK });
  const waiting = mount.wait(nodeid, other, { owner: Q, type: READ });
  mount.flush(nodeid, other, P);
  assert.is(mount.answerOf(waiting), 0);
  assert.is(filesystem.locks.held, 2, "Q's, and the flock, which a flush does not end");
});

service('a release ends the flock that it names, and record locks that no flush named', () => {
  const { mount, nodeid, fh, filesystem } = make();
  const ofd = mount.open(nodeid);
  mount.set(nodeid, ofd, { owner: P, type: WRITE, flags: FLOCK });
  // F_OFD_SETLK: the owner is the open, and the flush of a close names the process.
  mount.set(nodeid, ofd, { owner: P, type: WRITE });
  mount.flush(nodeid, ofd, Q);
  assert.is(filesystem.locks.held, 2);
  const waiting = mount.wait(nodeid, fh, { owner: Q, type: WRITE });
  mount.release(nodeid, ofd, 2, P);
  assert.is(mount.answerOf(waiting), 0);
  assert.is(filesystem.locks.held, 1);
});

service('a late release does not end what its owner locked through another open since', () => {
  const { mount, nodeid, fh, filesystem } = make();
  mount.set(nodeid, fh, { owner: P, type: WRITE });
  mount.flush(nodeid, fh, P);
  const again = mount.open(nodeid);
  mount.set(nodeid, again, { owner: P, type: WRITE });
  mount.release(nodeid, fh);
  assert.is(filesystem.locks.held, 1);
  mount.flush(nodeid, again, P);
  mount.release(nodeid, again);
  assert.is(filesystem.locks.held, 0);
  assert.is(mount.service.serving.lockers.size, 0);
});

service('two mounts exclude each other, the same ids notwithstanding', async () => {
  const { filesystem, mount, nodeid, fh } = make();
  const second = new Mount(filesystem);
  const other = second.open(nodeid);
  assert.is(mount.set(nodeid, fh, { owner: P, type: WRITE, pid: 5 }), 0);
  assert.is(second.set(nodeid, other, { owner: P, type: WRITE }), EAGAIN);
  assert.is(second.get(nodeid, other, { owner: P, type: READ })['pid'], 5);
  const waiting = second.wait(nodeid, other, { owner: P, type: WRITE });
  const flock = second.wait(nodeid, other, { owner: P, type: WRITE, flags: FLOCK });
  assert.is(second.answerOf(flock), 0);
  const mine = mount.wait(nodeid, fh, { owner: P, type: WRITE, flags: FLOCK });
  await mount.transport.close();
  assert.is(mount.answerOf(mine), undefined, 'nobody is there to be answered');
  assert.is(second.answerOf(waiting), 0, 'the end of a mount gives its locks back');
  await second.transport.close();
  assert.is(filesystem.locks.held + filesystem.locks.waiting, 0);
});

service('a thousand waits, half of them interrupted, and others are served meanwhile', () => {
  const { mount, nodeid, fh, filesystem } = make();
  mount.set(nodeid, fh, { owner: P, type: WRITE });
  const waits = Array.from({ length: 1000 }, (_, i) =>
    mount.wait(nodeid, fh, { owner: BigInt(i), type: WRITE }),
  );
  assert.is(filesystem.locks.waiting, 1000);
  assert.is(mount.answerOf(mount.send(OPCODE.STATFS, 1)), 0);
  waits.forEach((unique, i) => {
    if (i % 2 === 0) mount.send(OPCODE.INTERRUPT, 0, BigInt(unique));
  });
  mount.flush(nodeid, fh, P);
  for (let i = 1; i < 1000; i += 2) mount.flush(nodeid, fh, BigInt(i));
  const answers = waits.map((unique) => mount.answerOf(unique));
  assert.equal(
    answers,
    waits.map((_, i) => (i % 2 === 0 ? EINTR : 0)),
  );
  assert.is(filesystem.locks.held + filesystem.locks.waiting, 0);
});

service.run();

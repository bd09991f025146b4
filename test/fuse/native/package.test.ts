/** What we do differently from the package, without a mount: with stand-ins for it. */

import type Fuse from 'fuse-native';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nativeMountOptions } from '../../../src/fuse/native/options.ts';
import { loadNativeMounter, utimensArguments } from '../../../src/fuse/native/package.ts';

type FuseClass = typeof Fuse;

const failing = (message: string, code: string) => (): Promise<FuseClass> =>
  Promise.reject(Object.assign(new Error(message), { code }));

async function loadFailure(importing: () => Promise<FuseClass>): Promise<NodeJS.ErrnoException> {
  return await loadNativeMounter(importing).then(
    () => assert.unreachable('loaded') as never,
    (error: NodeJS.ErrnoException) => error,
  );
}

test('without libfuse 2 one message says what, why and what to do', async () => {
  const missing = 'libfuse.so.2: cannot open shared object file: No such file or directory';
  const error = await loadFailure(failing(missing, 'ERR_DLOPEN_FAILED'));
  assert.is(error.code, 'ENOENT');
  assert.is(
    error.message,
    'the fuse-native transport needs libfuse 2, and libfuse.so.2 is not there; install it ' +
      '(apt-get install libfuse2) or mount with --transport kernel',
  );
  const absent = await loadFailure(failing('Cannot find package', 'ERR_MODULE_NOT_FOUND'));
  assert.match(absent.message, 'fuse-native is not installed');
  const other = await loadFailure(failing('wrong ELF class', 'ERR_DLOPEN_FAILED'));
  assert.is(other.code, 'EIO');
  assert.match(other.message, 'wrong ELF class');
});

function record(opcode: number, atimeMs: bigint, mtimeMs: bigint, bytes = 360): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUInt32LE(opcode, 8);
  buffer.writeBigInt64LE(atimeMs, 104);
  buffer.writeBigInt64LE(mtimeMs, 112);
  return buffer;
}

test('utimens gets the modification time that the package loses', () => {
  const atime = 978307200123n;
  const halves = [Number(atime & 0xffffffffn), Number(atime >> 32n)];
  const args = ['/f', ...halves, ...halves];
  const [path, low, high, mtimeLow, mtimeHigh] = utimensArguments(
    record(12, atime, 1_600_000_000_456n),
    args,
  ) as [string, number, number, number, number];
  assert.is(path, '/f');
  assert.is(low + high * 2 ** 32, 978307200123);
  assert.is(mtimeLow + mtimeHigh * 2 ** 32, 1_600_000_000_456);
});

test('a record of another shape is not believed', () => {
  const args = ['/f', 5, 0, 5, 0];
  for (const other of [record(12, 6n, 7n), record(11, 5n, 7n), record(12, 5n, 7n, 368)]) {
    assert.equal(utimensArguments(other, args), ['/f', NaN, NaN, NaN, NaN]);
  }
});

interface Corrected {
  _op_getxattr: Fuse['_op_getxattr'];
  _op_listxattr: Fuse['_op_listxattr'];
  _fuseOptions: Fuse['_fuseOptions'];
}

/** Makes a corrected object over a stand-in of the package's class. */
async function corrected(operations: object): Promise<Corrected> {
  let made: Corrected | undefined;
  class StandIn {
    static unmount: unknown;
    readonly ops = operations;
    readonly _handlers = Array.from({ length: 34 }, () => () => undefined);
    constructor() {
      made = this as unknown as Corrected;
    }
  }
  const mounter = await loadNativeMounter(() => Promise.resolve(StandIn as unknown as FuseClass));
  mounter('/mnt', operations as Fuse['ops'], '-ofsname=x');
  if (made === undefined) throw new Error('nothing was made');
  return made;
}

test('an attribute that does not fit the room of its reader is refused', async () => {
  const value = Buffer.from('0123456789');
  const fuse = await corrected({
    getxattr: (_path: string, name: string, _at: number, done: (c: number, v?: Buffer) => void) =>
      name === 'user.a' ? done(0, value) : done(-61),
    listxattr: (_path: string, done: (code: number, names: string[]) => void) =>
      done(0, ['user.a', 'user.b']),
  });
  assert.is(fuse._fuseOptions(), '-ofsname=x');
  const results: unknown[] = [];
  const get = (name: string, room: Buffer): unknown => {
    fuse._op_getxattr((result) => results.push(result), '/f', name, room);
    return results.at(-1);
  };
  assert.is(get('user.a', Buffer.alloc(0)), 10, 'the length');
  assert.is(get('user.a', Buffer.alloc(9)), -34);
  const exact = Buffer.alloc(10);
  assert.is(get('user.a', exact), 10);
  assert.equal(exact, value);
  assert.is(get('user.b', Buffer.alloc(9)), -61);
  const list = (room: Buffer): unknown => {
    fuse._op_listxattr((result) => results.push(result), '/f', room);
    return results.at(-1);
  };
  assert.is(list(Buffer.alloc(0)), 14);
  assert.is(list(Buffer.alloc(13)), -34);
  const names = Buffer.alloc(14);
  assert.is(list(names), 14);
  assert.is(names.toString(), 'user.a\0user.b\0');
});

const request = {
  mountPoint: '/mnt',
  source: '/srv/v',
  fsType: 'ledgerfs',
  readOnly: false,
  options: [],
  entryTimeoutMs: 0,
  attrTimeoutMs: 1500,
};

const codeOf = (wanted: Partial<typeof request> | { options: string[] }): string => {
  try {
    return nativeMountOptions({ ...request, ...wanted });
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'no code';
  }
};

test('options are libfuse 2 options; others are refused before anything is mounted', () => {
  assert.is(
    codeOf({}),
    '-ofsname=/srv/v,subtype=ledgerfs,allow_other,default_permissions,nonempty,use_ino,' +
      'big_writes,entry_timeout=0,attr_timeout=1.5',
  );
  assert.match(codeOf({ readOnly: true, options: ['noatime,nodev'] }), /,ro,noatime,nodev$/);
  assert.match(codeOf({ source: '/a,b\\c' }), 'fsname=/a\\,b\\\\c,');
  assert.is(codeOf({ options: ['relatime,nodiratime'] }), codeOf({}), 'what the daemon does');
  assert.is(codeOf({ options: ['max_read=4096'] }), 'EINVAL');
  assert.is(codeOf({ options: ['hard_remove'] }), 'EINVAL');
  assert.is(codeOf({ source: `/${'s'.repeat(1000)}` }), 'ENAMETOOLONG');
  assert.is(codeOf({ mountPoint: `/${'m'.repeat(1100)}` }), 'ENAMETOOLONG');
});

test.run();

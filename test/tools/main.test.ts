/** The general rules of the command line: help, wrong use, failures in one line, exit codes. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { describeFailure, CommandFailure } from '../../tools/console/failure.ts';
import { parseMountOptions } from '../../tools/daemon/options.ts';
import { ledgerfs } from './run.ts';

const test = suite<{ dir: string }>('main', { dir: '' });

test.before(async (context) => {
  context.dir = await mkdtemp(join(tmpdir(), 'main-'));
});
test.after(({ dir }) => rm(dir, { recursive: true }));

const COMMANDS = [
  'mkfs',
  'mount',
  'umount',
  'sync',
  'status',
  'log',
  'replay',
  'fsck',
  'scrub',
  'digest',
  'checkpoint',
  'trim',
  'upgrade',
];

test('every command has help with an example', async () => {
  const overview = await ledgerfs('--help');
  assert.is(overview.status, 0);
  for (const name of COMMANDS) {
    assert.match(overview.stdout, new RegExp(`^  ${name} `, 'm'));
    const { status, stdout } = await ledgerfs(name, '--help');
    assert.is(status, 0, name);
    assert.match(stdout, `Usage: ledgerfs ${name}`);
    assert.match(stdout, /Example:\n {2}.*ledgerfs /);
  }
});

test('wrong use is one line and exit 64', async () => {
  const wrong = [
    ['frobnicate'],
    ['mkfs'],
    ['mkfs', 'a', 'b'],
    ['mkfs', '--frobnicate', 'a'],
    ['mkfs', '--history', 'sometimes', 'a'],
    ['mkfs', '--size', 'huge', 'a'],
    ['mount', 'only-one'],
    ['mount', '--transport', 'pigeon', 'a', 'b'],
    ['mount', '-o', 'commit=-1', 'a', 'b'],
    ['log'],
    ['log', 'frobnicate'],
    ['log', 'show', '--from', 'x', 'a'],
    ['replay', '/tmp'],
    ['digest', '--at', '0', '/tmp'],
    ['fsck', '--accept-loss', '/tmp'],
  ];
  for (const args of wrong) {
    const { status, stdout, stderr } = await ledgerfs(...args);
    const what = `${args.join(' ')}: ${stderr}`;
    assert.is(status, 64, what);
    assert.is(stdout, '', what);
    assert.match(stderr, /^ledgerfs: [^\n]+\n$/, what);
  }
});

test('a failure is one line with its errno, exit 1; --debug adds the stack', async ({ dir }) => {
  const { status, stdout, stderr } = await ledgerfs('sync', `${dir}/nothing`);
  assert.is(status, 1);
  assert.is(stdout, '');
  assert.is(stderr, `ledgerfs: sync: ${dir}/nothing: no such file or directory (2 ENOENT)\n`);
  const debug = await ledgerfs('sync', '--debug', `${dir}/nothing`);
  assert.is(debug.status, 1);
  assert.match(debug.stderr, /^ledgerfs: sync: .*\n.*\n {4}at /);
});

test('no failure breaks its line or lacks its errno', () => {
  const line = (error: unknown): string => describeFailure('ledgerfs', 'x', error);
  assert.is(line(new CommandFailure('a: b\n  c', 'EBUSY')), 'ledgerfs: x: a: b c (16 EBUSY)');
  assert.is(line(new Error('odd')), 'ledgerfs: x: odd (5 EIO)');
  assert.is(line('odd'), 'ledgerfs: x: odd (5 EIO)');
  const node = Object.assign(new Error("EACCES: permission denied, open '/a b'"), {
    code: 'EACCES',
  });
  assert.is(line(node), 'ledgerfs: x: /a b: permission denied (13 EACCES)');
});

test("mount options: ours are taken out, the rest is the kernel's, the last one wins", () => {
  const { commitMs, kernel } = parseMountOptions(['ro,commit=5', 'noatime,commit=0.5']);
  assert.is(commitMs, 500);
  assert.equal(kernel, ['ro', 'noatime']);
  assert.not.ok(parseMountOptions(['ro', 'rw']).kernel.includes('ro'));
  assert.equal(parseMountOptions([]).kernel, []);
});

test.run();

/**
 * Handles that outlive the kernel's caches, the mount and the daemon (open_by_handle_at(2)): what
 * NFS and backup programs hold on to.
 *
 * @limit 600 s
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasFuse, Stage } from './stage.ts';

const tests = suite('handles');
const test = hasFuse ? tests : tests.skip;

const MOUNT = '/mnt/home/m';
const PROGRAM = ['python3', '/mnt/package/test/posix/handles.py'] as const;

async function staged(body: (stage: Stage) => Promise<void>): Promise<void> {
  await using stage = await Stage.open();
  await stage.did(0, 'mkfs', 'v');
  await stage.succeed(0, 'mkdir', 'm');
  await stage.did(0, 'mount', 'v', 'm', '-o', 'commit=3600');
  await body(stage);
}

const save = (stage: Stage, ...names: readonly string[]): Promise<string> =>
  stage.succeed(0, ...PROGRAM, 'save', 'handles', ...names.map((name) => `${MOUNT}${name}`));

/** What each handle opens, by the name under which it was noted. */
async function found(stage: Stage): Promise<Record<string, string>> {
  const lines = (await stage.succeed(0, ...PROGRAM, 'open', 'handles', MOUNT)).trim().split('\n');
  const fields = lines.map((line) => /^\/mnt\/home\/m(\S*) (.*)$/.exec(line) ?? []);
  return Object.fromEntries(fields.map(([, name = '', what = '']) => [name, what] as const));
}

const dropCaches = (stage: Stage): Promise<string> =>
  stage.shell(0, 'echo 2 >/proc/sys/vm/drop_caches');

async function remount(stage: Stage): Promise<void> {
  await stage.did(0, 'umount', 'm');
  await stage.did(0, 'mount', 'v', 'm', '-o', 'commit=3600');
}

const TREE = 'cd m; mkdir -p a/b; echo text >a/b/file; ln -s to a/b/link; echo top >top';

test('they hold after the caches are dropped, and after a new mount', () =>
  staged(async (stage) => {
    await stage.shell(0, TREE);
    await save(stage, '', '/a', '/a/b', '/a/b/file', '/a/b/link', '/top');
    const expected = {
      '': `${MOUNT} a,top`,
      '/a': `${MOUNT}/a b`,
      '/a/b': `${MOUNT}/a/b file,link`,
      '/a/b/file': "'text\\n'",
      '/a/b/link': '-> to',
      '/top': "'top\\n'",
    };
    assert.equal(await found(stage), expected);
    await dropCaches(stage);
    assert.equal(await found(stage), expected, 'after the caches were dropped');
    await remount(stage);
    assert.equal(await found(stage), expected, 'after a new mount');
    assert.is(await stage.shell(0, 'ls m m/a'), 'm:\na\ntop\n\nm/a:\nb\n', 'the tree is as ever');
  }));

test('a directory that moved is found where it is now, by way of its parents', () =>
  staged(async (stage) => {
    await stage.shell(0, `${TREE}; mkdir other`);
    await save(stage, '/a/b', '/a/b/file');
    await stage.shell(0, 'mv m/a/b m/other/moved; rmdir m/a');
    await dropCaches(stage);
    assert.is((await found(stage))['/a/b'], `${MOUNT}/other/moved file,link`);
    await remount(stage);
    const after = await found(stage);
    assert.is(after['/a/b'], `${MOUNT}/other/moved file,link`);
    assert.is(after['/a/b/file'], "'text\\n'");
  }));

test('what was removed is stale, with or without a new mount', () =>
  staged(async (stage) => {
    await stage.shell(0, TREE);
    await save(stage, '/a/b', '/a/b/file', '/top');
    await stage.shell(0, 'rm m/a/b/*; rmdir m/a/b; rm m/top; echo new >m/top');
    await dropCaches(stage);
    const stale = { '/a/b': 'ESTALE', '/a/b/file': 'ESTALE', '/top': 'ESTALE' };
    assert.equal(await found(stage), stale);
    await remount(stage);
    assert.equal(await found(stage), stale);
  }));

/** A crash a moment after a file was made. Its number; undefined if it had become durable. */
async function loseFile(stage: Stage, name: string): Promise<string | undefined> {
  const { pid } = JSON.parse(await stage.did(0, 'status', 'v', '--json')) as { pid: number };
  const noting = `python3 ${PROGRAM[1]} save handles ${MOUNT}/kept ${MOUNT}/${name}`;
  const script = `echo lost >m/${name}; ${noting}; stat -c %i m/${name}; kill -9 ${pid}`;
  const number = await stage.shell(0, script);
  await stage.crash(0, pid, 'm');
  await stage.did(0, 'mount', 'v', 'm', '-o', 'commit=3600');
  const listed = await stage.shell(0, 'ls m');
  return listed.includes(name) ? undefined : number;
}

test('a number that a crash freed and another file got makes no handle valid', () =>
  staged(async (stage) => {
    await stage.shell(0, 'echo kept >m/kept');
    await stage.did(0, 'sync', 'm');
    // A commit of the index's own may come in between: then it is tried again.
    let lost: string | undefined;
    let name = '';
    for (let round = 0; lost === undefined; round++) {
      assert.ok(round < 20, 'no crash came before the commit');
      name = `lost-${round}`;
      lost = await loseFile(stage, name);
    }
    await stage.shell(0, 'echo another >m/another');
    assert.is(await stage.succeed(0, 'stat', '-c', '%i', 'm/another'), lost, 'the same number');
    const expected = { '/kept': "'kept\\n'", [`/${name}`]: 'ESTALE' };
    assert.equal(await found(stage), expected);
    await dropCaches(stage);
    assert.equal(await found(stage), expected);
  }));

tests.run();

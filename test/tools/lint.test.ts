/**
 * The layers of the architecture are held by lint: each forbidden import is tried, and must fail.
 */

import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const test = suite('lint');
const oxlint = resolve('node_modules/.bin/oxlint');
let tree = '';

test.before(async () => {
  tree = await mkdtemp(join(tmpdir(), 'ledgerfs-lint-'));
  await cp('.oxlintrc.json', join(tree, '.oxlintrc.json'));
  await cp('tsconfig.json', join(tree, 'tsconfig.json'));
  await symlink(resolve('node_modules'), join(tree, 'node_modules'));
});
test.after(() => rm(tree, { recursive: true, force: true }));

/** Lints files of the given texts together; returns what it says, by line. */
async function lint(files: Readonly<Record<string, string>>): Promise<string[]> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(tree, name)), { recursive: true });
    await writeFile(join(tree, name), text);
  }
  const names = Object.keys(files);
  const output = await new Promise<string>((resolveOutput) =>
    execFile(oxlint, ['-f', 'unix', ...names], { cwd: tree }, (_, stdout) => resolveOutput(stdout)),
  );
  for (const name of names) await rm(join(tree, name));
  return output.split('\n').filter((line) => line.includes('[Error/'));
}

/** Folder -> the folders of src that it may import (architecture, section 2). */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  model: [],
  decide: ['model'],
  io: ['model'],
  log: ['model', 'io'],
  index: ['model', 'io', 'log'],
  data: ['model', 'io', 'log'],
  locks: ['model', 'io', 'streams'],
  streams: ['model', 'log'],
  engine: ['model', 'decide', 'io', 'log', 'index', 'data', 'locks', 'streams'],
  fuse: ['engine', 'model', 'io'],
  control: ['engine', 'streams', 'model', 'io'],
  agent: ['control', 'model', 'io'],
};

/** Folders whose files get their IO through the ports, and so import no `node:*` that does IO. */
const PORTED = ['model', 'decide', 'log', 'index', 'data', 'locks', 'streams', 'engine'];

for (const [folder, allowed] of Object.entries(LAYERS)) {
  test(`src/${folder} imports ${allowed.join(', ') || 'nothing outside itself'}`, async () => {
    const others = Object.keys(LAYERS).filter((other) => other !== folder);
    const files: Record<string, string> = {};
    for (const other of others) {
      const text = (up: string): string => `export { x } from '${up}${other}/x.ts';\n`;
      files[`src/${folder}/from-${other}.ts`] = text('../');
      files[`src/${folder}/deep/from-${other}.ts`] = text('../../');
    }
    const said = await lint(files);
    for (const other of others) {
      for (const name of [
        `src/${folder}/from-${other}.ts`,
        `src/${folder}/deep/from-${other}.ts`,
      ]) {
        const refused = said.some((line) => line.startsWith(`${name}:`));
        assert.is(refused, !allowed.includes(other), name);
      }
    }
  });
}

test('pure and ported folders do not import what does IO', async () => {
  const files: Record<string, string> = {};
  for (const folder of Object.keys(LAYERS)) {
    files[`src/${folder}/reads.ts`] = `export { readFile } from 'node:fs/promises';\n`;
    files[`src/${folder}/hashes.ts`] = `export { createHash } from 'node:crypto';\n`;
  }
  const said = await lint(files);
  for (const folder of Object.keys(LAYERS)) {
    const refused = said.some((line) => line.startsWith(`src/${folder}/reads.ts:`));
    assert.is(refused, PORTED.includes(folder), folder);
    assert.not.ok(
      said.some((line) => line.startsWith(`src/${folder}/hashes.ts:`)),
      folder,
    );
  }
});

test('of index, data knows the names and shapes of items only', async () => {
  const said = await lint({
    'src/data/keys.ts':
      "export { x } from '../index/keys.ts';\nexport { y } from '../index/items.ts';\n",
    'src/data/store.ts': "export { x } from '../index/store.ts';\n",
  });
  assert.not.ok(said.some((line) => line.startsWith('src/data/keys.ts:')));
  assert.ok(said.some((line) => line.startsWith('src/data/store.ts:')));
});

test('clocks and dice are read in src/io only', async () => {
  const text = 'export const now = Date.now();\nexport const dice = Math.random();\n';
  const said = await lint({ 'src/engine/now.ts': text, 'src/io/now.ts': text });
  assert.is(said.filter((line) => line.startsWith('src/engine/now.ts:')).length, 2);
  assert.is(said.filter((line) => line.startsWith('src/io/now.ts:')).length, 0);
});

const MUST_FAIL: Readonly<Record<string, string>> = {
  'no-floating-promises': 'export async function f(): Promise<void> {}\nf();\n',
  'switch-exhaustiveness-check':
    "export function f(x: 'a' | 'b'): void {\n  switch (x) {\n    case 'a':\n      break;\n  }\n}\n",
  'no-explicit-any': 'export const x = JSON.parse("1") as any;\n',
  'max-lines-per-function': `export function f(): void {\n${'  f();\n'.repeat(71)}}\n`,
};

for (const [rule, text] of Object.entries(MUST_FAIL)) {
  test(`${rule} fires`, async () => {
    const said = await lint({ 'src/engine/wrong.ts': text });
    assert.ok(
      said.some((line) => line.includes(rule)),
      said.join('\n'),
    );
  });
}

test('a cycle of imports fails', async () => {
  const said = await lint({
    'src/model/a.ts': "import { b } from './b.ts';\nexport const a = (): number => b();\n",
    'src/model/b.ts': "import { a } from './a.ts';\nexport const b = (): number => a();\n",
  });
  assert.ok(
    said.some((line) => line.includes('no-cycle')),
    said.join('\n'),
  );
});

test.run();

/** The rules of the house that no linter has. What it says names the file and the replacement. */

import { readdirSync, readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';

const test = suite('tidy');

const FOLDERS = ['src', 'tools', 'test', 'bench'];

interface Source {
  readonly name: string;
  readonly text: string;
  readonly lines: readonly string[];
}

const sources: readonly Source[] = FOLDERS.flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => {
      const text = readFileSync(`${folder}/${name}`, 'utf8');
      return { name: `${folder}/${name}`, text, lines: text.split('\n') };
    }),
);

const named = (pattern: RegExp): Source[] => sources.filter(({ name }) => pattern.test(name));

/** Asserts that `complaints` is empty; shows all of them otherwise. */
const none = (complaints: readonly string[]): void =>
  assert.is(complaints.length, 0, complaints.join('\n'));

test('there are sources to look at', () => assert.ok(sources.length > 20));

test('every test file ends by running its suite', () => {
  none(
    named(/\.test\.ts$/)
      .filter(({ text }) => !/\n\w+\.run\(\);\n$/.test(text))
      .map(({ name }) => `${name}: does not end with "test.run();"`),
  );
});

test('no test is left alone or left out', () => {
  const alone = /\b(?:test|suite|it)\.only\(/;
  none(
    named(/\.test\.ts$/)
      .filter(({ name, text }) => name !== 'test/tidy.test.ts' && alone.test(text))
      .map(({ name }) => `${name}: .only hides the other tests`),
  );
});

test('no work is left in a comment', () => {
  // Put together, so that this file does not find itself.
  const marker = new RegExp(
    `\\b(?:${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`,
  );
  none(
    sources.flatMap(({ name, lines }) =>
      lines.flatMap((line, i) => (marker.test(line) ? [`${name}:${i + 1}: ${line.trim()}`] : [])),
    ),
  );
});

test('no line is longer than 100 characters', () => {
  // A template or a URL may not be cut, and a table of test cases reads better whole: strings may
  // pass, code and comments may not.
  const long = (line: string): boolean => Array.from(line).length > 100 && !/['"`]/.test(line);
  none(
    sources.flatMap(({ name, lines }) =>
      lines.flatMap((line, i) =>
        long(line) ? [`${name}:${i + 1}: ${line.length} characters`] : [],
      ),
    ),
  );
});

test('every source file opens by saying what it is', () => {
  none(
    named(/^(?:src|tools)\//)
      .filter(({ text }) => !/^(?:#!.*\n)?\/\*\*/.test(text))
      .map(({ name }) => `${name}: begins without a comment on what it owns`),
  );
});

test('no file is longer than 400 lines without arguing for itself', () => {
  none(
    named(/^(?:src|tools)\//)
      .filter(({ lines }) => lines.length > 401)
      .filter(({ lines }) => !/\bis long because\b/.test(lines.slice(0, 60).join('\n')))
      .map(
        ({ name, lines }) =>
          `${name}: ${lines.length} lines, and no "is long because ..." at its top`,
      ),
  );
});

/** Third-party package -> the files that may import it: replacing one is the work of few files. */
const OWNERS: Readonly<Record<string, RegExp>> = {
  avsc: /^src\/(?:log\/|index\/(?:values|checkpoint[\w-]*)\.ts$)/,
  level: /^src\/index\/store\.ts$/,
  'abstract-level': /^src\/index\/store\.ts$/,
  koffi: /^src\/io\/libc[\w-]*\.ts$/,
  rxjs: /^src\/(?:streams|locks|control)\//,
  'fuse-native': /^src\/fuse\/native\//,
  pino: /^src\/control\/journal\.ts$/,
  commander: /^tools\/(?:main\.ts$|console\/|commands\/)/,
  'cli-progress': /^tools\/console\/progress\.ts$/,
};

function packagesOf(source: Source): string[] {
  const imports = /(?:from|import\(|^import) ?'([^.'][^']*)'/gm;
  return [...source.text.matchAll(imports)]
    .map(([, path = '']) => path)
    .filter((path) => !path.startsWith('node:'))
    .map((path) =>
      path
        .split('/')
        .slice(0, path.startsWith('@') ? 2 : 1)
        .join('/'),
    );
}

test('third-party packages are imported by their owners only', () => {
  none(
    named(/^(?:src|tools)\//).flatMap((source) =>
      packagesOf(source)
        .filter((name) => OWNERS[name]?.test(source.name) !== true)
        .map((name) => `${source.name}: may not import ${name} (test/tidy.test.ts, OWNERS)`),
    ),
  );
});

test('every event type has a projection test and stands in the golden bytes', () => {
  const model = readFileSync('src/model/event.ts', 'utf8');
  const types = [...model.matchAll(/readonly type: '(\w+)'/g)].map(([, type = '']) => type);
  assert.ok(types.length > 10);
  const mentions = (pattern: RegExp): string =>
    named(pattern)
      .map(({ text }) => text)
      .join('\n');
  const projected = mentions(/^test\/index\/.*project.*\.ts$|^test\/index\/projections\//);
  const golden = mentions(/^test\/log\/.*\.ts$|^test\/fixtures\/.*\.ts$/);
  none([
    ...types
      .filter((type) => !projected.includes(type))
      .map((type) => `${type}: no projection test`),
    ...types.filter((type) => !golden.includes(type)).map((type) => `${type}: no golden bytes`),
  ]);
});

test.run();

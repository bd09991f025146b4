import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { notedAccesses } from '../../src/fuse/access.ts';

const test = suite('fuse access');

const noted = (options: string, readOnly = false): string => {
  const { files, directories } = notedAccesses(options === '' ? [] : options.split(' '), readOnly);
  return `${files ? 'files' : ''}${directories ? ' directories' : ''}`;
};

test('what mount options say about access times', () => {
  const all = 'files directories';
  assert.is(noted(''), all);
  assert.is(noted('relatime'), all);
  assert.is(noted('strictatime,nodev'), all);
  assert.is(noted('noatime'), '');
  assert.is(noted('nosuid,noatime'), '');
  assert.is(noted('nodiratime'), 'files');
  assert.is(noted('nodiratime diratime'), all);
  assert.is(noted('noatime relatime'), all, 'the later one wins');
  assert.is(noted('relatime noatime,diratime'), '');
  assert.is(noted('', true), '', 'a read-only mount changes nothing');
});

test.run();

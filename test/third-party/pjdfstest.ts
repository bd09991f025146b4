/** pjdfstest: whether names, links, modes, owners and times follow POSIX, 8,798 checks. */

import { join } from 'node:path';
import { shell } from '../use/mounted-volume.ts';
import type { Report, Site, Suite } from './site.ts';

const SOURCE = {
  url: 'https://github.com/pjd/pjdfstest',
  commit: '85a8aea9e685999ef0540392fd80535f873d7ff7',
};

const BUILD = 'cd "$1" && autoreconf -ifs && ./configure && make pjdfstest';
const PROVE = 'cd "$1" && prove -r "$2" 2>&1';

async function check(site: Site): Promise<Report> {
  const source = await site.fetch('pjdfstest', SOURCE);
  await shell(BUILD, source);
  const output = await site.shell(PROVE, await site.directory('pjdfstest'), join(source, 'tests'));
  const [, files = 0, checks = 0] = /Files=(\d+), Tests=(\d+),/.exec(output) ?? [];
  const failed = output.split('\n').filter((line) => /Failed test|Non-zero|Parse err/.test(line));
  const passed = /^Result: PASS$/m.test(output) && Number(checks) > 0;
  return {
    counts: { files: Number(files), checks: Number(checks), failed: failed.length },
    findings: passed ? [] : ['pjdfstest did not pass', ...failed],
  };
}

export const pjdfstest: Suite = {
  name: 'pjdfstest',
  version: SOURCE.commit,
  command: 'prove -r tests, as root, in a directory of the mount',
  programs: ['git', 'prove', 'autoreconf', 'make', 'cc'],
  check,
};

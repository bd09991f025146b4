/**
 * libfuse's test_syscalls: system calls and their errnos, on files with a name and, with -u, on
 * files that lost it. Run many times, each has to pass: a clock that ran ahead by a
 * millisecond once failed one run in three.
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../use/mounted-volume.ts';
import type { Report, Site, Suite } from './site.ts';

const SOURCE = {
  url: 'https://github.com/libfuse/libfuse',
  commit: 'e8d407ce93bf0d87efe7bbfafdfbd3c471597a02',
};

const ROUNDS = 20;
/** What its build would find out about this system. */
const CONFIG = '#define HAVE_STATX 1\n#define HAVE_COPY_FILE_RANGE 1\n';

async function check(site: Site): Promise<Report> {
  const source = await site.fetch('libfuse', SOURCE);
  const program = join(site.volume.scratch, 'test_syscalls');
  await writeFile(join(source, 'fuse_config.h'), CONFIG);
  const main = join(source, 'test/test_syscalls.c');
  await run('cc', '-w', '-O2', `-I${source}`, `-I${source}/include`, '-o', program, main);
  const dir = await site.directory('syscalls');
  const findings: string[] = [];
  let passed = 0;
  let skipped = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const place = join(dir, String(round));
    await mkdir(place);
    for (const options of ['', '-u']) {
      const output = await site.shell('"$1" "$2" $3 2>&1 || echo FAILED', program, place, options);
      passed += output.split('\n').filter((line) => line.endsWith(' OK')).length;
      skipped += output.split('\n').filter((line) => line.endsWith(' SKIP')).length;
      if (output.includes('FAILED')) findings.push(lastWords(output));
    }
  }
  return { counts: { runs: 2 * ROUNDS, passed, skipped }, findings };
}

/** The lines that are no news of a test that went well. */
const lastWords = (output: string): string =>
  output
    .split('\n')
    .filter((line) => line !== '' && !/ (OK|START)$/.test(line))
    .slice(-5)
    .join('; ');

export const syscalls: Suite = {
  name: 'libfuse',
  version: SOURCE.commit,
  command: `test_syscalls DIR and test_syscalls DIR -u, ${ROUNDS} times each, as root`,
  programs: ['git', 'cc'],
  check,
};
